// A stage with what is shown on it: a photo, a page of a document, a video. It is enlarged, turned, moved and lit; the file stays
// as it is. The viewer (gallery.js) has one of these, or two side by side. What is shown comes as `shot`: { id, kind, state, source,
// name, width, height, pages, small }, all as the tile has it (attachment_parts.html.j2). `told` hears what happens:
// { placed, touched, swiped(by), said(text) }. A `pen` takes what one finger does ({ begin, move, end, drop }, in fractions).
class Pane {
  static LARGEST = 8; // times the whole picture; more where a photo has more pixels than that
  static STEP = 1.5;
  static CLOSER = 2.5; // by a double tap
  static SWIPE = 50; // pixels
  static TAP_MILLISECONDS = 300;
  static TAP_DISTANCE = 24;
  static LIGHT = { brightness: [30, 300], contrast: [30, 300] }; // percent

  shot = null;
  page = 1; // of a document
  element = null; // its img or video
  pen = null;
  zoom = 1;
  light = { brightness: 100, contrast: 100 };
  #size = null; // of the photo, upright, in its own pixels
  #fit = null; // how large the whole photo is on the stage, before it is turned
  #turns = 0; // quarters to the right
  #x = 0; // pixels off the middle
  #y = 0;
  #held = new Map(); // where the pointers are that are down, by their id
  #start = null; // of a gesture: { at, fingers }
  #lastTap = null;

  constructor(stage, texts, told) {
    Object.assign(this, { stage, texts, told });
    stage.addEventListener("pointerdown", (event) => this.#onDown(event));
    stage.addEventListener("pointermove", (event) => this.#onMove(event));
    stage.addEventListener("pointerup", (event) => this.#onUp(event));
    stage.addEventListener("pointercancel", (event) => this.#onUp(event));
    stage.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    new ResizeObserver(() => this.place()).observe(stage);
  }

  // What is shown.

  show(shot, page = 1) {
    this.clear();
    Object.assign(this, { shot, page });
    const { stage } = this;
    stage.dataset.kind = shot.kind;
    stage.dataset.state = shot.state;
    stage.setAttribute("aria-label", shot.name);
    this.#size = shot.width && shot.kind !== "document" ? { width: shot.width, height: shot.height } : null; // pages differ
    this.#fit = null;
    [this.zoom, this.#turns, this.#x, this.#y] = [1, 0, 0, 0];
    this.light = { brightness: 100, contrast: 100 };
    this.told.said(shot.kind === "video" && shot.state !== "ready" ? this.texts[shot.state === "failed" ? "textFailed" : "textPreparing"] : "");
    if (shot.kind === "video" && shot.state === "ready") this.#showVideo();
    else if (shot.kind === "document") this.#showPage();
    else this.#showPhoto();
    this.told.placed(this);
  }

  clear() {
    if (this.element instanceof HTMLVideoElement) { // stop what still comes over the line
      this.element.pause();
      this.element.removeAttribute("src");
      this.element.load();
    }
    this.element?.remove();
    this.element = this.shot = null;
  }

  #showVideo() {
    const { shot } = this;
    const video = document.createElement("video");
    Object.assign(video, { controls: true, preload: "metadata", playsInline: true, src: `${shot.source}/video`, poster: `${shot.source}/preview` });
    video.setAttribute("aria-label", shot.name);
    this.#put(video);
  }

  // The picture of the tile is there at once, then comes the preview, and the full photo when somebody looks closer.
  #showPhoto() {
    const { shot } = this;
    const image = this.#image(shot.name, shot.kind === "photo" ? `${shot.source}/full` : "");
    if (shot.small && this.#size) image.src = shot.small;
    this.#put(image);
    this.place();
    this.#swap(image, `${shot.source}/preview`);
  }

  #showPage() {
    const image = this.#image(`${this.shot.name}, ${this.pageText}`, "");
    this.#put(image);
    this.#swap(image, `${this.shot.source}/pages/${this.page}`);
  }

  #image(alt, full) {
    const image = new Image();
    Object.assign(image, { alt, draggable: false });
    image.dataset.full = full;
    return image;
  }

  #put(element) {
    this.element = element;
    this.stage.prepend(element);
  }

  get pageText() {
    return this.texts.textPage.replace("{number}", this.page).replace("{count}", this.shot.pages);
  }

  // Another source for the picture that is shown, once it has come whole, so that nothing flickers.
  async #swap(mine, source) {
    mine.dataset.wanted = source;
    const coming = new Image();
    coming.src = source;
    try {
      await coming.decode();
    } catch {
      if (mine !== this.element) return;
      delete mine.dataset.wanted; // the next closer look asks again
      this.told.said(this.texts.textLost);
      return;
    }
    if (mine !== this.element || mine.dataset.wanted !== source) return;
    if (this.shot.kind !== "video") this.told.said("");
    mine.src = source;
    this.#size ??= { width: coming.naturalWidth, height: coming.naturalHeight };
    this.place();
  }

  // How it is seen.

  get isPicture() {
    return this.element instanceof HTMLImageElement && this.shot.kind !== "video";
  }

  get size() {
    return this.#size;
  }

  get largest() {
    return this.#fit ? Math.max(Pane.LARGEST, 2 / this.#fit.times) : Pane.LARGEST;
  }

  // Fit the photo to the stage and keep it there: an edge never comes further in than the stage's own.
  place() {
    const { stage, element, zoom } = this;
    if (!(element instanceof HTMLImageElement) || !this.#size) return;
    const { width, height } = this.#size;
    const [wide, high] = this.#turns % 2 !== 0 ? [height, width] : [width, height];
    const times = Math.min(stage.clientWidth / wide, stage.clientHeight / high, 2);
    this.#fit = { width: width * times, height: height * times, times };
    const spareX = Math.max(0, (wide * times * zoom - stage.clientWidth) / 2);
    const spareY = Math.max(0, (high * times * zoom - stage.clientHeight) / 2);
    this.#x = Math.max(-spareX, Math.min(spareX, this.#x));
    this.#y = Math.max(-spareY, Math.min(spareY, this.#y));
    element.style.width = `${this.#fit.width}px`;
    element.style.height = `${this.#fit.height}px`;
    element.style.transform = `translate(-50%, -50%) translate(${this.#x}px, ${this.#y}px) rotate(${this.#turns * 90}deg) scale(${zoom})`;
    stage.toggleAttribute("data-zoomed", zoom > 1);
    this.told.placed(this);
    if (zoom > 1 && element.dataset.full && element.dataset.wanted !== element.dataset.full) this.#swap(element, element.dataset.full);
  }

  // `at` is the point of the stage, seen from its middle, that stays where it is.
  zoomTo(wanted, at = { x: 0, y: 0 }) {
    if (!this.isPicture || !this.#fit) return;
    const now = Math.max(1, Math.min(this.largest, wanted));
    this.#x = at.x - ((at.x - this.#x) * now) / this.zoom;
    this.#y = at.y - ((at.y - this.#y) * now) / this.zoom;
    this.zoom = now;
    this.place();
  }

  turn(by) {
    if (!this.isPicture) return;
    this.#turns += by;
    [this.#x, this.#y] = by > 0 ? [-this.#y, this.#x] : [this.#y, -this.#x]; // what was in the middle stays there
    this.place();
  }

  move(right, down) {
    this.#x += right;
    this.#y += down;
    this.place();
  }

  // As large as the other, and at the same place.
  follow(other) {
    if (!this.isPicture || !this.#fit || !other.#fit) return;
    this.zoom = Math.min(other.zoom, this.largest);
    this.#x = (other.#x / other.#fit.width) * this.#fit.width;
    this.#y = (other.#y / other.#fit.height) * this.#fit.height;
    this.place();
  }

  // Percents of the picture as it is; what is not given stays.
  lit(change) {
    if (!this.isPicture) return;
    for (const [name, [least, most]] of Object.entries(Pane.LIGHT)) {
      this.light[name] = Math.max(least, Math.min(most, change[name] ?? this.light[name]));
    }
    const { brightness, contrast } = this.light;
    this.element.style.filter = brightness === 100 && contrast === 100 ? "" : `brightness(${brightness}%) contrast(${contrast}%)`;
    this.told.placed(this);
  }

  // Between the stage (pixels from its middle) and the upright picture (fractions of its width and height).

  toStage({ x, y }) {
    const [across, down] = [(x - 0.5) * this.#fit.width * this.zoom, (y - 0.5) * this.#fit.height * this.zoom];
    const [cos, sin] = this.#quarter();
    return { x: cos * across - sin * down + this.#x, y: sin * across + cos * down + this.#y };
  }

  toPicture({ x, y }) {
    const [cos, sin] = this.#quarter();
    const [right, below] = [x - this.#x, y - this.#y];
    const inside = (fraction) => Math.max(0, Math.min(1, fraction + 0.5));
    return {
      x: inside((cos * right + sin * below) / (this.#fit.width * this.zoom)),
      y: inside((cos * below - sin * right) / (this.#fit.height * this.zoom)),
    };
  }

  get isPlaced() {
    return this.isPicture && this.#fit !== null;
  }

  #quarter() {
    return [[1, 0], [0, 1], [-1, 0], [0, -1]][((this.#turns % 4) + 4) % 4];
  }

  // Fingers, pens, mice.

  #onStage(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  }

  static #between = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  static #distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

  #onDown(event) {
    this.told.touched(this);
    if (!this.shot || (this.shot.kind === "video" && this.shot.state === "ready")) return;
    if (event.pointerType === "mouse" && event.button !== 0) return;
    this.stage.setPointerCapture(event.pointerId);
    this.#held.set(event.pointerId, this.#onStage(event));
    this.stage.toggleAttribute("data-held", true);
    if (this.#held.size === 1) {
      this.#start = { at: this.#onStage(event), fingers: 1 };
      this.pen?.begin(this.#start.at);
    } else {
      this.#start.fingers = this.#held.size;
      this.pen?.drop();
    }
  }

  #onMove(event) {
    const before = this.#held.get(event.pointerId);
    if (!before) return;
    const now = this.#onStage(event);
    if (this.#held.size === 1 && this.#start.fingers === 1 && this.pen) this.pen.move(now);
    else if (this.#held.size === 1 && this.zoom > 1) this.move(now.x - before.x, now.y - before.y);
    if (this.#held.size === 2) {
      const other = [...this.#held].find(([pointer]) => pointer !== event.pointerId)[1];
      const [middle, middleBefore] = [Pane.#between(now, other), Pane.#between(before, other)];
      this.#x += middle.x - middleBefore.x;
      this.#y += middle.y - middleBefore.y;
      this.zoomTo((this.zoom * Pane.#distance(now, other)) / Math.max(1, Pane.#distance(before, other)), middle);
    }
    this.#held.set(event.pointerId, now);
  }

  #onUp(event) {
    if (!this.#held.delete(event.pointerId) || this.#held.size) return;
    this.stage.toggleAttribute("data-held", false);
    if (event.type === "pointercancel" || this.#start.fingers > 1) {
      this.#lastTap = null;
      this.pen?.drop();
      return;
    }
    const now = this.#onStage(event);
    if (this.pen) { this.pen.end(now); return; }
    const [right, down] = [now.x - this.#start.at.x, now.y - this.#start.at.y];
    if (Math.hypot(right, down) < Pane.TAP_DISTANCE / 2) this.#onTap(event, now);
    else if (event.pointerType !== "mouse" && this.zoom === 1 && Math.abs(right) > Pane.SWIPE && Math.abs(right) > 1.5 * Math.abs(down)) {
      this.told.swiped(this, right < 0 ? 1 : -1);
    }
  }

  #onTap(event, at) {
    const last = this.#lastTap;
    const isSecond = last && event.timeStamp - last.when < Pane.TAP_MILLISECONDS && Pane.#distance(last.at, at) < Pane.TAP_DISTANCE;
    this.#lastTap = isSecond ? null : { when: event.timeStamp, at };
    if (isSecond) this.zoomTo(this.zoom > 1 ? 1 : Pane.CLOSER, at);
  }

  #onWheel(event) {
    if (!this.isPicture) return;
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    this.told.touched(this);
    this.zoomTo(this.zoom * Math.exp(-Math.max(-200, Math.min(200, pixels)) / 300), this.#onStage(event));
  }
}
