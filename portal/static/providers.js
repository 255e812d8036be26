// A box to find somebody among many. Everything that can be found carries data-find; a group in which nothing is left goes, too.
(() => {
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const find = () => {
    const box = document.querySelector("[data-find-box]");
    if (!box) return;
    const wanted = plain(box.querySelector("input").value.trim());
    let found = 0;
    for (const one of document.querySelectorAll("[data-find]")) {
      const fits = plain(one.textContent).includes(wanted) || one.querySelector(":checked") !== null;
      one.hidden = !fits;
      if (fits) found += 1;
    }
    const none = box.querySelector("[data-find-none]");
    none.textContent = found ? "" : none.dataset.text;
  };
  const show = () => { for (const box of document.querySelectorAll("[data-find-box]")) box.hidden = false; };
  const isOurs = (event) => event.target.closest?.("[data-find-box]");
  show();
  document.addEventListener("relais:opened", show); // a form came into the page
  document.addEventListener("input", (event) => { if (isOurs(event)) find(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Enter" && isOurs(event)) event.preventDefault(); }); // finding is not sending
  document.body.addEventListener("htmx:after:swap", find);
})();
