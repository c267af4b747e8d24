// Pointer, touch and wheel on the points.

const [NEAR, NEAR_TOUCH, STILL] = [12, 24, 4]; // pixels: how near a point is hit; how far a click may move
const [LEAST_CORNER, MOST_CORNERS] = [1.5, 60]; // of a lasso: as in fewer()

// The nearest point that is shown, or -1.
function nearest({ set, view }, x, y, reach) {
  const [left, bottom] = view.place(x - reach, y + reach), [right, top] = view.place(x + reach, y - reach);
  let best = -1, least = reach * reach;
  const { kx, ky, x0, y0 } = view.frame();
  set.grid.within([left, bottom, right, top], (i) => {
    if (set.flags[i] & HIDDEN) return;
    const across = x0 + (set.places[2 * i] / 65535) * kx - x, down = y0 - (set.places[2 * i + 1] / 65535) * ky - y, far = across * across + down * down;
    if (far < least || (far === least && i > best)) least = far, best = i;
  });
  return best;
}

function listenPoints(chart) {
  const { plot } = chart, down = new Map(); // pointers that are pressed: id -> [x, y]
  let start = null, moved = false, hovering = 0;
  const at = (event) => {
    const box = plot.getBoundingClientRect();
    return [event.clientX - box.left - chart.inner.left, event.clientY - box.top];
  };
  const pinch = () => {
    const [[x0, y0], [x1, y1]] = [...down.values()];
    return { far: Math.hypot(x1 - x0, y1 - y0) || 1, x: (x0 + x1) / 2, y: (y0 + y1) / 2 };
  };

  plot.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    plot.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    start = at(event), moved = false;
    chart.lasso = down.size === 1 && (event.shiftKey || chart.drawing) ? [start] : null;
  });
  plot.addEventListener("pointermove", (event) => {
    const here = at(event), before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "touch" || hovering) return;
      hovering = requestAnimationFrame(() => { hovering = 0; if (!down.size) chart.hover(nearest(chart, ...here, NEAR)); });
      return;
    }
    moved ||= Math.hypot(here[0] - start[0], here[1] - start[1]) > STILL;
    if (!moved) return;
    const two = down.size === 2 && pinch();
    down.set(event.pointerId, here);
    if (two) {
      const now = pinch();
      chart.pan(now.x - two.x, now.y - two.y);
      chart.zoomAt(now.far / two.far, now.x, now.y);
    } else if (chart.lasso) chart.lasso.push(here), chart.later();
    else if (down.size === 1) chart.pan(here[0] - before[0], here[1] - before[1]);
    chart.tip.node.hidden = true;
  });
  const up = (event) => {
    if (!down.delete(event.pointerId) || down.size) return;
    const path = chart.lasso, touch = event.pointerType === "touch";
    chart.lasso = null;
    if (event.type === "pointercancel") return chart.later();
    if (moved && path) return enclose(chart, path);
    if (moved) return chart.hover(-1);
    const hit = nearest(chart, ...at(event), touch ? NEAR_TOUCH : NEAR);
    if (hit < 0 && chart.chose) chart.choose(null);
    chart.hover(hit, true);
  };
  plot.addEventListener("pointerup", up);
  plot.addEventListener("pointercancel", up);
  plot.addEventListener("pointerleave", (event) => {
    cancelAnimationFrame(hovering), (hovering = 0);
    if (event.pointerType !== "touch" && !down.size) chart.hover(-1);
  });
  // The page scrolls over the plot until the reader has clicked into it; with Ctrl, and so for a pinch on a touchpad, not.
  plot.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== chart.node) return;
    event.preventDefault();
    const lines = event.deltaMode ? 24 : 1;
    chart.zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), ...at(event));
  }, { passive: false });
}

// Chooses what a path in pixels encloses: with whole numbers, so that the page's address gives the same points.
function enclose(chart, path) {
  const corners = fewer(path, LEAST_CORNER, MOST_CORNERS);
  if (corners.length < 3) return chart.later();
  chart.choose({ polygon: corners.flatMap(([x, y]) => chart.view.place(x, y).map((it) => Math.round(Math.min(Math.max(it, -32768), 98303)))) });
}
