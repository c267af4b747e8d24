// A set of points in the page. It has of a chart what the page uses (signal, run, container, toSVG, toCanvas), and for
// everything that follows the points:
//   on("choose", (mask, count) => ...)  the points that a lasso, a rectangle or a label encloses; null for none
//   on("hover", (number) => ...)        the point that is pointed at, -1 for none
//   on("filter", (count) => ...)        how many points are shown
// `document.querySelector("[data-chart=ID]").points` is the chart of an element.

class PointChart {
  static async made(node, element, room) {
    const bytes = await pointBytes(document.getElementById(`bbi-points-${element.name}`).textContent);
    return new PointChart(node, element, new PointSet(element.points, bytes), room);
  }

  constructor(node, element, set, room) {
    Object.assign(this, { node, element, set, room });
    this.params = new Map();
    this.listeners = new Map();
    this.view = new PointView(set.header);
    this.colour = set.column(set.header.colour);
    this.only = null; // a filter: {column, low, high} or {column, code}
    this.chose = null; // {polygon} or {column, code}
    this.hovered = this.pointed = -1;
    this.lasso = null; // a path or rectangle that is being drawn
    this.plot = make("div", { className: "points" });
    this.canvas = make("canvas");
    this.over = make("canvas", { className: "over" });
    this.tip = new PointTip(this);
    this.plot.append(this.canvas, this.over, this.tip.node);
    node.replaceChildren(this.plot);
    node.points = this;
    this.tools = new PointTools(this);
    this.summary = new PointSummary(this);
    this.begin();
    this.resize();
    this.recolour();
    this.told();
    listenPoints(this);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    new MutationObserver(() => this.recolour()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  // ---- painting

  // WebGL2 where a graphics processor draws. A context that is lost (many pages, a driver that restarts) is painted without until it
  // is back.
  begin() {
    const own = this.canvas, { places } = this.set, plain = () => new RasterPainter(make("canvas"), places);
    this.show(WebglPainter.on(own, places) ?? plain());
    if (this.kind === "canvas") return;
    own.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.show(plain()); });
    own.addEventListener("webglcontextrestored", () => this.show(WebglPainter.on(own, places) ?? plain()));
  }

  show(painter) {
    this.canvas.replaceWith(painter.canvas);
    Object.assign(this, { painter, canvas: painter.canvas });
    if (this.shades) this.resize(), this.recolour();
  }

  get kind() { return this.painter instanceof WebglPainter ? "webgl2" : "canvas"; }
  get dark() { return !("paper" in document.documentElement.dataset) && isDark(); }
  get size() { return this.set.header.size; }

  // [[flag, opacity], ...]: what is chosen lies over the rest, which fades.
  get passes() {
    const { opacity } = this.set.header;
    return this.set.chosen || this.chose ? [[0, opacity * 0.22], [CHOSEN, Math.max(opacity, 0.8)]] : [[0, opacity]];
  }

  recolour() {
    this.shades ??= this.colour ? this.colour.shades() : new Uint8Array(this.set.count);
    this.palette = paletteOf(this.colour, this.set.header.colours, this.dark ? "dark" : "light");
    this.painter.shades(this.shades, this.palette, GROUNDS[this.dark ? "dark" : "light"]);
    this.painter.flags(this.set.flags);
    this.tools.legend();
    this.draw();
  }

  colourBy(name) {
    this.colour = this.set.column(name);
    this.shades = null;
    this.recolour();
    this.told();
  }

  resize() {
    const [wide, high] = this.extent, ratio = (this.ratio = devicePixelRatio || 1);
    Object.assign(this.plot.style, { width: `${wide}px`, height: `${high}px` });
    const axes = this.set.header.axes ? AXES : { left: 0, below: 0 };
    this.inner = { left: axes.left, wide: wide - axes.left, high: high - axes.below };
    Object.assign(this.canvas.style, { left: `${axes.left}px`, top: 0, width: `${this.inner.wide}px`, height: `${this.inner.high}px` });
    Object.assign(this.over.style, { left: 0, top: 0, width: `${wide}px`, height: `${high}px` });
    Object.assign(this.canvas, { width: Math.round(this.inner.wide * ratio), height: Math.round(this.inner.high * ratio) });
    Object.assign(this.over, { width: Math.round(wide * ratio), height: Math.round(high * ratio) });
    this.view.resize(this.inner.wide, this.inner.high);
    if (this.watched === ratio) return;
    this.watched = ratio; // of another screen, or the browser's zoom
    matchMedia(`(resolution: ${ratio}dppx)`).addEventListener("change", () => this.draw(), { once: true });
  }

  get extent() { return [this.room, this.room < 500 ? this.room : Math.round(Math.min(0.636 * this.room, 700))]; }

  draw() {
    cancelAnimationFrame(this.waiting);
    this.waiting = 0;
    if (this.ratio !== (devicePixelRatio || 1)) this.resize();
    this.painter.paint(this.view.frame(), this.size, this.passes);
    this.mark();
  }

  later() { this.waiting ||= requestAnimationFrame(() => this.draw()); }
  mark() { drawOver(this, this.over.getContext("2d"), this.ratio, getComputedStyle(this.node)); }

  nearest(x, y, reach) { return nearest(this, x, y, reach); } // to a pixel of the plot, or -1
  pan(right, down) { this.view.pan(right, down); this.later(); }
  zoomAt(factor, x = this.inner.wide / 2, y = this.inner.high / 2) { this.view.zoomAt(factor, x, y); this.later(); }
  all() { this.view.reset(); this.later(); }

  // ---- what is pointed at, chosen, shown

  on(kind, handler) {
    this.listeners.set(kind, [...(this.listeners.get(kind) ?? []), handler]);
    return this;
  }

  tell(kind, ...of) { for (const handler of this.listeners.get(kind) ?? []) handler(...of); }

  hover(number, click = false) {
    const { element } = this;
    if (number === this.hovered && !click) return;
    this.hovered = number;
    this.tip.show(number);
    this.mark();
    if (element.atoms.length) act(element, number < 0 ? [] : [[element.selects, number]], click);
    this.tell("hover", number);
  }

  // what: {polygon: [x, y, ...] of places} or {column, code}; null lets go.
  choose(what, step = true) {
    this.chose = what;
    const { set } = this, column = what?.column && set.column(what.column);
    set.choose(what && (column ? (visit) => column.numbers.forEach((code, i) => { if (code === what.code) visit(i); }) : (visit) => set.grid.inside(what.polygon, visit)));
    this.painter.flags(set.flags);
    this.draw();
    this.told();
    this.tell("choose", what ? set.mask() : null, set.chosen);
    followed();
    if (step) remember(true), say([this.words(), ...followedWords(this.element)].join(". "));
  }

  filter(what, step = true) {
    this.only = what;
    const column = what && this.set.column(what.column);
    this.set.filter(column && (column.kind === "category" ? (i) => column.numbers[i] === what.code : (i) => column.number(i) >= what.low && column.number(i) <= what.high));
    this.tell("filter", this.set.shown);
    this.choose(this.chose, false);
    if (step) remember(true), say(this.words());
  }

  told() {
    this.tools.update();
    this.summary.update();
  }

  // What is shown and chosen, in a sentence.
  words() {
    const { set, only } = this, column = only && set.column(only.column);
    const range = column && (column.kind === "category" ? `is ${column.labels[only.code]}` : `from ${shortWords(only.low)} to ${shortWords(only.high)}`);
    const shown = column ? `${countWords(set.shown)} of ${countWords(set.count)} points shown (${column.name} ${range})` : `${countWords(set.count)} points`;
    return this.chose ? `${countWords(set.chosen)} of ${shown} ${set.chosen === 1 ? "is" : "are"} chosen` : shown;
  }

  // ---- what the page asks of a chart

  signal(name, value) {
    if (arguments.length < 2) return this.params.get(name) ?? (name.startsWith("cursor_") ? -1 : name === "room" ? this.room : []);
    this.params.set(name, value);
    if (name === "room" && value !== this.room) this.room = value, this.resize(), this.later();
    return this;
  }

  run() {
    const [own, ring] = [`selected_${this.element.name}`, `cursor_${this.element.name}`].map((name) => this.signal(name));
    const now = String([own, ring]);
    if (now !== this.marked) this.marked = now, this.mark();
    return this;
  }

  // Points that a ring marks: pointed at here or anywhere else in the page.
  get ringed() {
    const { name } = this.element, known = this.element.atoms.length ? [...this.signal(`selected_${name}`), this.signal(`cursor_${name}`)] : [];
    return [...new Set([this.hovered, ...known])].filter((i) => i >= 0 && i < this.set.count);
  }

  container() { return this.node; }
  addEventListener() { return this; } // points listen for themselves: pointer.js

  async toCanvas(scale = 1) {
    const [wide, high] = this.extent, whole = make("canvas", { width: Math.round(wide * scale), height: Math.round(high * scale) });
    const inner = make("canvas", { width: Math.round(this.inner.wide * scale), height: Math.round(this.inner.high * scale) });
    const painter = new RasterPainter(inner, this.set.places), pen = whole.getContext("2d");
    painter.shades(this.shades, paletteOf(this.colour, this.set.header.colours, "light"), GROUNDS.light);
    painter.flags(this.set.flags);
    painter.paint(this.view.frame(), this.size, this.passes);
    pen.drawImage(inner, Math.round(this.inner.left * scale), 0);
    drawOver(this, pen, scale, { color: "#1c1f24", font: SAVED.font }, true);
    return whole;
  }

  async toSVG() {
    const [wide, high] = this.extent, picture = (await this.toCanvas(2)).toDataURL();
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${high}" viewBox="0 0 ${wide} ${high}"><image width="${wide}" height="${high}" href="${picture}"/></svg>`;
  }

  get box() { return { width: this.extent[0], height: this.extent[1] }; }

  // Paper: a plain canvas in light colours, which prints; afterwards what was there before.
  paper(on) {
    if (on) this.screen ??= this.painter;
    const painter = on ? new RasterPainter(make("canvas"), this.set.places) : this.screen;
    if (!on) this.screen = null;
    if (painter) this.show(painter);
  }
}

const make = (tag, properties = {}, ...inner) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...inner);
  return node;
};
