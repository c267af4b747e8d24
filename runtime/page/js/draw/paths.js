// Outlines as SVG path data, with the curves that Vega draws.

const SVG = "http://www.w3.org/2000/svg";
const ROUND = 0.448084975506; // 1 - kappa: a quarter of a circle as a Bezier curve

function rectangle({ x = 0, y = 0, width = 0, height = 0, cornerRadius = 0 }) {
  const r = Math.min(cornerRadius, Math.min(width, height) / 2);
  if (!(r > 0)) return `M${x},${y}h${width}v${height}h${-width}Z`;
  const right = x + width, low = y + height, c = ROUND * r;
  return `M${x + r},${y}L${right - r},${y}C${right - c},${y},${right},${y + c},${right},${y + r}L${right},${low - r}C${right},${low - c},${right - c},${low},${right - r},${low}` +
    `L${x + r},${low}C${x + c},${low},${x},${low - c},${x},${low - r}L${x},${y + r}C${x},${y + c},${x + c},${y},${x + r},${y}Z`;
}

function disc(size) {
  const r = Math.sqrt(size) / 2;
  return `M${r},0A${r},${r},0,1,1,${-r},0A${r},${r},0,1,1,${r},0`;
}

function square(size) {
  const side = Math.sqrt(size);
  return `M${-side / 2},${-side / 2}h${side}v${side}h${-side}Z`;
}

const short = (number) => Math.round(number * 1000) / 1000;
const pair = (x, y) => `${short(x)},${short(y)}`;
const straight = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${pair(x, y)}`).join("") + (points.length === 1 ? "Z" : "");

// d3's curveBundle: a B-spline whose points are drawn towards the straight line from end to end.
function bundle(points, tension = 0.85) {
  const last = points.length - 1;
  if (last < 1) return "";
  const [[x0, y0], [x1, y1]] = [points[0], points[last]];
  const drawn = points.map(([x, y], i) => [tension * x + (1 - tension) * (x0 + ((x1 - x0) * i) / last), tension * y + (1 - tension) * (y0 + ((y1 - y0) * i) / last)]);
  if (last === 1) return straight(drawn);
  const between = (a, b, m, n) => pair((m * a[0] + n * b[0]) / (m + n), (m * a[1] + n * b[1]) / (m + n));
  let text = `M${pair(...drawn[0])}L${between(drawn[0], drawn[1], 5, 1)}`;
  for (let i = 1; i <= last; i += 1) {
    const [a, b, c] = [drawn[i - 1], drawn[i], drawn[i + 1] ?? drawn[i]];
    text += `C${between(a, b, 2, 1)},${between(a, b, 1, 2)},${pair((a[0] + 4 * b[0] + c[0]) / 6, (a[1] + 4 * b[1] + c[1]) / 6)}`;
  }
  return `${text}L${pair(...drawn[last])}`;
}
