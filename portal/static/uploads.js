/**
 * Uploads that survive a lost connection. Without this script the same forms send their files in one piece.
 *
 * A form marked `data-upload` sends every file that is chosen in it (any file input) or dropped on it to `data-endpoint`, by tus
 * (the global `tus`, vendored), two at a time over the page, and shows each as a line in its `[data-upload-list]`:
 * name, size, progress, a state, and buttons to pause and to cancel. A file that is chosen again after the page was reloaded goes on
 * from where it was. What the form says besides:
 *
 * - `data-slot`          for what the offering asks;
 * - `data-list`          address of an HTML fragment that shows the files; fetched when one is done,
 * - `data-replace`       the id of the element (outside the form) that the fragment replaces;
 * - `data-text-…`        the words: pause, resume, cancel, progress; and of the states: waiting, sending, checking, paused,
 *                        offline, done, failed. In `progress` and on buttons the file's name follows, for screen readers.
 *
 * Buttons marked `data-nojs` are hidden. Before a file is sent the form dispatches `relais:uploading` (bubbling): who has to make something
 * ready first puts a promise into `detail.ready`. Then it dispatches `relais:uploaded` (bubbling; `detail` is the attachment as the API
 * gives it). A line has its state in `data-state`; besides those above: refused, with the server's sentence.
 */
(() => {
  if (!window.tus || !tus.isSupported) return;

  const AT_ONCE = 2;
  const CHUNK_BYTES = 4 * 1024 * 1024; // one call; a browser's own progress runs ahead of the line, at most by this
  const PAUSES = [500, 1000, 3000, 5000, 10000, 20000, 30000]; // ms before the next try; the last one again and again
  const DONE_IS_SHOWN = 6000; // ms, then the list has it
  const FORGET_AFTER = 48 * 3600 * 1000; // ms; the server forgets uploads after a day of silence
  const UNDER_WAY = ["waiting", "sending", "checking", "paused", "offline"];

  const language = document.documentElement.lang || "fr";
  const percent = new Intl.NumberFormat(language, { style: "percent" });
  const lines = new Set();

  // What a browser keeps of an unfinished upload: its address, under a digest. No file name stays on a shared computer.
  const kept = tus.defaultOptions.urlStorage;
  const urlStorage = {
    findAllUploads: () => kept.findAllUploads(),
    findUploadsByFingerprint: (fingerprint) => kept.findUploadsByFingerprint(fingerprint),
    addUpload: (fingerprint, upload) => kept.addUpload(fingerprint, { ...upload, metadata: {} }),
    removeUpload: (key) => kept.removeUpload(key),
  };
  kept.findAllUploads().then((all) => all
    .filter((upload) => !(Date.now() - Date.parse(upload.creationTime) < FORGET_AFTER))
    .forEach((upload) => kept.removeUpload(upload.urlStorageKey)));

  async function digest(...parts) {
    if (!window.crypto || !crypto.subtle) return null; // without TLS: no going on after a reload
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(parts.join("\n")));
    return "relais-" + Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function size(bytes) {
    const [unit, amount] = bytes < 1e6 ? ["kilobyte", Math.max(bytes / 1e3, 0.1)] : ["megabyte", bytes / 1e6];
    return new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits: amount < 10 ? 1 : 0 }).format(amount);
  }

  function element(name, properties, attributes = {}) {
    const made = Object.assign(document.createElement(name), properties);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  /** One file on its way, and its line in the list. */
  class Line {
    constructor(form, file) {
      this.form = form;
      this.file = file;
      this.tries = 0;
      this.taken = 0; // bytes that the server has acknowledged
      this.endpoint = form.dataset.endpoint;
      const slot = form.dataset.slot || "";
      this.tus = new tus.Upload(file, {
        endpoint: this.endpoint,
        metadata: { filename: file.name, slot },
        headers: { "Accept-Language": language },
        chunkSize: CHUNK_BYTES,
        retryDelays: null, // `lost` tries again, and says so
        urlStorage,
        fingerprint: () => digest(this.endpoint, slot, file.name, file.type, file.size, file.lastModified),
        removeFingerprintOnSuccess: true,
        onUploadUrlAvailable: () => {
          this.tus.options.endpoint = null; // a server that is away is no reason to begin anew
          next();
        },
        onProgress: (sent, total) => this.moved(sent, total),
        onChunkComplete: (_, taken) => { this.taken = taken; this.tries = 0; },
        onSuccess: ({ lastResponse }) => this.done(lastResponse),
        onError: (error) => this.failed(error),
      });
      this.show();
      this.become("waiting");
    }

    text(name) {
      return this.form.dataset["text" + name[0].toUpperCase() + name.slice(1)] || name;
    }

    show() {
      const name = this.file.name;
      const button = (act) => {
        const made = element("button", { type: "button", className: "button secondary", onclick: () => this[act]() });
        this.label(made, act);
        return made;
      };
      this.bar = element("progress", { max: 1, value: 0 }, { "aria-label": `${this.text("progress")} ${name}` });
      this.percent = element("span", { className: "upload-percent" }, { "aria-hidden": "true" });
      this.status = element("span", { className: "upload-status" }, { role: "status" });
      this.toggle = button("pause");
      this.toggle.onclick = () => (this.state === "paused" || this.state === "failed" ? this.resume() : this.pause());
      this.stop = button("cancel");
      this.item = element("li", { className: "upload-item" }, { "aria-live": "off" }); // only the state is read out
      this.item.append(
        element("span", { className: "upload-name", textContent: name }), " ",
        element("span", { className: "upload-size", textContent: size(this.file.size) }), " ",
        this.bar, " ", this.percent, " ", this.status, " ", this.toggle, " ", this.stop,
      );
      this.form.querySelector("[data-upload-list]").append(this.item);
      this.measure(0);
    }

    label(button, act) {
      button.textContent = this.text(act);
      button.setAttribute("aria-label", `${this.text(act)} ${this.file.name}`);
    }

    measure(part) {
      this.bar.value = part;
      this.percent.textContent = percent.format(part);
    }

    become(state, sentence = this.text(state)) {
      if (this.state === state) return;
      if (state === "paused" || state === "offline") this.measure(this.taken / this.file.size);
      const focused = this.item.contains(document.activeElement);
      this.state = this.item.dataset.state = state;
      this.status.textContent = sentence;
      this.label(this.toggle, state === "paused" || state === "failed" ? "resume" : "pause");
      this.toggle.hidden = ["checking", "done", "refused"].includes(state);
      this.stop.hidden = state === "done";
      this.bar.hidden = this.percent.hidden = state === "refused";
      if (focused && document.activeElement.hidden) (this.stop.hidden ? this.input() : this.stop).focus();
    }

    input() {
      return this.form.querySelector("input[type=file]");
    }

    async start() {
      this.become("sending");
      const page = { ready: null };
      this.form.dispatchEvent(new CustomEvent("relais:uploading", { bubbles: true, detail: page }));
      await page.ready;
      if (this.state !== "sending") return;
      if (!this.tus.url) {
        const inUse = new Set([...lines].map((line) => line.tus.url));
        const before = (await this.tus.findPreviousUploads()).filter((upload) => !inUse.has(upload.uploadUrl));
        if (this.state !== "sending") return;
        if (before.length) {
          this.tus.resumeFromPreviousUpload(before[before.length - 1]);
          this.tus.options.endpoint = null;
        }
      }
      this.tus.start();
    }

    halt(state) {
      clearTimeout(this.timer);
      this.tus.abort().catch(() => {});
      this.become(state);
    }

    pause() {
      this.halt("paused");
      next();
    }

    resume() {
      clearTimeout(this.timer);
      this.become("waiting");
      next();
    }

    cancel() {
      clearTimeout(this.timer);
      if (this.state !== "refused") this.tus.abort(true).catch(() => {}); // else it expires on the server
      this.leave();
    }

    leave() {
      if (this.item.contains(document.activeElement)) this.input().focus();
      lines.delete(this);
      this.item.remove();
      next();
    }

    moved(sent, total) {
      this.measure(sent / total);
      if (UNDER_WAY.includes(this.state)) this.become(sent < total ? "sending" : "checking");
    }

    done(response) {
      const told = response.getHeader("Relais-Attachment");
      this.measure(1);
      this.become("done");
      this.form.dispatchEvent(new CustomEvent("relais:uploaded", { bubbles: true, detail: told ? JSON.parse(told) : null }));
      refresh(this.form);
      setTimeout(() => this.leave(), DONE_IS_SHOWN);
      next();
    }

    failed(error) {
      const answer = error.originalResponse;
      const status = answer ? answer.getStatus() : 0;
      const problem = read(answer);
      if (status === 404 && this.tus.url && !this.began) { // forgotten by the server: once more, from the start
        this.began = true;
        this.tus.url = null;
        this.tus.options.endpoint = this.endpoint;
        this.tus.start();
      } else if (problem.code === "storage_full") { // that does not pass by itself
        this.become("refused", problem.detail);
      } else if (status === 0 || status >= 500 || status === 429 || problem.code === "offset_mismatch") {
        this.lost(problem.code === "offset_mismatch", problem.detail);
      } else if (problem.detail) {
        this.become("refused", problem.detail);
      } else {
        this.become("failed");
      }
      next();
    }

    lost(isConnected, sentence) { // the server's sentence says more than that it is away
      if (!isConnected) this.become("offline", sentence);
      const pause = PAUSES[Math.min(this.tries++, PAUSES.length - 1)];
      this.timer = setTimeout(() => { if (navigator.onLine) this.resume(); }, pause); // else when `online` comes
    }
  }

  function read(answer) {
    try {
      return JSON.parse(answer.getBody());
    } catch {
      return {};
    }
  }

  /** Start what waits while there is room. The server keeps files in the order in which they are announced: one after the other. */
  function next() {
    if (!navigator.onLine) return;
    const all = [...lines];
    const underWay = all.filter((line) => line.state === "sending" || line.state === "checking");
    if (underWay.length >= AT_ONCE || underWay.some((line) => !line.tus.url)) return;
    all.find((line) => line.state === "waiting")?.start();
  }

  function take(form, files) {
    for (const file of files) lines.add(new Line(form, file));
    next();
  }

  const asked = new Map();
  /** Show the list of files as it is now. Of several answers for one list the latest counts; where none comes, ask again. */
  async function refresh(form) {
    const { list, replace } = form.dataset;
    if (!list || !replace) return;
    const mine = (asked.get(replace) || 0) + 1;
    asked.set(replace, mine);
    let html = null;
    for (let tries = 0; html === null; tries++) {
      const answer = await fetch(list, { headers: { "X-Requested-With": "fetch" } }).catch(() => null);
      if (answer && (answer.redirected || (answer.status >= 400 && answer.status < 500 && answer.status !== 429))) return;
      html = answer && answer.ok ? await answer.text().catch(() => null) : null;
      if (html === null) await new Promise((resolve) => setTimeout(resolve, PAUSES[Math.min(tries, PAUSES.length - 1)]));
      if (mine !== asked.get(replace)) return;
    }
    const fragment = element("template", { innerHTML: html }).content;
    const target = document.getElementById(replace);
    if (!target) return;
    const parts = [...fragment.children];
    keepTyped(target, fragment);
    const { id, value } = target.contains(document.activeElement) ? document.activeElement : {};
    target.replaceWith(fragment);
    if (id) focusOn(id, value);
    if (window.htmx) parts.forEach((part) => htmx.process(part));
  }

  /** What was typed or chosen beside the files and lies nowhere yet; what saves itself is as the server has it. */
  function keepTyped(before, after) {
    if (!before.closest("form")) return;
    for (const old of before.querySelectorAll("input, select")) {
      const now = old.name && [...after.querySelectorAll("input, select")].find((one) => one.name === old.name && one.type === old.type && (one.type !== "checkbox" || one.value === old.value));
      if (!now) continue;
      if (old.type === "checkbox") now.checked = old.checked;
      else now.value = old.value;
    }
  }

  /** Focus the control again that had it, with what was typed into it. At an end, where a button is off, the one for the other way. */
  function focusOn(id, value) {
    const wanted = document.getElementById(id);
    const other = document.getElementById(id.replace(/^(before|after)-/, (_, way) => (way === "before" ? "after-" : "before-")));
    if (wanted?.matches("input")) wanted.value = value;
    (wanted?.disabled ? other : wanted)?.focus();
  }

  // Forms may come and go (htmx), so the document listens.
  const formOf = (event) => event.target instanceof Element && event.target.closest("form[data-upload]");
  document.querySelectorAll("form[data-upload] [data-nojs]").forEach((button) => { button.hidden = true; });

  // What has a touch screen has a camera: one press opens it, in the page, or else by the same field as every other file.
  const withCamera = window.matchMedia("(pointer: coarse)").matches;
  document.querySelectorAll("[data-camera]").forEach((button) => { button.hidden = !withCamera; });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-camera]");
    if (!button) return;
    const openDevice = () => photograph(button.form.querySelector("input[type=file]"));
    if (Camera.isThere()) new Camera((photo) => take(button.form, [photo]), openDevice).open();
    else openDevice();
  });

  function photograph(field) {
    const { accept } = field;
    Object.assign(field, { accept: "image/*" }).setAttribute("capture", "environment");
    field.click();
    setTimeout(() => { field.accept = accept; field.removeAttribute("capture"); }, 1000); // the chooser has read them
  }

  function takeFrom(form, field) {
    take(form, [...field.files]);
    field.value = ""; // the same file may be chosen again
  }
  document.addEventListener("change", (event) => {
    if (formOf(event) && event.target.type === "file") takeFrom(formOf(event), event.target);
  });
  document.addEventListener("DOMContentLoaded", () => { // what was chosen before the scripts came; all are there now
    document.querySelectorAll("form[data-upload] input[type=file]").forEach((field) => takeFrom(field.form, field));
  });
  document.addEventListener("submit", (event) => { if (formOf(event)) event.preventDefault(); });
  document.addEventListener("relais:removed", (event) => { if (formOf(event)) refresh(formOf(event)); });

  const carriesFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  const mark = (form) => document.querySelectorAll("form[data-upload]").forEach((each) => {
    each.classList.toggle("dragging", each === form);
  });
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event) || !document.querySelector("form[data-upload]")) return;
    event.preventDefault(); // also beside the form, where a browser would leave the page and open the file
    mark(formOf(event));
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(null); });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event) || !document.querySelector("form[data-upload]")) return;
    event.preventDefault();
    mark(null);
    const form = formOf(event);
    if (form) take(form, [...event.dataTransfer.files]);
  });

  window.addEventListener("offline", () => {
    for (const line of lines) if (line.state === "sending" || line.state === "checking") line.halt("offline");
  });
  window.addEventListener("online", () => {
    for (const line of lines) if (line.state === "offline") line.resume();
    next();
  });
  window.addEventListener("beforeunload", (event) => {
    if ([...lines].some((line) => UNDER_WAY.includes(line.state))) event.preventDefault();
  });
})();
