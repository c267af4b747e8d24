// What the chosen points have in common: counts, means, fractions and histograms of their columns beside those of all
// points shown, and a table of the first of them.

const [BINS, MOST_LABELS, MOST_ROWS] = [24, 6, 50];

// What a column holds over the points that `of` lets through: counts of labels, or mean, spread and histogram of numbers.
function summaryOf(column, of) {
  const { numbers, count } = column;
  let known = 0, missing = 0;
  if (column.kind === "category") {
    const counts = new Uint32Array(column.labels.length);
    for (let i = 0; i < count; i++) if (of(i)) numbers[i] < counts.length ? (counts[numbers[i]]++, known++) : missing++;
    return { kind: "category", known, missing, counts };
  }
  const bins = new Uint32Array(BINS), span = column.high - column.low || 1;
  let sum = 0, squares = 0, low = Infinity, high = -Infinity;
  for (let i = 0; i < count; i++) {
    if (!of(i)) continue;
    const value = column.number(i), off = value - column.low;
    if (Number.isNaN(value)) { missing++; continue; }
    known++, sum += off, squares += off * off;
    if (value < low) low = value;
    if (value > high) high = value;
    bins[Math.min(BINS - 1, Math.floor((off / span) * BINS))]++;
  }
  const mean = known ? column.low + sum / known : NaN;
  return { kind: "quantity", known, missing, mean, deviation: known ? Math.sqrt(Math.max(0, squares / known - (sum / known) ** 2)) : NaN, low, high, bins };
}

class PointSummary {
  constructor(chart) {
    this.chart = chart;
    this.node = make("div", { className: "points-chosen", hidden: true });
    chart.node.closest("figure").querySelector(".points-status").after(this.node);
  }

  // Numbers over the chosen points (or all that are shown), by column: for whatever follows the choice.
  of(chosen) {
    const { set: { columns, flags } } = this.chart, of = chosen ? (i) => flags[i] === CHOSEN : (i) => !(flags[i] & HIDDEN);
    return new Map(columns.filter((column) => column.kind !== "text").map((column) => [column.name, summaryOf(column, of)]));
  }

  update() {
    const { chart } = this, { set } = chart, now = String([set.chosen, set.shown, JSON.stringify(chart.chose), JSON.stringify(chart.only)]);
    this.node.hidden = !chart.chose;
    if (!chart.chose || now === this.drawn) return;
    this.drawn = now;
    const open = this.node.querySelector("details")?.open;
    if (!set.chosen) return this.node.replaceChildren(make("p", { textContent: "No point lies inside." }));
    const own = this.of(true), all = this.of(false);
    this.node.replaceChildren(
      make("p", { textContent: `${shareWords(set.chosen / set.shown)} of the points shown. Chosen (dark) beside all shown (light):` }),
      make("dl", {}, ...set.columns.filter((column) => own.has(column.name) && tells(all.get(column.name))).map((column) => make("div", {}, make("dt", { textContent: column.name }), this.said(column, own.get(column.name), all.get(column.name))))),
      this.table(open));
  }

  said(column, own, all) {
    const node = make("dd"), gone = own.missing ? `; ${countWords(own.missing)} without a value` : "";
    if (column.kind === "category") {
      const order = [...own.counts.keys()].filter((code) => own.counts[code]).sort((a, b) => own.counts[b] - own.counts[a] || a - b), most = order.slice(0, MOST_LABELS);
      for (const code of most) {
        const [share, usual] = [own.counts[code] / (own.known || 1), all.counts[code] / (all.known || 1)];
        node.append(make("div", { className: "part" }, make("span", { textContent: column.labels[code] }), bar(share, usual), make("span", { textContent: `${shareWords(share)} (of all ${shareWords(usual)})` })));
      }
      const words = (order.length > most.length ? `${countWords(order.length - most.length)} more labels` : "") + gone;
      if (words) node.append(make("p", { textContent: words.replace(/^; /, "") }));
      return node;
    }
    if (own.known) node.append(make("div", { className: "part" }, make("span", { textContent: `mean ${shortWords(own.mean)} (of all ${shortWords(all.mean)})` }), histogram(own, all)));
    node.append(make("p", { textContent: own.known ? `from ${shortWords(own.low)} to ${shortWords(own.high)}${gone}` : "no values" }));
    return node;
  }

  table(open) {
    const { set } = this.chart, numbers = [];
    for (let i = 0; i < set.count && numbers.length < MOST_ROWS; i++) if (set.flags[i] === CHOSEN) numbers.push(i);
    const head = ["point", ...set.columns.map((column) => column.name)].map((words) => { const cell = make("th", { textContent: words }); cell.scope = "col"; return cell; });
    const words = set.chosen > numbers.length ? `The first ${numbers.length} of ${countWords(set.chosen)} chosen points` : `The ${countWords(set.chosen)} chosen points`;
    const node = make("details", { className: "points-table", open: Boolean(open) }, make("summary", { textContent: words }));
    const fill = () => {
      if (!node.open || node.children.length > 1) return;
      const rows = numbers.map((i) => {
        const name = make("th", {}, make("button", { type: "button", className: "ref", textContent: set.title(i), onclick: () => this.chart.hover(i, true) }));
        name.scope = "row";
        return make("tr", {}, name, ...set.columns.map((column) => make("td", { textContent: column.words(i) })));
      });
      const inner = make("div", { tabIndex: 0 }, make("table", {}, make("caption", { className: "quiet", textContent: words }), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
      inner.setAttribute("role", "region"), inner.setAttribute("aria-label", words);
      node.append(inner);
    };
    node.addEventListener("toggle", fill);
    fill();
    return node;
  }
}

// Whether a column has two values or more: one that is the same everywhere says nothing about what is chosen.
const tells = ({ kind, counts, low, high }) => (kind === "category" ? counts.filter((count) => count).length > 1 : high > low);

// A share of the chosen points over that of all.
function bar(share, usual) {
  const node = make("i", { className: "share" }, make("b"), make("b"));
  node.setAttribute("aria-hidden", "true");
  [usual, share].forEach((it, i) => { node.children[i].style.width = `${100 * it}%`; });
  return node;
}

// Bars of all points shown and, in front of them, of the chosen ones: each as a share of its own.
function histogram(own, all) {
  const [some, every] = [own, all].map(({ bins, known }) => [...bins].map((bin) => bin / (known || 1))), most = Math.max(...some, ...every);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), high = 36, wide = 5;
  for (const [name, value] of Object.entries({ class: "bins", width: BINS * wide, height: high, viewBox: `0 0 ${BINS * wide} ${high}`, "aria-hidden": "true" })) svg.setAttribute(name, value);
  for (const [name, shares] of [["every", every], ["some", some]])
    shares.forEach((share, i) => {
      const rect = document.createElementNS(svg.namespaceURI, "rect"), tall = share ? Math.max(1, (high * share) / most) : 0, inset = name === "some" ? 1 : 0;
      for (const [key, value] of Object.entries({ class: name, x: i * wide + inset, y: high - tall, width: wide - 1 - 2 * inset, height: tall })) rect.setAttribute(key, value);
      svg.append(rect);
    });
  return svg;
}

// A table for spreadsheets: the chosen points, or all that are shown.
function pointRows({ set, chose }) {
  const rows = [["point", ...set.header.axes ?? ["x", "y"], ...set.columns.map((column) => column.name)]];
  const cell = (column, i) => (column.kind === "quantity" ? (column.missing(i) ? "" : Number(column.number(i).toPrecision(7))) : column.words(i));
  for (let i = 0; i < set.count; i++)
    if (chose ? set.flags[i] === CHOSEN : !(set.flags[i] & HIDDEN))
      rows.push([set.title(i), ...[0, 1].map((axis) => Number(set.value(i, axis).toPrecision(6))), ...set.columns.map((column) => cell(column, i))]);
  return rows;
}
