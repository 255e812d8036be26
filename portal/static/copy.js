// A text is copied by one press. Where the browser does not let that be, it is selected, to be copied by hand.
document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy);
  const said = button.parentElement.querySelector("[role=status]");
  try {
    await navigator.clipboard.writeText(text.textContent.trim());
    said.textContent = button.dataset.textCopied;
  } catch {
    getSelection().selectAllChildren(text);
    said.textContent = button.dataset.textSelected;
  }
});
