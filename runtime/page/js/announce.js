// ---- what a screen reader hears

const say = (words) => { document.getElementById("status").textContent = aloud(words); };
const aloud = (words) => words.replaceAll("\u2212", "minus ");
const ended = (words) => words.replace(/[.\s]+$/, "");

// What was chosen, then what every element that follows it shows now, three of them at most.
function announce(ids) {
  const now = choices(), told = followers(ids, now);
  const chose = ids.map((id) => {
    const selection = selections.get(id), atom = selection.atoms[now.get(id)];
    return (selection.spoken ? `${selection.spoken}: ` : "") + (atom ? atom[1] + spoken(atom[0], now) : "nothing selected");
  });
  say([...chose, ...told].join(". "));
}

function followers(ids, now) {
  return data.elements.filter((element) => (element.states.some((id) => ids.includes(id)) || ids.includes(element.follows?.by)) && !behind(element, now))
    .map((element) => [element.title, ended(sentenceOf(answers(element, now))) || contents(element, now, 6)]).filter(([, words]) => words).slice(0, 3).map((it) => it.join(": "));
}

// The atoms that an element of marks draws now, with their numbers; nothing for maps and pictures.
function contents(element, now, most) {
  if (element.shapes.some(([deep]) => deep)) return "";
  const state = stateOf(element, now);
  return element.frames.map((panel) => {
    const frame = panel[state], slots = [...frame.atoms.keys()].filter((slot) => frame.atoms[slot] >= 0);
    const words = slots.slice(0, most).map((slot) => element.atoms[frame.atoms[slot]][1] + numbers(frame, slot));
    if (slots.length > most) words.push(`and ${slots.length - most} more`);
    if (!slots.length && frame.remark) words.push(frame.remark);
    return words.length ? (frame.label ? `${frame.label}: ` : "") + words.join("; ") : "";
  }).filter(Boolean).join(". ");
}

const MOST_NUMBERS = 8; // of many numbers of one atom the largest are said: a word looks at every word

function numbers(frame, slot) {
  const own = frame.values[slot] ?? [], sizes = own.map((v) => Math.abs(v ?? 0)).sort((a, b) => b - a), least = own.length > MOST_NUMBERS ? sizes[4] : 0;
  const words = own.map((v, i) => (v === null || Math.abs(v) < least || (least === 0 && own.length > MOST_NUMBERS && v === 0) ? "" : `${frame.words[slot]?.[i] || frame.series[i]} ${v < 0 ? "minus " : ""}${Math.abs(v)}`.trim()));
  return words.some(Boolean) ? ` ${words.filter(Boolean).join(", ")}` : "";
}

// The name of a chart: what it is, the state that it shows, and what it shows there.
function label(node, now) {
  const parts = [node.dataset.alt];
  for (const element of data.elements.filter((it) => it.host === node.dataset.chart && !behind(it, now))) {
    const shown = element.states.map((id) => selections.get(id).atoms[now.get(id)]?.[1] ?? "nothing selected").join(", ");
    const name = element.id === node.dataset.chart ? "shown" : element.title;
    parts.push(shown && `${name}: ${shown}`, sentenceOf(answers(element, now)), contents(element, now, 8));
  }
  const words = aloud(`${[...parts, node.dataset.hint].filter(Boolean).map(ended).join(". ")}.`);
  if (node.getAttribute("aria-label") !== words) node.setAttribute("aria-label", words);
}

// The values of the chosen atom, where an element draws it with values.
function spoken(key, now) {
  for (const element of data.elements)
    for (const panel of element.frames) {
      const frame = panel[stateOf(element, now)];
      const slot = frame.atoms.findIndex((atom) => atom >= 0 && element.atoms[atom][0] === key);
      const words = slot < 0 ? "" : numbers(frame, slot);
      if (words) return `,${words}`;
    }
  return "";
}
