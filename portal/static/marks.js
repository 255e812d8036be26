// What people drew on a photo or a page, in a layer over it: arrows, circles, and lines measured by a ruler in the picture. The photo stays as it
// is. `MarkLayer` loads and draws the marks of what a pane (pane.js) shows; `MarkPanel` is the part of the viewer in which they are
// listed, drawn, removed and hidden. A line is drawn in one go, or from one tap to the next, or with the arrow keys and Enter.
class MarkLayer {
  static SVG = "http://www.w3.org/2000/svg";
  hidden = false;
  drawn = null; // what is being drawn: { kind, start, end }
  cursor = null; // of who draws with keys, on the stage
  #pane;
  #svg;
  #all = []; // of every page
  #wanted = 0;

  constructor(pane, nameOf) {
    this.#pane = pane;
    this.nameOf = nameOf;
    this.#svg = document.createElementNS(MarkLayer.SVG, "svg");
    this.#svg.setAttribute("class", "viewer-marks");
    this.#svg.setAttribute("role", "img");
    pane.stage.append(this.#svg);
  }

  // Those of the page that is shown.
  get marks() {
    return this.#all.filter((mark) => mark.page === this.#pane.page);
  }

  // The marks of what the pane shows now; whatever comes for something else is too late.
  async load() {
    const mine = (this.#wanted += 1);
    const { shot } = this.#pane;
    if (shot?.id !== this.of) this.#all = [];
    this.of = shot?.id;
    this.draw();
    if (!shot || shot.kind === "video") return;
    const answer = await fetch(`${shot.source}/marks`).catch(() => null);
    if (mine !== this.#wanted || !answer?.ok) return;
    this.#all = await answer.json();
    this.draw();
  }

  draw() {
    const { stage } = this.#pane;
    const shown = this.#pane.isPlaced && !this.hidden ? this.marks : [];
    const name = shown.map((mark) => this.nameOf(mark)).join("; ");
    this.#svg.replaceChildren();
    this.#svg.toggleAttribute("hidden", !shown.length && !this.drawn && !this.cursor);
    this.#svg.setAttribute("aria-label", name);
    this.#svg.setAttribute("aria-hidden", String(!name));
    stage.toggleAttribute("data-marked", Boolean(shown.length || this.drawn || this.cursor));
    if (!this.#pane.isPlaced) return;
    const [wide, high] = [stage.clientWidth, stage.clientHeight];
    this.#svg.setAttribute("viewBox", `${-wide / 2} ${-high / 2} ${wide} ${high}`);
    for (const mark of shown) this.#drawOne(mark);
    if (this.drawn) this.#drawOne(this.drawn);
    if (this.cursor) this.#drawCursor(this.cursor);
  }

  #drawOne(mark) {
    const [from, to] = [this.#pane.toStage(mark.start), this.#pane.toStage(mark.end)];
    const apart = Math.hypot(to.x - from.x, to.y - from.y);
    if (mark.kind === "circle") this.#shape("circle", { cx: from.x, cy: from.y, r: Math.max(1, apart) });
    else this.#shape("path", { d: this.#line(mark, from, to, apart) });
    const text = [mark.length_mm ? this.nameOf({ ...mark, label: "" }) : "", mark.label].filter(Boolean).join(" · ");
    if (text) this.#text(text, mark.kind === "arrow" ? from : mark.kind === "circle" ? { x: from.x, y: from.y - apart } : to);
  }

  // An arrow ends in its head, a measured line in a stroke across at both ends.
  #line(mark, from, to, apart) {
    const [across, down] = apart ? [(to.x - from.x) / apart, (to.y - from.y) / apart] : [1, 0];
    const aside = ({ x, y }, back, side) => `${x - back * across - side * down} ${y - back * down + side * across}`;
    const line = `M${from.x} ${from.y}L${to.x} ${to.y}`;
    if (mark.kind === "arrow") return `${line}M${aside(to, 14, 8)}L${to.x} ${to.y}L${aside(to, 14, -8)}`;
    return `${line}M${aside(from, 0, 7)}L${aside(from, 0, -7)}M${aside(to, 0, 7)}L${aside(to, 0, -7)}`;
  }

  #shape(name, attributes) {
    for (const kind of ["under", "over"]) {
      const shape = document.createElementNS(MarkLayer.SVG, name);
      for (const [key, value] of Object.entries({ ...attributes, class: kind })) shape.setAttribute(key, value);
      this.#svg.append(shape);
    }
  }

  #text(words, at) {
    const text = document.createElementNS(MarkLayer.SVG, "text");
    text.textContent = words;
    text.setAttribute("x", at.x + 8);
    text.setAttribute("y", at.y - 8);
    this.#svg.append(text);
    const { clientWidth, clientHeight } = this.#pane.stage; // a text never begins or ends outside
    const box = text.getBBox();
    text.setAttribute("x", Math.max(-clientWidth / 2 + 4, Math.min(clientWidth / 2 - box.width - 4, at.x + 8)));
    text.setAttribute("y", Math.max(-clientHeight / 2 + box.height, Math.min(clientHeight / 2 - 4, at.y - 8)));
  }

  #drawCursor({ x, y }) {
    this.#shape("path", { d: `M${x - 16} ${y}H${x + 16}M${x} ${y - 16}V${y + 16}` });
  }
}

class MarkPanel {
  static STEP = 20; // pixels of the cursor, by an arrow key; with Shift 2
  static LEAST = 6; // pixels: less is a tap and no line
  #viewer;
  #form;
  #pane = null;
  #layer = null;
  #tool = null; // arrow, circle, ruler or measure
  #start = null; // where a line began that was tapped or set by a key
  #asked = {}; // { what, key }: the same asked again, as after an answer that was lost, acts once
  #ruler = null; // { of, start, end, length_mm }: what this photo is measured by

  constructor(viewer) {
    this.#viewer = viewer;
    this.#form = this.#part("mark-form");
    this.#form?.addEventListener("submit", (event) => { event.preventDefault(); this.#save(); });
    this.#part("marks-shown").addEventListener("change", (event) => this.#show(event.target.checked));
  }

  #part = (name) => this.#viewer.querySelector(`[data-${name}]`);
  #words = (name, values = {}) => Object.entries(values).reduce((text, [key, value]) => text.replace(`{${key}}`, () => value), this.#viewer.dataset[name]);
  #number = (value) => new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 }).format(value);

  nameOf = (mark) => {
    const what = mark.length_mm ? this.#words("textMm", { length: this.#number(mark.length_mm) }) : this.#words({ arrow: "textArrow", circle: "textCircle" }[mark.kind] ?? "textLine");
    return mark.label ? this.#words("textLabelled", { what, label: mark.label }) : what;
  };

  // The pane whose marks are listed here, and where new ones go.
  attend(pane, layer) {
    if (this.#pane && this.#pane !== pane) this.stop();
    this.#pane = pane;
    this.#layer = layer;
    this.list();
  }

  list() {
    const layer = this.#layer;
    if (!layer) return;
    this.#part("marks-count").textContent = layer.marks.length || "";
    this.#part("marks-shown").checked = !layer.hidden;
    const list = this.#part("marks-list");
    list.replaceChildren(...layer.marks.map((mark) => this.#line(mark)));
    const mayMark = MarkPanel.#takesMarks(this.#pane.shot);
    if (this.#part("mark-tools")) this.#part("mark-tools").hidden = !mayMark;
    this.#part("marks-none").hidden = layer.marks.length > 0 || mayMark;
    if (!mayMark && this.#tool) this.stop();
  }

  #line(mark) {
    const line = document.createElement("li");
    const what = document.createElement("span");
    const when = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short", timeZone: this.#viewer.dataset.timeZone });
    what.textContent = `${this.nameOf(mark)} – ${[mark.by?.name, when.format(new Date(mark.at))].filter(Boolean).join(", ")}`;
    line.append(what);
    if (!mark.removable) return line;
    const remove = document.createElement("button");
    Object.assign(remove, { type: "button", className: "wide", textContent: this.#words("textRemove") });
    remove.setAttribute("aria-label", this.#words("textLabelled", { what: this.#words("textRemove"), label: this.nameOf(mark) }));
    remove.addEventListener("click", () => this.#remove(mark));
    line.append(remove);
    return line;
  }

  #show(shown) {
    this.#layer.hidden = !shown;
    this.#layer.draw();
  }

  toggleShown() {
    this.#show(this.#layer.hidden);
    this.list();
  }

  #say(text) { this.#part("marks-said").textContent = text; }

  // Drawing.

  get isDrawing() { return this.#tool !== null; }

  // Pressed again, a tool is put down. A measure needs a ruler first; one that somebody drew on this photo before will do.
  take(tool) {
    const again = this.#tool === tool || (tool === "measure" && this.#tool === "ruler");
    this.stop();
    if (again || !MarkPanel.#takesMarks(this.#pane?.shot)) return;
    if (tool === "measure" && !this.#rulerHere()) tool = "ruler";
    this.#tool = tool;
    this.#pane.pen = this.#pen;
    this.#pane.stage.toggleAttribute("data-drawing", true);
    if (this.#layer.hidden) this.#show(true);
    this.#tell();
    this.#pane.stage.focus({ preventScroll: true });
  }

  static #takesMarks(shot) { return Boolean(shot?.mayMark) && shot.kind !== "video"; }

  // What is drawn on: a ruler holds for one page.
  get #surface() { return `${this.#pane.shot.id}/${this.#pane.page}`; }

  #rulerHere() {
    const of = this.#surface;
    if (this.#ruler?.of === of) return this.#ruler;
    const known = this.#layer.marks.findLast((mark) => mark.calibration);
    this.#ruler = known ? { of, ...known.calibration } : null;
    return this.#ruler;
  }

  #tell() {
    const told = { arrow: "textDrawArrow", circle: "textDrawCircle", ruler: "textDrawRuler", measure: "textDrawMeasure" }[this.#tool];
    this.#say(told ? this.#words(told) : "");
    for (const button of this.#viewer.querySelectorAll("[data-act=arrow], [data-act=circle], [data-act=measure], [data-act=ruler]")) {
      button.setAttribute("aria-pressed", String(button.dataset.act === this.#tool));
    }
    const ruler = this.#part("act=ruler");
    if (ruler) ruler.hidden = this.#tool !== "measure";
  }

  stop() {
    if (this.#form) this.#form.hidden = true;
    this.#tool = this.#start = null;
    if (this.#pane) {
      this.#pane.pen = null;
      this.#pane.stage.toggleAttribute("data-drawing", false);
    }
    if (this.#layer) {
      this.#layer.drawn = this.#layer.cursor = null;
      this.#layer.draw();
    }
    this.#tell();
  }

  #pen = {
    begin: (at) => {
      if (!this.#form.hidden || !this.#pane.isPlaced) return;
      this.#layer.cursor = null;
      this.#from = this.#start ?? this.#pane.toPicture(at);
      this.#begun = at;
      this.#stretch(at);
    },
    move: (at) => { if (this.#from) this.#stretch(at); },
    end: (at) => {
      if (!this.#from) return;
      const isTap = !this.#start && Math.hypot(at.x - this.#begun.x, at.y - this.#begun.y) < MarkPanel.LEAST;
      if (isTap) this.#start = this.#from;
      else this.#finish(at);
      this.#from = null;
    },
    drop: () => {
      this.#from = null;
      if (this.#form.hidden) this.#layer.drawn = null;
      this.#layer.draw();
    },
  };
  #from = null;
  #begun = null;

  #stretch(at) {
    this.#layer.drawn = { kind: this.#tool, start: this.#from ?? this.#start, end: this.#pane.toPicture(at) };
    this.#layer.draw();
  }

  #finish(at) {
    this.#stretch(at);
    this.#start = null;
    const { start, end } = this.#layer.drawn;
    if (this.#apart(start, end) * this.#pane.zoom < MarkPanel.LEAST / 4) { this.#pen.drop(); return; } // nothing was drawn
    const fields = this.#form.elements;
    fields.mm.closest("label").hidden = this.#tool !== "ruler";
    fields.label.closest("label").hidden = this.#tool === "ruler";
    fields.mm.value = fields.label.value = "";
    if (this.#tool === "measure") this.#say(this.#words("textMm", { length: this.#number(this.#measured()) }));
    this.#form.hidden = false;
    (this.#tool === "ruler" ? fields.mm : fields.label).focus();
  }

  // In pixels of the photo.
  #apart(a, b) {
    const { width, height } = this.#pane.size;
    return Math.hypot((a.x - b.x) * width, (a.y - b.y) * height);
  }

  #measured() {
    const { start, end } = this.#layer.drawn;
    const ruler = this.#rulerHere();
    return (ruler.length_mm * this.#apart(start, end)) / this.#apart(ruler.start, ruler.end);
  }

  // With keys: the arrows move a cross, Enter sets the beginning and then the end, Escape puts the tool down.
  onKey(event) {
    if (!this.#tool) return false;
    if (event.key === "Escape") { this.stop(); return true; }
    if (event.target !== this.#pane.stage || !this.#form.hidden) return false;
    if (!this.#pane.isPlaced) return true; // the picture still comes: no key turns the page meanwhile
    const by = event.shiftKey ? MarkPanel.STEP / 10 : MarkPanel.STEP;
    const ways = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] };
    const at = this.#layer.cursor ?? { x: 0, y: 0 };
    if (ways[event.key]) {
      const { clientWidth, clientHeight } = this.#pane.stage;
      const within = (value, most) => Math.max(-most / 2, Math.min(most / 2, value));
      this.#layer.cursor = { x: within(at.x + ways[event.key][0], clientWidth), y: within(at.y + ways[event.key][1], clientHeight) };
      if (this.#start) this.#stretch(this.#layer.cursor);
      this.#layer.draw();
      return true;
    }
    if (event.key !== "Enter" && event.key !== " ") return false;
    if (this.#start) this.#finish(at);
    else {
      this.#start = this.#pane.toPicture(at);
      this.#layer.cursor = at;
      this.#stretch(at);
    }
    return true;
  }

  // Saving and removing.

  async #save() {
    const { start, end } = this.#layer.drawn;
    const fields = this.#form.elements;
    if (this.#tool === "ruler") {
      const mm = Number(fields.mm.value.trim().replace(",", "."));
      if (!(mm >= 0.1 && mm <= 1000)) { this.#say(this.#words("textNoLength")); fields.mm.focus(); return; }
      this.#ruler = { of: this.#surface, start, end, length_mm: mm };
      this.stop();
      this.take("measure");
      return;
    }
    const mark = { kind: this.#tool, page: this.#pane.page, start, end, label: fields.label.value };
    if (this.#tool === "measure") {
      const { of, ...calibration } = this.#rulerHere();
      mark.calibration = calibration;
    }
    const made = await this.#ask("POST", "", mark);
    if (!made) return;
    const tool = this.#tool;
    this.stop();
    if (tool === "measure") this.take(tool); // lines are measured one after the other
  }

  async #remove(mark) {
    if (await this.#ask("DELETE", `/${mark.id}`)) this.#viewer.querySelector("[data-act=marks]").focus();
  }

  // Whether it was done; else what the answer says is told, and everything stays as it was drawn.
  async #ask(method, rest, body) {
    const { source } = this.#pane.shot;
    const text = body && JSON.stringify(body);
    const what = `${method} ${source}${rest} ${text}`;
    if (this.#asked.what !== what) this.#asked = { what, key: MarkPanel.#key() };
    const headers = { "Content-Type": "application/json", "Idempotency-Key": this.#asked.key };
    const answer = await fetch(`${source}/marks${rest}`, { method, headers, body: text }).catch(() => null);
    const layer = this.#layer;
    if (answer?.ok) {
      this.#asked = {};
      await layer.load();
      this.list();
      return true;
    }
    const problem = await answer?.json().catch(() => null);
    this.#say(problem?.errors?.[0]?.message ?? problem?.detail ?? this.#words("textNotDone"));
    return false;
  }

  static #key() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
