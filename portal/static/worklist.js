// The worklist while somebody looks at it: what is chosen stays chosen when the list renews itself, and what changed is said in words and marked.
(() => {
  const news = document.getElementById("news");
  if (!news) return;
  const boxes = () => document.querySelectorAll("#results .pick input");
  const idOf = (box) => box.value.split("/")[0];

  // Choosing
  const chosen = new Set();
  const count = () => {
    const line = document.querySelector("[data-chosen]");
    if (line) line.textContent = chosen.size ? `(${chosen.size})` : "";
  };
  const remember = () => {
    chosen.clear();
    for (const box of boxes()) if (box.checked) chosen.add(idOf(box));
    count();
  };
  document.addEventListener("change", (event) => { if (event.target.closest(".pick")) remember(); });

  // The menu of a row: it comes when it is opened, stays open through a renewal, and is closed by Escape and by a press elsewhere
  let open = "";
  const fill = async (menu) => {
    const back = document.querySelector("#assign [name=back]").value;
    const answer = await fetch(`${menu.dataset.menu}?back=${encodeURIComponent(back)}`, { headers: { "X-Requested-With": "fetch" } }).catch(() => null);
    if (!answer?.ok || answer.redirected || !menu.open) return;
    const place = menu.querySelector(".menu");
    const focused = place.contains(document.activeElement) && document.activeElement.value;
    place.innerHTML = await answer.text();
    if (focused) place.querySelector(`[value="${focused}"]`)?.focus();
  };
  const menus = () => document.querySelectorAll("details.assign-one[open]");
  document.addEventListener("toggle", (event) => {
    if (!event.target.matches("details.assign-one")) return;
    open = menus()[0]?.id || "";
    if (event.target.open) fill(event.target);
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus()) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  document.addEventListener("click", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
  });

  // What is new
  const marked = new Map(); // row to "changed" or "new"
  const look = () => new Map([...document.querySelectorAll("#results tr[data-version]")].map((row) => [row.id, row.dataset.version]));
  const say = (what, number) => {
    if (!number) return [];
    return [number === 1 ? news.dataset[`${what}One`] : news.dataset[`${what}Many`].replace("%d", number)];
  };
  const mark = () => {
    for (const [id, what] of marked) {
      const row = document.getElementById(id);
      if (!row || row.querySelector(".fresh")) continue;
      const badge = document.createElement("span");
      badge.className = "badge fresh";
      badge.textContent = news.dataset[what];
      row.classList.add("just-changed");
      row.querySelector(".row-link").after(" ", badge);
    }
  };
  const tell = (before, after) => {
    const changed = [...after].filter(([id, version]) => before.has(id) && before.get(id) !== version);
    const added = [...after].filter(([id]) => !before.has(id));
    const gone = [...before].filter(([id]) => !after.has(id));
    for (const [id] of changed) if (marked.get(id) !== "new") marked.set(id, "changed");
    for (const [id] of added) marked.set(id, "new");
    const parts = [...say("changed", changed.length), ...say("new", added.length), ...say("gone", gone.length)];
    if (parts.length) news.textContent = `${parts.join(", ")}.`;
  };

  let shown = look();
  let renews = false;
  document.body.addEventListener("relais:changed", () => { renews = true; });
  document.body.addEventListener("htmx:after:swap", () => {
    for (const box of boxes()) box.checked = chosen.has(idOf(box));
    remember();
    const menu = open && document.getElementById(open);
    if (menu?.open) fill(menu);
    else if (menu) menu.open = true;
    const now = look();
    if (renews) tell(shown, now); else { marked.clear(); news.textContent = ""; }
    renews = false;
    shown = now;
    mark();
  });
  // the way to where filters are kept goes along with the filter, which changes without a new page
  document.querySelector("[data-with-query]").addEventListener("click", (event) => { if (location.search) event.target.search = location.search; });
  window.addEventListener("pageshow", remember); // "Back" may bring the boxes back as they were
})();
