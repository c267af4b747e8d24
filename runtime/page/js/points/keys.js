// Points by keys: arrows go from point to point, a rectangle of keys does what the lasso does.

const PAN = 60; // pixels

function onPointKey(event, chart) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const { key, shiftKey } = event, move = MOVES[key];
  if (chart.rectangle) {
    if (!rectangleKey(chart, key, shiftKey, move)) return;
  } else if (key === "+" || key === "=") chart.zoomAt(1.5, ...middleOf(chart));
  else if (key === "-" || key === "_") chart.zoomAt(1 / 1.5, ...middleOf(chart));
  else if (key === "0") chart.all(), say("All points in view");
  else if (key === "r" || key === "R") beginRectangle(chart);
  else if (key === "Escape") {
    if (chart.hovered >= 0) chart.hover(-1);
    else if (chart.chose) chart.choose(null);
    else choose(drives(chart.element).map((id) => [id, null]));
  } else if (key === "Enter" || key === " ") {
    if (chart.hovered >= 0) chart.hover(chart.hovered, true);
  } else if (move && shiftKey) chart.pan(-PAN * move[0], -PAN * move[1]);
  else if (move) step(chart, ...move);
  else return;
  event.preventDefault();
}

// Zoom keeps in place what is pointed at.
function middleOf({ set, view, hovered, inner }) {
  return hovered < 0 ? [inner.wide / 2, inner.high / 2] : view.pixel(set.places[2 * hovered], set.places[2 * hovered + 1]);
}

// To the next point in a direction: near in it, and nearer to its line than far from it.
function step(chart, right, down) {
  const { set, view, inner } = chart, { kx, ky, x0, y0 } = view.frame(), from = chart.hovered;
  const [x, y] = middleOf(chart);
  let best = -1, least = Infinity;
  for (let i = 0; i < set.count; i++) {
    if (set.flags[i] & HIDDEN || i === from) continue;
    const px = x0 + (set.places[2 * i] / 65535) * kx, py = y0 - (set.places[2 * i + 1] / 65535) * ky;
    if (from < 0 && (px < 0 || py < 0 || px > inner.wide || py > inner.high)) continue;
    const along = (px - x) * right + (py - y) * down, aside = Math.abs((px - x) * down) + Math.abs((py - y) * right);
    const far = from < 0 ? Math.abs(px - x) + Math.abs(py - y) : along + 2 * aside;
    if ((from < 0 || (along > 0.01 && aside <= along)) && far < least) least = far, best = i;
  }
  if (best < 0) return say(set.shown ? "No point further in this direction" : "No points are shown");
  const [px, py] = view.pixel(set.places[2 * best], set.places[2 * best + 1]);
  const out = (at, room) => (at < 20 ? 20 - at : at > room - 20 ? room - 20 - at : 0);
  if (out(px, inner.wide) || out(py, inner.high)) chart.view.pan(out(px, inner.wide), out(py, inner.high)), chart.draw();
  chart.hover(best);
  say(chart.tip.words(best));
}

function beginRectangle(chart) {
  const [x, y] = middleOf(chart), { wide, high } = chart.inner;
  chart.rectangle = [x - wide / 6, y - high / 6, x + wide / 6, y + high / 6];
  showRectangle(chart, "Rectangle: arrows move it, Shift and arrows change its size, Enter chooses, Escape ends. ");
}

function rectangleKey(chart, key, shiftKey, move) {
  const { rectangle: [left, top, right, bottom] } = chart, by = 16;
  if (key === "Escape") chart.rectangle = chart.lasso = null, chart.later(), say("No rectangle");
  else if (key === "Enter" || key === " ") {
    const corners = chart.lasso;
    chart.rectangle = chart.lasso = null;
    enclose(chart, corners);
  } else if (move && shiftKey) {
    chart.rectangle = [left, top, Math.max(right + by * move[0], left + by), Math.max(bottom + by * move[1], top + by)];
    showRectangle(chart);
  } else if (move) {
    chart.rectangle = [left, top, right, bottom].map((at, i) => at + by * move[i % 2]);
    showRectangle(chart);
  } else if (key === "+" || key === "=" || key === "-") {
    const grow = key === "-" ? -by : by;
    if (right - left + 2 * grow > by && bottom - top + 2 * grow > by) chart.rectangle = [left - grow, top - grow, right + grow, bottom + grow];
    showRectangle(chart);
  } else return false;
  return true;
}

function showRectangle(chart, before = "") {
  const [left, top, right, bottom] = chart.rectangle;
  chart.lasso = [[left, top], [right, top], [right, bottom], [left, bottom]];
  chart.mark();
  let count = 0;
  const [x0, y0] = chart.view.place(left, bottom), [x1, y1] = chart.view.place(right, top);
  chart.set.grid.within([x0, y0, x1, y1], (i) => { if (!(chart.set.flags[i] & HIDDEN)) count++; });
  say(`${before}${countWords(count)} ${count === 1 ? "point" : "points"} inside`);
}
