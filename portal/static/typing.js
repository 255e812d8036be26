// What somebody types is never cut off: near the limit of a text the page counts, and says how many characters are too many.
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
    window.addEventListener("pageshow", tell);
  }
})();
