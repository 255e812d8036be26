// The telephone of a link for photos: each photo is sent as soon as it is taken or chosen, one after the other, again and again while
// there is no connection, some times while the server can't take it. What became of it the server says, and why.
(() => {
  const form = document.querySelector("form[data-phone-photos]");
  const lines = document.querySelector("[data-phone-lines]");
  const PAUSES = [1000, 3000, 5000, 10000]; // ms before the next try; the last one again and again
  const TRIES = 3; // while the server says that it can't
  const waiting = [];
  let busy = false;

  function line(file) {
    const made = Object.assign(document.createElement("li"), { className: "upload-item" });
    made.append(Object.assign(document.createElement("span"), { className: "upload-name", textContent: file.name }), " ");
    made.append(Object.assign(document.createElement("span"), { className: "upload-status", textContent: form.dataset.textSending }));
    lines.prepend(made);
    return made;
  }

  function count() {
    const there = document.querySelector("[data-phone-count]");
    const now = Number(there.dataset.phoneCount) + lines.querySelectorAll("[data-state=done]").length;
    there.textContent = there.textContent.replace(/\d+/, now);
  }

  function say(shown, state, text) {
    shown.dataset.state = state;
    shown.querySelector(".upload-status").textContent = text;
  }

  /** What an answer tells: the line of the photo, or, of a page that has none, why the photo was not taken. */
  function read(html) {
    const made = document.createElement("template");
    made.innerHTML = html;
    const told = made.content.querySelector("li.upload-item");
    const reason = told ? told.querySelector(".upload-status") : made.content.querySelector("[data-sentence]");
    return { told, reason: reason?.textContent.trim() || form.dataset.textFailed };
  }

  function end() {
    waiting.length = 0;
    location.replace(`/phone?link=${form.elements.link.value}`); // which says that the link has ended
  }

  function giveUp(file, shown, reason) {
    say(shown, "failed", reason);
    const again = Object.assign(document.createElement("button"), { type: "button", className: "button secondary" });
    again.textContent = form.dataset.textAgain;
    again.setAttribute("aria-label", `${form.dataset.textAgain} ${file.name}`);
    again.addEventListener("click", () => {
      again.remove();
      say(shown, "sending", form.dataset.textSending);
      waiting.push([file, shown]);
      next();
    });
    shown.append(" ", again);
  }

  async function send(file, shown) {
    const body = new FormData();
    body.set("link", form.elements.link.value);
    body.set("key", form.elements.key.value + file.lastModified);
    body.set("file", file, file.name);
    for (let tries = 0, refusals = 0; ; tries++) {
      say(shown, "sending", form.dataset.textSending);
      const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Requested-With": "fetch" } }).catch(() => null);
      const html = answer && await answer.text().catch(() => null);
      if (answer?.status === 410) return end();
      if (typeof html !== "string") {
        say(shown, "offline", form.dataset.textOffline);
      } else {
        const { told, reason } = read(html);
        if (answer.status < 500 && answer.status !== 429) {
          if (told) shown.replaceWith(told);
          else say(shown, "refused", reason);
          return count();
        }
        if (++refusals === TRIES) return giveUp(file, shown, reason);
        say(shown, "offline", reason);
      }
      await new Promise((resolve) => { setTimeout(resolve, PAUSES[Math.min(tries, PAUSES.length - 1)]); });
    }
  }

  async function next() {
    if (busy) return;
    busy = true;
    while (waiting.length) {
      await send(...waiting[0]);
      waiting.shift();
    }
    busy = false;
  }

  function take(files) {
    for (const file of files) waiting.push([file, line(file)]);
    next();
  }

  function takeFrom(field) {
    take(field.files);
    field.value = ""; // the same photo may be chosen again
  }
  form.addEventListener("change", ({ target }) => takeFrom(target));
  form.querySelectorAll("[type=file]").forEach(takeFrom); // what was chosen before this script came

  // The camera opens in the page; where it can't, or by its button, the field opens the device's own application.
  const field = form.querySelector("[capture]");
  let toDevice = !Camera.isThere();
  field.addEventListener("click", (event) => {
    if (toDevice) return;
    event.preventDefault();
    const openDevice = () => {
      toDevice = true;
      field.click();
      toDevice = false;
    };
    new Camera((photo) => take([photo]), openDevice).open();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("beforeunload", (event) => { if (waiting.length) event.preventDefault(); });
})();
