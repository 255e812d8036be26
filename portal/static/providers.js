// A box to find somebody among many. Everything that can be found carries data-find; a group in which nothing is left goes, too.
(() => {
  const box = document.querySelector("[data-find-box]");
  if (!box) return;
  box.hidden = false;
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const none = box.querySelector("[data-find-none]");
  const find = () => {
    const wanted = plain(box.querySelector("input").value.trim());
    let found = 0;
    for (const one of document.querySelectorAll("[data-find]")) {
      const fits = plain(one.textContent).includes(wanted) || one.querySelector(":checked") !== null;
      one.hidden = !fits;
      if (fits) found += 1;
    }
    none.textContent = found ? "" : none.dataset.text;
  };
  box.addEventListener("input", find);
  box.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); }); // finding is not sending
  document.body.addEventListener("htmx:after:swap", find);
})();
