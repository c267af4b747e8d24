// ---- Vega draws the charts: some of them need more than js/draw has

// Its text is run as a script whose hash the page's policy names: not evaluated, and no other would run.
async function libraries() {
  const script = Object.assign(document.createElement("script"), { type: "module", textContent: await unpacked(document.getElementById("bbi-vega").textContent) });
  const ready = new Promise((done) => addEventListener("bbi-vega", done, { once: true }));
  document.head.append(script);
  await ready;
}

// Vega-Lite was compiled: let sizes follow their expressions, and give image marks decoded images in place of addresses.
function patch(element, values) {
  return (vega) => {
    delete vega.width;
    delete vega.height;
    for (const signal of vega.signals) {
      if (signal.name in values) signal.value = values[signal.name];
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

const loaded = libraries();
async function chartIn(node, element, spec, values) {
  await loaded;
  const { view } = await vegaEmbed(node, spec, { renderer: "svg", actions: false, ast: true, defaultStyle: false, tooltip: false, patch: patch(element, values) });
  return view;
}
