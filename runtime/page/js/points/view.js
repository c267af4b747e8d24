// Where a place is on the screen: zoom and middle. Pixels are those of the plot, from its upper left.

const MOST_ZOOM = 60; // at that, a step of the stored places is about a pixel
const LEAST_ZOOM = 0.5;

class PointView {
  constructor(header) {
    const [wide, high] = [header.x, header.y].map(([low, top]) => top - low || 1), most = Math.max(wide, high);
    this.spans = header.equal ? [wide / most, high / most] : [1, 1];
    this.equal = header.equal;
    this.reset();
  }

  reset() { this.zoom = 1, this.middle = [0.5, 0.5]; }

  resize(wide, high) { this.wide = wide, this.high = high; }

  // Pixels for the whole width and height of the places, and where their lower left is.
  frame() {
    const { wide, high, zoom, middle, spans } = this, room = [wide - 24, high - 24].map((side) => Math.max(side, 24));
    const scales = room.map((side, axis) => side / spans[axis]), one = Math.min(...scales);
    const [kx, ky] = spans.map((span, axis) => zoom * span * (this.equal ? one : scales[axis]));
    return { wide, high, kx, ky, x0: wide / 2 - middle[0] * kx, y0: high / 2 + middle[1] * ky };
  }

  // Pixels -> places (0 to 65535, not rounded), and back.
  place(x, y) { const { kx, ky, x0, y0 } = this.frame(); return [((x - x0) / kx) * 65535, ((y0 - y) / ky) * 65535]; }
  pixel(x, y) { const { kx, ky, x0, y0 } = this.frame(); return [x0 + (x / 65535) * kx, y0 - (y / 65535) * ky]; }

  pan(right, down) {
    const { kx, ky } = this.frame();
    this.middle = [this.middle[0] - right / kx, this.middle[1] + down / ky].map((at) => Math.min(Math.max(at, -0.2), 1.2));
  }

  // What is at pixel (x, y) stays there.
  zoomAt(factor, x, y) {
    const before = this.place(x, y);
    this.zoom = Math.min(Math.max(this.zoom * factor, LEAST_ZOOM), MOST_ZOOM);
    const after = this.pixel(...before);
    this.pan(x - after[0], y - after[1]);
  }
}

// Round numbers in a range, about `count` of them: [value, ...].
function ticksOf(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].find((it) => it * power >= rough) * power, ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high && ticks.length < 50; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}
