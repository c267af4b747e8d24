// Columns of the points: categories, numbers, or words that have no colour. A shade is what the painters look up in a
// palette of 256 colours: of the most frequent labels one each and one for all others, of numbers one of LEVELS.

const [OTHER, LEVELS, MISSING] = [10, 251, 255];
const GREYS = { light: { plain: "#3f4650", other: "#9aa0a8", missing: "#c9cdd3" }, dark: { plain: "#c5cad2", other: "#7b828c", missing: "#4a5058" } };
const GROUNDS = { light: "#ffffff", dark: "#15171b" }; // the paper of page.css
const shortWords = (value) => (Number.isNaN(value) ? "" : String(Number(value.toPrecision(4))).replace("-", "\u2212"));
const countWords = (count) => count.toLocaleString("en");
const shareWords = (share) => (share > 0 && share < 0.0005 ? "< 0.1\u00a0%" : `${(100 * share).toFixed(share === 0 || share === 1 ? 0 : 1)}\u00a0%`);

class PointColumn {
  constructor(header, numbers, count) {
    Object.assign(this, header); // name, kind, labels, low, step, ends, signed
    this.numbers = numbers;
    this.count = count;
    if (this.kind === "category") this.rank();
  }

  // The code of a missing label, and of a missing number where numbers are codes.
  get absent() { return this.numbers.BYTES_PER_ELEMENT === 1 ? 255 : 65535; }

  rank() {
    const counts = new Uint32Array(this.labels.length);
    for (const code of this.numbers) if (code < counts.length) counts[code]++;
    this.counts = counts;
    this.order = [...counts.keys()].sort((a, b) => counts[b] - counts[a] || a - b);
    // all labels where there are ten, else the ten most frequent; those of a fixed order, as "no" and "yes", keep it
    this.coloured = this.labels.length <= OTHER ? [...counts.keys()] : this.order.slice(0, OTHER);
  }

  number(i) {
    if (this.kind !== "quantity") return NaN;
    if (this.step === null) return this.numbers[i];
    return this.numbers[i] === this.absent ? NaN : this.low + this.step * this.numbers[i];
  }

  missing(i) { return this.kind === "quantity" ? Number.isNaN(this.number(i)) : this.kind === "category" ? this.numbers[i] === this.absent : !this.words(i); }

  words(i) {
    if (this.kind === "quantity") return shortWords(this.number(i));
    if (this.kind === "category") return this.labels[this.numbers[i]] ?? "";
    this.texts ??= new TextDecoder().decode(this.numbers).split("\n");
    return this.texts[i] ?? "";
  }

  shades() {
    const shades = new Uint8Array(this.count);
    if (this.kind === "category") {
      const table = new Uint8Array(65536).fill(MISSING);
      this.labels.forEach((_, code) => { table[code] = OTHER; });
      this.coloured.forEach((code, shade) => { table[code] = shade; });
      for (let i = 0; i < shades.length; i++) shades[i] = table[this.numbers[i]];
      if (this.labels.length === 0) shades.fill(MISSING);
      return shades;
    }
    const [low, high] = this.ends, span = high > low ? high - low : 1;
    for (let i = 0; i < shades.length; i++) {
      const share = (this.number(i) - low) / span;
      shades[i] = Number.isNaN(share) ? MISSING : Math.round(Math.min(Math.max(share, 0), 1) * (LEVELS - 1));
    }
    return shades;
  }
}

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

// 256 colours in RGBA for a column, or for none. colours: of the page's header; theme: "light" or "dark".
function paletteOf(column, colours, theme) {
  const grey = GREYS[theme], made = new Uint8Array(1024);
  const put = (shade, colour) => made.set([...colour, 255], 4 * shade);
  if (column?.kind === "category") {
    colours.categories.forEach((colour, shade) => put(shade, channels(colour)));
    put(OTHER, channels(grey.other));
  } else if (column) {
    const stops = scaleOf(column, colours, theme).map(channels);
    for (let level = 0; level < LEVELS; level++) {
      const at = (level / (LEVELS - 1)) * (stops.length - 1), before = Math.min(Math.floor(at), stops.length - 2), share = at - before;
      put(level, stops[before].map((value, i) => Math.round(value + (stops[before + 1][i] - value) * share)));
    }
  } else put(0, channels(grey.plain));
  put(MISSING, channels(grey.missing));
  return made;
}

const scaleOf = (column, colours, theme) => colours[column.signed ? "signed" : "magnitude"][theme];
const colourOf = (palette, shade) => `#${[0, 1, 2].map((i) => palette[4 * shade + i].toString(16).padStart(2, "0")).join("")}`;
