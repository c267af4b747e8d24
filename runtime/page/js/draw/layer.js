// One layer: a group of SVG nodes, one a row, or for lines one a series of rows. Nodes stay; attributes follow.

class Layer {
  constructor(specification, number, table, params, defaults) {
    const { type } = specification.mark;
    this.table = table;
    this.channels = channelsOf(specification, params, defaults);
    this.kind = { tag: type, ...MARKS[type] };
    this.grouped = type === "line";
    this.group = node("g", { class: `mark-${this.kind.named ?? type} role-mark ${specification.name ?? `layer_${number}`}_marks` });
    this.items = table.rows.map((datum, i) => ({ datum, place: i, node: null, values: {}, written: {} }));
  }

  // Channels whose values may differ: null where none may.
  stale(changed) {
    const { dirty } = this.table, all = dirty.has("*");
    const names = Object.keys(this.channels).filter((name) => all || meet(this.channels[name].params, changed) || meet(this.channels[name].fields, dirty));
    return names.length || dirty.has("?") ? names : null;
  }

  update(changed) {
    const stale = this.stale(changed);
    if (!stale) return;
    const { table, channels } = this, moved = new Set();
    for (const item of this.items)
      for (const name of stale) {
        const value = channels[name].read(item.datum);
        if (Object.is(item.values[name], value) && name in item.values) continue;
        item.values[name] = value;
        moved.add(name);
      }
    if (this.grouped) this.lines(moved);
    else if (moved.size || table.dirty.has("?")) this.marks(moved);
  }

  marks(moved) {
    const { shown } = this.table, attributes = this.kind.attributes.filter(([, names]) => names.some((name) => moved.has(name)));
    const paints = Object.keys(PAINT).filter((name) => moved.has(name)), looks = Object.keys(LOOKS).filter((name) => moved.has(name));
    for (const item of this.items) {
      const fresh = !item.node;
      if (fresh) item.node = marked(node(this.kind.tag), item);
      for (const [attribute, , value] of attributes) write(item, attribute, value(item.values));
      for (const name of paints) write(item, PAINT[name], item.values[name]);
      for (const name of looks) style(item, ...LOOKS[name]);
    }
    const wanted = this.items.filter((_, i) => shown[i]).map((item) => item.node);
    if (wanted.length !== this.group.childNodes.length || wanted.some((it, i) => it !== this.group.childNodes[i])) this.group.replaceChildren(...wanted);
  }

  // A line for each value of `detail`, through its rows by `order`; it looks as its first row says.
  lines() {
    const { table } = this, series = new Map();
    for (const item of this.items) {
      if (!table.shown[item.place]) continue;
      const key = item.values.detail;
      series.has(key) ? series.get(key).push(item) : series.set(key, [item]);
    }
    this.drawn ??= new Map();
    const wanted = [];
    for (const [key, items] of series) {
      items.sort((a, b) => a.values.order - b.values.order);
      const [{ datum, values }] = items, line = this.drawn.get(key) ?? { node: node(this.kind.tag), written: {} };
      this.drawn.set(key, marked(line.node, Object.assign(line, { datum, values })) && line);
      const points = items.map((item) => [item.values.x, item.values.y]);
      write(line, "d", values.interpolate === "bundle" ? bundle(points, values.tension) : straight(points));
      for (const name in PAINT) if (name in values) write(line, PAINT[name], values[name]);
      wanted.push(line.node);
    }
    if (wanted.length !== this.group.childNodes.length || wanted.some((it, i) => it !== this.group.childNodes[i])) this.group.replaceChildren(...wanted);
  }
}

const items = new WeakMap(); // SVG node -> what it stands for
const marked = (made, item) => (items.set(made, item), made);

function node(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  return made;
}

function write(item, name, value) {
  const text = Array.isArray(value) ? value.join(",") : value;
  if (item.written[name] === text) return;
  item.written[name] = text;
  if (name === "textContent") item.node.textContent = text;
  else if (text === null || text === undefined) item.node.removeAttribute(name);
  else item.node.setAttribute(name, text);
}

function style(item, property, value) {
  const channel = Object.keys(LOOKS).find((name) => LOOKS[name][0] === property);
  item.node.style.setProperty(property, value(item.values[channel]) ?? "");
}
