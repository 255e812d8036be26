// What somebody has written into a form and not sent is there again when they return to it: after "Back", a link, a reload, a closed
// tab or a crash. It lies in this browser, encrypted with a key that comes only with the pages of the one who wrote it, until it is
// sent, they sign out, or half a day has passed. So does what a form that saves itself (a draft, a report) could not save yet.
(() => {
  const KEPT = "relais-typed ";
  const SENDING = "relais-sent"; // of this tab: what the next page tells the end of, by its name and its mark
  const LONGEST = 12 * 3600 * 1000; // ms
  const { account, typingKey, textKept, textForget, textLeft } = document.body.dataset;

  const all = () => Object.keys(localStorage).filter((name) => name.startsWith(KEPT));
  const entry = (name) => JSON.parse(localStorage.getItem(name) || "null");
  for (const name of all()) if (!(Date.now() - entry(name)?.at < LONGEST)) localStorage.removeItem(name);

  /** Only that: not what was written after it was sent, or in another tab. */
  function forget(name, mark) {
    if (entry(name)?.mark === mark) localStorage.removeItem(name);
  }

  // What was sent from the page before this one is done with when this one says that it was taken. One to sign in speaks of other things.
  const before = JSON.parse(sessionStorage.getItem(SENDING));
  sessionStorage.removeItem(SENDING);
  if (before && account && document.querySelector("#notice.success")) forget(before.name, before.mark);

  document.addEventListener("submit", ({ target }) => {
    if (target.getAttribute("action") === "/signout") all().forEach((name) => localStorage.removeItem(name));
    sessionStorage.removeItem(SENDING);
  }, true);
  if (!account || !window.crypto || !crypto.subtle) return; // nothing can be encrypted without TLS

  const toText = (bytes) => btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(""));
  const toBytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const [chance, mixed] = [toBytes(typingKey).subarray(0, 32), toBytes(typingKey).subarray(32)];
  const key = crypto.subtle.importKey("raw", mixed.map((byte, place) => byte ^ chance[place]), "AES-GCM", false, ["encrypt", "decrypt"]);

  async function seal(state) {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await key, new TextEncoder().encode(JSON.stringify(state)));
    return { iv: toText(iv), sealed: toText(sealed) };
  }

  /** What was sealed; null for what is another's, or from before a new password. */
  async function open({ iv, sealed }) {
    try {
      const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: toBytes(iv) }, await key, toBytes(sealed));
      return JSON.parse(new TextDecoder().decode(plain));
    } catch {
      return null;
    }
  }

  const loaded = new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve)); // with all other scripts

  function element(name, properties, attributes = {}) {
    const made = Object.assign(document.createElement(name), properties);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    return made;
  }

  const isProse = (field) => field.matches("textarea, input[type=text], input:not([type])");
  const isBox = (field) => field.matches("[type=checkbox], [type=radio]");
  const isKept = (field) => field.name && field.matches("textarea, select, input:not([type=hidden], [type=password], [type=file], [autocomplete=one-time-code])");
  const pathOf = (form) => form.getAttribute("action").split("?")[0];

  /** The form that goes there; of several questions, about the same one. */
  function nameOf(form) {
    const changing = ["key", "version", "revision", "earlier", "offering_version", "back"];
    const about = [...form.querySelectorAll("input[type=hidden]")].filter((field) => !changing.includes(field.name));
    return KEPT + [account, pathOf(form), ...about.map((field) => field.value)].join(" ");
  }

  /** A form, and what is kept of it. */
  class Kept {
    constructor(form) {
      this.form = form;
      this.name = nameOf(form);
      this.fields = [...form.elements].filter(isKept);
      this.prose = this.fields.filter(isProse);
      this.shownAgain = document.querySelector("#notice.error") || "unsaved" in form.dataset; // the server has filled it in
      this.latest = 0;
      this.mark = entry(this.name)?.mark; // of what is kept: what was brought back or sent, and then changed, gets another one
      this.mine = new Set([this.mark]);
      this.isSettled = true;
      this.touched = new Set(); // boxes, and names of other fields, that somebody changes before what was kept is back
      form.addEventListener("input", ({ target }) => {
        if (target !== form && !isKept(target)) return; // a password, a code: what is sent with it is the same
        if (this.comesBack) this.touched.add(target.type === "checkbox" ? target : target.name);
        else this.changed();
      });
      form.addEventListener("submit", (event) => { if (this.comesBack) this.waits(event); });
      window.addEventListener("beforeunload", (event) => { if (this.comesBack && this.touched.size) event.preventDefault(); });
    }

    get savesItself() {
      return false;
    }

    /** Hidden fields that are kept with what was written. */
    get withIt() {
      return [];
    }

    /** Until what an earlier page kept is back, this one neither overwrites nor forgets it; what stands here is not saved without it. */
    get comesBack() {
      return "comesBack" in this.form.dataset;
    }

    /** `begin` shows what is kept, opened as `state` (null where it is another's), and gives whether anything came of it. */
    returns() {
      const kept = entry(this.name);
      if (!kept || this.shownAgain) return this.nothingIsBack();
      this.form.dataset.comesBack = "";
      this.back = open(kept).then((state) => this.begin(kept, state)).catch(() => false).then((isBack) => {
        delete this.form.dataset.comesBack;
        if (this.touched.size || (isBack && this.savesItself)) this.form.dispatchEvent(new Event("input", { bubbles: true }));
        return isBack;
      });
    }

    nothingIsBack() {}

    /** It would go without what is kept. Whoever sends it sees that first, if anything comes of it. */
    waits(event) {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.form.dispatchEvent(new Event("relais:not-sent", { bubbles: true })); // for static/typing.js
      const button = event.submitter;
      this.back.then((isBack) => { if (!isBack) this.form.requestSubmit(button); });
    }

    async write() {
      const mine = ++this.latest;
      const mark = this.mark = crypto.randomUUID(); // another tab that has shown the words of before does not forget these
      this.mine.add(mark);
      this.isSettled = false;
      const box = await seal([...this.fields, ...this.withIt].map((field) => [field.name, field.value, isBox(field) && field.checked]));
      if (mine !== this.latest) return;
      try {
        localStorage.setItem(this.name, JSON.stringify({ at: Date.now(), mark, ...this.besides(), ...box }));
      } catch {
        // There is no room: it is only in the page, which asks before it is left.
      }
    }

    add(more) {
      const kept = entry(this.name);
      if (kept && this.mine.has(kept.mark)) localStorage.setItem(this.name, JSON.stringify({ ...kept, ...more }));
    }

    /** What another tab wrote stays. */
    remove() {
      this.latest += 1;
      if (this.mine.has(entry(this.name)?.mark)) localStorage.removeItem(this.name);
    }

    /** Fill in what is kept, but where somebody writes already; gives whether anything came of it. */
    bringBack(state) {
      let differs = false;
      for (const field of this.fields) {
        const found = state.find(([name, value]) => name === field.name && (!isBox(field) || value === field.value));
        if (!found || this.touched.has(field) || this.touched.has(field.name)) continue; // it was not there
        differs ||= isBox(field) ? field.checked !== found[2] : !this.isSame(field.value, found[1]);
        if (isBox(field)) field.checked = found[2];
        else field.value = found[1];
      }
      if (!differs) return false;
      this.prose.forEach((field) => field.dispatchEvent(new Event("relais:filled")));
      return true;
    }

    isSame(shown, kept) {
      return shown === kept;
    }

    tell(...more) {
      const notice = element("div", { className: "notice" }, { role: "status" });
      notice.append(element("p", { textContent: textKept }), ...more);
      this.form.prepend(notice);
    }
  }

  /** A form that is sent once: what may have arrived unheard keeps its key, so that it acts no second time. */
  class Sent extends Kept {
    constructor(form) {
      super(form);
      this.key = form.elements.key;
      this.own = this.key.value;
      form.addEventListener("relais:dropped", () => this.remove());
      form.addEventListener("relais:done", () => { // in the page, without another one that tells
        sessionStorage.removeItem(SENDING);
        if (this.isSettled) this.remove(); // else more was written after it was sent
      });
      form.addEventListener("submit", () => {
        this.sent = this.key.value;
        this.isSettled = true;
        sessionStorage.setItem(SENDING, JSON.stringify({ name: this.name, mark: this.mark }));
        this.add({ sent: this.sent });
      });
      if (this.shownAgain) this.keep();
      else this.returns();
    }

    besides() {
      return { sent: this.sent };
    }

    changed() {
      this.becomeNew();
      this.keep();
    }

    becomeNew() { // what is changed is something else than what was sent
      this.sent = undefined;
      this.key.value = this.own;
    }

    keep() {
      const written = this.prose.filter((field) => field.value.trim());
      const isOwn = this.shownAgain || entry(this.name) || written.some((field) => field.value !== field.defaultValue);
      if (written.length && isOwn) this.write();
      else this.remove();
    }

    begin(kept, state) {
      if (!state) return false;
      const isBack = this.bringBack(state);
      if (kept.sent) this.key.value = this.sent = kept.sent; // also where the browser has filled in the rest
      if (!isBack) return false;
      const forget = element("button", { type: "button", className: "button secondary small", textContent: textForget });
      forget.addEventListener("click", () => {
        this.remove();
        this.form.reset();
        this.becomeNew();
        forget.parentElement.remove();
        this.prose[0].focus();
      });
      this.tell(forget);
      return true;
    }
  }

  /** A form that saves itself: what it could not save. With its version, so that what was saved elsewhere meanwhile is not overwritten. */
  class Saving extends Kept {
    constructor(form) {
      super(form);
      this.version = form.elements.version || form.elements.revision;
      form.addEventListener("relais:saved", () => { if (!this.comesBack) this.remove(); });
      form.addEventListener("relais:leaving", () => this.leaves());
      form.addEventListener("submit", () => { if (navigator.onLine) this.leaves(); });
      this.returns();
    }

    get savesItself() {
      return true;
    }

    /** What was saved without an answer: where it has arrived, the version that came of it is this writer's own. */
    get withIt() {
      return [this.form.elements.earlier].filter(Boolean);
    }

    besides() {
      return { version: this.version.value, isLeft: this.isLeft };
    }

    changed() {
      this.isLeft = false;
      this.write();
    }

    /** What arrived is written by the server in its own way: a number without the spaces that somebody typed. */
    isSame(shown, kept) {
      return shown.replace(/\s/g, "") === kept.replace(/\s/g, "");
    }

    leaves() { // and all that is written goes along, with no other save before it that may arrive alone
      this.isLeft = true;
      this.add({ isLeft: true });
    }

    /** Whether the page says what is kept: a newer version may be somebody else's. Days and numbers the server writes in its own way. */
    isShown(state) {
      const bare = (text) => text.normalize().replace(/\s/g, "").toLowerCase();
      const isAsKept = (field) => state.every(([name, value, isChosen]) => name !== field.name
        || (isBox(field) ? value !== field.value || isChosen === field.checked : bare(value) === bare(field.value)));
      return this.fields.filter((field) => !field.matches("[data-day], [inputmode]")).every(isAsKept);
    }

    /** What was written before the scripts had come is kept from now on; static/draft.js and static/report.js save it. */
    async nothingIsBack() {
      await loaded;
      if (!this.shownAgain && this.fields.some(Leaving.isTyped)) this.changed();
    }

    async begin(kept, state) {
      await loaded;
      for (const field of this.fields.filter(Leaving.isTyped)) this.touched.add(field.type === "checkbox" ? field : field.name);
      const hasArrived = state && kept.isLeft && kept.version !== this.version.value && this.isShown(state);
      if (!state || hasArrived || !this.bringBack(state)) {
        this.remove();
        return false;
      }
      this.version.value = kept.version;
      Leaving.earlierOf(this.form).value = state.find(([name]) => name === "earlier")?.[1] || "";
      this.tell();
      return true;
    }
  }

  /** Where nothing can be sent any more, the words are there to be copied. */
  async function show(name) {
    const state = (await open(entry(name))) || [];
    const prose = state.filter(([name, value, isChosen]) => name !== "earlier" && !isChosen && /\s/.test(value.trim()));
    if (!prose.length) return;
    const notice = element("div", { className: "notice" }, { role: "status" });
    notice.append(element("p", { textContent: textLeft }));
    for (const [, value] of prose) notice.append(element("p", { className: "said", textContent: value }));
    document.getElementById("content").append(notice);
  }

  const formsIn = (root) => [...root.querySelectorAll("form[method=post]:not([data-upload])")]
    .filter((form) => form.elements.key && [...form.elements].some((field) => isKept(field) && isProse(field)));
  const forms = formsIn(document);
  for (const form of forms) new (form.matches("[data-draft], #report") ? Saving : Sent)(form);
  document.addEventListener("relais:opened", ({ target }) => formsIn(target).forEach((form) => new Sent(form))); // static/choices.js
  if (!forms.length) all().filter((name) => `${name} `.startsWith(`${KEPT}${account} ${location.pathname} `)).forEach(show);
})();
