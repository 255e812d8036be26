// A page that is left alone is not left open. It tells the server when somebody is there (moves, types, scrolls: at most once a
// minute), warns before it locks, and locks: the session ends, and the page goes to sign in and comes back. All tabs count as one.
// Nothing that was typed is lost by it: static/kept.js and what saves itself bring it back.
(() => {
  const { idleMinutes, textIdle } = document.body.dataset;
  const limit = Number(idleMinutes) * 60_000; // ms
  if (!limit) return;
  const ACTIVE = "relais-active"; // when somebody was there, for all tabs of this browser
  const TOLD_EACH = Math.min(60_000, limit / 4);
  const WARNED = Math.min(60_000, limit / 3); // ms before the end
  const SAVES_WITHIN = 3_000; // ms
  const LOOKS_EACH = Math.min(5_000, limit / 20);

  let told = Date.now(); // the page itself was asked for
  const active = () => Math.max(Number(localStorage.getItem(ACTIVE)) || 0, told);
  localStorage.setItem(ACTIVE, told);
  const call = (address) => fetch(address, { method: "POST", headers: { "X-Requested-With": "fetch" }, keepalive: true });

  const line = document.createElement("p");
  line.className = "idle-warning";
  line.setAttribute("role", "alert");
  line.hidden = true;
  document.body.append(line);

  const somebodyIsThere = () => {
    if (Date.now() - active() > limit) return lock(); // they come back to a computer that was asleep
    if (!line.hidden) { line.hidden = true; line.textContent = ""; }
    if (Date.now() - active() > LOOKS_EACH) localStorage.setItem(ACTIVE, Date.now());
    if (Date.now() - told < TOLD_EACH) return;
    told = Date.now();
    call("/still-here")
      .then((answer) => { if (answer.redirected) lock(); }) // the session has ended already
      .catch(() => {}); // no connection: the next sign tells it
  };
  for (const sign of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "scroll"])
    window.addEventListener(sign, somebodyIsThere, { passive: true, capture: true });

  let locking = false;
  const lock = async () => {
    if (locking) return;
    locking = true;
    clearInterval(looking);
    const lastWords = []; // what saves them, and is waited for while the session lasts
    document.dispatchEvent(new CustomEvent("relais:locks", { detail: lastWords }));
    await Promise.race([Promise.allSettled(lastWords), new Promise((resolve) => setTimeout(resolve, SAVES_WITHIN))]);
    document.dispatchEvent(new CustomEvent("relais:locked"));
    await call("/lock").catch(() => {}); // without a connection the server ends it by itself
    location.assign(`/signin?done=idle&next=${encodeURIComponent(location.pathname + location.search)}`);
  };
  const looking = setInterval(() => {
    const left = active() + limit - Date.now();
    if (left <= 0) lock();
    else if (left <= WARNED && line.hidden) { line.textContent = textIdle; line.hidden = false; }
    else if (left > WARNED && !line.hidden) { line.hidden = true; line.textContent = ""; } // somebody is there in another tab
  }, LOOKS_EACH);
})();
