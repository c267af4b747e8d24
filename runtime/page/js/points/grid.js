// Which points lie where: a grid of cells over the plane, each with the numbers of its points.

class PointGrid {
  constructor(places, count) {
    this.places = places;
    const side = (this.side = Math.max(1, Math.min(1024, Math.round(Math.sqrt(count / 2)))));
    const starts = (this.starts = new Uint32Array(side * side + 1)), cells = new Uint32Array(count);
    for (let i = 0; i < count; i++) starts[(cells[i] = this.cell(places[2 * i + 1]) * side + this.cell(places[2 * i])) + 1]++;
    for (let cell = 0; cell < side * side; cell++) starts[cell + 1] += starts[cell];
    const next = starts.slice();
    this.order = new Uint32Array(count);
    for (let i = 0; i < count; i++) this.order[next[cells[i]]++] = i;
  }

  cell(at) { return Math.min(this.side - 1, Math.max(0, Math.floor((at * this.side) / 65536))); }

  // Calls `visit` with the number of every point in a rectangle, borders included.
  within([left, bottom, right, top], visit) {
    const { places, side, starts, order } = this, first = this.cell(left), last = this.cell(right);
    for (let row = this.cell(bottom); row <= this.cell(top); row++)
      for (let at = starts[row * side + first]; at < starts[row * side + last + 1]; at++) {
        const i = order[at], x = places[2 * i], y = places[2 * i + 1];
        if (x >= left && x <= right && y >= bottom && y <= top) visit(i);
      }
  }

  // The same for a polygon [x, y, x, y, ...], by the even-odd rule.
  inside(polygon, visit) {
    const [xs, ys] = [0, 1].map((axis) => polygon.filter((_, i) => i % 2 === axis));
    this.within([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], (i) => {
      if (encloses(polygon, this.places[2 * i], this.places[2 * i + 1])) visit(i);
    });
  }
}

function encloses(polygon, x, y) {
  let odd = false;
  for (let i = 0, j = polygon.length - 2; i < polygon.length; j = i, i += 2) {
    const [xi, yi, xj, yj] = [polygon[i], polygon[i + 1], polygon[j], polygon[j + 1]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

// A drawn path with fewer corners: those that lie `least` pixels or more off the line between the ones kept
// (Douglas and Peucker 1973), with a larger distance until no more than `most` are left.
function fewer(path, least, most) {
  const kept = new Uint8Array(path.length).fill(0), spans = [[0, path.length - 1]];
  kept[0] = kept[path.length - 1] = 1;
  while (spans.length) {
    const [from, to] = spans.pop(), [[x0, y0], [x1, y1]] = [path[from], path[to]], long = Math.hypot(x1 - x0, y1 - y0);
    let far = least, at = -1;
    for (let i = from + 1; i < to; i++) {
      const [x, y] = path[i], off = long ? Math.abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / long : Math.hypot(x - x0, y - y0);
      if (off > far) far = off, at = i;
    }
    if (at > 0) kept[at] = 1, spans.push([from, at], [at, to]);
  }
  const corners = path.filter((_, i) => kept[i]);
  return corners.length > most ? fewer(path, least * 1.5, most) : corners;
}
