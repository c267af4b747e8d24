const follows = []; // what else follows the state

// Keeps the words beside titles, menus and references in step with the pictures.
function describe(now) {
  showTabs(now);
  document.querySelectorAll("[data-answer]").forEach((node) => answer(node, now));
  document.querySelectorAll("[data-chart]").forEach((node) => label(node, now));
  for (const node of document.querySelectorAll("[data-now]")) {
    const pointed = elements.get(node.dataset.now).states.map((id) => selections.get(id)).filter((s) => s.kind === "hover" || s.kind === "click");
    node.textContent = pointed.map((s) => (now.get(s.id) === null ? "" : s.atoms[now.get(s.id)][1])).filter(Boolean).join(", ");
  }
  for (const node of document.querySelectorAll("[data-waits]")) {
    const asks = elements.get(node.dataset.waits).states.map((id) => selections.get(id)).filter((s) => now.get(s.id) === null).map((s) => s.ask || s.title);
    const words = asks.join(", and ");
    node.hidden = !asks.length;
    node.textContent = words && `${words[0].toUpperCase()}${words.slice(1)}.`;
    node.closest(".legend, .element").classList.toggle("waits", asks.length > 0);
  }
  for (const node of document.querySelectorAll("[data-remark]")) {
    const element = elements.get(node.dataset.remark), state = stateOf(element, now);
    const remarked = element.frames.map((panel) => panel[state]).filter((frame) => frame.remark);
    node.textContent = remarked.map((frame) => (frame.label ? `${frame.label}: ` : "") + frame.remark).join("; ");
    if (remarked.length) node.append(".");
  }
  for (const node of document.querySelectorAll("[data-budget]")) node.textContent = budget(elements.get(node.dataset.budget), now);
  for (const section of document.querySelectorAll("[data-input]")) section.hidden = Number(section.dataset.input) !== now.get(section.dataset.of);
  for (const control of document.querySelectorAll("[data-selection]")) {
    const index = now.get(control.dataset.selection) ?? -1;
    if (control.type === "checkbox") control.checked = index === 1;
    else control.value = index; // empty where a group of a flow is selected, which is on no menu of classes
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
  for (const follow of follows) follow(now);
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

// What the numbers shown add up to, each distinct budget of the panels once. As in view/states.py.
function budget(element, now) {
  const state = stateOf(element, now), frames = element.frames.map((panel) => panel[state]).filter((frame) => frame?.budget);
  const budgets = [...new Set(frames.map((frame) => frame.budget))];
  if (budgets.length === 1 && frames[0].flow) { // of a flow the line of the class that is selected, if one is
    const names = element.selects.map((id) => selections.get(id).atoms[now.get(id)]?.[1]);
    const own = budgets[0].split("\n").filter((line) => names.some((name) => name && line.startsWith(`${name}: `)));
    if (own.length) return own.join("\n");
  }
  return budgets.join("\n");
}
