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

