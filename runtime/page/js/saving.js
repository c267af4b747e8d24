// ---- saving ----------------------------------------------------------------------------------------------------------

function csv(element) {
  const lines = element.points ? pointRows(views.get(element.id)) : rowsOf(element);
  // As in view/long_table.py: texts are quoted; one that a spreadsheet would take for a formula gets an apostrophe in front.
  const formula = /^(?:[\s;,|]*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]|[\t\r\n])/;
  const cell = (v) => {
    if (typeof v === "number") return String(v);
    const text = v ?? "";
    return `"${(formula.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  };
  return lines.map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
}

// A table of every state: its head, then a row for each number.
function rowsOf(element) {
  const states = element.states.map((id) => selections.get(id)), panel = element.facetAxis || "panel";
  const own = ["slot", element.slotAxis || "atom", element.seriesAxis || "series", inUnits("value", element), "note"], blocks = !numbered(element);
  const lines = [[...states.map((s) => s.title || s.id), panel, ...(blocks ? ["y", "x", "height", "width", inUnits("mean of the block", element)] : own)]];
  element.frames.forEach((frames, facet) => {
    frames.slice(0, -1).forEach((frame, state) => {
      let rest = state;
      const labels = states.map((s) => s.atoms.length).reduceRight((out, size) => { out.unshift(rest % size); rest = Math.floor(rest / size); return out; }, []).map((i, k) => states[k].atoms[i][1]);
      const add = (...cells) => lines.push([...labels, element.facetKeys[facet] || frame.label, ...cells]);
      if (blocks) return blocksOf(frame.coarse, element.shapes[facet]).forEach((block) => add(...block));
      frame.values.forEach((values, slot) => values.forEach((value, k) => {
        if (value === null && !(frame.atoms[slot] >= 0)) return;
        add(slot, element.atoms[frame.atoms[slot]]?.[1], frame.words[slot]?.[k] || frame.series[k], value, frame.notes[slot] || element.atoms[frame.atoms[slot]]?.[3]);
      }));
      blocksOf(frame.coarse, element.shapes[facet]).forEach(([y, x, height, width, mean], k) => add(k, "", frame.series[0], mean, `mean of the block at y ${y}, x ${x}, height ${height}, width ${width}`));
      for (const [start, end, , , , value] of frame.flow?.links ?? [])
        add(start, ...[start, end].map((slot) => element.atoms[frame.atoms[slot]][1]), value, "link");
    });
  });
  return lines;
}

const inUnits = (word, element) => (element.unit ? `${word} (${element.unit})` : word);
const numbered = (element) => element.frames.flat().some((frame) => frame.values.length);

// Blocks of a map that is shown only as a picture: [y, x, height, width, mean], the first four in its own cells or pixels.
function blocksOf(means, [deep, wide]) {
  const tall = deep / means.length, broad = wide / means[0]?.length, short = (size) => Number(size.toFixed(4));
  return means.flatMap((row, y) => row.map((mean, x) => [short(y * tall), short(x * broad), short(tall), short(broad), mean]));
}

// What a saved picture says besides the chart, as the page has it: title, state, caption, legend and source.
const SAVED = { width: 520, margin: 20, size: 13, line: 18, font: '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif' };
const plain = (node) => node.textContent.replace(/\s+/g, " ").trim();
const upper = (words) => words.charAt(0).toUpperCase() + words.slice(1);
const titled = (node) => [...node.childNodes].map(plain).filter(Boolean).join(": "); // with what is pointed at

function wordsOf(element) {
  const now = choices(), figure = document.getElementById(`element-${element.id}`);
  const shown = [...new Set(data.elements.filter((it) => it.host === element.id && !behind(it, now)).flatMap((it) => it.states))].map((id) => selections.get(id));
  const menus = shown.filter((it) => it.kind === "pick" || it.kind === "slider").map((it) => `${it.title}: ${it.atoms[now.get(it.id)]?.[1] ?? "none"}`);
  const top = [{ words: titled(figure.querySelector("h3")), size: 16, weight: 600 }];
  if (menus.length) top.push({ words: menus.join("; ") });
  top.push(...[...figure.querySelectorAll(":scope > .warning")].map((node) => ({ words: plain(node), weight: 600 })));
  const leads = document.querySelector(`.lead [data-answer="${CSS.escape(element.id)}"]`); // the interface opens with its answer
  for (const node of [leads, ...figure.querySelectorAll(":scope > .answer:not([hidden]), :scope > .caption")]) if (node && !node.hidden && plain(node)) top.push({ words: plain(node) });
  const below = [];
  for (const node of figure.querySelectorAll("figcaption > :not([data-over]), figcaption > [data-over]:not([hidden]) > *")) {
    if (node.matches(".hint, .how") || !plain(node)) continue;
    if (node.matches(".chips")) for (const chip of node.children) below.push({ words: plain(chip), square: chip.querySelector("i").style.background });
    else if (node.matches(".legend")) {
      const strip = node.querySelector(".gradient"), over = node.querySelector(".over"), quantity = node.querySelector(".quantity");
      if (over) below.push({ words: titled(over), weight: 600 });
      if (quantity && strip) below.push({ words: upper(plain(quantity)), scale: { colours: strip.dataset.colours.split(" "), ends: [...node.querySelectorAll(".scale > span")].map(plain) } });
    } else below.push(...node.textContent.split("\n").filter((line) => line.trim()).map((words) => ({ words })));
  }
  below.push(...[...figure.querySelectorAll(".reading:not([hidden]) > p, .reading:not([hidden]) > ul > li")].map((node) => ({ words: upper(plain(node)), soft: true })));
  const facts = [...document.querySelectorAll("footer dd")].slice(0, 2).map(plain).join(", ");
  below.push({ words: `${document.title} · ${facts} · made with bbilang`, soft: true });
  return { top, below };
}

// Lines of text, squares and colour scales with their places: [marks, the height that they take].
function arrange(parts, wide, from) {
  const pen = document.createElement("canvas").getContext("2d"), marks = [];
  let y = from;
  for (const { words, size = SAVED.size, weight = 400, square, scale, soft } of parts) {
    const fill = soft ? "#565d68" : "#1c1f24", text = (words, x, y) => marks.push({ kind: "text", words, x, y, size, weight, fill });
    pen.font = `${weight} ${size}px ${SAVED.font}`;
    if (scale) {
      const x = SAVED.margin + pen.measureText(scale.ends[0]).width + 8;
      text(scale.ends[0], SAVED.margin, y + size);
      marks.push({ kind: "scale", colours: scale.colours, x, y: y + 3, width: 110, height: 11 });
      text(scale.ends[1], x + 118, y + size);
      y += SAVED.line + 2;
    }
    if (square) marks.push({ kind: "square", fill: square, x: SAVED.margin, y: y + 2, width: 12, height: 12 });
    const x = SAVED.margin + (square ? 19 : 0), lines = [""];
    for (const word of words.split(" ")) {
      const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
      if (!lines.at(-1) || pen.measureText(longer).width <= wide - x - SAVED.margin) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    for (const line of lines) text(line, x, y + size), y += size + 5;
    y += square ? 0 : 4;
  }
  return [marks, y];
}

function asSvg(mark, number) {
  const make = (name, attributes, ...inner) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...inner);
    return node;
  };
  const { kind, words, x, y, width, height, size, weight, fill, colours } = mark;
  if (kind === "text") return [make("text", { x, y, fill, "font-family": SAVED.font, "font-size": size, "font-weight": weight }, words)];
  if (kind === "square") return [make("rect", { x, y, width, height, fill })];
  const stops = colours.map((colour, i) => make("stop", { offset: i / (colours.length - 1), "stop-color": colour }));
  return [make("linearGradient", { id: `scale-${number}` }, ...stops), make("rect", { x, y, width, height, fill: `url(#scale-${number})` })];
}

function paint(pen, { kind, words, x, y, width, height, size, weight, fill, colours }) {
  pen.fillStyle = fill;
  if (kind === "text") return Object.assign(pen, { font: `${weight} ${size}px ${SAVED.font}` }).fillText(words, x, y);
  if (kind === "scale") {
    pen.fillStyle = pen.createLinearGradient(x, 0, x + width, 0);
    colours.forEach((colour, i) => pen.fillStyle.addColorStop(i / (colours.length - 1), colour));
  }
  pen.fillRect(x, y, width, height);
}

// The chart between its words, dark ink on white: a picture goes into somebody's document.
async function pictureOf(kind, element) {
  const view = views.get(element.host), { top, below } = wordsOf(element);
  const box = view.box ?? view.container().querySelector("svg").viewBox.baseVal;
  const wide = Math.ceil(Math.max(SAVED.width, box.width + 2 * SAVED.margin));
  const [heads, under] = arrange(top, wide, SAVED.margin);
  const [feet, end] = arrange(below, wide, under + box.height + 10);
  const marks = [...heads, ...feet], high = Math.ceil(end + SAVED.margin - 8);
  if (kind === "svg") {
    const chart = new DOMParser().parseFromString(await view.toSVG(), "image/svg+xml").documentElement;
    const whole = document.implementation.createDocument("http://www.w3.org/2000/svg", "svg").documentElement;
    for (const [key, value] of Object.entries({ width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, color: "#000" })) whole.setAttribute(key, value);
    chart.setAttribute("x", SAVED.margin - PAD), chart.setAttribute("y", under);
    const paper = asSvg({ kind: "square", x: 0, y: 0, width: wide, height: high, fill: "#ffffff" });
    whole.append(...paper, chart, ...marks.flatMap(asSvg));
    return new Blob([new XMLSerializer().serializeToString(whole)], { type: "image/svg+xml" });
  }
  const canvas = Object.assign(document.createElement("canvas"), { width: 2 * wide, height: 2 * high }), pen = canvas.getContext("2d");
  pen.scale(2, 2);
  paint(pen, { kind: "square", x: 0, y: 0, width: wide, height: high, fill: "#ffffff" });
  pen.drawImage(await view.toCanvas(2), SAVED.margin - PAD, under, box.width, box.height);
  marks.forEach((mark) => paint(pen, mark));
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

// chelsea-where-tabby.png: the page's file, the element, what lies over it and the state that a picture shows; a table has
// every state. Where letters are lost, a number made from all of them tells this name from others.
function fileName(kind, element) {
  const word = (text) => text.normalize("NFKC").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40);
  const file = location.protocol === "about:" ? "" : unpack(location.pathname.split("/").pop()).replace(/\.html?$/, "");
  const now = choices(), parts = kind === "csv" ? [] : data.elements.filter((it) => it.host === element.id && !behind(it, now));
  const shown = [...new Set(parts.flatMap((it) => it.states))].map((id) => selections.get(id).atoms[now.get(id)]?.[1] ?? "nothing");
  const front = stacks.get(element.id)?.length > 1 ? parts.filter((it) => it.id !== element.id).map((it) => it.id) : [];
  const words = [file || document.title, element.id, ...front, ...shown];
  const name = words.map(word).filter(Boolean).join("-"), cut = name.slice(0, 120);
  const lost = cut !== name || words.some((it) => it.length > 40 || /[^\p{L}\p{N}\s,.:_-]/u.test(it));
  return `${cut}${lost ? `-${number(words.join("\n"))}` : ""}.${kind}`;
}

// FNV-1a of the letters, in six digits of base 36.
function number(words) {
  let value = 0x811c9dc5;
  for (const letter of words) value = Math.imul(value ^ letter.codePointAt(0), 0x01000193) >>> 0;
  return value.toString(36).padStart(6, "0").slice(-6);
}

async function save(kind, element) {
  const blob = kind === "csv" ? new Blob(["\ufeff", csv(element)], { type: "text/csv" }) : await pictureOf(kind, element);
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: fileName(kind, element) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
