// Atoms of an element, [[selections, atom], ...], were pointed at or clicked: every selection that they drive follows.
function act(element, pointed, click) {
  const changes = new Map();
  for (const [ids, atom] of pointed)
    for (const id of ids) {
      const selection = selections.get(id);
      const index = indexOfKey(selection.atoms, element.atoms[atom]?.[0]);
      if (index < 0 || changes.has(id) || (!click && selection.kind !== "hover")) continue;
      changes.set(id, click && selection.resets && chosen.get(id) === index ? null : index);
    }
  // what was pointed at before and is not now
  for (const id of drives(element)) if (selections.get(id).leaves && !changes.has(id)) changes.set(id, null);
  choose([...changes], click);
}

// Where the pointer is in its target, as shares of the width and height: below 1.
function sharesUnder(event) {
  const box = event.target.getBoundingClientRect(), point = event.changedTouches?.[0] ?? event;
  const share = (at, from, size) => Math.min(Math.max((at - from) / size, 0), 0.999999);
  return [share(point.clientX, box.left, box.width), share(point.clientY, box.top, box.height)];
}

// What lies under the pointer: [[selections, atom], ...]
function under(element, event, item) {
  const datum = item?.datum;
  if (!datum) return [];
  if (datum.grid) {
    const [x, y] = sharesUnder(event);
    if (!element.targets.length) {
      const [deep, wide] = element.shapes[datum.panel];
      return [[element.selects, datum.frame.atoms[Math.floor(y * deep) * wide + Math.floor(x * wide)]]];
    }
    return element.targets.map(({ selection, shape, atoms }) => [[selection], atoms[Math.floor(y * shape[0]) * shape[1] + Math.floor(x * shape[1])]]);
  }
  return [datum.atom, datum.also].filter((atom) => atom >= 0).map((atom) => [element.selects, atom]);
}

// What else is known of the mark under the pointer, as the browser's own tooltip.
function nameUnder(element, event, item) {
  const more = element.atoms[item?.datum?.atom]?.[3], known = event.target.querySelector?.(":scope > title");
  if (!more) return known?.remove();
  const title = known ?? event.target.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "title"));
  if (title.textContent !== more) title.textContent = more;
}

function listen(element, view) {
  let tapped = null; // a tap also makes mouse events: one action is enough
  const react = (click) => (event, item) => {
    if (event.pointerType === "touch" && !click) return;
    act(element, under(element, event, item), click);
    readUnder(element, event, item);
    nameUnder(element, event, item);
    if (click) tapped = event.timeStamp;
  };
  view.addEventListener("pointermove", react(false));
  view.addEventListener("pointerover", react(false));
  view.addEventListener("click", react(true));
  view.container().addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") leave(drives(element)), stopReading(element); });
}

// ---- references in captions, which point as well

function listenRef(ref) {
  const refs = () => JSON.parse(ref.dataset.ref);
  for (const kind of ["pointerenter", "focus", "click"]) ref.addEventListener(kind, () => choose(refs(), kind === "click"));
  for (const kind of ["pointerleave", "blur"]) ref.addEventListener(kind, (event) => { if (event.pointerType !== "touch") leave(refs().map(([id]) => id)); });
}
