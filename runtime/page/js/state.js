// The page's state and what reacts to it. Charts hold every state as tables; this script sets integers in them.
// Nothing is fetched and no text is run as code: expressions are read by draw/expression.js, or Vega's interpreter.
const held = document.getElementById("bbi-data");
const data = JSON.parse(held.dataset.packed ? await unpacked(held.textContent) : held.textContent);
const selections = new Map(data.selections.map((s) => [s.id, s]));
const elements = new Map(data.elements.map((e) => [e.id, e]));
// Frames come as numbers of lists that many of them share.
for (const element of data.elements)
  element.frames = element.frames.map((panel) => panel.map((numbers) => Object.fromEntries(numbers.map((n, i) => [data.keys[i], data.lists[n]]))));
for (const element of data.elements) element.answers = element.answers.map((n) => data.lists[n]);
const PAD = 6; // around a chart, as in vega/specification.py
const views = new Map(); // id of an element with a chart of its own -> Vega view
const pointCharts = []; // the charts of point sets
const chosen = new Map(); // selection -> index, only what the reader chose: the rest starts where view/states.py says

