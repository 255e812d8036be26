// A viewer for photos and videos: a tile of a gallery opens it over the page. It turns and enlarges what is seen, nothing else.
// The tiles are in the page (attachment_parts.html.j2), and so is the viewer's markup with every text. It is put at the end of the
// body, so that a page that renews itself does not touch it. Without this script a tile leads to the page of its photo.
(() => {
  const LARGEST = 8; // times the whole picture; more where a photo has more pixels than that
  const STEP = 1.5;
  const CLOSER = 2.5; // by a double tap
  const MOVE = 80; // pixels, by an arrow key
  const SWIPE = 50;
  const TAP_MILLISECONDS = 300;
  const TAP_DISTANCE = 24;

  let viewer, frame, stage; // once it was opened
  let group; // the element that holds the tiles among which somebody looks
  let id = null; // of the attachment that is shown
  let page = 1; // of a document
  let element = null; // its img or video
  let size = null; // of the photo, upright, in its own pixels
  let fit = null; // how large the whole photo is on the stage, before it is turned
  let zoom, turns, x, y; // what the transform says: times, quarters to the right, pixels off the middle
  const part = (name) => viewer.querySelector(`[data-${name}]`);
  const button = (act) => viewer.querySelector(`[data-act=${act}]`);

  // Which one.

  // The tiles among which somebody looks, as the page has them now: it may have been renewed since.
  const tiles = () => {
    if (!group.isConnected) group = groupOf(document.querySelector(`[data-tile="${id}"]`)) ?? group;
    return [...group.querySelectorAll("[data-tile]")];
  };

  const groupOf = (tile) => tile?.closest("[data-galleries]") ?? tile?.closest("[data-gallery]");

  const open = (tile) => {
    if (!viewer || !viewer.isConnected) build();
    if (viewer.open) return;
    group = groupOf(tile);
    viewer.showModal();
    show(tile);
    viewer.addEventListener("close", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      clear();
      id = null;
      const back = tile.isConnected ? tile : document.querySelector(`[data-tile="${tile.dataset.tile}"]`);
      if (back) back.focus();
    }, { once: true });
  };

  // The pages of a document come one after the other, then the next tile; backwards, from the last page on.
  const step = (by) => {
    const all = tiles();
    const at = all.findIndex((tile) => tile.dataset.tile === id);
    if (all[at] && page + by >= 1 && page + by <= pagesOf(all[at])) show(all[at], page + by);
    else if (all[at + by]) show(all[at + by], by < 0 ? pagesOf(all[at + by]) : 1);
  };

  const pagesOf = (tile) => Number(tile.dataset.pages || 1);

  const show = (tile, wanted = 1) => {
    clear();
    id = tile.dataset.tile;
    page = wanted;
    const { kind, state, source, name, width, height } = tile.dataset;
    part("page").href = tile.href;
    viewer.querySelector("h2").textContent = name;
    tellPosition();
    stage.dataset.kind = kind;
    size = width && kind !== "document" ? { width: Number(width), height: Number(height) } : null; // pages differ
    fit = null;
    [zoom, turns, x, y] = [1, 0, 0, 0];
    if (kind === "video" && state === "ready") showVideo(tile);
    else if (kind === "document") showPage(tile);
    else showPhoto(tile, kind === "photo");
    say(kind === "video" && state !== "ready" ? viewer.dataset[state === "failed" ? "textFailed" : "textPreparing"] : "");
    stage.dataset.state = state;
    for (const act of ["smaller", "larger", "turn-left", "turn-right"]) off(button(act), kind === "video");
    part("zoom").hidden = kind === "video";
    preload(tile);
  };

  const clear = () => {
    if (element instanceof HTMLVideoElement) { // stop what still comes over the line
      element.pause();
      element.removeAttribute("src");
      element.load();
    }
    stage.replaceChildren();
    element = null;
  };

  const showVideo = (tile) => {
    element = document.createElement("video");
    Object.assign(element, { controls: true, preload: "metadata", playsInline: true, src: `${tile.dataset.source}/video` });
    element.poster = `${tile.dataset.source}/preview`;
    element.setAttribute("aria-label", tile.dataset.name);
    stage.append(element);
  };

  // The picture of the tile is there at once, then comes the preview, and the full photo when somebody looks closer.
  const showPhoto = (tile, hasFull) => {
    const mine = (element = new Image());
    mine.alt = tile.dataset.name;
    mine.draggable = false;
    mine.dataset.full = hasFull ? `${tile.dataset.source}/full` : "";
    const small = tile.querySelector("img");
    if (small && size) mine.src = small.currentSrc || small.src;
    stage.append(mine);
    place();
    swap(mine, `${tile.dataset.source}/preview`);
  };

  const showPage = (tile) => {
    element = new Image();
    element.alt = `${tile.dataset.name}, ${pageText(tile)}`;
    element.draggable = false;
    element.dataset.full = "";
    stage.append(element);
    swap(element, `${tile.dataset.source}/pages/${page}`);
  };

  const pageText = (tile) => viewer.dataset.textPage.replace("{number}", page).replace("{count}", pagesOf(tile));

  // Another source for the picture that is shown, once it has come whole, so that nothing flickers.
  const swap = async (mine, source) => {
    mine.dataset.wanted = source;
    const coming = new Image();
    coming.src = source;
    try {
      await coming.decode();
    } catch {
      if (mine !== element) return;
      delete mine.dataset.wanted; // the next closer look asks again
      say(viewer.dataset.textLost);
      return;
    }
    if (part("message").textContent === viewer.dataset.textLost) say("");
    if (mine !== element || mine.dataset.wanted !== source) return;
    mine.src = source;
    size ??= { width: coming.naturalWidth, height: coming.naturalHeight };
    place();
  };

  const preload = (tile) => {
    const all = tiles();
    const at = all.indexOf(tile);
    for (const near of [all[at + 1], all[at - 1]]) {
      if (near && near.dataset.kind === "photo") new Image().src = `${near.dataset.source}/preview`;
    }
  };

  const say = (text) => { part("message").textContent = text; };

  const tellPosition = () => {
    const all = tiles();
    const at = all.findIndex((tile) => tile.dataset.tile === id);
    const position = viewer.dataset.textPosition.replace("{number}", at + 1).replace("{count}", all.length);
    const isDocument = all[at]?.dataset.kind === "document";
    part("position").textContent = isDocument ? `${position} · ${pageText(all[at])}` : position;
    off(button("previous"), at <= 0 && page === 1);
    off(button("next"), at === all.length - 1 && (!isDocument || page === pagesOf(all[at])));
  };

  // A button that is off keeps the focus, so that whoever presses it again and again is not thrown out.
  const off = (it, is) => it.setAttribute("aria-disabled", String(is));

  // How it is seen.

  const isPhoto = () => element instanceof HTMLImageElement && stage.dataset.kind !== "video";

  // Fit the photo to the stage and keep it there: an edge never comes further in than the stage's own.
  const place = () => {
    if (!(element instanceof HTMLImageElement) || !size) return;
    const sideways = turns % 2 !== 0;
    const [wide, high] = sideways ? [size.height, size.width] : [size.width, size.height];
    const times = Math.min(stage.clientWidth / wide, stage.clientHeight / high, 2);
    fit = { width: size.width * times, height: size.height * times, times };
    const spareX = Math.max(0, (wide * times * zoom - stage.clientWidth) / 2);
    const spareY = Math.max(0, (high * times * zoom - stage.clientHeight) / 2);
    x = Math.max(-spareX, Math.min(spareX, x));
    y = Math.max(-spareY, Math.min(spareY, y));
    element.style.width = `${fit.width}px`;
    element.style.height = `${fit.height}px`;
    element.style.transform = `translate(-50%, -50%) translate(${x}px, ${y}px) rotate(${turns * 90}deg) scale(${zoom})`;
    stage.toggleAttribute("data-zoomed", zoom > 1);
    part("zoom").textContent = viewer.dataset.textZoom.replace("{percent}", Math.round(zoom * 100));
    if (isPhoto()) {
      off(button("smaller"), zoom <= 1);
      off(button("larger"), zoom >= largest());
    }
    if (zoom > 1 && element.dataset.full && element.dataset.wanted !== element.dataset.full) swap(element, element.dataset.full);
  };

  const largest = () => Math.max(LARGEST, 2 / fit.times);

  // `at` is the point of the stage, seen from its middle, that stays where it is.
  const zoomTo = (wanted, at = { x: 0, y: 0 }) => {
    if (!isPhoto() || !fit) return;
    const now = Math.max(1, Math.min(largest(), wanted));
    x = at.x - ((at.x - x) * now) / zoom;
    y = at.y - ((at.y - y) * now) / zoom;
    zoom = now;
    place();
  };

  const turn = (by) => {
    if (!isPhoto()) return;
    turns += by;
    [x, y] = by > 0 ? [-y, x] : [y, -x]; // what was in the middle stays there
    place();
  };

  const fullScreen = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (frame.requestFullscreen) frame.requestFullscreen().catch(() => {});
  };

  const help = () => {
    const line = viewer.querySelector(".viewer-help");
    line.hidden = !line.hidden;
    button("help").setAttribute("aria-expanded", String(!line.hidden));
  };

  // Buttons and keys.

  const ACTS = {
    close: () => viewer.close(),
    previous: () => step(-1),
    next: () => step(1),
    larger: () => zoomTo(zoom * STEP),
    smaller: () => zoomTo(zoom / STEP),
    "turn-left": () => turn(-1),
    "turn-right": () => turn(1),
    "full-screen": fullScreen,
    help,
  };

  const KEYS = {
    ArrowLeft: () => (zoom > 1 ? move(MOVE, 0) : step(-1)),
    ArrowRight: () => (zoom > 1 ? move(-MOVE, 0) : step(1)),
    ArrowUp: () => move(0, MOVE),
    ArrowDown: () => move(0, -MOVE),
    "+": ACTS.larger,
    "=": ACTS.larger,
    "-": ACTS.smaller,
    0: () => zoomTo(1),
    r: ACTS["turn-right"],
    R: ACTS["turn-left"],
    f: fullScreen,
    F: fullScreen,
    "?": help,
  };
  const OF_PLAYERS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]); // a player with the focus has its own use for them

  const move = (right, down) => {
    x += right;
    y += down;
    place();
  };

  const onKey = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target instanceof HTMLVideoElement && OF_PLAYERS.has(event.key)) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };

  const onClick = (event) => {
    const pressed = event.target.closest("[data-act]");
    if (pressed && pressed.getAttribute("aria-disabled") !== "true") ACTS[pressed.dataset.act]();
  };

  // Fingers, pens, mice.

  const held = new Map(); // where the pointers are that are down, by their id
  let start = null; // of a gesture: { at, moved }
  let lastTap = null;

  const onStage = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  };
  const between = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

  const onDown = (event) => {
    if (stage.dataset.kind === "video" && stage.dataset.state === "ready") return;
    if (event.pointerType === "mouse" && event.button !== 0) return;
    stage.setPointerCapture(event.pointerId);
    held.set(event.pointerId, onStage(event));
    stage.toggleAttribute("data-held", true);
    if (held.size === 1) start = { at: onStage(event), fingers: 1 };
    else start.fingers = held.size;
  };

  const onMove = (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    const now = onStage(event);
    if (held.size === 1 && zoom > 1) move(now.x - before.x, now.y - before.y);
    if (held.size === 2) {
      const other = [...held].find(([pointer]) => pointer !== event.pointerId)[1];
      const [middle, middleBefore] = [between(now, other), between(before, other)];
      x += middle.x - middleBefore.x;
      y += middle.y - middleBefore.y;
      zoomTo((zoom * distance(now, other)) / Math.max(1, distance(before, other)), middle);
    }
    held.set(event.pointerId, now);
  };

  const onUp = (event) => {
    if (!held.delete(event.pointerId) || held.size) return;
    stage.toggleAttribute("data-held", false);
    if (event.type === "pointercancel" || start.fingers > 1) { lastTap = null; return; }
    const now = onStage(event);
    const [right, down] = [now.x - start.at.x, now.y - start.at.y];
    if (Math.hypot(right, down) < TAP_DISTANCE / 2) onTap(event, now);
    else if (event.pointerType !== "mouse" && zoom === 1 && Math.abs(right) > SWIPE && Math.abs(right) > 1.5 * Math.abs(down)) {
      step(right < 0 ? 1 : -1);
    }
  };

  const onTap = (event, at) => {
    const isSecond = lastTap && event.timeStamp - lastTap.when < TAP_MILLISECONDS && distance(lastTap.at, at) < TAP_DISTANCE;
    lastTap = isSecond ? null : { when: event.timeStamp, at };
    if (isSecond) zoomTo(zoom > 1 ? 1 : CLOSER, at);
  };

  const onWheel = (event) => {
    if (!isPhoto()) return;
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    zoomTo(zoom * Math.exp(-Math.max(-200, Math.min(200, pixels)) / 300), onStage(event));
  };

  // The page around it.

  const build = () => {
    document.body.append(document.getElementById("viewer-template").content.cloneNode(true));
    viewer = document.getElementById("viewer");
    frame = viewer.querySelector(".viewer-frame");
    stage = part("stage");
    button("full-screen").hidden = !document.fullscreenEnabled;
    viewer.addEventListener("keydown", onKey);
    viewer.addEventListener("click", onClick);
    stage.addEventListener("pointerdown", onDown);
    stage.addEventListener("pointermove", onMove);
    stage.addEventListener("pointerup", onUp);
    stage.addEventListener("pointercancel", onUp);
    stage.addEventListener("wheel", onWheel, { passive: false });
    frame.addEventListener("fullscreenchange", () => {
      button("full-screen").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement)));
    });
    new ResizeObserver(place).observe(stage);
  };

  document.addEventListener("click", (event) => {
    const tile = event.target.closest?.("[data-gallery] [data-tile]");
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!tile || !isPlain || event.defaultPrevented || !document.getElementById("viewer-template")) return;
    event.preventDefault();
    open(tile);
  });

  // The page behind the viewer was renewed: how many there are may have changed, and a video may be ready now.
  document.addEventListener("htmx:after:swap", () => {
    if (!viewer?.open || !id) return;
    const tile = tiles().find((one) => one.dataset.tile === id);
    if (tile && tile.dataset.state !== stage.dataset.state) show(tile);
    else tellPosition();
  });
})();
