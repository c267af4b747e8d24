// Text as Vega sets it: measured, cut to its limit with an ellipsis, and moved to its baseline.

const ANCHORS = { left: "start", center: "middle", right: "end" };
const RAISE = { top: 0.79, middle: 0.3, bottom: -0.21 }; // of the font's size, downwards
const pen = document.createElement("canvas").getContext("2d");
const lengths = new Map(); // font -> text -> pixels

function measured(font, text) {
  if (!lengths.has(font)) lengths.set(font, new Map());
  const known = lengths.get(font);
  if (!known.has(text)) {
    if (known.size > 5000) known.clear();
    pen.font = font;
    known.set(text, pen.measureText(text).width);
  }
  return known.get(text);
}

function wording({ text, limit, font, fontSize, fontWeight }) {
  const whole = text === null ? "null" : String(text).trim(); // Vega-Lite prints what is missing
  if (!(limit > 0) || !whole) return whole;
  const setting = `${fontWeight ? `${fontWeight} ` : ""}${fontSize}px ${font}`;
  if (measured(setting, whole) < limit) return whole;
  const room = limit - measured(setting, "\u2026");
  let least = 0, most = whole.length;
  while (least < most) {
    const middle = (1 + least + most) >>> 1;
    if (measured(setting, whole.slice(0, middle)) < room) least = middle;
    else most = middle - 1;
  }
  return `${whole.slice(0, least)}\u2026`;
}

function standing({ x = 0, y = 0, dx = 0, dy = 0, angle = 0, baseline, fontSize }) {
  const down = dy + Math.round((RAISE[baseline] ?? 0) * fontSize);
  if (!angle) return `translate(${x + dx},${y + down})`;
  return `translate(${x},${y}) rotate(${angle})${dx || down ? ` translate(${dx},${down})` : ""}`;
}
