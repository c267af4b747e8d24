// ---- keyboard --------------------------------------------------------------------------------------------------------

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Atoms in the order of reading, and how many stand in a row: of the finest grid of cells, or of the slots now drawn.
function keyboardAtoms(element, view) {
  const grid = [...element.targets].sort((a, b) => b.atoms.length - a.atoms.length)[0];
  if (grid) return { atoms: grid.atoms, wide: grid.shape[1], ids: [grid.selection] };
  const state = stateOf(element, choices());
  let wide = element.shapes[0]?.[1] || 1;
  if (wide === 1) try { wide = view.signal(`columns_${element.name}`); } catch { /* bars stand one below the other */ }
  return { atoms: element.frames.flatMap((panel) => panel[state].atoms.filter((atom) => atom >= 0)), wide, ids: element.selects };
}

// The keyboard's cursor goes to an atom, which is pointed at.
function goTo(element, view, number, ids) {
  view.signal(`cursor_${element.name}`, number).run();
  const atom = element.atoms[number];
  say(atom ? [atom[1], atom[3]].filter(Boolean).join(", ") + spoken(atom[0], choices()) : "");
  act(element, [[ids, number]], false);
  readAtom(element, number);
}

function onKey(event, element, view) {
  if (!drives(element).length) return readByKey(event, element);
  if (element.sides && onCellKey(event, element, view)) return event.preventDefault();
  const { atoms, wide, ids } = keyboardAtoms(element, view);
  const cursor = `cursor_${element.name}`;
  // The atom under the cursor, else the selected one, if it is among these.
  const current = (among = null) => (view.signal(cursor) >= 0 ? view.signal(cursor) : selectedAtoms(element, choices()).find((it) => it >= 0 && (among?.includes(it) ?? true)));
  if (event.key === "Escape") {
    view.signal(cursor, -1);
    choose(drives(element).map((id) => [id, null]));
    view.run();
  } else if (event.key === "Enter" || event.key === " ") {
    if (current() >= 0) act(element, [[ids, current()]], true);
  } else if (event.key === "c" && !event.altKey && !event.ctrlKey && !event.metaKey) {
    copy(current() >= 0 ? pipeOf(element, current()) : "");
  } else if (event.key === "n" && element.objection && !event.altKey && !event.ctrlKey && !event.metaKey) {
    object(current() >= 0 ? objectionTo(element, current()) : "");
  } else if (event.key in MOVES && atoms.length && !event.altKey && !event.ctrlKey && !event.metaKey) {
    const [right, down] = MOVES[event.key];
    const at = atoms.indexOf(current(atoms));
    const next = at < 0 ? 0 : at + right + down * wide;
    if (next < 0 || next >= atoms.length || (right && at >= 0 && wide > 1 && Math.floor(next / wide) !== Math.floor(at / wide))) return event.preventDefault();
    goTo(element, view, atoms[next], ids);
  } else return;
  event.preventDefault();
}

