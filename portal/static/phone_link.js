// Photos from a telephone, on the desktop: the code opens beside the form, without another page, and what the telephone sends shows
// up in the list as it arrives. Without this script the code has a page of its own.
(() => {
  const SCRIPT = { "X-Requested-With": "fetch" };
  let listening = null; // of all links on the page: they are about one request
  let timer;

  const panelIn = (place) => place.querySelector("[data-phone-link]");

  async function fetched(address, body) {
    const answer = await fetch(address, { headers: SCRIPT, ...(body && { method: "POST", body }) });
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
    const made = document.createElement("template");
    made.innerHTML = (await answer.text()).trim();
    return made.content.firstElementChild;
  }

  /** Show the link as it is now. The code was told once: it stays for as long as it is of use. */
  function show(place, panel) {
    const before = panelIn(place);
    const code = before?.querySelector("[data-phone-code]");
    if (code && panel.dataset.state === "waiting" && !panel.querySelector("[data-phone-code]")) panel.prepend(code);
    if (before) before.replaceWith(panel);
    else place.append(panel);
    listen();
  }

  async function look(place) {
    const panel = panelIn(place);
    if (!panel || panel.dataset.state === "ended") return;
    try {
      const now = await fetched(panel.dataset.at);
      if (panelIn(place) === panel) show(place, now);
    } catch { /* the next news, or the end of its time, asks again */ }
    const slot = place.closest(".slot, section").querySelector("form[data-upload]");
    slot?.dispatchEvent(new CustomEvent("relais:removed", { bubbles: true })); // the list may be another: static/uploads.js
  }

  const lookAtAll = () => document.querySelectorAll("[data-phone]").forEach(look);

  function listen() {
    const panels = [...document.querySelectorAll("[data-phone-link]")].filter((panel) => panel.dataset.state !== "ended");
    clearTimeout(timer);
    if (!panels.length) {
      listening?.close();
      listening = null;
      return;
    }
    timer = setTimeout(lookAtAll, Math.max(1000, Date.parse(panels[0].dataset.ends) - Date.now() + 1000));
    if (listening) return;
    const request = panels[0].dataset.at.split("/")[2];
    listening = new EventSource(`/events?request=${request}`);
    listening.addEventListener("changed", lookAtAll);
    listening.addEventListener("open", lookAtAll);
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("[data-phone-make], [data-phone-end]")) return;
    const place = form.closest("[data-phone]");
    if (!place) return;
    event.preventDefault();
    event.stopPropagation();
    const page = { ready: null }; // a draft that is not there yet is made first, with what is written
    if (form.matches("[data-phone-make]")) form.dispatchEvent(new CustomEvent("relais:uploading", { bubbles: true, detail: page }));
    try {
      await page.ready;
      const panel = await fetched(form.action, new URLSearchParams(new FormData(form)));
      document.querySelectorAll("[data-phone-link]").forEach((old) => old.remove()); // the earlier one has ended
      show(place, panel);
      if (form.matches("[data-phone-make]")) panel.scrollIntoView({ block: "nearest" });
    } catch {
      form.submit(); // its page says what is wrong
    }
  }, true);

  window.addEventListener("pagehide", () => listening?.close());
  listen();
})();
