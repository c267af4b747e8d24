// ---- drawing ---------------------------------------------------------------------------------------------------------

const drives = (element) => [...element.targets.map((target) => target.selection), ...element.selects];

function selectedAtoms(element, now) {
  return drives(element).map((id) => {
    const choice = now.get(id);
    return choice === null ? -1 : indexOfKey(element.atoms, selections.get(id).atoms[choice][0]);
  });
}

const prepares = []; // what has other numbers in another state, before it is drawn

function draw() {
  const now = choices();
  for (const prepare of prepares) prepare(now);
  const spot = spotOf(now), faded = fades(now);
  for (const element of data.elements) {
    const view = views.get(element.host);
    if (!view) continue;
    const state = shownState(element, now);
    view.signal(`state_${element.name}`, state);
    set(view, `selected_${element.name}`, selectedAtoms(element, now));
    set(view, `faded_${element.name}`, faded.size ? element.atoms.map((atom) => faded.get(atom[0]) ?? 1) : []);
    if (element.grid && set(view, `spot_${element.name}`, spot?.middle ?? [])) view.signal(`lens_${element.name}`, spot?.chosen ? lens(element, state, spot.middle) : []);
  }
  views.forEach((view) => view.run());
  describe(now);
}

// What follows a lasso has other numbers, in the same states.
function followed() {
  if (data.elements.some((element) => element.follows)) draw();
}

// A list signal, only where it changes: what depends on it is drawn anew.
function set(view, name, list) {
  if (String(view.signal(name)) === String(list)) return false;
  view.signal(name, list);
  return true;
}

