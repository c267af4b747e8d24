// ---- starting --------------------------------------------------------------------------------------------------------

const room = (node) => Math.max(node.clientWidth - 2 * PAD, 120);

// Charts take the width at hand.
function fit(node, view) {
  if (view.signal("room") !== room(node)) view.signal("room", room(node)).run();
}

async function start() {
  blank.src = Object.values(data.specs)[0]?.params.find((param) => param.name === "blank").value ?? "";
  await Promise.allSettled([blank, ...sheets, ...data.pictures.map((it, i) => (typeof it === "string" ? pictures[i] : blank))].map((it) => it.decode()));
  recall();
  for (const node of document.querySelectorAll("[data-chart]")) {
    const element = elements.get(node.dataset.chart);
    const frames = data.elements.map((it) => [`frames_${it.name}`, it.frames]);
    const values = { pictures, blank, room: room(node), ...Object.fromEntries(frames) };
    const view = element.points ? await PointChart.made(node, element, room(node)) : await chartIn(node, element, data.specs[element.id], values); // charts/drawn.js or charts/vega.js
    if (element.points) pointCharts.push(view);
    views.set(element.id, view);
    listen(element, view);
    if (node.hasAttribute("tabindex")) {
      node.addEventListener("keydown", (event) => (element.points ? onPointKey(event, view) : onKey(event, element, view)));
      node.addEventListener("blur", () => { view.signal(`cursor_${element.name}`, -1).run(); leave(drives(element)); stopReading(element); });
    }
    new ResizeObserver(() => fit(node, view)).observe(node);
  }
  for (const element of data.elements)
    if (element.follows) await Follower.made(element, views.get(element.follows.map));
  if (pointCharts.length) recall();
  draw();
  reserve();
  addEventListener("resize", reserve);
  document.documentElement.dataset.ready = "";
}

