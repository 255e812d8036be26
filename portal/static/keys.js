// Keys for who does the same thing thirty times: j and k in a list, a and r on a request, ? for what there is.
// Never while somebody types or a dialog is open, never with another key held, and off for who does not want them (on this device).
(() => {
  const dialog = document.getElementById("keys");
  if (!dialog) return;
  const OFF = "relais-keys-off";
  const box = dialog.querySelector("input");
  const isOff = () => localStorage.getItem(OFF) !== null;

  const openKeys = () => {
    box.checked = !isOff();
    dialog.showModal();
  };
  document.querySelector("[data-keys]").addEventListener("click", openKeys);
  box.addEventListener("change", () => { if (box.checked) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "yes"); });

  // To the next or the one before in a list; from nowhere to the first.
  const step = (by) => {
    const rows = [...document.querySelectorAll("#results .row-link")];
    if (!rows.length) return;
    const row = document.activeElement?.closest?.("#results tr");
    const at = row ? rows.findIndex((one) => row.contains(one)) : -1;
    const to = at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + by));
    rows[to].focus();
    rows[to].scrollIntoView({ block: "nearest" });
  };
  const press = (key) => document.querySelector(`#choices [data-key="${key}"]`)?.click();

  const ACTS = { j: () => step(1), k: () => step(-1), a: () => press("a"), r: () => press("r"), "?": openKeys };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.repeat && event.key !== "j" && event.key !== "k") return;
    if (isOff() || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select, [contenteditable], #opened")) return;
    const act = ACTS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
})();
