// Texts that are used again come to where somebody wrote last; the first blank in them is selected, so that it is filled in next.
(() => {
  const GAP = /\[(?:…|\.{3})[^\]\n]*\]/;
  let last = null; // the field that was written in last
  document.addEventListener("focusin", (event) => { if (event.target.matches("textarea")) last = event.target; });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (!button) return;
    const form = button.closest("form");
    const field = last?.isConnected && form.contains(last) ? last : form.querySelector("textarea");
    const text = button.dataset.insert;
    const at = field.selectionStart;
    const before = field.value.slice(0, at);
    const apart = before && !/\s$/.test(before) ? " " : "";
    field.setRangeText(apart + text, at, field.selectionEnd, "end");
    const gap = GAP.exec(text);
    field.focus();
    if (gap) field.setSelectionRange(at + apart.length + gap.index, at + apart.length + gap.index + gap[0].length);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
