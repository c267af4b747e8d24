// What each kind of mark becomes in SVG. An attribute names the channels that it is made of, so that it is made anew
// only where one of them changed.

const between = ({ x = 0, y = 0, x2 = x, y2 = y, cornerRadius }) => rectangle({ x: Math.min(x, x2), y: Math.min(y, y2), width: Math.abs(x2 - x), height: Math.abs(y2 - y), cornerRadius });
const moved = ({ x = 0, y = 0 }) => `translate(${x},${y})`;
const corner = ({ x = 0, y = 0, width = 0, height = 0, align, baseline }) => {
  const share = (it) => (it === "center" || it === "middle" ? 0.5 : it === "right" || it === "bottom" ? 1 : 0);
  return `translate(${x - share(align) * width},${y - share(baseline) * height})`;
};
const address = ({ url }) => (!url ? "" : typeof url === "string" ? url : url.src || url.toDataURL?.() || "");

// kind -> { its name and tag where they are others, filled, defaults, attributes: [[attribute, channels, value]] }
const MARKS = {
  rect: { tag: "path", filled: true, defaults: { fill: "#4c78a8" }, attributes: [["d", ["x", "y", "x2", "y2", "cornerRadius"], between]] },
  rule: {
    tag: "line", filled: false, defaults: { stroke: "#000" },
    attributes: [["transform", ["x", "y"], moved], ["x2", ["x", "x2"], ({ x = 0, x2 = x }) => x2 - x], ["y2", ["y", "y2"], ({ y = 0, y2 = y }) => y2 - y]],
  },
  circle: { named: "symbol", tag: "path", filled: true, defaults: { fill: "#4c78a8", size: 30, strokeWidth: 2 }, attributes: [["transform", ["x", "y"], moved], ["d", ["size"], ({ size }) => disc(size)]] },
  square: { named: "symbol", tag: "path", filled: true, defaults: { fill: "#4c78a8", size: 30, strokeWidth: 2 }, attributes: [["transform", ["x", "y"], moved], ["d", ["size"], ({ size }) => square(size)]] },
  image: {
    filled: false, defaults: {},
    attributes: [
      ["href", ["url"], address], ["transform", ["x", "y", "width", "height", "align", "baseline"], corner],
      ["width", ["width"], ({ width }) => width ?? 0], ["height", ["height"], ({ height }) => height ?? 0],
      ["preserveAspectRatio", ["aspect"], ({ aspect }) => (aspect === false ? "none" : "xMidYMid")],
    ],
  },
  text: {
    filled: true, defaults: { fill: "black", fontSize: 11, font: "sans-serif" },
    attributes: [
      ["text-anchor", ["align"], ({ align }) => ANCHORS[align] ?? "start"],
      ["transform", ["x", "y", "dx", "dy", "angle", "baseline", "fontSize"], standing],
      ["font-family", ["font"], ({ font }) => font], ["font-size", ["fontSize"], ({ fontSize }) => `${fontSize}px`], ["font-weight", ["fontWeight"], ({ fontWeight }) => fontWeight],
      ["textContent", ["text", "limit", "font", "fontSize", "fontWeight"], wording],
    ],
  },
  line: { tag: "path", filled: false, defaults: { stroke: "#4c78a8", strokeWidth: 2 }, attributes: [] }, // its outline is drawn from many rows
};

// Channels that are attributes by themselves, of every kind.
const PAINT = {
  fill: "fill", fillOpacity: "fill-opacity", stroke: "stroke", strokeOpacity: "stroke-opacity", strokeWidth: "stroke-width", strokeCap: "stroke-linecap",
  strokeJoin: "stroke-linejoin", strokeDash: "stroke-dasharray", opacity: "opacity",
};
const LOOKS = { blend: ["mix-blend-mode", (it) => it], smooth: ["image-rendering", (it) => (it === false ? "pixelated" : null)], cursor: ["cursor", (it) => it] };

// A layer's channels by name: { read, params, fields }; constants are expressions that read nothing.
function channelsOf({ mark, encoding }, params, defaults) {
  const none = new Set(), fixed = (value) => ({ read: () => value, params: none, fields: none }), channels = {};
  const said = (value) => (typeof value?.expr === "string" ? params.compile(value.expr) : fixed(value));
  const { filled, defaults: own } = MARKS[mark.type];
  for (const [name, value] of Object.entries({ ...own, ...(mark.type === "text" ? defaults : {}) })) channels[name] = fixed(value);
  const colour = filled ? "fill" : "stroke";
  if ("color" in mark) channels[colour] = said(mark.color);
  for (const [name, value] of Object.entries(mark)) if (name !== "type" && name !== "color") channels[name] = said(value);
  for (const [name, definition] of Object.entries(encoding ?? {})) channels[name === "color" ? colour : name] = encoded(definition, said, params);
  return channels;
}

function encoded({ field, condition, ...rest }, said, params) {
  if (field !== undefined) return { read: (d) => d[field], params: new Set(), fields: new Set([field]) };
  const plain = said("expr" in rest ? rest : rest.value);
  if (!condition) return plain;
  const test = params.compile(condition.test), held = said("expr" in condition ? condition : condition.value);
  const all = (name) => new Set([plain, test, held].flatMap((it) => [...it[name]]));
  return { read: (d) => (test.read(d) ? held : plain).read(d), params: all("params"), fields: all("fields") };
}
