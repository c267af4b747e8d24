// ---- what is known of the mark that is pointed at, below or beside its picture ------------------------------------------

const detailed = new Map(); // id of an element -> the atom whose details are shown
const make = (tag, properties = {}, ...inner) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inner);
  return made;
};
const signed = (value) => String(value).replace("-", "\u2212");

// The mark pointed at; without one, the last; of those not drawn now, the one with the largest number.
function atomToTell(element, now) {
  const { atoms, values } = element.frames[0][stateOf(element, now)], pointed = selectedAtoms(element, now).find((it) => it >= 0);
  const known = [pointed, detailed.get(element.id)].find((it) => it >= 0 && atoms.includes(it));
  return known ?? atoms[values.reduce((best, [value], slot) => (atoms[slot] >= 0 && value > (values[best]?.[0] ?? -Infinity) ? slot : best), -1)];
}

function showDetails(now) {
  for (const place of document.querySelectorAll("[data-details]")) {
    const element = elements.get(place.dataset.details), atom = atomToTell(element, now);
    detailed.set(element.id, atom);
    if (place.dataset.atom !== String(atom)) place.querySelector(".detail").replaceChildren(...(element.details[atom] ? detailOf(element, element.details[atom]) : []));
    place.dataset.atom = atom;
    detailTable(element, place.querySelector(".points-table"), now);
  }
}

// The label of a bar, what stands for its number, and a remark: a count is its remark, "3 of 12".
const barWords = ([label, value, remark]) => (/^\d/.test(remark) ? [label, remark, ""] : [label, signed(value), remark]);

function detailOf(element, [title, facts, barsTitle, bars, picture, picturesTitle, shown]) {
  const most = Math.max(...bars.map((bar) => Math.abs(bar[1])), 1e-12);
  const parts = [make("h4", { textContent: title })];
  if (picture >= 0) parts.push(make("img", { className: "icon", src: pictures[picture].src, alt: `The icon of ${title}` }));
  parts.push(...facts.map((words) => make("p", { textContent: words })));
  if (bars.length) {
    const list = bars.map((it) => {
      const [label, number, remark] = barWords(it), value = it[1];
      const bar = make("i", { className: value < 0 ? "share minus" : "share" }, make("b"));
      bar.setAttribute("aria-hidden", "true");
      bar.firstChild.style.width = `${(100 * Math.abs(value)) / most}%`;
      return make("div", {}, make("dt", { textContent: label }), make("dd", {}, bar, make("span", { textContent: number }), ...(remark ? [make("small", { textContent: remark })] : [])));
    });
    parts.push(make("p", { className: "head", textContent: barsTitle }), make("dl", {}, ...list));
  }
  if (shown.length) parts.push(make("p", { className: "head", textContent: picturesTitle }), make("ul", { className: "patches" }, ...shown.map(([number, words]) => make("li", {}, make("img", { src: pictures[number].src, alt: data.alts?.[number] ?? "" }), make("span", { textContent: words })))));
  return parts;
}

// All marks that are drawn now, for who does not see them: filled when it is opened.
function detailTable(element, table, now) {
  const state = stateOf(element, now), { atoms } = element.frames[0][state], drawn = atoms.filter((atom) => atom >= 0), words = `Table of the ${drawn.length} ${element.slotAxis}s`;
  table.firstElementChild.textContent = words;
  const fill = () => {
    if (!table.open || table.dataset.state === String(state)) return;
    table.dataset.state = state;
    const head = [element.slotAxis, "facts", element.details[drawn[0]]?.[2] || "numbers"].map((it) => Object.assign(make("th", { textContent: it }), { scope: "col" }));
    const rows = drawn.map((atom) => {
      const [title, facts, , bars] = element.details[atom], pointing = () => act(element, [[element.selects, atom]], true);
      const name = Object.assign(make("th", {}, make("button", { type: "button", className: "ref", textContent: title, onclick: pointing })), { scope: "row" });
      return make("tr", {}, name, make("td", { textContent: facts.join(" ") }), make("td", { textContent: bars.map((bar) => barWords(bar).slice(0, 2).join(" ")).join(", ") }));
    });
    const inner = make("div", { tabIndex: 0 }, make("table", {}, make("caption", { className: "quiet", textContent: words }), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
    inner.setAttribute("role", "region"), inner.setAttribute("aria-label", `${words} of ${element.title}`);
    table.replaceChildren(table.firstElementChild, inner);
  };
  table.ontoggle = fill;
  fill();
}

follows.push(showDetails);
