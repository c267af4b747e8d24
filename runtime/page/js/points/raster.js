// Points pixel by pixel into a plain canvas: where there is no graphics processor (several times as fast as WebGL2
// by software), while a context is lost, for paper and for saved pictures.

const RED_BLUE = 0xff00ff, GREEN = 0x00ff00;

class RasterPainter {
  constructor(canvas, places) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false });
    this.places = places;
  }

  // ground: "#rrggbb", what the points lie on.
  shades(shades, palette, ground) {
    this.own = shades;
    this.colours = new Uint32Array(palette.buffer); // red lowest
    const [red, green, blue] = channels(ground);
    this.ground = (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
  }

  flags(flags) { this.marks = flags; }

  paint({ wide, kx, ky, x0, y0 }, size, passes) {
    const { width, height } = this.canvas, scale = width / wide, { places, own, colours, marks } = this, count = own.length;
    if (this.image?.width !== width || this.image.height !== height) this.image = this.pen.createImageData(width, height);
    const pixels = new Uint32Array(this.image.data.buffer), { rights, downs, shares, reach } = stampOf(size * scale), most = shares.length;
    const [across, up, left, low] = [(kx * scale) / 65535, (ky * scale) / 65535, x0 * scale, y0 * scale];
    const steps = rights.map((right, at) => downs[at] * width + right);
    pixels.fill(this.ground);
    for (const [flag, opacity] of passes) {
      const weights = Int32Array.from(shares, (share) => Math.round(256 * share * opacity));
      for (let i = 0; i < count; i++) {
        if (marks[i] !== flag) continue;
        const x = Math.floor(left + places[2 * i] * across), y = Math.floor(low - places[2 * i + 1] * up);
        if (x < -reach || y < -reach || x >= width + reach || y >= height + reach) continue;
        const colour = colours[own[i]], redBlue = colour & RED_BLUE, green = colour & GREEN, middle = y * width + x;
        const whole = x >= reach && y >= reach && x < width - reach && y < height - reach;
        for (let at = 0; at < most; at++) {
          if (!whole && (x + rights[at] < 0 || x + rights[at] >= width || y + downs[at] < 0 || y + downs[at] >= height)) continue;
          // both halves of below + (colour - below) * weight / 256, red and blue at once: what overflows is masked
          const to = middle + steps[at], below = pixels[to], weight = weights[at], underRedBlue = below & RED_BLUE, underGreen = below & GREEN;
          const newRedBlue = (underRedBlue + (Math.imul(redBlue - underRedBlue, weight) >>> 8)) & RED_BLUE;
          pixels[to] = 0xff000000 | newRedBlue | ((underGreen + (Math.imul(green - underGreen, weight) >>> 8)) & GREEN);
        }
      }
    }
    this.pen.putImageData(this.image, 0, 0);
  }

  // Waits until what was painted is there.
  finish() { this.pen.getImageData(0, 0, 1, 1); }
}

// The pixels that a disc covers around the one that has its middle, and how much of each.
function stampOf(size) {
  const rights = [], downs = [], shares = [], reach = Math.ceil(size / 2);
  for (let down = -reach; down <= reach; down++)
    for (let right = -reach; right <= reach; right++) {
      const share = Math.min(Math.max(size / 2 - Math.hypot(right, down) + 0.5, 0), 1);
      if (share > 0) rights.push(right), downs.push(down), shares.push(share);
    }
  return { rights: Int32Array.from(rights), downs: Int32Array.from(downs), shares: Float64Array.from(shares), reach };
}
