// The telephone of a link for photos: each photo is sent as soon as it is taken or chosen, one after the other, again and again while
// there is no connection. What became of it the server says, advice about its sharpness with it.
(() => {
  const form = document.querySelector("form[data-phone-photos]");
  const lines = document.querySelector("[data-phone-lines]");
  const PAUSES = [1000, 3000, 5000, 10000]; // ms before the next try; the last one again and again
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

  async function send(file, shown) {
    const body = new FormData();
    body.set("link", form.elements.link.value);
    body.set("key", form.elements.key.value + file.lastModified);
    body.set("file", file, file.name);
    for (let tries = 0; ; tries++) {
      const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Requested-With": "fetch" } }).catch(() => null);
      const html = answer && answer.status < 500 && answer.status !== 429 ? await answer.text().catch(() => null) : null;
      if (html !== null) {
        const made = document.createElement("template");
        made.innerHTML = html.trim();
        const told = made.content.querySelector("li.upload-item");
        if (!told) return location.reload(); // the link has ended: its page says so
        shown.replaceWith(told);
        return count();
      }
      shown.querySelector(".upload-status").textContent = form.dataset.textOffline;
      await new Promise((resolve) => { setTimeout(resolve, PAUSES[Math.min(tries, PAUSES.length - 1)]); });
      shown.querySelector(".upload-status").textContent = form.dataset.textSending;
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

  form.addEventListener("change", ({ target }) => {
    for (const file of target.files) waiting.push([file, line(file)]);
    target.value = ""; // the same photo may be chosen again
    next();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("beforeunload", (event) => { if (waiting.length) event.preventDefault(); });
})();
