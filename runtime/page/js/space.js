// The grid of where pages lie in the space of interfaces: points and empty cells are pointed at, clicked, or reached by the arrow keys.
const spaceKeys = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// The next button of the grid from one on, in steps of rows and columns; null at the edge.
const nextInGrid = (from, rows, columns) => {
  const table = from.closest(".board"), cell = from.closest("td");
  const beside = [...cell.querySelectorAll("button")], next = beside.indexOf(from) + columns;
  if (columns && beside[next]) return beside[next];
  let row = cell.parentNode.rowIndex + rows, column = cell.cellIndex + columns;
  for (; table.rows[row]?.cells[column]; row += rows, column += columns) {
    const found = [...table.rows[row].cells[column].querySelectorAll("button")];
    if (found.length) return columns < 0 ? found[found.length - 1] : found[0];
  }
  return null;
};

const startSpace = root => {
  const all = selector => [...root.querySelectorAll(selector)], one = selector => root.querySelector(selector);
  const place = one(".place"), said = one(".said"), text = one(".text"), copy = one(".copied-text"), copied = one(".copied"), open = one(".open");
  const start = [place.textContent, said.textContent], buttons = all(".point, .empty");
  let pinned = null, shown = null, page = "";
  const show = chosen => {
    shown = chosen;
    const own = chosen ? chosen.dataset : {}, links = own.links ? own.links.split(" ") : [];
    for (const cell of all("td")) cell.classList.toggle("linked", !!cell.dataset.use && cell.closest(".board") === chosen?.closest(".board") && links.includes(cell.dataset.layer));
    text.textContent = own.text || "";
    copy.hidden = !own.text;
    copied.textContent = "";
    open.hidden = !own.file;
    if (own.file) open.href = own.file;
    if (!chosen) [place.textContent, said.textContent] = start;
    else if (own.text) [place.textContent, said.textContent] = [`${own.place}: empty`, "No page placed here shows these. This text would:"];
    else [place.textContent, said.textContent] = [`${own.page}: ${own.element}`, own.words + (links.length ? ` Connected with ${links.join(", ")}.` : "")];
  };
  const pin = chosen => {
    pinned = chosen;
    for (const other of buttons) other.setAttribute("aria-pressed", other === chosen);
    show(chosen);
  };
  for (const button of buttons) {
    button.addEventListener("click", () => pin(pinned === button ? null : button));
    button.addEventListener("pointerenter", event => { if (event.pointerType === "mouse") show(button); });
    button.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") show(pinned); });
    button.addEventListener("focus", () => { for (const other of button.closest(".board").querySelectorAll("button")) other.tabIndex = other === button ? 0 : -1; });
    button.addEventListener("keydown", event => {
      if (event.key === "Escape") pin(null);
      const next = spaceKeys[event.key] && nextInGrid(button, ...spaceKeys[event.key]);
      if (!next) return;
      event.preventDefault();
      next.focus();
      if (pinned) pin(next); // what is kept goes along
      else show(next);
    });
  }
  for (const table of all(".board")) [...table.querySelectorAll("button")].forEach((button, number) => { button.tabIndex = number ? -1 : 0; });
  copy.addEventListener("click", async () => {
    const chosen = shown;
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      getSelection().selectAllChildren(text);
      if (!document.execCommand("copy")) return;
    }
    if (chosen === shown) copied.textContent = "copied";
  });
  for (const key of all(".pages button")) key.addEventListener("click", () => {
    page = page === key.dataset.number ? "" : key.dataset.number;
    for (const other of all(".pages button")) other.setAttribute("aria-pressed", other.dataset.number === page);
    for (const point of all(".point")) point.classList.toggle("faded", !!page && point.dataset.number !== page);
  });
};

for (const root of document.querySelectorAll(".places")) startSpace(root);
