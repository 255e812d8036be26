// What somebody types is not lost. It is never cut off: near the limit of a text the page counts, and says how many characters are too many.
// The server has the last word; it measures as this does, in characters and not in the units that scripts count.
(() => {
  const NEAR = 0.75; // of the limit
  const QUIET = 700; // ms without a stroke before a count is read out

  const counted = (root) => {
    for (const count of root.querySelectorAll("[data-count]")) {
      const field = count.closest(".field").querySelector("textarea, input");
      const limit = Number(count.dataset.count);
      const spoken = count.nextElementSibling;
      let timer;
      const tell = () => {
        const left = limit - [...field.value.normalize()].length;
        const near = left < limit * (1 - NEAR);
        count.toggleAttribute("data-near", near);
        count.classList.toggle("over", left < 0);
        count.textContent = `${left < 0 ? count.dataset.textOver : count.dataset.textLeft} ${Math.abs(left)}`;
        clearTimeout(timer);
        timer = setTimeout(() => { spoken.textContent = near ? count.textContent : ""; }, QUIET);
      };
      field.addEventListener("input", tell);
      field.addEventListener("relais:filled", tell); // by static/kept.js
      window.addEventListener("pageshow", tell);
      if (field.value) tell();
    }
  };
  counted(document);
  document.addEventListener("relais:opened", (event) => counted(event.target)); // a form came into the page

  // A day is typed; the browser's calendar, which speaks the browser's language, fills it in for who would rather choose.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-calendar]");
    if (!button) return;
    const field = button.previousElementSibling;
    document.querySelector(".calendar")?.remove();
    const calendar = document.createElement("input");
    Object.assign(calendar, { type: "date", className: "calendar", tabIndex: -1, ariaHidden: "true", value: field.value });
    calendar.addEventListener("input", (chosen) => chosen.stopPropagation());
    calendar.addEventListener("change", (chosen) => {
      chosen.stopPropagation();
      field.value = calendar.value;
      for (const what of ["input", "change"]) field.dispatchEvent(new Event(what, { bubbles: true }));
    });
    button.after(calendar);
    calendar.showPicker();
  });

  // What was written and not sent is not left behind by a slip of the hand: of every form that acts (it has a key) and does not save
  // itself, as drafts and reports do.
  const GUARDED = "form[method=post]:not([data-draft], [data-upload], #report)";
  let sent = new WeakSet();
  const hasWords = (form) =>
    form.elements.key && [...form.elements].some((field) => field.matches("textarea, input[type=text]:not([autocomplete=one-time-code], [data-day])") && field.value.trim());
  document.addEventListener("submit", (event) => sent.add(event.target), true);
  document.addEventListener("relais:not-sent", (event) => sent.delete(event.target));
  window.addEventListener("pageshow", () => { sent = new WeakSet(); });
  let locked = false; // by static/idle.js: nobody is there to be asked, and what was written is kept where it can be encrypted
  document.addEventListener("relais:locked", () => { locked = !!window.crypto?.subtle; });
  window.addEventListener("beforeunload", (event) => {
    if (!locked && [...document.querySelectorAll(GUARDED)].some((form) => !sent.has(form) && hasWords(form))) event.preventDefault();
  });
})();
