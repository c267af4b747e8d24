// ---- zooms of an element whose slots are the cells of a square grid: buttons, keys, the wheel with Ctrl -----------------

const zoomOf = (element) => data.selections.find((it) => it.zooms === element.id);

function zoomTo(element, index) {
  const selection = zoomOf(element);
  if (!selection.atoms[index] || choices().get(selection.id) === index) return;
  choose([...element.selects.map((id) => [id, null]), [selection.id, index]], true);
}

function zoomBy(element, steps) { zoomTo(element, choices().get(zoomOf(element).id) + steps); }

// The atoms of the cells that are drawn, with their columns and rows as shares of the grid.
function cellsOf(element) {
  const state = stateOf(element, choices()), side = element.sides[state], { atoms } = element.frames[0][state];
  return atoms.flatMap((atom, slot) => (atom < 0 || slot >= side * side ? [] : [{ atom, x: ((slot % side) + 0.5) / side, y: (Math.floor(slot / side) + 0.5) / side }]));
}

const nearestCell = (cells, x, y) => cells.reduce((best, it) => (Math.hypot(it.x - x, it.y - y) < Math.hypot(best.x - x, best.y - y) ? it : best), cells[0]);

// To the next cell in a direction: near in it, and nearer to its line than far from it.
function nextCell(cells, { x, y }, [right, down]) {
  let best = null, least = Infinity;
  for (const it of cells) {
    const along = (it.x - x) * right + (it.y - y) * down, aside = Math.abs((it.x - x) * down) + Math.abs((it.y - y) * right);
    if (along > 1e-9 && aside <= along + 1e-9 && along + 2 * aside < least) best = it, least = along + 2 * aside;
  }
  return best;
}

// Whether a key was one of a grid's: arrows go from cell to cell, + and − zoom and stay where they are, 0 shows the coarsest.
function onCellKey({ key, altKey, ctrlKey, metaKey }, element, view) {
  if (altKey || ctrlKey || metaKey) return false;
  const cursor = view.signal(`cursor_${element.name}`), pointed = cursor >= 0 ? cursor : selectedAtoms(element, choices()).find((it) => it >= 0);
  const from = cellsOf(element).find((it) => it.atom === pointed), steps = { "+": 1, "=": 1, "-": -1, _: -1 }[key];
  if (steps || key === "0") {
    steps ? zoomBy(element, steps) : zoomTo(element, 0);
    view.signal(`cursor_${element.name}`, -1).run();
    if (from) goTo(element, view, nearestCell(cellsOf(element), from.x, from.y).atom, element.selects);
  } else if (key in MOVES) {
    const cells = cellsOf(element), next = from ? nextCell(cells, from, MOVES[key]) : cells[0];
    if (next) goTo(element, view, next.atom, element.selects);
  } else return false;
  return true;
}

for (const node of document.querySelectorAll("[data-zooms]")) {
  const element = elements.get(node.dataset.zooms);
  node.addEventListener("click", ({ target }) => { if (target.dataset.zoom !== undefined) zoomTo(element, Number(target.dataset.zoom)); });
  let turned = 0;
  document.querySelector(`[data-chart="${CSS.escape(element.id)}"]`).addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    turned = Math.sign(turned) === Math.sign(event.deltaY) ? turned + event.deltaY : event.deltaY;
    if (Math.abs(turned) >= 40) zoomBy(element, turned < 0 ? 1 : -1), turned = 0;
  }, { passive: false });
}

follows.push((now) => {
  for (const node of document.querySelectorAll("[data-zooms]"))
    for (const button of node.querySelectorAll("[data-zoom]")) button.setAttribute("aria-pressed", String(now.get(zoomOf(elements.get(node.dataset.zooms)).id) === Number(button.dataset.zoom)));
});
