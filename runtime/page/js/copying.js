// ---- texts that ask about one atom: written by the view (view/pipes/), here only the reader's choices are put in ----

const MOST_COPIES = 8;

// The pipe about an atom as the page now asks about it; empty where there is none.
function pipeOf(element, number, now = choices()) {
  const [key, , text] = element.atoms[number] ?? ["", "", ""];
  const own = Object.entries(element.layerPipes).find(([layer]) => key.startsWith(`${layer} `));
  const pipe = own ? own[1] : text.startsWith("output") ? element.classPipe : /^\d+$/.test(text) ? element.groupPipe : element.pipe;
  // what an atom is linked to may be the output, which is attributed to, or the atom itself, which has its own number
  return filled(pipe, text, now).replace(` | link(${text})`, "").replace(" | link(output", " | attribute(output");
}

// The line after which the network does without an atom as evidence; empty where its number is no evidence.
function objectionTo(element, number, now = choices()) {
  const text = element.atoms[number]?.[2] ?? "";
  return element.objection && !text.startsWith("output") && !/^\d+$/.test(text) ? filled(element.objection, text, now) : "";
}

// Words, with the atom's text and the reader's choices between them; empty where one is missing.
function filled(words, text, now) {
  if (!text || !words.length) return "";
  const said = words.map((word, i) => {
    if (i % 2 === 0) return word;
    return word ? selections.get(word).atoms[now.get(word)]?.[2] : text;
  });
  return said.some((word, i) => i % 2 && !word) ? "" : said.join("");
}

// The atoms that are offered: the selected one, then those drawn. `write`: makes the text of one.
function copies(id, now, write = pipeOf) {
  const found = new Map();
  for (const element of data.elements.filter((it) => it.host === id)) {
    const state = stateOf(element, now), maps = element.shapes.some(([deep]) => deep); // of a map, only the position selected
    const drawn = maps ? [] : element.frames.flatMap((panel) => [...panel[state].atoms, ...panel[state].series_atoms]);
    for (const number of [...selectedAtoms(element, now), ...drawn]) {
      const pipe = number >= 0 && found.size < MOST_COPIES ? write(element, number, now) : "";
      if (pipe && !found.has(pipe)) found.set(pipe, element.atoms[number][1]);
    }
  }
  return found;
}

let telling;
function tell(words, code = "") {
  const node = document.getElementById("told");
  node.replaceChildren(words, ...(code ? [" ", Object.assign(document.createElement("code"), { textContent: code })] : []));
  node.hidden = false;
  clearTimeout(telling);
  telling = setTimeout(() => { node.hidden = true; }, 4000);
}

async function copy(pipe) {
  if (!pipe) return tell("There is no pipe to copy: point at a mark first.");
  try {
    await navigator.clipboard.writeText(pipe);
    tell("Copied:", pipe);
  } catch { tell("This browser does not let a page copy. The pipe:", pipe); }
}

// The live preview can add the line to the text, and runs it; elsewhere the reader copies it.
let edits = false;
function object(line) {
  if (!line) return tell("This mark is no evidence for one score.");
  if (!edits) return copy(line);
  dispatchEvent(new CustomEvent("bbi-object", { detail: line }));
  tell("Asked to add:", line);
}

// Made when it is opened: pages have many marks.
function fillCopies(menu) {
  const part = (title, write, act) => {
    const offered = [...copies(menu.dataset.copies, choices(), write)];
    const buttons = offered.map(([text, label]) => Object.assign(document.createElement("button"), { type: "button", textContent: label, title: text, onclick: () => { menu.open = false; act(text); } }));
    return buttons.length ? [Object.assign(document.createElement("p"), { textContent: title }), ...buttons] : [];
  };
  const all = [...part("Copy the pipe for", pipeOf, copy), ...part(edits ? "This should not count" : "This should not count: copy the line for", objectionTo, object)];
  menu.querySelector("div").replaceChildren(...(all.length ? all : [Object.assign(document.createElement("p"), { textContent: "Nothing is shown that a pipe can name." })]));
}
for (const menu of document.querySelectorAll(".copy")) menu.addEventListener("toggle", () => { if (menu.open) fillCopies(menu); });
