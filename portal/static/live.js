// Listens to what is new (server-sent events) and tells the page: a `relais:changed` event on the body. Pages renew themselves then.
// While nobody looks at the page, or somebody is in the middle of a choice, it waits.
(() => {
  const address = document.body.dataset.live;
  if (!address || !window.EventSource) return;
  const REFUSED_MILLISECONDS = 30_000;
  const line = document.getElementById("connection");
  let waiting = false;

  const tell = () => {
    if (document.hidden) { waiting = true; return; }
    waiting = false;
    document.body.dispatchEvent(new CustomEvent("relais:changed", { bubbles: true }));
  };

  const say = (text) => {
    line.textContent = text;
    line.hidden = !text;
  };

  let lost = 0;
  const listening = new URL(address, location.href);
  listening.searchParams.set("since", document.body.dataset.heard); // the page may be older than this stream
  let source;
  const listen = () => {
    source = new EventSource(listening);
    source.addEventListener("changed", tell);
    source.addEventListener("open", () => {
      if (lost) tell(); // something may have happened meanwhile
      lost = 0;
      say("");
    });
    source.addEventListener("error", () => {
      lost += 1;
      if (lost > 1) say(document.body.dataset.textOffline);
      if (source.readyState !== EventSource.CLOSED) return;
      tell(); // refused: who looks here may not be signed in any more
      setTimeout(listen, REFUSED_MILLISECONDS); // no browser tries again by itself
    });
  };
  listen();
  // What is not theirs to see any more leaves as a whole, with its title and the head of its sheets of paper; what was read in an
  // emergency for the page that says what became of that.
  const over = document.body.dataset.over;
  document.addEventListener("htmx:response:error", ({ detail }) => {
    if (![403, 404, 410].includes(detail.ctx.response.status)) return;
    if (over) location.replace(over);
    else location.reload();
  });
  document.addEventListener("visibilitychange", () => { if (waiting) tell(); });
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
