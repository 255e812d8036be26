// What somebody types is not lost. It is never cut off: near the limit of a text the page counts, and says how many characters are too many.
// The server has the last word; it measures as this does, in characters and not in the units that scripts count.
(() => {
  const NEAR = 0.75; // of the limit
  const QUIET = 700; // ms without a stroke before a count is read out

  for (const count of document.querySelectorAll("[data-count]")) {
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
  }

  // Of a day that can't be read browsers tell nothing: that it is not an empty one, "?" says.
  document.addEventListener("formdata", ({ target, formData }) => {
    for (const field of target.elements) if (field.validity.badInput) formData.set(field.name, "?");
  });

  // What was written and not sent is not left behind by a slip of the hand: of every form that acts (it has a key) and does not save
  // itself, as drafts and reports do.
  for (const form of document.querySelectorAll("form[method=post]:not([data-draft], [data-upload], #report)")) {
    if (!form.elements.key) continue;
    const texts = [...form.elements].filter((field) => field.matches("textarea, input[type=text]"));
    let sent = false;
    form.addEventListener("submit", () => { sent = true; });
    window.addEventListener("pageshow", () => { sent = false; });
    window.addEventListener("beforeunload", (event) => {
      if (!sent && texts.some((field) => field.value.trim())) event.preventDefault();
    });
  }
})();
