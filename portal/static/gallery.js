// The viewer: a tile of a gallery opens it over the page. It shows photos, documents and videos (pane.js), two side by side where
// somebody compares, makes them brighter, and shows and takes marks (marks.js); it never changes a file.
// The tiles are in the page (attachment_parts.html.j2), and so is the viewer's markup with every text. It is put at the end of the
// body, so that a page that renews itself does not touch it. Without this script a tile leads to the page of its photo.
(() => {
  const MOVE = 80; // pixels, by an arrow key
  const LIGHTER = 1.1; // times, by a key

  let viewer, frame; // once it was opened
  let panes = []; // the one, and the one beside it
  let layers; // the marks of each pane
  let active; // the pane that buttons and keys speak to
  let panel; // the list of marks
  let group; // the element that holds the tiles among which somebody looks
  let id = null; // of the attachment that the first pane shows
  let others = new Map(); // what can be compared, by source
  const part = (name) => viewer.querySelector(`[data-${name}]`);
  const button = (act) => viewer.querySelector(`[data-act=${act}]`);

  // Which one.

  // The tiles among which somebody looks, as the page has them now: it may have been renewed since.
  const tiles = () => {
    if (!group.isConnected) group = groupOf(document.querySelector(`[data-tile="${id}"]`)) ?? group;
    return [...group.querySelectorAll("[data-tile]")];
  };

  const groupOf = (tile) => tile?.closest("[data-galleries]") ?? tile?.closest("[data-gallery]");

  const shotOf = (tile) => {
    const { tile: id, kind, state, source, name, width, height, pages } = tile.dataset;
    const small = tile.querySelector("img");
    const mayMark = viewer.dataset.mayMark === "yes";
    return { id, kind, state, source, name, mayMark, width: Number(width), height: Number(height), pages: Number(pages || 1), small: small?.currentSrc || small?.src };
  };

  const open = (tile) => {
    if (!viewer || !viewer.isConnected) build();
    if (viewer.open) return;
    group = groupOf(tile);
    viewer.showModal();
    show(tile);
    viewer.addEventListener("close", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      panel.stop();
      if (isComparing()) compare();
      for (const pane of panes) pane.clear();
      id = null;
      const back = tile.isConnected ? tile : document.querySelector(`[data-tile="${tile.dataset.tile}"]`);
      if (back) back.focus();
    }, { once: true });
  };

  // The pages of a document come one after the other, then the next tile; backwards, from the last page on.
  const step = (by) => {
    const all = tiles();
    const at = all.findIndex((tile) => tile.dataset.tile === id);
    const { page } = panes[0];
    if (all[at] && page + by >= 1 && page + by <= pagesOf(all[at])) show(all[at], page + by);
    else if (all[at + by]) show(all[at + by], by < 0 ? pagesOf(all[at + by]) : 1);
  };

  const pagesOf = (tile) => Number(tile.dataset.pages || 1);

  const show = (tile, page = 1) => {
    panel.stop();
    id = tile.dataset.tile;
    part("page").href = tile.href;
    viewer.querySelector("h2").textContent = tile.dataset.name;
    panes[0].show(shotOf(tile), page);
    attend(panes[0]);
    renewMarks(0);
    tellPosition();
    preload(tile);
  };

  const renewMarks = async (at) => {
    await layers[at].load();
    panel.list();
  };

  const preload = (tile) => {
    const all = tiles();
    const at = all.indexOf(tile);
    for (const near of [all[at + 1], all[at - 1]]) {
      if (near && near.dataset.kind === "photo") new Image().src = `${near.dataset.source}/preview`;
    }
  };

  const tellPosition = () => {
    const all = tiles();
    const at = all.findIndex((tile) => tile.dataset.tile === id);
    const position = viewer.dataset.textPosition.replace("{number}", at + 1).replace("{count}", all.length);
    const { page } = panes[0];
    const isDocument = all[at]?.dataset.kind === "document";
    part("position").textContent = isDocument ? `${position} · ${panes[0].pageText}` : position;
    off(button("previous"), at <= 0 && page === 1);
    off(button("next"), at === all.length - 1 && (!isDocument || page === pagesOf(all[at])));
    off(button("compare"), !isComparing() && !mayCompare());
  };

  // A button that is off keeps the focus, so that whoever presses it again and again is not thrown out.
  const off = (it, is) => it.setAttribute("aria-disabled", String(is));

  // Which pane the buttons and keys speak to.
  const attend = (pane) => {
    active = pane;
    for (const each of panes) each.stage.toggleAttribute("data-active", isComparing() && each === pane);
    panel.attend(pane, layers[panes.indexOf(pane)]);
    tellPane();
  };

  // What the buttons say of the pane that they speak to.
  const tellPane = () => {
    const { isPicture, zoom, light } = active;
    part("zoom").hidden = !isPicture;
    part("zoom").textContent = viewer.dataset.textZoom.replace("{percent}", Math.round(zoom * 100));
    off(button("smaller"), !isPicture || zoom <= 1);
    off(button("larger"), !isPicture || zoom >= active.largest);
    for (const act of ["turn-left", "turn-right", "light-reset"]) off(button(act), !isPicture);
    for (const [name, percent] of Object.entries(light)) {
      const slider = part(`light=${name}`);
      slider.value = percent;
      slider.disabled = !isPicture;
      slider.setAttribute("aria-valuetext", viewer.dataset.textZoom.replace("{percent}", percent));
      part(`light-of=${name}`).textContent = viewer.dataset.textZoom.replace("{percent}", percent);
    }
  };

  const onPlaced = (pane) => {
    layers[panes.indexOf(pane)].draw();
    if (pane !== active) return;
    tellPane();
    if (isComparing() && part("together").checked) panes.find((other) => other !== pane).follow(pane);
  };

  // Side by side.

  const isComparing = () => !part("beside").hidden;

  const ownPhotos = () => {
    const found = new Map();
    for (const tile of document.querySelectorAll("[data-gallery] [data-tile][data-kind=photo]")) {
      if (!found.has(tile.dataset.source)) found.set(tile.dataset.source, tile); // one that was added stands on the page twice
    }
    return found;
  };

  const related = () => viewer.dataset.related.split(",").filter(Boolean).map((one) => one.split(" ")).map(([id, number]) => ({ id, number }));
  const mayCompare = () => ownPhotos().size > 1 || related().length > 0;

  const compare = async () => {
    if (isComparing()) {
      part("beside").hidden = true;
      viewer.toggleAttribute("data-comparing", false);
      panes[1].clear();
      layers[1].load();
      attend(panes[0]);
    } else {
      togglePanel(null); // both photos need the room
      part("beside").hidden = false;
      viewer.toggleAttribute("data-comparing", true);
      await offerOthers();
      attend(panes[0]);
      part("other").focus();
    }
    button("compare").setAttribute("aria-pressed", String(isComparing()));
  };

  // Those of this request, then those of the requests before and after it, as far as one may see them.
  const offerOthers = async () => {
    const own = [...ownPhotos().values()];
    others = new Map(own.map((tile) => [tile.dataset.source, { ...shotOf(tile), taken: tile.dataset.taken }]));
    const choices = [groupOfChoices(viewer.dataset.textThisOne, [...others.values()])];
    const place = own.findIndex((tile) => tile.dataset.tile === id);
    part("other").replaceChildren(...choices);
    showBeside((own[place + 1] ?? own[place - 1] ?? own[0])?.dataset.source);
    for (const request of related()) {
      const shots = await shotsOf(request);
      if (!shots.length) continue;
      for (const shot of shots) others.set(shot.source, shot);
      part("other").append(groupOfChoices(request.number, shots));
    }
    if (!panes[1].shot) showBeside(others.keys().next().value);
  };

  const groupOfChoices = (label, shots) => {
    const choices = document.createElement("optgroup");
    choices.label = label;
    choices.append(...shots.map((shot) => new Option(shot.taken ? `${shot.name} (${shot.taken})` : shot.name, shot.source)));
    return choices;
  };

  const shotsOf = async ({ id: request, number }) => {
    const answer = await fetch(`/api/v1/requests/${request}/attachments`).catch(() => null);
    if (!answer?.ok) return [];
    const photos = (await answer.json()).filter((each) => each.kind === "photo" && each.has_preview);
    const day = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeZone: viewer.dataset.timeZone });
    return photos.map((photo, at) => ({
      ...photo,
      name: [viewer.dataset.textPhoto.replace("{request}", number).replace("{number}", at + 1), photo.caption].filter(Boolean).join(" – "),
      taken: photo.captured_at ? day.format(new Date(photo.captured_at)) : "",
      source: `/api/v1/requests/${request}/attachments/${photo.id}`,
      mayMark: false,
    }));
  };

  const showBeside = (source) => {
    if (!others.has(source)) return;
    part("other").value = source;
    panes[1].show(others.get(source));
    renewMarks(1);
  };

  const stepBeside = (by) => {
    const all = [...others.keys()];
    showBeside(all[all.indexOf(part("other").value) + by]);
  };

  // Panels, keys, buttons.

  const fullScreen = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (frame.requestFullscreen) frame.requestFullscreen().catch(() => {});
  };

  const help = () => {
    const line = viewer.querySelector(".viewer-help");
    line.hidden = !line.hidden;
    button("help").setAttribute("aria-expanded", String(!line.hidden));
  };

  // One panel at a time, so that the photo keeps its room.
  const togglePanel = (name) => {
    for (const each of ["light", "marks"]) {
      const here = part(`panel=${each}`);
      here.hidden = each !== name || !here.hidden;
      button(each).setAttribute("aria-expanded", String(!here.hidden));
    }
    panel.stop();
  };

  const light = (name, times) => active.lit({ [name]: Math.round(active.light[name] * times) });

  const take = (tool) => {
    if (part("panel=marks").hidden) togglePanel("marks");
    panel.take(tool);
  };

  const ACTS = {
    close: () => viewer.close(),
    previous: () => step(-1),
    next: () => step(1),
    larger: () => active.zoomTo(active.zoom * Pane.STEP),
    smaller: () => active.zoomTo(active.zoom / Pane.STEP),
    "turn-left": () => active.turn(-1),
    "turn-right": () => active.turn(1),
    "full-screen": fullScreen,
    "light-reset": () => active.lit({ brightness: 100, contrast: 100 }),
    light: () => togglePanel("light"),
    marks: () => togglePanel("marks"),
    compare,
    help,
    arrow: () => take("arrow"),
    circle: () => take("circle"),
    measure: () => take("measure"),
    ruler: () => take("ruler"),
    drop: () => panel.stop(),
  };

  const KEYS = {
    ArrowLeft: () => (active.zoom > 1 ? active.move(MOVE, 0) : stepActive(-1)),
    ArrowRight: () => (active.zoom > 1 ? active.move(-MOVE, 0) : stepActive(1)),
    ArrowUp: () => active.move(0, MOVE),
    ArrowDown: () => active.move(0, -MOVE),
    "+": ACTS.larger,
    "=": ACTS.larger,
    "-": ACTS.smaller,
    0: () => active.zoomTo(1),
    r: ACTS["turn-right"],
    R: ACTS["turn-left"],
    f: fullScreen,
    F: fullScreen,
    b: () => light("brightness", LIGHTER),
    B: () => light("brightness", 1 / LIGHTER),
    c: () => light("contrast", LIGHTER),
    C: () => light("contrast", 1 / LIGHTER),
    n: ACTS["light-reset"],
    N: ACTS["light-reset"],
    d: () => press("compare"),
    D: () => press("compare"),
    m: ACTS.marks,
    M: ACTS.marks,
    h: () => panel.toggleShown(),
    H: () => panel.toggleShown(),
    "?": help,
  };
  const OF_PLAYERS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]); // a player with the focus has its own use for them

  const stepActive = (by) => (active === panes[1] ? stepBeside(by) : step(by));

  const press = (act) => { if (button(act).getAttribute("aria-disabled") !== "true") ACTS[act](); };

  const onKey = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (panel.onKey(event)) { event.preventDefault(); return; }
    if (event.target.closest("input, select, textarea")) return; // what is typed there, and how sliders move
    if (event.target instanceof HTMLVideoElement && OF_PLAYERS.has(event.key)) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };

  const onClick = (event) => {
    const pressed = event.target.closest("[data-act]");
    if (pressed) press(pressed.dataset.act);
  };

  // The page around it.

  const build = () => {
    document.body.append(document.getElementById("viewer-template").content.cloneNode(true));
    viewer = document.getElementById("viewer");
    frame = viewer.querySelector(".viewer-frame");
    panel = new MarkPanel(viewer);
    panes = [...viewer.querySelectorAll("[data-stage]")].map((stage) => {
      const message = stage.parentElement.querySelector("[data-message]");
      const pane = new Pane(stage, viewer.dataset, {
        placed: (it) => { if (layers && it.shot) onPlaced(it); },
        touched: (it) => { if (it !== active) attend(it); },
        swiped: (it, by) => (it === panes[1] ? stepBeside(by) : step(by)),
        said: (text) => { message.textContent = text; },
      });
      stage.addEventListener("focus", () => { if (pane !== active) attend(pane); });
      return pane;
    });
    active = panes[0];
    layers = panes.map((pane) => new MarkLayer(pane, panel.nameOf));
    button("full-screen").hidden = !document.fullscreenEnabled;
    viewer.addEventListener("keydown", onKey);
    viewer.addEventListener("click", onClick);
    viewer.addEventListener("cancel", (event) => {
      if (!panel.isDrawing) return;
      event.preventDefault();
      panel.stop();
    });
    for (const name of Object.keys(Pane.LIGHT)) {
      part(`light=${name}`).addEventListener("input", (event) => active.lit({ [name]: Number(event.target.value) }));
    }
    part("other").addEventListener("change", (event) => showBeside(event.target.value));
    part("together").addEventListener("change", () => onPlaced(active));
    frame.addEventListener("fullscreenchange", () => {
      button("full-screen").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement)));
    });
  };

  document.addEventListener("click", (event) => {
    const tile = event.target.closest?.("[data-gallery] [data-tile]");
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!tile || !isPlain || event.defaultPrevented || !document.getElementById("viewer-template")) return;
    event.preventDefault();
    open(tile);
  });

  // The page behind the viewer was renewed: how many there are may have changed, a video may be ready, somebody may have drawn.
  document.addEventListener("htmx:after:swap", () => {
    if (!viewer?.open || !id) return;
    const tile = tiles().find((one) => one.dataset.tile === id);
    if (tile && tile.dataset.state !== panes[0].stage.dataset.state) { show(tile); return; }
    viewer.dataset.mayMark = document.getElementById("viewer-template")?.content.firstElementChild.dataset.mayMark ?? "";
    if (panes[0].shot) panes[0].shot.mayMark = viewer.dataset.mayMark === "yes";
    tellPosition();
    renewMarks(0);
    if (isComparing()) renewMarks(1);
  });
})();
