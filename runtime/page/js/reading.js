// ---- the value at a position: what a map, and what lies over it, holds under the pointer or the keyboard's cursor ----

const reads = new Map(); // id of a picture -> [panel, column, row] of the keyboard's cursor, where nothing can be selected

// The panel of an element that is drawn into a panel of its host: by label, a single one into all, else in order.
function ownPanel(element, host, panel) {
  if (element === host || element.frames.length === host.frames.length) return panel;
  if (element.frames.length === 1) return 0;
  const label = host.frames[panel][0].label, same = element.frames.findIndex((frames) => frames[0].label === label);
  return same >= 0 ? same : panel;
}

// What an element has for numbers in a panel: [rows, columns, number of a cell -> its values, coarse or not].
function numbersOf(element, host, panel, now) {
  const own = ownPanel(element, host, panel), frame = element.frames[own]?.[shownState(element, now)], [deep, wide] = element.shapes[own] ?? [0, 0];
  if (!frame || !wide) return null;
  if (frame.values.length === deep * wide) return { deep, wide, frame, values: (cell) => frame.values[cell] };
  const rows = frame.coarse;
  return rows.length ? { deep: rows.length, wide: rows[0].length, frame, values: (cell) => [rows[Math.floor(cell / rows[0].length)][cell % rows[0].length]], whole: [deep, wide] } : null;
}

const readable = (host, panel, now) => data.elements.filter((it) => it.host === host.id).map((it) => [it, numbersOf(it, host, panel, now)]).filter(([, found]) => found);

// The finest grid of numbers that a picture shows: where its cells are.
function readGrid(host, panel, now) {
  return readable(host, panel, now).map(([, found]) => found).sort((a, b) => b.deep * b.wide - a.deep * a.wide)[0];
}

function wordsAt(host, panel, u, v, now) {
  const cell = (found) => [Math.floor(v * found.deep), Math.floor(u * found.wide)];
  const span = (at, count, size, name) => `${name}s ${Math.floor(at * size / count)} to ${Math.ceil((at + 1) * size / count) - 1}`;
  const place = ({ whole, ...found }) => {
    const [row, column] = cell(found);
    if (host.time) return inTime(host.time, row, column, found, whole);
    return whole ? `${span(row, found.deep, whole[0], "row")}, ${span(column, found.wide, whole[1], "column")}, mean` : `row ${row}, column ${column}`;
  };
  const all = readable(host, panel, now), finest = readGrid(host, panel, now);
  if (!finest) return "";
  const parts = all.map(([element, found]) => {
    const [row, column] = cell(found), values = (found.values(row * found.wide + column) ?? []).map((value, i) => [found.frame.series[i], value]).filter(([, value]) => value !== null && value !== undefined);
    const said = values.map(([name, value]) => `${name} ${shortNumber(value)}`.trim()).join(", ");
    return said && (all.length > 1 ? `${element.title} ${said}` : said);
  }).filter(Boolean);
  const label = host.frames.length > 1 ? host.frames[panel][0].label.trim() : "";
  return parts.length ? `${label ? `${label}, ` : ""}${place(finest)}: ${parts.join("; ")}` : "";
}

// A part of a sound, and the row, which counts from the bottom.
function inTime([seconds, rows], row, column, { deep, wide }, whole) {
  const at = (part) => `${Number(((seconds * part) / wide).toFixed(3))}`, time = `${at(column)} to ${at(column + 1)} s`;
  if (!rows) return time;
  const scale = (whole?.[0] ?? deep) / deep, low = Math.floor((deep - 1 - row) * scale), high = Math.ceil((deep - row) * scale) - 1;
  return `${time}, ${rows === "y" ? "row" : rows} ${low === high ? low : `${low} to ${high}, mean`}`;
}

const shortNumber = (value) => String(Number(value.toPrecision(2))).replace("-", "\u2212");

// Shows the value at a share (u, v) of a panel, in words and as the grid of cells; returns the words.
function readAt(host, panel, u, v) {
  const now = choices(), words = wordsAt(host, panel, u, v, now), found = words && readGrid(host, panel, now);
  const output = document.querySelector(`[data-readout="${CSS.escape(host.id)}"]`);
  if (output) output.textContent = words;
  cellGrid(host, found && { ...found, panel, column: Math.floor(u * found.wide), row: Math.floor(v * found.deep) });
  return words;
}

// The grid of cells over a panel, and the one that is read; nothing over icons, whose cells are seen anyway.
function cellGrid(host, found) {
  const node = document.querySelector(`[data-chart="${CSS.escape(host.id)}"]`);
  let grid = node.querySelector(".cells");
  if (!found || host.grid) return grid?.remove();
  const box = node.querySelectorAll(`[class*="front_hit_"] path`)[found.panel]?.getBoundingClientRect(), outer = node.getBoundingClientRect();
  if (!box) return;
  grid ??= node.appendChild(Object.assign(document.createElement("div"), { className: "cells" }));
  grid.setAttribute("aria-hidden", "true");
  const [wide, deep] = [box.width / found.wide, box.height / found.deep], at = { left: box.left - outer.left, top: box.top - outer.top };
  const sizes = { left: at.left, top: at.top, width: box.width, height: box.height, "--wide": wide, "--deep": deep, "--x": found.column * wide, "--y": found.row * deep };
  for (const [key, value] of Object.entries(sizes)) grid.style.setProperty(key, `${value}px`);
}

// The number of a cell of a matrix, and what stands beside it; the cell gets a ring. Returns the words.
function readCell(host, panel, slot, line) {
  const frame = host.frames[panel]?.[stateOf(host, choices())], value = frame?.values[slot]?.[line], aside = host.asides[panel]?.[slot]?.[line];
  const there = value !== null && value !== undefined, words = there ? `${host.atoms[frame.atoms[slot]][1]} and ${frame.series[line] || "the other"}: ${shortNumber(value)}${aside ? `, ${aside}` : ""}` : "";
  const output = document.querySelector(`[data-readout="${CSS.escape(host.id)}"]`), view = views.get(host.host);
  if (output) output.textContent = words;
  if (view && set(view, `spot_${host.name}`, there ? [slot, line, panel] : [])) view.run();
  return words;
}

function stopReading(host) {
  reads.delete(host.id);
  if (host.asides) readCell(host, -1);
  const output = document.querySelector(`[data-readout="${CSS.escape(host.id)}"]`);
  if (output) output.textContent = "";
  cellGrid(host, null);
}

// Under the pointer, whether or not anything can be selected there.
function readUnder(host, event, item) {
  if (host.asides && item?.datum?.line >= 0) return void readCell(host, item.datum.panel, item.datum.slot, item.datum.line);
  if (!item?.datum?.grid) return;
  readAt(host, item.datum.panel, ...sharesUnder(event));
}

// What the keyboard selected, where it is a position.
function readAtom(host, atom) {
  const panel = host.frames.findIndex((frames) => frames[stateOf(host, choices())].atoms.includes(atom));
  const middle = middles.get(host.atoms[atom]?.[0]);
  if (middle) readAt(host, Math.max(panel, 0), ...middle);
}

// Arrow keys over a map on which nothing can be selected: cell by cell, and from one panel into the next.
function readByKey(event, host) {
  if (event.key === "Escape") return stopReading(host), event.preventDefault();
  if (!(event.key in MOVES) || event.altKey || event.ctrlKey || event.metaKey) return;
  const now = choices(), [right, down] = MOVES[event.key];
  let [panel, column, row] = reads.get(host.id) ?? [0, -1, 0];
  const frame = host.frames[panel]?.[stateOf(host, now)];
  const grid = host.asides ? { wide: frame.series.length, deep: frame.values.length } : readGrid(host, panel, now);
  if (!grid) return;
  event.preventDefault();
  if (column < 0) column = 0;
  else column += right, row += down;
  if (column < 0 && panel > 0) panel -= 1, column = grid.wide - 1;
  if (column >= grid.wide && panel + 1 < host.frames.length) panel += 1, column = 0;
  column = Math.min(Math.max(column, 0), grid.wide - 1), row = Math.min(Math.max(row, 0), grid.deep - 1);
  reads.set(host.id, [panel, column, row]);
  if (host.asides) return say(readCell(host, panel, row, column));
  say(readAt(host, panel, (column + 0.5) / grid.wide, (row + 0.5) / grid.deep));
}
