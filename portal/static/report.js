// Saves the report as it is written: a second after the last key, when a field is left, and when the page is left. The revision in
// the form goes along, so that what another window saved meanwhile is never overwritten unseen. What is not saved yet is tried again.
(() => {
  const form = document.getElementById("report");
  if (!form) return;
  const line = document.getElementById("saved");
  const overtaken = document.getElementById("overtaken");
  const LARGEST_AT_THE_END = 30_000; // bytes that browsers still send for a page that is being left; two calls at once have 64 KiB

  const { revision } = form.elements;
  const earlier = Leaving.earlierOf(form); // what the last save took along, until it is answered
  let changed = false; // something was typed that no save has taken along
  let saving = null; // the save that is on its way
  let stuck = ""; // why not all is saved: "overtaken", "refused", "lost" (the connection), "wrong" (what stands in a field)
  let timer = 0;
  let pause = 0;

  const content = () => new URLSearchParams(new FormData(form));
  const written = () => {
    const values = content();
    values.delete("revision");
    values.delete("earlier");
    return values.toString();
  };
  const say = (text) => { if (line.textContent !== text) line.textContent = text; }; // the same words are not read out twice

  const nothingUnsaved = () => form.dispatchEvent(new Event("relais:saved")); // for static/kept.js

  const mark = (wrong) => {
    form.querySelectorAll("[data-marked]").forEach((text) => text.remove());
    form.querySelectorAll(".field.wrong").forEach((field) => field.classList.remove("wrong"));
    form.querySelectorAll("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
    for (const [name, message] of Object.entries(wrong)) {
      const place = document.getElementById(`field-${name}`);
      if (!place) continue;
      place.closest(".field").classList.add("wrong");
      place.setAttribute("aria-invalid", "true");
      const text = document.createElement("span");
      text.className = "wrong-text";
      text.dataset.marked = "";
      text.textContent = message;
      if (place.matches("fieldset")) place.querySelector("legend").after(text);
      else place.closest(".field").querySelector("label").after(text);
    }
  };

  // Gives whether all that stands in the form is saved now.
  const save = async () => {
    clearTimeout(timer);
    if (saving) { await saving; return save(); }
    if (!changed) return !stuck;
    if (left.isKept) return false;
    if (stuck === "overtaken" || stuck === "refused") return false;
    const again = earlier.value; // just as it was, so that the server can tell it from a change from elsewhere; then the rest
    const isLess = again !== "" && again !== written();
    changed = isLess;
    saving = send(again || written());
    const done = await saving;
    saving = null;
    if (!done || isLess) changed = true;
    return isLess && (done || stuck === "wrong") ? save() : done && !changed;
  };

  /** Also when the page is left meanwhile, unless it is more than browsers let go along. */
  const post = (body) => fetch(form.action, {
    method: "POST",
    body,
    headers: { "X-Requested-With": "fetch" },
    keepalive: body.toString().length < LARGEST_AT_THE_END,
  });

  const send = async (what) => {
    let answer, told;
    earlier.value = what;
    const body = new URLSearchParams(what);
    body.set("revision", revision.value);
    try {
      answer = await post(body);
      if (answer.redirected) return lost(form.dataset.textSignedOut);
      if (answer.status >= 500 || answer.status === 429) return lost(form.dataset.textUnsaved);
      told = await answer.json();
    } catch {
      return lost(form.dataset.textUnsaved);
    }
    pause = 0;
    if (told.again) return lost(told.said);
    earlier.value = "";
    if (answer.ok) {
      stuck = Object.keys(told.wrong).length ? "wrong" : "";
      revision.value = told.revision;
      mark(told.wrong);
      say(told.said);
      if (!stuck && !changed) nothingUnsaved();
      return !stuck;
    }
    stuck = "refused";
    say(told.said);
    if (answer.status === 412) {
      stuck = "overtaken";
      overtaken.dataset.revision = told.revision;
      overtaken.querySelector("[data-said]").textContent = told.said;
      overtaken.hidden = false;
    }
    return false;
  };

  const lost = (text) => {
    stuck = "lost";
    say(text);
    pause = Math.min(30_000, pause ? pause * 2 : 2_000);
    clearTimeout(timer);
    timer = setTimeout(save, pause);
    return false;
  };

  const soon = () => {
    changed = true;
    if (stuck === "lost") return; // a new try is on its way
    clearTimeout(timer);
    timer = setTimeout(save, 1_000);
  };

  if ("unsaved" in form.dataset || [...form.elements].some(Leaving.isTyped)) soon();
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  form.addEventListener("focusout", () => { if (changed && stuck !== "lost") save(); });
  window.addEventListener("online", () => { if (stuck === "lost") save(); });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const what = event.submitter ? event.submitter.value : "save";
    // A new tab may only be opened at once, in answer to the press itself.
    const tab = what === "preview" ? window.open("", "_blank") : null;
    if (what === "save") changed = true; // whoever asks gets an answer
    if (!(await save())) {
      if (tab) tab.close();
      const place = overtaken.hidden ? form.querySelector("[aria-invalid]") : overtaken.querySelector("button");
      if (place) place.focus();
      return;
    }
    if (event.submitter?.dataset.leadsTo) location.assign(event.submitter.dataset.leadsTo);
    if (tab) tab.location = `${form.action}/preview.pdf`;
  });

  overtaken.addEventListener("click", (event) => {
    const what = event.target.dataset ? event.target.dataset.act : "";
    if (what === "load") {
      changed = false;
      stuck = "";
      nothingUnsaved();
      location.reload();
    } else if (what === "keep") {
      revision.value = overtaken.dataset.revision;
      overtaken.hidden = true;
      stuck = "";
      changed = true;
      save();
      form.querySelector("[name=do]").focus();
    }
  });

  const left = new Leaving(form, save);
  window.addEventListener("beforeunload", (event) => {
    if (left.isKept) return;
    if (changed && !saving) save(); // now: the page that is asked for next may find it
    if (!changed && !saving) return;
    left.isUnsaved = true;
    const goesAlong = !stuck && navigator.onLine && content().toString().length < LARGEST_AT_THE_END;
    if (goesAlong && !(saving && changed)) return;
    event.preventDefault();
  });
  window.addEventListener("pagehide", () => {
    if (left.isKept) return;
    const goesAlong = (changed || saving) && !(changed && saving) && ["", "wrong"].includes(stuck) && navigator.onLine;
    if (goesAlong) form.dispatchEvent(new Event("relais:leaving"));
    if (changed || saving) left.isUnsaved = true;
    // With what may have arrived: of that the server knows then that it is of this page.
    if (changed && stuck !== "overtaken" && stuck !== "refused") post(content()).catch(() => {});
    left.gone();
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // Somebody who comes to fill in what is missing can write at once.
  const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted && form.contains(wanted)) wanted.focus();

  // The request beside the form: open where there is room for it, folded away on a phone.
  const beside = document.querySelector(".beside");
  if (beside) beside.open = window.matchMedia("(min-width: 60rem)").matches;
})();
