// ---- which frame is shown: as in view/states.py -----------------------------------------------------------------------

function choices() {
  const result = new Map(chosen);
  const resolve = (id) => {
    if (!result.has(id)) {
      const selection = selections.get(id);
      result.set(id, selection.start);
      const source = elements.get(selection.startOf);
      if (source) {
        source.states.forEach(resolve);
        result.set(id, startIn(source, selection, stateOf(source, result)));
      }
    }
    return result.get(id);
  };
  selections.forEach((_, id) => resolve(id));
  return result;
}

function stateOf(element, now) {
  let index = 0;
  for (const id of element.states) {
    const choice = now.get(id);
    if (choice === null) return element.frames[0].length - 1; // the frame that draws nothing
    index = index * selections.get(id).atoms.length + choice;
  }
  return index;
}

const indices = new WeakMap(); // list of atoms -> key -> index
function indexOfKey(atoms, key) {
  if (!indices.has(atoms)) indices.set(atoms, new Map(atoms.map((atom, i) => [atom[0], i])));
  return indices.get(atoms).get(key) ?? -1;
}

const LIKELIEST = -1; // as in view/model.py

// The atom at which an element starts a selection in this state, of those that it draws and the selection knows.
function startIn(element, selection, state) {
  const drawn = element.frames.flatMap((panel) => panel[state].atoms.map((atom, slot) => [atom < 0 ? -1 : indexOfKey(selection.atoms, element.atoms[atom][0]), panel[state], slot]));
  const known = drawn.filter(([index]) => index >= 0);
  if (selection.startNumber === LIKELIEST) {
    const nodes = known.filter(([, frame, slot]) => frame.flow?.nodes[slot]), last = Math.max(...nodes.map(([, frame, slot]) => frame.flow.nodes[slot][0]));
    const scores = nodes.filter(([, frame, slot]) => frame.flow.nodes[slot][0] === last && frame.values[slot][0] !== null).map(([index, frame, slot]) => [frame.values[slot][0], index]);
    return scores.length > 1 ? scores.reduce((best, it) => (it[0] > best[0] ? it : best))[1] : selection.start;
  }
  if (known.length) return known[Math.min(selection.startNumber, known.length - 1)][0];
  return drawsNothing(element, state) ? null : selection.start;
}

function drawsNothing(element, state) {
  const atoms = element.frames.flatMap((panel) => (state < panel.length - 1 ? panel[state].atoms : []));
  return atoms.length > 0 && atoms.every((atom) => atom < 0);
}

