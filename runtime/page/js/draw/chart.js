// A chart in the page from a Vega-Lite specification of our own kind (vega/drawable.py says which), as SVG. It has of
// a Vega view what the page uses: signal, run, addEventListener, container, toSVG, toCanvas.

class Chart {
  // `values`: params that the page holds; `size`: the params that are the chart's width and height.
  constructor(container, specification, values, size) {
    const { params, datasets, layer, padding, config } = specification;
    this.params = new Params(params.map((param) => (param.name in values ? { name: param.name, value: values[param.name] } : param)));
    this.place = container;
    this.size = size;
    this.padding = padding;
    const tables = new Map(), defaults = config?.font ? { font: config.font } : {};
    this.layers = layer.map((one, i) => {
      const transforms = one.transform ?? [], key = JSON.stringify([one.data, transforms]);
      if (!tables.has(key)) tables.set(key, new Table(one.data.values ?? datasets[one.data.name], transforms, this.params));
      return new Layer(one, i, tables.get(key), this.params, defaults);
    });
    this.tables = [...tables.values()];
    this.inside = node("g", { fill: "none", "stroke-miterlimit": 10, transform: `translate(${padding},${padding})` });
    this.inside.append(...this.layers.map((one) => one.group));
    this.svg = node("svg", { class: "marks" });
    this.svg.append(this.inside);
    this.run();
    container.replaceChildren(this.svg);
  }

  signal(name, value) {
    if (arguments.length < 2) return this.params.get(name);
    this.params.set(name, value);
    return this;
  }

  run() {
    const changed = this.params.settle();
    if (!changed.size) return this;
    for (const table of this.tables) table.update(changed);
    for (const layer of this.layers) layer.update(changed);
    const [wide, high] = this.size.map((name) => this.params.get(name) + 2 * this.padding);
    if (this.svg.getAttribute("viewBox") !== `0 0 ${wide} ${high}`)
      for (const [name, value] of Object.entries({ width: wide, height: high, viewBox: `0 0 ${wide} ${high}` })) this.svg.setAttribute(name, value);
    return this;
  }

  container() { return this.place; }

  addEventListener(kind, handler) {
    this.svg.addEventListener(kind, (event) => handler(event, items.get(event.target) ?? null));
    return this;
  }

  // Free of the page's style: older programs look for the addresses of pictures under xlink.
  async toSVG() {
    const copy = this.svg.cloneNode(true);
    for (const image of copy.querySelectorAll("image[href]")) image.setAttributeNS("http://www.w3.org/1999/xlink", "xlink:href", image.getAttribute("href"));
    return new XMLSerializer().serializeToString(copy);
  }

  async toCanvas(scale = 1) {
    const copy = this.svg.cloneNode(true), { width, height } = this.svg.viewBox.baseVal;
    copy.setAttribute("color", "#000");
    const picture = new Image();
    picture.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
    await picture.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(width * scale), height: Math.round(height * scale) });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return canvas;
  }
}
