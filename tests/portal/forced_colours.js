// What a page says by colour alone, found before colours are forced, and what of it can still be seen afterwards.
window.lostInForcedColours = (() => {
  const CLEAR = "rgba(0, 0, 0, 0)";
  const look = (element, part) => getComputedStyle(element, part);
  const seen = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".visually-hidden");

  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      if (look(at).backgroundColor !== CLEAR) return look(at).backgroundColor;
    }
    return look(document.documentElement).backgroundColor;
  };
  const around = (element, part) => behind(part ? element : element.parentElement);
  const stands = (element, part) => ![CLEAR, around(element, part)].includes(look(element, part).backgroundColor);
  const edged = (element, part) => {
    const its = look(element, part);
    return ["borderTop", "borderRight", "borderBottom", "borderLeft", "outline"].some(
      (side) => its[`${side}Style`] !== "none" && its[`${side}Width`] !== "0px" && ![CLEAR, around(element, part)].includes(its[`${side}Color`]),
    );
  };
  const named = (element, part) => `${element.cloneNode(false).outerHTML.slice(0, 160)}${part ?? ""}`;

  // Areas without a word: dots, bars, what marks a row.
  const areas = [...document.querySelectorAll("body *")].filter(seen).flatMap((element) => {
    const box = element.getBoundingClientRect();
    const empty = !element.textContent.trim() && !element.children.length && box.width > 1 && box.height > 1;
    const replaced = element.matches("img, video, input, select, textarea, canvas, svg, svg *");
    const parts = ["::before", "::after"].filter((part) => look(element, part).content === '""');
    return [...(empty && !replaced ? [null] : []), ...parts].map((part) => [element, part]);
  });
  const coloured = areas.filter(([element, part]) => stands(element, part) && !edged(element, part));

  const lines = (drawing) =>
    [...drawing.querySelectorAll("path, rect, circle, line, polyline, polygon, text")].some((shape) => {
      const { fill, stroke } = look(shape);
      return [fill, stroke].some((colour) => colour !== "none" && colour !== CLEAR && colour !== behind(drawing.parentElement));
    });

  return () => [
    ...coloured
      .filter(([element, part]) => seen(element) && !stands(element, part) && !edged(element, part))
      .map(([element, part]) => `an area: ${named(element, part)}`),
    ...[...document.querySelectorAll("body svg")]
      .filter((drawing) => seen(drawing) && !lines(drawing))
      .map((drawing) => `a drawing: ${named(drawing)} in ${named(drawing.parentElement)}`),
    ...[...document.querySelectorAll(".button, input:not([type=hidden], [type=file]), .upload-drop, select, textarea, .card, .notice")]
      .filter((element) => seen(element) && !edged(element) && look(element).appearance === "none")
      .map((element) => `an edge: ${named(element)}`),
  ];
})();
