// ---- answers: what an element shows, in one or two sentences that follow the state

const NO_ANSWER = [];
const answers = (element, now) => element.said ?? element.answers[stateOf(element, now)] ?? NO_ANSWER; // pieces: words, or [words, atom]
const sentenceOf = (pieces) => pieces.map((piece) => (typeof piece === "string" ? piece : piece[0])).join("");

function answer(node, now) {
  const element = elements.get(node.dataset.answer), pieces = answers(element, now);
  if (node.pieces === pieces) return; // equal answers are one list of the page's; a button that has the focus keeps it
  node.pieces = pieces;
  node.replaceChildren(...pieces.map((piece) => (typeof piece === "string" || !shows(element, piece[1]) ? sentenceOf([piece]) : mark(element, piece))));
  node.hidden = !pieces.length;
}

// Room for the longest sentence of any state, so that what lies below does not move under the pointer.
function reserve() {
  for (const node of document.querySelectorAll("[data-answer]:not([hidden])")) {
    const element = elements.get(node.dataset.answer);
    element.longest ??= element.answers.map((pieces) => sentenceOf(pieces ?? [])).reduce((a, b) => (b.length > a.length ? b : a), "");
    const probe = Object.assign(document.createElement(node.tagName), { className: node.className, textContent: element.longest });
    probe.style.cssText = `position: absolute; visibility: hidden; width: ${node.clientWidth}px`;
    node.after(probe);
    node.style.minHeight = `${probe.offsetHeight}px`;
    probe.remove();
  }
}

// Whether a mark can be pointed at: slots have a cursor; positions, where a selection knows them.
const shows = (element, atom) => !element.shapes.some(([deep]) => deep) || hovers(element, atom).length > 0;

// What pointing at the mark itself would choose, but for what the sentence itself depends on.
function hovers(element, atom) {
  return [...selections.values()].filter((it) => it.kind === "hover" && !element.states.includes(it.id))
    .map((it) => [it.id, indexOfKey(it.atoms, element.atoms[atom][0])]).filter(([, index]) => index >= 0);
}

function mark(element, [words, atom]) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "ref", textContent: words });
  const ids = hovers(element, atom).map(([id]) => id);
  for (const kind of ["pointerenter", "focus", "click"]) button.addEventListener(kind, () => { ring(element.atoms[atom][0]); choose(hovers(element, atom)); });
  for (const kind of ["pointerleave", "blur"]) button.addEventListener(kind, (event) => { if (event.pointerType !== "touch") { ring(null); leave(ids); } });
  return button;
}

// The ring around a mark, in every chart that draws it.
function ring(key) {
  for (const element of data.elements) {
    const view = views.get(element.host), atom = key === null ? -1 : indexOfKey(element.atoms, key), name = `cursor_${element.name}`;
    if (view && view.signal(name) !== atom) view.signal(name, atom).run();
  }
}
