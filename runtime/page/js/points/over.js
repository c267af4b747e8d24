// What lies over the points: axes, thumbnails where few points are in view, rings, the lasso.

const AXES = { left: 52, below: 40 };
const MOST_PICTURES = 40; // thumbnails over the plot at once

function drawOver(chart, pen, scale, style, saved = false) {
  const { set, inner, view } = chart, { left, wide, high } = inner;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  if (!saved) pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
  pen.scale(scale, scale);
  pen.lineWidth = 1;
  pen.strokeStyle = pen.fillStyle = style.color;
  const family = style.fontFamily ?? style.font;
  if (set.header.axes) drawAxes(chart, pen, family);
  pen.save();
  pen.translate(left, 0);
  pen.beginPath(), pen.rect(0, 0, wide, high), pen.clip();
  pen.globalAlpha = 0.25, pen.strokeRect(0.5, 0.5, wide - 1, high - 1), pen.globalAlpha = 1;
  if (!saved) drawPictures(chart, pen);
  for (const i of chart.ringed) {
    const [x, y] = view.pixel(set.places[2 * i], set.places[2 * i + 1]);
    pen.lineWidth = 2;
    pen.beginPath(), pen.arc(x, y, Math.max(chart.size / 2 + 3, 6), 0, 2 * Math.PI), pen.stroke();
  }
  const path = chart.lasso ?? (chart.chose?.polygon ? cornersOf(chart) : null);
  if (path?.length > 1) {
    pen.beginPath();
    path.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.globalAlpha = 0.07, pen.fill(), pen.globalAlpha = 1;
    pen.lineWidth = 1.5, pen.setLineDash([5, 4]), pen.stroke(), pen.setLineDash([]);
  }
  pen.restore();
}

// The corners of the chosen polygon in pixels.
function cornersOf({ chose: { polygon }, view }) {
  return polygon.flatMap((x, i) => (i % 2 ? [] : [view.pixel(x, polygon[i + 1])]));
}

function drawAxes({ set: { header }, inner: { left, wide, high }, view }, pen, family) {
  const low = view.place(0, high), top = view.place(wide, 0);
  const number = (axis) => (at) => header[axis][0] + (at / 65535) * (header[axis][1] - header[axis][0]);
  pen.font = `13px ${family}`;
  for (const [axis, side, ends] of [["x", 0, wide / 110], ["y", 1, high / 80]]) {
    const value = number(axis), [from, to] = [value(low[side]), value(top[side])];
    for (const tick of header.ticks ? ticksOf(from, to, Math.max(4, ends)) : []) {
      const share = (tick - from) / (to - from), words = shortWords(tick);
      if (side) {
        const y = high * (1 - share);
        pen.textAlign = "right", pen.textBaseline = "middle";
        if (y > 8 && y < high - 8) pen.fillText(words, left - 6, y);
      } else {
        const x = left + wide * share;
        pen.textAlign = "center", pen.textBaseline = "top";
        if (x > left + 10 && x < left + wide - 14) pen.fillText(words, x, high + 5);
      }
      if (tick === 0) pen.globalAlpha = 0.3, pen.fillRect(...(side ? [left, high * (1 - share), wide, 1] : [left + wide * share, 0, 1, high])), pen.globalAlpha = 1;
    }
  }
  pen.font = `600 13px ${family}`;
  pen.textAlign = "center", pen.textBaseline = "top";
  pen.fillText(header.axes[0], left + wide / 2, high + 21, wide);
  pen.save();
  pen.translate(2, high / 2), pen.rotate(-Math.PI / 2);
  pen.fillText(header.axes[1], 0, 0, high);
  pen.restore();
}

// Thumbnails on their points, where so few are in view that they do not hide each other.
function drawPictures(chart, pen) {
  const { set, view, inner: { wide, high } } = chart, inView = [];
  if (!set.sprites) return;
  const [left, bottom] = view.place(0, high), [right, top] = view.place(wide, 0);
  const outside = left <= 0 && bottom <= 0 && right >= 65535 && top >= 65535;
  if (outside && set.count > MOST_PICTURES) return;
  set.grid.within([left, bottom, right, top], (i) => { if (inView.length <= MOST_PICTURES && !(set.flags[i] & HIDDEN)) inView.push(i); });
  if (inView.length > MOST_PICTURES) return;
  for (const i of inView) {
    const found = set.thumbnail(i);
    if (!found) continue;
    const [promise, x, y, side] = found, image = chart.decoded?.get(promise);
    if (!image) {
      promise.then((it) => { (chart.decoded ??= new Map()).set(promise, it); chart.mark(); }, () => {});
      continue;
    }
    const [px, py] = view.pixel(set.places[2 * i], set.places[2 * i + 1]);
    pen.drawImage(image, x, y, side, side, px - 20, py - 20, 40, 40);
    const shade = chart.shades[i];
    pen.save(), (pen.strokeStyle = colourOf(chart.palette, shade)), (pen.lineWidth = 3), pen.strokeRect(px - 20, py - 20, 40, 40), pen.restore();
  }
}
