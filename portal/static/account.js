// Shows what was typed as passwords, for as long as the box is ticked; never when the form is sent.
(() => {
  const toggle = document.querySelector("[data-show-passwords]");
  if (!toggle) return;
  const form = toggle.closest("form");
  const box = toggle.querySelector("input");
  const fields = form.querySelectorAll("input[type=password]");
  const show = (shown) => fields.forEach((field) => { field.type = shown ? "text" : "password"; });
  toggle.hidden = false;
  box.addEventListener("change", () => show(box.checked));
  form.addEventListener("submit", () => { box.checked = false; show(false); });
})();
