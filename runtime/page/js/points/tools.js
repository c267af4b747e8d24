// What stands around the points: colour, filter, zoom, lasso; the legend of colours, whose labels choose their points.

class PointTools {
  constructor(chart) {
    this.chart = chart;
    const { set, element, node } = chart, id = `points-${element.name}`;
    const field = (name, control, ...more) => {
      control.id = `${id}-${name.toLowerCase().replaceAll(" ", "-")}`;
      return make("div", {}, make("label", { htmlFor: control.id, textContent: name }), " ", control, ...more);
    };
    const button = (words, label, act) => {
      const made = make("button", { type: "button", textContent: words, onclick: act });
      made.setAttribute("aria-label", `${label}: ${element.title}`);
      made.title = label;
      return made;
    };
    const options = (columns) => columns.map((column) => make("option", { value: column.name, textContent: column.name }));
    const plain = set.columns.filter((column) => column.kind !== "text");
    this.colour = make("select", { onchange: () => { chart.colourBy(this.colour.value); remember(true); } }, make("option", { value: "", textContent: "nothing" }), ...options(plain));
    this.only = make("select", { onchange: () => this.filterBy(this.only.value) }, make("option", { value: "", textContent: "all points" }), ...options(plain));
    this.range = make("span", { className: "range" });
    this.drawing = button("lasso", "Draw around points to choose them", () => { chart.drawing = !chart.drawing; this.update(); });
    this.clear = button("clear", "Let go of the chosen points", () => chart.choose(null));
    const buttons = [button("+", "Zoom in", () => chart.zoomAt(1.5)), button("\u2212", "Zoom out", () => chart.zoomAt(1 / 1.5)), button("all", "All points in view", () => chart.all()), this.drawing, this.clear];
    this.node = make("div", { className: "tools" }, ...(plain.length ? [field("Colour", this.colour), field("Show", this.only, " ", this.range)] : []), make("div", { className: "buttons" }, ...buttons));
    this.status = make("p", { className: "points-status" });
    this.key = make("div", { className: "key" });
    node.before(this.node);
    node.closest("figure").querySelector("figcaption").prepend(this.key, this.status);
  }

  filterBy(name) {
    const column = this.chart.set.column(name);
    if (!column) return this.chart.filter(null);
    if (column.kind === "category") this.chart.filter({ column: name, code: column.order[0] });
    else this.chart.filter({ column: name, low: column.low, high: column.high });
  }

  update() {
    const { chart } = this;
    this.colour.value = chart.colour?.name ?? "";
    this.drawing.setAttribute("aria-pressed", String(Boolean(chart.drawing)));
    chart.plot.classList.toggle("drawing", Boolean(chart.drawing));
    this.clear.hidden = !chart.chose;
    this.status.textContent = `${chart.words()}.`;
    this.ranges();
    this.legend();
  }

  // The control of the filter: a menu of labels, or two numbers.
  ranges() {
    const { chart } = this, { only } = chart, column = only && chart.set.column(only.column);
    if (this.only.value !== (only?.column ?? "")) this.only.value = only?.column ?? "";
    if (this.ranged !== column) {
      this.ranged = column;
      const label = (words) => (control) => (control.setAttribute("aria-label", words), control);
      const number = (end, words) => label(words)(make("input", { type: "number", step: "any", onchange: (event) => chart.filter({ ...chart.only, [end]: Number(event.target.value) }) }));
      if (!column) this.range.replaceChildren();
      else if (column.kind === "category") this.range.replaceChildren(label(`${column.name} is`)(make("select", { onchange: (event) => chart.filter({ column: column.name, code: Number(event.target.value) }) },
        ...column.order.map((code) => make("option", { value: code, textContent: `${column.labels[code]} (${countWords(column.counts[code])})` })))));
      else this.range.replaceChildren(number("low", `${column.name} from`), " to ", number("high", `${column.name} up to`));
    }
    if (!column) return;
    const [first, second] = this.range.querySelectorAll("select, input");
    if (second) first.value = Number(only.low.toPrecision(6)), second.value = Number(only.high.toPrecision(6));
    else first.value = only.code;
  }

  legend() {
    const { chart, key } = this, { colour, palette, set } = chart;
    if (colour?.kind === "category") {
      const chips = colour.coloured.map((code, shade) => this.chip(colour, code, shade, palette));
      const rest = colour.labels.length - colour.coloured.length, missing = colour.numbers.some((code) => code === colour.absent);
      if (rest > 0) chips.push(this.chip(colour, -1, OTHER, palette, `${countWords(rest)} other ${rest === 1 ? "label" : "labels"}`));
      if (missing) chips.push(this.chip(colour, -1, MISSING, palette, `no ${colour.name}`));
      const held = key.contains(document.activeElement) ? [...key.querySelectorAll("button")].indexOf(document.activeElement) : -1;
      key.className = "key chips";
      key.replaceChildren(...chips);
      if (held >= 0) key.querySelectorAll("button")[held]?.focus();
    } else if (colour) {
      const stops = scaleOf(colour, set.header.colours, chart.dark ? "dark" : "light"), strip = make("i", { className: "gradient" });
      strip.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
      strip.dataset.colours = scaleOf(colour, set.header.colours, "light").join(" ");
      const ends = colour.ends.map((end) => make("span", { textContent: shortWords(end) })), cut = colour.ends[0] > colour.low || colour.ends[1] < colour.high;
      key.className = "key legend";
      key.replaceChildren(make("span", { className: "scale" }, ends[0], strip, ends[1]), make("span", { className: "quantity", textContent: `${colour.name}${cut ? ", between its 1st and 99th percentiles" : ""}` }));
    } else key.replaceChildren();
    key.hidden = !colour;
  }

  // A label with its colour: pressing it chooses its points.
  chip(column, code, shade, palette, words = column.labels[code]) {
    const { chart } = this, square = make("i");
    square.style.background = colourOf(palette, shade);
    if (code < 0) return make("span", { className: "chip" }, square, words);
    const { chose } = chart, on = chose?.column === column.name && chose.code === code;
    const made = make("button", { type: "button", className: "chip", onclick: () => chart.choose(on ? null : { column: column.name, code }) }, square, words);
    made.setAttribute("aria-pressed", String(on));
    return made;
  }
}
