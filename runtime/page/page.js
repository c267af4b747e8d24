// The page's state and what reacts to it. Charts hold every state as tables; this script sets integers in them.
// Nothing is fetched and no text is run as code: Vega's expressions go through its interpreter (ast: true).
const data = JSON.parse(document.getElementById("bbi-data").textContent);
const selections = new Map(data.selections.map((s) => [s.id, s]));
const elements = new Map(data.elements.map((e) => [e.id, e]));
// Frames come as numbers of lists that many of them share.
for (const element of data.elements)
  element.frames = element.frames.map((panel) => panel.map((numbers) => Object.fromEntries(numbers.map((n, i) => [data.keys[i], data.lists[n]]))));
const PAD = 6; // around a chart, as in vega/specification.py
const views = new Map(); // id of an element with a chart of its own -> Vega view
const chosen = new Map(); // selection -> index, only what the reader chose: the rest starts where view/states.py says

// Images decoded once and drawn at once: with addresses, Vega would load each anew and show nothing meanwhile.
const blank = new Image();
const image = (uri) => Object.assign(new Image(), { src: uri });
const sheets = data.sheets.map(({ uri }) => image(uri));
let pictures = data.pictures.map((it) => (typeof it === "string" ? image(it) : null));
// Small maps of many states lie on shared sheets; each is cut out when it is first shown.
data.pictures.forEach((it, i) => {
  if (typeof it !== "string") Object.defineProperty(pictures, i, { get: () => cutMap(it, i), configurable: true, enumerable: true });
});

function cutMap([sheet, position], i) {
  const { size, across } = data.sheets[sheet];
  const made = cut(sheets[sheet], (position % across) * size[0], Math.floor(position / across) * size[1], ...size);
  Object.defineProperty(pictures, i, { value: made });
  return made;
}

function cut(source, left, top, wide, high) {
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.max(1, Math.round(wide)), height: Math.max(1, Math.round(high)), complete: true });
  canvas.getContext("2d").drawImage(source, left, top, wide, high, 0, 0, canvas.width, canvas.height);
  canvas.src = canvas.toDataURL(); // Vega draws images as SVG by their address, into a canvas as they are
  return canvas;
}

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

// ---- drawing ---------------------------------------------------------------------------------------------------------

const drives = (element) => [...element.targets.map((target) => target.selection), ...element.selects];

function selectedAtoms(element, now) {
  return drives(element).map((id) => {
    const choice = now.get(id);
    return choice === null ? -1 : indexOfKey(element.atoms, selections.get(id).atoms[choice][0]);
  });
}

function draw() {
  const now = choices();
  const spot = spotOf(now), faded = fades(now);
  for (const element of data.elements) {
    const view = views.get(element.host);
    if (!view) continue;
    const state = stateOf(element, now);
    view.signal(`state_${element.name}`, state);
    set(view, `selected_${element.name}`, selectedAtoms(element, now));
    set(view, `faded_${element.name}`, faded.size ? element.atoms.map((atom) => faded.get(atom[0]) ?? 1) : []);
    if (element.grid && set(view, `spot_${element.name}`, spot?.middle ?? [])) view.signal(`lens_${element.name}`, spot?.chosen ? lens(element, state, spot.middle) : []);
  }
  views.forEach((view) => view.run());
  describe(now);
}

// A list signal, only where it changes: what depends on it is drawn anew.
function set(view, name, list) {
  if (String(view.signal(name)) === String(list)) return false;
  view.signal(name, list);
  return true;
}

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

// Keeps the words beside titles, menus and references in step with the pictures.
function describe(now) {
  document.querySelectorAll("[data-chart]").forEach((node) => label(node, now));
  for (const node of document.querySelectorAll("[data-now]")) {
    const pointed = elements.get(node.dataset.now).states.map((id) => selections.get(id)).filter((s) => s.kind === "hover" || s.kind === "click");
    node.textContent = pointed.map((s) => (now.get(s.id) === null ? "nothing selected" : s.atoms[now.get(s.id)][1])).join(", ");
  }
  for (const node of document.querySelectorAll("[data-remark]")) {
    const element = elements.get(node.dataset.remark), state = stateOf(element, now);
    const remarked = element.frames.map((panel) => panel[state]).filter((frame) => frame.remark);
    node.textContent = remarked.map((frame) => (frame.label ? `${frame.label}: ` : "") + frame.remark).join("; ");
    if (remarked.length) node.append(".");
  }
  for (const control of document.querySelectorAll("[data-selection]")) {
    const index = now.get(control.dataset.selection) ?? -1;
    if (control.type === "checkbox") control.checked = index === 1;
    else control.value = control.options && ![...control.options].some((it) => it.value === String(index)) ? -1 : index; // a group of a flow is on no menu of classes
  }
  for (const output of document.querySelectorAll("[data-output]")) {
    const selection = selections.get(output.dataset.output);
    output.textContent = selection.atoms[now.get(selection.id)]?.[1] ?? "";
    document.querySelectorAll("input[data-selection]").forEach((input) => {
      if (input.dataset.selection === selection.id) input.setAttribute("aria-valuetext", output.textContent);
    });
  }
  document.querySelectorAll("[data-chips]").forEach((node) => chips(node, elements.get(node.dataset.chips), now));
  for (const ref of document.querySelectorAll("[data-ref]"))
    ref.setAttribute("aria-pressed", String(JSON.parse(ref.dataset.ref).some(([id, index]) => now.get(id) === index)));
}

// Which colour is which group or component; a group's chip points at the group.
function chips(node, element, now) {
  const frame = element.frames[0][stateOf(element, now)];
  const words = JSON.stringify([frame.series, frame.series_colours]);
  if (node.dataset.words === words) return;
  node.dataset.words = words;
  node.replaceChildren(...frame.series_colours.map((colour, i) => {
    const key = element.atoms[frame.series_atoms[i]]?.[0];
    const refs = element.selects.map((id) => [id, indexOfKey(selections.get(id).atoms, key)]).filter(([, index]) => index >= 0);
    const chip = document.createElement(refs.length ? "button" : "span");
    if (refs.length) Object.assign(chip, { type: "button" }).dataset.ref = JSON.stringify(refs);
    chip.className = "chip";
    const square = document.createElement("i");
    square.style.background = colour;
    chip.append(square, frame.series[i]);
    if (refs.length) listenRef(chip);
    return chip;
  }));
}

// ---- choosing --------------------------------------------------------------------------------------------------------

// null goes back to the start
function choose(changes) {
  const news = changes.filter(([id, index]) => (chosen.has(id) ? chosen.get(id) : null) !== index);
  if (!news.length) return;
  for (const [id, index] of news) {
    index === null ? chosen.delete(id) : chosen.set(id, index);
    if (index !== null && selections.get(id).kind === "hover") recent.splice(0, recent.length, id, ...recent.filter((it) => it !== id));
  }
  draw();
  if (news.some(([id]) => !selections.get(id).leaves)) remember();
  announce(news.filter(([, index]) => index !== null).map(([id]) => id));
}

// What is only pointed at is let go.
function leave(ids) {
  choose(ids.filter((id) => selections.get(id).leaves).map((id) => [id, null]));
}

function announce(ids) {
  const now = choices();
  document.getElementById("status").textContent = ids
    .map((id) => {
      const selection = selections.get(id);
      const atom = selection.atoms[now.get(id)];
      return (selection.spoken ? `${selection.spoken}: ` : "") + (atom ? atom[1] + spoken(atom[0], now) : "nothing selected");
    })
    .concat(followers(ids, now))
    .join(". ");
}

// What other elements show now that these selections changed, at most three of them.
function followers(ids, now) {
  return data.elements.filter((element) => element.states.some((id) => ids.includes(id)))
    .map((element) => [element.title, contents(element, now, 6)]).filter(([, words]) => words).slice(0, 3).map((it) => it.join(": "));
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

function numbers(frame, slot) {
  const words = (frame.values[slot] ?? []).map((v, i) => (v === null ? "" : `${frame.series[i]} ${v < 0 ? "minus " : ""}${Math.abs(v)}`.trim()));
  return words.some(Boolean) ? ` ${words.filter(Boolean).join(", ")}` : "";
}

// What a reader who cannot see a chart hears of it: what it is, and the state that it shows.
function label(node, now) {
  const parts = [node.dataset.alt];
  for (const element of data.elements.filter((it) => it.host === node.dataset.chart)) {
    const shown = element.states.map((id) => selections.get(id).atoms[now.get(id)]?.[1] ?? "nothing selected").join(", ");
    const name = element.id === node.dataset.chart ? "shown" : element.title;
    parts.push(shown && `${name}: ${shown}`, contents(element, now, 8));
  }
  const words = [...parts, node.dataset.hint].filter(Boolean).map((part) => part.replace(/\.$/, "")).join(". ") + ".";
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

// Atoms of an element, [[selections, atom], ...], were pointed at or clicked: every selection that they drive follows.
function act(element, pointed, click) {
  const changes = new Map();
  for (const [ids, atom] of pointed)
    for (const id of ids) {
      const selection = selections.get(id);
      const index = indexOfKey(selection.atoms, element.atoms[atom]?.[0]);
      if (index < 0 || changes.has(id) || (!click && selection.kind !== "hover")) continue;
      changes.set(id, click && selection.resets && chosen.get(id) === index ? null : index);
    }
  // what was pointed at before and is not now
  for (const id of drives(element)) if (selections.get(id).leaves && !changes.has(id)) changes.set(id, null);
  choose([...changes]);
}

// What lies under the pointer: [[selections, atom], ...]
function under(element, event, item) {
  const datum = item?.datum;
  if (!datum) return [];
  if (datum.grid) {
    const box = event.target.getBoundingClientRect();
    const share = (at, from, size) => Math.min(Math.max((at - from) / size, 0), 0.999999);
    const point = event.changedTouches?.[0] ?? event;
    const x = share(point.clientX, box.left, box.width), y = share(point.clientY, box.top, box.height);
    if (!element.targets.length) {
      const [deep, wide] = element.shapes[datum.panel];
      return [[element.selects, datum.frame.atoms[Math.floor(y * deep) * wide + Math.floor(x * wide)]]];
    }
    return element.targets.map(({ selection, shape, atoms }) => [[selection], atoms[Math.floor(y * shape[0]) * shape[1] + Math.floor(x * shape[1])]]);
  }
  return [datum.atom, datum.also].filter((atom) => atom >= 0).map((atom) => [element.selects, atom]);
}

function listen(element, view) {
  let tapped = null; // a tap also makes mouse events: one action is enough
  const react = (click) => (event, item) => {
    if (event.pointerType === "touch" && !click) return;
    act(element, under(element, event, item), click);
    if (click) tapped = event.timeStamp;
  };
  view.addEventListener("pointermove", react(false));
  view.addEventListener("pointerover", react(false));
  view.addEventListener("click", react(true));
  view.container().addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") leave(drives(element)); });
}

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

function onKey(event, element, view) {
  const { atoms, wide, ids } = keyboardAtoms(element, view);
  const cursor = `cursor_${element.name}`;
  const selected = selectedAtoms(element, choices());
  if (event.key === "Escape") {
    view.signal(cursor, -1);
    choose(drives(element).map((id) => [id, null]));
    view.run();
  } else if (event.key === "Enter" || event.key === " ") {
    const atom = view.signal(cursor) >= 0 ? view.signal(cursor) : selected.find((it) => it >= 0);
    if (atom >= 0) act(element, [[ids, atom]], true);
  } else if (event.key in MOVES && atoms.length && !event.altKey && !event.ctrlKey && !event.metaKey) {
    const [right, down] = MOVES[event.key];
    const at = atoms.indexOf(view.signal(cursor) >= 0 ? view.signal(cursor) : selected.find((it) => it >= 0 && atoms.includes(it)));
    const next = at < 0 ? 0 : at + right + down * wide;
    if (next < 0 || next >= atoms.length || (right && at >= 0 && wide > 1 && Math.floor(next / wide) !== Math.floor(at / wide))) return event.preventDefault();
    view.signal(cursor, atoms[next]).run();
    const atom = element.atoms[atoms[next]];
    document.getElementById("status").textContent = atom ? atom[1] + spoken(atom[0], choices()) : "";
    act(element, [[ids, atoms[next]]], false);
  } else return;
  event.preventDefault();
}

// ---- the address: #a=output+class=282&cell=... so that a link shows this state --------------------------------------

const pack = (text) => encodeURIComponent(text).replace(/%20/g, "+").replace(/%3D/g, "=").replace(/%2C/g, ",").replace(/%3A/g, ":");
const unpack = (text) => decodeURIComponent(text.replace(/\+/g, " "));

function remember() {
  const hash = [...chosen].filter(([id]) => !selections.get(id).leaves).map(([id, index]) => `${pack(id)}=${pack(selections.get(id).atoms[index][0])}`).join("&");
  try { history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search); } catch { /* framed without an address */ }
}

function recall() {
  chosen.clear();
  for (const part of location.hash.slice(1).split("&")) {
    try {
      const cut = part.indexOf("=");
      const id = unpack(part.slice(0, cut));
      const index = indexOfKey(selections.get(id).atoms, unpack(part.slice(cut + 1)));
      if (index >= 0) chosen.set(id, index);
    } catch { /* not one of this page's: ignored */ }
  }
}

// ---- starting --------------------------------------------------------------------------------------------------------

// Vega-Lite was compiled: let sizes follow their expressions, and give image marks decoded images in place of addresses.
function patch(element) {
  return (vega) => {
    delete vega.width;
    delete vega.height;
    for (const signal of vega.signals) {
      if (signal.name === "pictures") signal.value = pictures;
      if (signal.name === "blank") signal.value = blank;
      if (signal.name.startsWith("frames_")) signal.value = data.elements.find((e) => `frames_${e.name}` === signal.name).frames;
    }
    vega.signals.push({ name: "width", update: `total_${element.name}` }, { name: "height", update: `tall_${element.name}` });
    const walk = (marks) => marks.forEach((mark) => {
      const update = mark.encode?.update;
      if (mark.type === "image") { update.image = update.url; delete update.url; }
      walk(mark.marks ?? []);
    });
    walk(vega.marks);
    return vega;
  };
}

async function start() {
  blank.src = Object.values(data.specs)[0]?.params.find((param) => param.name === "blank").value ?? "";
  await Promise.allSettled([blank, ...sheets, ...data.pictures.map((it, i) => (typeof it === "string" ? pictures[i] : blank))].map((it) => it.decode()));
  recall();
  const room = (node) => Math.max(node.clientWidth - 2 * PAD, 120);
  for (const node of document.querySelectorAll("[data-chart]")) {
    const element = elements.get(node.dataset.chart);
    const spec = data.specs[element.id];
    spec.params.find((param) => param.name === "room").value = room(node);
    const { view } = await vegaEmbed(node, spec, { renderer: "svg", actions: false, ast: true, defaultStyle: false, tooltip: false, patch: patch(element) });
    views.set(element.id, view);
    listen(element, view);
    if (node.hasAttribute("tabindex")) {
      node.addEventListener("keydown", (event) => onKey(event, element, view));
      node.addEventListener("blur", () => { view.signal(`cursor_${element.name}`, -1).run(); leave(drives(element)); });
    }
    new ResizeObserver(() => {
      if (view.signal("room") !== room(node)) view.signal("room", room(node)).run();
    }).observe(node);
  }
  draw();
  document.documentElement.dataset.ready = "";
}

addEventListener("hashchange", () => { recall(); draw(); });
// A notebook, which has this page in a frame without rights, gets its height, and nothing else.
const reportHeight = () => { if (parent !== window) parent.postMessage({ bbi: "height", pixels: document.body.getBoundingClientRect().height }, "*"); };
new ResizeObserver(reportHeight).observe(document.body); // silent while the frame is out of sight
// The live preview, which has this page in a frame of its own, brings pictures as they are made: [[number, address], ...].
addEventListener("bbi-pictures", async ({ detail }) => {
  const made = detail.map(([number, uri]) => [number, image(uri)]);
  await Promise.allSettled(made.map(([, it]) => it.decode()));
  pictures = Object.defineProperties([], Object.getOwnPropertyDescriptors(pictures)); // Vega looks whether it is another; maps stay uncut
  for (const [number, value] of made) Object.defineProperty(pictures, number, { value, configurable: true, enumerable: true });
  for (const view of views.values()) try { view.signal("pictures", pictures).run(); } catch { /* draws none */ }
});
document.addEventListener("input", ({ target }) => {
  const { selection } = target.dataset, index = target.type === "checkbox" ? Number(target.checked) : Number(target.value);
  if (selection) choose([[selection, index < 0 ? null : index]]);
});
document.addEventListener("submit", (event) => event.preventDefault());
function listenRef(ref) {
  const refs = () => JSON.parse(ref.dataset.ref);
  for (const kind of ["pointerenter", "focus", "click"]) ref.addEventListener(kind, () => choose(refs()));
  for (const kind of ["pointerleave", "blur"]) ref.addEventListener(kind, (event) => { if (event.pointerType !== "touch") leave(refs().map(([id]) => id)); });
}
document.querySelectorAll("[data-ref]").forEach(listenRef);
// A tap beside every picture lets go of what was pointed at.
document.addEventListener("click", ({ target }) => { if (!target.closest?.(".chart, .ref, .chip")) leave([...selections.keys()]); });
document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-save]");
  if (button) save(button.dataset.save, elements.get(button.dataset.element));
  for (const menu of document.querySelectorAll("details.save[open]")) if (button || !menu.contains(target)) menu.open = false;
});
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") document.querySelectorAll("details.save[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
});

// Light or dark: the reader's system decides until the button is pressed; nothing is stored.
const toggle = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
const nameToggle = () => { toggle.textContent = isDark() ? "light" : "dark"; toggle.setAttribute("aria-label", `switch to ${toggle.textContent} colours`); };
toggle.addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; nameToggle(); });
system.addEventListener("change", nameToggle);
toggle.hidden = false;
nameToggle();
start().then(reportHeight);
