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
        const state = stateOf(source, result), first = firstDrawn(source, selection, state);
        if (first >= 0) result.set(id, first);
        else if (drawsNothing(source, state)) result.set(id, null);
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

function firstDrawn(element, selection, state) {
  for (const panel of element.frames)
    for (const atom of panel[state].atoms) {
      const index = atom < 0 ? -1 : indexOfKey(selection.atoms, element.atoms[atom][0]);
      if (index >= 0) return index;
    }
  return -1;
}

function drawsNothing(element, state) {
  const atoms = element.frames.flatMap((panel) => (state < panel.length - 1 ? panel[state].atoms : []));
  return atoms.length > 0 && atoms.every((atom) => atom < 0);
}

