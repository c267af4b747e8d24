// ---- the same position in every grid, and groups that are not at a position ------------------------------------------

// key of a position -> [x, y] of its middle, as shares of the picture
const middles = new Map();
for (const element of data.elements)
  element.shapes.forEach(([deep, wide], panel) => {
    if (!wide) return;
    const { atoms } = element.frames[panel][0];
    atoms.forEach((atom, i) => { if (atom >= 0) middles.set(element.atoms[atom][0], [((i % wide) + 0.5) / wide, (Math.floor(i / wide) + 0.5) / deep]); });
  });
const recent = []; // hover selections, the last one used first

function spotOf(now) {
  for (const id of [...recent, ...selections.keys()]) {
    const { kind, atoms } = selections.get(id);
    const middle = kind === "hover" && now.get(id) !== null && middles.get(atoms[now.get(id)][0]);
    if (middle) return { middle, chosen: chosen.has(id) };
  }
  return null;
}

// The cell at this position of each panel, cut out of the panel's picture without what its size leaves free.
function lens(element, state, [u, v]) {
  return element.frames.map((panel, i) => {
    const frame = panel[state], [deep, wide] = element.shapes[i];
    const cell = [Math.floor(u * wide), Math.floor(v * deep)], slot = cell[1] * wide + cell[0];
    const whole = frame.pictures.length === 1;
    const source = pictures[frame.pictures[whole ? 0 : slot]];
    if (!source) return blank;
    if (!whole) return source;
    const side = source.width / wide, share = Math.sqrt(frame.sizes[slot] ?? 1), own = Math.max(1, side * share);
    return cut(source, (cell[0] + (1 - share) / 2) * side, (cell[1] + (1 - share) / 2) * side, own, own);
  });
}

// key of a group -> opacity, where a position is pointed at on masks
function fades(now) {
  const result = new Map();
  for (const element of data.elements) {
    if (!element.fades) continue;
    const frame = element.frames[0][stateOf(element, now)];
    for (const atom of selectedAtoms(element, now)) {
      const weights = atom < 0 ? null : frame.values[frame.atoms.indexOf(atom)];
      if (!weights) continue;
      const most = Math.max(...weights, 1e-12);
      frame.series_atoms.forEach((group, i) => result.set(element.atoms[group][0], 0.15 + 0.85 * Math.max(0, weights[i]) / most));
    }
  }
  return result;
}

