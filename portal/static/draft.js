// The requester's form saves itself: a second after the last stroke, when a field is left, and when the page is left. What could not
// be saved is tried again until it is. The server has the last word on versions: a change from elsewhere is never overwritten unasked.
// Without this script the same form is saved by its button. `relais:saved` and `relais:leaving` tell static/kept.js how that stands.
(() => {
  const form = document.querySelector("form[data-draft]");
  if (!form) return;

  const PAUSE = 1000; // ms after the last stroke
  const RETRIES = [2000, 4000, 8000, 15000]; // ms; the last one again and again
  const KEPT_ALIVE = 30000; // bytes; two calls at once may have 64 KiB
  const version = form.elements.version;
  const earlier = Leaving.earlierOf(form); // what the last save took along, until it is answered
  const status = document.querySelector("[data-save-status]");
  const conflict = document.getElementById("conflict");

  let saved = "unsaved" in form.dataset || [...form.elements].some(Leaving.isTyped) ? null : written(); // what the server has
  let sending = null; // the save that is on its way
  let wrong = {}; // fields whose value can't be stored
  let held = false; // the server or the person must be asked first
  let begun = !("begins" in form.dataset); // else the first save makes the draft
  let lost = 0; // saves in a row that did not arrive
  let gone = false; // the page; its last words went along
  let timer;

  function written() {
    const values = body();
    values.delete("version");
    values.delete("earlier");
    return values.toString();
  }

  function body() {
    return new URLSearchParams(new FormData(form));
  }

  function withVersion(what) {
    const values = new URLSearchParams(what);
    values.set("version", version.value);
    return values;
  }

  function say(text) {
    if (status.textContent !== text) status.textContent = text;
  }

  function later(delay) {
    clearTimeout(timer);
    timer = setTimeout(save, delay);
  }

  /** Whether the server has what is written, and nothing else may have arrived after it. */
  function isSaved() {
    return written() === saved && !earlier.value;
  }

  /** Send what is written unless it is saved; one call at a time. Resolves when nothing is on its way. */
  async function save({ asItIs = false } = {}) {
    clearTimeout(timer);
    if (sending) { await sending; return save({ asItIs }); }
    if (held || gone || left.isKept) return;
    if (isSaved() && !asItIs) return nothingUnsaved();
    sending = send();
    await sending;
    sending = null;
  }

  /** Also when the page is left meanwhile, unless it is more than browsers let go along. */
  function post(values) {
    const keepalive = values.toString().length < KEPT_ALIVE;
    return fetch(form.action, { method: "POST", body: values, headers: { "X-Requested-With": "fetch" }, redirect: "manual", keepalive });
  }

  /** What may have arrived goes again just as it was, so that the server can tell that from a change from elsewhere; then the rest. */
  async function send() {
    const what = earlier.value ||= written();
    say(form.dataset.textSaving);
    let answer, told;
    try {
      answer = await post(withVersion(what));
      if (answer.type !== "opaqueredirect") told = await answer.json();
    } catch {
      return failed(form.dataset.textWaiting);
    }
    if (!told) return failed(form.dataset.textSignedOut);
    if (answer.status >= 500 || answer.status === 429) return failed(form.dataset.textWaiting);
    if (told.again) return failed(`${form.dataset.textFailed} ${told.said}`); // it opens again, or is submitted
    earlier.value = "";
    if (answer.ok) return done(what, told);
    if (what !== written()) return later(0); // of what stands there now it may be another answer
    if (told.conflict) return ask(told);
    held = true; // for instance the request was submitted in another tab
    say(`${form.dataset.textFailed} ${told.said || ""}`);
  }

  /** For static/kept.js: also when what was changed was changed back, for what it keeps would be shown over newer versions. */
  function nothingUnsaved() {
    if (!Object.keys(wrong).length) form.dispatchEvent(new Event("relais:saved"));
  }

  function failed(sentence) {
    say(sentence);
    later(RETRIES[Math.min(lost++, RETRIES.length - 1)]);
  }

  /** Make the draft, for something is to be added to it. Of a form that is only looked at there is none. */
  async function begin() {
    while (!begun && !held) {
      await save({ asItIs: true });
      if (!begun) await new Promise((resolve) => setTimeout(resolve, RETRIES[0]));
    }
  }

  function done(what, told) {
    lost = 0;
    begun = true;
    document.querySelectorAll("[data-once-begun]").forEach((link) => { link.hidden = false; });
    saved = what;
    version.value = told.version;
    showWrong(told.wrong);
    const fields = Object.keys(wrong).map((name) => labelOf(name)).filter(Boolean);
    say(fields.length ? `${told.said} ${fields.join(", ")}` : told.said);
    renew(document.getElementById("check"), told.check);
    renew(document.getElementById("suggestions"), told.suggestions);
    if (written() !== saved) later(PAUSE);
    else nothingUnsaved();
  }

  /** Somebody saved something else meanwhile: what is to stay is for the person to say. */
  function ask(told) {
    held = true;
    say(form.dataset.textConflict);
    conflict.innerHTML = told.conflict;
    offerChoice(told.version);
  }

  function offerChoice(fresh) {
    held = true;
    conflict.focus();
    conflict.querySelector("[data-keep]").addEventListener("click", (event) => {
      event.preventDefault();
      version.value = fresh;
      conflict.replaceChildren();
      held = false;
      saved = null;
      form.querySelector("input:not([type=hidden])").focus();
      save();
    });
    conflict.querySelector("[data-discard]").addEventListener("click", () => {
      saved = written();
      form.dispatchEvent(new Event("relais:saved"));
    });
  }

  function renew(element, html) {
    const made = document.createElement("template");
    made.innerHTML = html.trim();
    if (element && element.outerHTML !== made.innerHTML) element.replaceWith(made.content);
  }

  const fieldOf = (name) => document.getElementById(`field-${name}`)?.closest(".field");

  function labelOf(name) {
    const label = fieldOf(name)?.querySelector("label, legend")?.cloneNode(true);
    label?.querySelectorAll(".required").forEach((star) => star.remove());
    return label?.textContent.trim();
  }

  /** A message at each field whose value can't be stored, as the server writes them when there are no scripts. */
  function showWrong(found) {
    for (const name of Object.keys({ ...wrong, ...found })) {
      const field = fieldOf(name);
      if (!field) continue;
      field.querySelector(".wrong-text")?.remove();
      field.classList.toggle("wrong", name in found);
      const control = document.getElementById(`field-${name}`);
      const described = (control.getAttribute("aria-describedby") || "").split(" ").filter((id) => id && id !== `error-${name}`);
      if (name in found) {
        const message = Object.assign(document.createElement("span"), { className: "wrong-text", id: `error-${name}`, textContent: found[name] });
        field.querySelector("label, legend").after(message);
        described.unshift(message.id);
      }
      if (described.length) control.setAttribute("aria-describedby", described.join(" "));
      else control.removeAttribute("aria-describedby");
      if (name in found) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    }
    wrong = found;
  }

  if (conflict.childElementCount) offerChoice(version.value); // submitting found it first
  form.addEventListener("input", () => later(PAUSE));
  form.addEventListener("focusout", () => { if (timer && !isSaved()) save(); });
  window.addEventListener("online", () => save());
  if (saved === null) later(PAUSE);

  // Submitting waits for what is on its way, so that its version is the right one. Enter in a field only saves.
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || button.value === "save") {
      event.preventDefault();
      event.stopPropagation();
      save();
    } else if (sending) {
      event.preventDefault();
      event.stopPropagation();
      clearTimeout(timer);
      sending.then(() => { clearTimeout(timer); form.requestSubmit(button); });
    } else {
      clearTimeout(timer);
      leaving = true;
    }
  });
  let leaving = false;

  // The last words go along when the page is left, with what is on its way: of that the server knows then that it is of this page.
  const left = new Leaving(form, save);

  function flush() {
    if (leaving || held || left.isKept) return;
    if (isSaved()) return nothingUnsaved();
    left.isUnsaved = true;
    const isUnderWay = sending && written() === earlier.value;
    if (!lost && navigator.onLine && (!sending || isUnderWay)) form.dispatchEvent(new Event("relais:leaving"));
    gone = true;
    clearTimeout(timer);
    if (!isUnderWay) post(body()).catch(() => {});
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden && !isSaved()) save(); });
  window.addEventListener("pagehide", () => { flush(); if (!leaving) left.gone(); });
  window.addEventListener("beforeunload", (event) => {
    if (left.isKept) return;
    if (!leaving && !held && !isSaved()) {
      left.isUnsaved = true;
      save(); // now: the page that is asked for next may find it
    }
    const isTooLong = body().toString().length >= KEPT_ALIVE;
    const atRisk = held || lost > 0 || isTooLong || Object.keys(wrong).length > 0;
    if (!leaving && atRisk && (!isSaved() || Object.keys(wrong).length)) event.preventDefault();
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // Photos: what is typed stays as it is; the lists and the check list are renewed.
  async function fetched(address) {
    const answer = await fetch(address, { headers: { "X-Requested-With": "fetch" } });
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
    return answer.text();
  }
  const renewCheck = () => fetched(new URL("edit/check", form.action)).then((html) => renew(document.getElementById("check"), html)).catch(() => {});
  document.addEventListener("relais:uploading", ({ detail }) => { detail.ready = begin(); });
  document.addEventListener("relais:uploaded", renewCheck);

  document.addEventListener("submit", async (event) => {
    const remove = event.target.closest("form[data-remove]");
    const slot = remove?.closest(".slot")?.querySelector("form[data-upload]");
    if (!remove || !slot) return;
    event.preventDefault();
    event.stopPropagation();
    const title = remove.closest(".slot");
    try {
      const answer = await fetch(remove.action, { method: "POST", body: new URLSearchParams(new FormData(remove)), redirect: "manual" });
      if (answer.type !== "opaqueredirect" && !answer.ok) throw new Error(answer.status);
      title.focus();
    } catch {
      say(form.dataset.textFailed);
    }
    slot.dispatchEvent(new CustomEvent("relais:removed", { bubbles: true })); // also after a failure: who knows what came of it
    await renewCheck();
  }, true);

  // Captions save themselves when they are left; a photo changes places without a new page, and its button keeps the focus.
  async function change(it, more = {}) {
    const slot = it.closest(".slot").querySelector("form[data-upload]");
    const body = new URLSearchParams({ ...Object.fromEntries(new FormData(it)), ...more });
    try {
      const answer = await fetch(it.action, { method: "POST", body, redirect: "manual", headers: { "X-Requested-With": "fetch" } });
      if (answer.type !== "opaqueredirect" && !answer.ok) throw new Error(answer.status);
    } catch {
      say(form.dataset.textFailed);
      return;
    }
    slot.dispatchEvent(new CustomEvent("relais:removed", { bubbles: true }));
  }

  document.addEventListener("submit", async (event) => {
    const it = event.target.closest("form[data-change]");
    if (!it) return;
    event.preventDefault();
    event.stopPropagation();
    await change(it, event.submitter?.name ? { [event.submitter.name]: event.submitter.value } : {});
  }, true);
  document.addEventListener("change", (event) => {
    const it = event.target.closest("form[data-change]");
    if (it) change(it);
  });
})();
