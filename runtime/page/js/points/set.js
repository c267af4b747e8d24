// The points themselves: places, columns, titles, thumbnails, and which of them are hidden by a filter or chosen.

const [HIDDEN, CHOSEN] = [1, 2]; // of `flags`
const NO_SPRITE = 65535;

class PointSet {
  constructor(header, bytes) {
    const sections = sectionsOf(header.sections, bytes);
    this.header = header;
    this.count = header.count;
    this.places = interleaved(sections.get("x"), sections.get("y")); // x, y, x, y ...: 0 to 65535
    this.columns = header.columns.map((column, i) => new PointColumn(column, sections.get(`column${i}`), header.count));
    this.titles = header.titles ? new PointColumn({ kind: "text" }, sections.get("titles"), header.count) : null;
    this.sprites = sections.get("sprites") ?? null;
    this.sheets = header.sheets.map((_, i) => sections.get(`sheet${i}`));
    this.images = []; // of the sheets, decoded when they are first shown
    this.flags = new Uint8Array(header.count);
    this.grid = new PointGrid(this.places, header.count);
    this.shown = header.count;
    this.chosen = 0;
  }

  title(i) { return this.titles?.words(i) || `point ${countWords(i + 1)}`; }
  column(name) { return this.columns.find((it) => it.name === name) ?? null; }
  value(i, axis) { const [low, high] = this.header[axis ? "y" : "x"]; return low + (this.places[2 * i + axis] / 65535) * (high - low); }

  // Where a thumbnail lies: [a promise of the sheet's image, left, top, side], or null for a point without one.
  thumbnail(i) {
    const number = this.sprites?.[i] ?? NO_SPRITE;
    if (number === NO_SPRITE) return null;
    const { side, across, each } = this.header.sprites, sheet = Math.floor(number / each), at = number % each;
    this.images[sheet] ??= sheetImage(this.sheets[sheet]);
    return [this.images[sheet], (at % across) * side, Math.floor(at / across) * side, side];
  }

  // Hides what a filter does not let through. keep: number of a point -> whether it is shown; null for all.
  filter(keep) {
    this.shown = 0;
    for (let i = 0; i < this.count; i++) {
      const hidden = keep && !keep(i) ? HIDDEN : 0;
      this.flags[i] = (this.flags[i] & ~HIDDEN) | hidden;
      if (!hidden) this.shown++;
    }
  }

  // Marks points as chosen, of those that are shown. mark: a function that calls its argument with each point's number.
  choose(mark) {
    const { flags } = this;
    for (let i = 0; i < this.count; i++) flags[i] &= ~CHOSEN;
    this.chosen = 0;
    mark?.((i) => { if (!flags[i]) flags[i] = CHOSEN, this.chosen++; });
  }

  // 1 for each chosen point.
  mask() { return this.flags.map((flag) => (flag & CHOSEN ? 1 : 0)); }
}

function interleaved(x, y) {
  const places = new Uint16Array(2 * x.length);
  for (let i = 0; i < x.length; i++) places[2 * i] = x[i], places[2 * i + 1] = y[i];
  return places;
}

async function sheetImage(bytes) {
  const address = URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
  const made = Object.assign(new Image(), { src: address });
  await made.decode();
  return made;
}
