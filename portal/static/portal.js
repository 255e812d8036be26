// Small comforts that every page has. Everything works without them.
(() => {
  document.documentElement.classList.add("js");

  // An error summary takes the focus, so that it is read out and its links are next; a success only speaks (role=status).
  const notice = document.querySelector("[data-notice].error");
  if (notice) notice.focus();

  // "done=…" in the address belongs to what was just done, not to a reload or a bookmark.
  const here = new URL(location.href);
  if (here.searchParams.has("done")) {
    here.searchParams.delete("done");
    here.searchParams.delete("of");
    history.replaceState(null, "", here);
  }

  // A form that is on its way is not sent twice (the server would take it once anyway).
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    if (form.method === "post" && !form.hasAttribute("data-upload")) {
      form.dataset.sent = "yes";
      const button = event.submitter;
      if (button) button.setAttribute("aria-busy", "true");
      setTimeout(() => { delete form.dataset.sent; if (button) button.removeAttribute("aria-busy"); }, 8000);
    }
  });
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (event.target.type === "file" && form?.hasAttribute("data-send-when-chosen")) form.requestSubmit();
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
    document.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
  });
})();
