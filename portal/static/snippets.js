// Texts that are used again come to where somebody wrote last, else to the field that they are for; the first blank in them is
// selected, so that it is filled in next. Nothing that stands there is replaced but a blank.
(() => {
  const GAP = /\[(?:…|\.{3})[^\]\n]*\]/;
  let last = null; // the field that was written in last
  document.addEventListener("focusin", (event) => { if (event.target.matches("textarea")) last = event.target; });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (!button) return;
    event.preventDefault();
    const form = button.closest("form");
    const field = last?.isConnected && form.contains(last) ? last : form.elements[button.dataset.into] ?? form.querySelector("textarea");
    const text = button.dataset.insert;
    const end = field === last ? field.selectionEnd : field.value.length;
    const selected = field.value.slice(field.selectionStart, end);
    const at = field === last && GAP.exec(selected)?.[0] === selected ? field.selectionStart : end;
    const before = field.value.slice(0, at);
    const apart = before && !/\s$/.test(before) ? " " : "";
    field.setRangeText(apart + text, at, end, "end");
    const gap = GAP.exec(text);
    field.focus();
    if (gap) field.setSelectionRange(at + apart.length + gap.index, at + apart.length + gap.index + gap[0].length);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
