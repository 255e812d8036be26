// The choices of a request, in its page: what must be said is asked beside the question and the photos, and the page goes on from there.
// A form here is the one of the choice's own page, sent to the same address. Where that does not work it is sent as without scripts.
(() => {
  const panel = () => document.getElementById("opened");
  if (!panel()) return;
  const SCRIPT = { "X-Requested-With": "fetch" };
  const read = (text) => new DOMParser().parseFromString(text, "text/html");
  const FIELDS = "textarea, select, input:not([type=hidden])";
  const isBeside = () => window.matchMedia("(min-width: 60rem)").matches; // the form stands beside the photos, not below
  let opener = ""; // the address of the choice that is open
  let wanted = null; // the link that was pressed last

  // Opening and closing

  const open = async (link) => {
    if (link.hasAttribute("aria-busy")) return;
    if (!panel().hidden && opener === link.getAttribute("href")) return start();
    if (!panel().hidden) {
      if (!drop()) return;
      empty(); // its words were given up: nobody is asked again when the other choice is there
    }
    link.setAttribute("aria-busy", "true");
    wanted = link;
    let choice = null;
    try {
      const answer = await fetch(link.href, { headers: SCRIPT });
      if (!answer.redirected) choice = read(await answer.text()).getElementById("choice");
    } catch { /* the page of its own says what is wrong */ }
    link.removeAttribute("aria-busy");
    if (wanted !== link || (!panel().hidden && !drop())) return; // another one is open, or was written in meanwhile
    if (!choice) { location.assign(link.href); return; }
    opener = link.getAttribute("href");
    show(choice);
    start();
  };

  const start = () => {
    (panel().querySelector(FIELDS) || panel().querySelector("h2")).focus({ preventScroll: true });
    if (!isBeside()) panel().scrollIntoView();
  };

  const show = (choice, notice) => {
    const title = document.createElement("h2");
    title.id = "opened-title";
    title.tabIndex = -1;
    title.textContent = choice.querySelector("h1").textContent;
    choice.querySelector("h1").replaceWith(title);
    choice.querySelector(".back").remove();
    choice.querySelector("form").classList.remove("card");
    panel().setAttribute("aria-labelledby", title.id);
    panel().replaceChildren(...(notice ? [notice] : []), ...choice.childNodes);
    panel().hidden = false;
    htmx.process(panel());
    panel().dispatchEvent(new CustomEvent("relais:opened", { bubbles: true }));
  };

  const hasWords = () => [...panel().querySelectorAll("textarea, input[type=text]")].some((field) => field.value.trim());

  // Nothing that was written is dropped unasked, and nothing of it stays behind then (static/kept.js). Gives whether it is dropped.
  const drop = () => {
    if (hasWords() && !window.confirm(document.body.dataset.textDrop)) return false;
    panel().querySelector("form")?.dispatchEvent(new Event("relais:dropped"));
    return true;
  };

  const close = () => {
    if (!drop()) return;
    empty();
    const link = document.querySelector(`#choices a[href="${CSS.escape(opener)}"]`) || document.getElementById("choices-title");
    if (link) link.focus();
  };

  const empty = () => {
    panel().hidden = true;
    panel().replaceChildren();
  };

  document.addEventListener("click", (event) => {
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!isPlain || event.defaultPrevented) return;
    const link = event.target.closest("#request [data-opens], #opened [data-closes]");
    if (!link) return;
    event.preventDefault();
    if (link.matches("[data-closes]")) close();
    else open(link);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented && event.target.closest("#opened")) close();
  });

  // Sending

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("#request form[data-in-place]")) return;
    event.preventDefault();
    send(form);
  });

  const send = async (form) => {
    let answer, text;
    try {
      answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: SCRIPT });
      text = await answer.text();
    } catch {
      return notSent(form, document.body.dataset.textNotSent);
    }
    const page = read(text);
    const to = new URL(answer.url);
    if (answer.ok && to.pathname === location.pathname) return done(form, text, page);
    if (answer.redirected && to.pathname === "/signin") return form.submit(); // which keeps what was written until somebody is signed in
    if (answer.ok) return location.assign(answer.url);
    const choice = page.getElementById("choice");
    if (!choice) return notSent(form, page.querySelector("[data-sentence]")?.textContent || document.body.dataset.textNotSent);
    const notice = page.getElementById("notice");
    document.getElementById("notices").replaceChildren(); // what was done before
    opener = new URL(form.action).pathname;
    show(choice, notice);
    notice.focus();
  };

  const done = (form, text, page) => {
    form.dispatchEvent(new Event("relais:done"));
    empty();
    const request = document.getElementById("request");
    htmx.swap({ text, sourceElement: request, target: request, select: "#request", swap: "outerMorph" });
    document.getElementById("notices").replaceWith(page.getElementById("notices"));
    document.getElementById("notice")?.focus();
  };

  // It stays as it was written, and can be sent again: its key makes it act once.
  const notSent = (form, sentence) => {
    delete form.dataset.sent;
    form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
    form.dispatchEvent(new CustomEvent("relais:not-sent", { bubbles: true }));
    form.querySelector("[data-not-sent]")?.remove();
    const line = document.createElement("p");
    line.dataset.notSent = "";
    line.className = "notice error";
    line.setAttribute("role", "alert");
    line.textContent = sentence;
    form.prepend(line);
  };
})();
