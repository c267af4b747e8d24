// ---- texts that ask about one atom: written by the view (view/pipes/), here only the reader's choices are put in ----

const MOST_COPIES = 8;

// The pipe about an atom as the page now asks about it; empty where there is none.
function pipeOf(element, number, now = choices()) {
  const [key, , text] = element.atoms[number] ?? ["", "", ""];
  const own = Object.entries(element.layerPipes).find(([layer]) => key.startsWith(`${layer} `));
  const pipe = own ? own[1] : text.startsWith("output") ? element.classPipe : /^\d+$/.test(text) ? element.groupPipe : element.pipe;
  if (!text || !pipe.length) return "";
  const said = pipe.map((word, i) => {
    if (i % 2 === 0) return word;
    return word ? selections.get(word).atoms[now.get(word)]?.[2] : text;
  });
  if (said.some((word, i) => i % 2 && !word)) return "";
  // what an atom is linked to may be the output, which is attributed to, or the atom itself, which has its own number
  return said.join("").replace(` | link(${text})`, "").replace(" | link(output", " | attribute(output");
}

// The atoms that are offered: the selected one, then those drawn.
function copies(id, now) {
  const found = new Map();
  for (const element of data.elements.filter((it) => it.host === id)) {
    const state = stateOf(element, now), maps = element.shapes.some(([deep]) => deep); // of a map, only the position selected
    const drawn = maps ? [] : element.frames.flatMap((panel) => [...panel[state].atoms, ...panel[state].series_atoms]);
    for (const number of [...selectedAtoms(element, now), ...drawn]) {
      const pipe = number >= 0 && found.size < MOST_COPIES ? pipeOf(element, number, now) : "";
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

// Made when it is opened: pages have many marks.
function fillCopies(menu) {
  const offered = copies(menu.dataset.copies, choices());
  const buttons = [...offered].map(([pipe, label]) => Object.assign(document.createElement("button"), { type: "button", textContent: label, title: pipe, onclick: () => { menu.open = false; copy(pipe); } }));
  const head = Object.assign(document.createElement("p"), { textContent: buttons.length ? "Copy the pipe for" : "Nothing is shown that a pipe can name." });
  menu.querySelector("div").replaceChildren(head, ...buttons);
}
for (const menu of document.querySelectorAll(".copy")) menu.addEventListener("toggle", () => { if (menu.open) fillCopies(menu); });
