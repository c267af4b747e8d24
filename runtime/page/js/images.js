// Images decoded once and drawn at once: with addresses, Vega would load each anew and show nothing meanwhile.
const blank = new Image();
const image = (uri) => Object.assign(new Image(), { src: uri });
const sheets = data.sheets.map(({ uri }) => image(uri));
let pictures = data.pictures.map((it) => (typeof it === "string" ? image(it) : null));
// Small maps of many states lie on shared sheets; each is cut out when it is first shown.
data.pictures.forEach((it, i) => {
  if (typeof it !== "string") Object.defineProperty(pictures, i, { get: () => cutMap(it, i), configurable: true, enumerable: true });
});

function cutMap([sheet, position], i) {
  const { size, across } = data.sheets[sheet];
  const made = cut(sheets[sheet], (position % across) * size[0], Math.floor(position / across) * size[1], ...size);
  Object.defineProperty(pictures, i, { value: made });
  return made;
}

function cut(source, left, top, wide, high) {
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.max(1, Math.round(wide)), height: Math.max(1, Math.round(high)), complete: true });
  canvas.getContext("2d").drawImage(source, left, top, wide, high, 0, 0, canvas.width, canvas.height);
  canvas.src = canvas.toDataURL(); // Vega draws images as SVG by their address, into a canvas as they are
  return canvas;
}

