// Points pixel by pixel into a plain canvas: where there is no WebGL2, while its context is lost, for paper and for saved
// pictures.

class RasterPainter {
  constructor(canvas, places) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.places = places;
  }

  shades(shades, palette) { this.own = shades, this.palette = palette; }
  flags(flags) { this.marks = flags; }

  paint({ wide, high, kx, ky, x0, y0 }, size, passes) {
    const { width, height } = this.canvas, scale = width / wide, { places, own, palette, marks } = this;
    const image = this.pen.createImageData(width, height), pixels = image.data, stamp = stampOf(size * scale);
    for (const [flag, opacity] of passes)
      for (let i = 0; i < own.length; i++) {
        if (marks[i] !== flag) continue;
        const px = (x0 + (places[2 * i] / 65535) * kx) * scale, py = (y0 - (places[2 * i + 1] / 65535) * ky) * scale;
        if (px < 0 || py < 0 || px > width || py > height) continue;
        const left = Math.floor(px), top = Math.floor(py), shade = 4 * own[i];
        for (const [right, down, share] of stamp) {
          const x = left + right, y = top + down;
          if (x < 0 || y < 0 || x >= width || y >= height) continue;
          const at = 4 * (y * width + x), above = share * opacity, below = (pixels[at + 3] / 255) * (1 - above), alpha = above + below;
          for (let c = 0; c < 3; c++) pixels[at + c] = (palette[shade + c] * above + pixels[at + c] * below) / alpha;
          pixels[at + 3] = 255 * alpha;
        }
      }
    this.pen.putImageData(image, 0, 0);
  }
}

// The pixels that a disc covers, [right, down, how much of the pixel], around the one that has its middle.
function stampOf(size) {
  const stamp = [], reach = Math.ceil(size / 2);
  for (let down = -reach; down <= reach; down++)
    for (let right = -reach; right <= reach; right++) {
      const share = Math.min(Math.max(size / 2 - Math.hypot(right, down) + 0.5, 0), 1);
      if (share > 0) stamp.push([right, down, share]);
    }
  return stamp;
}
