"""How fast a page pans and answers over many points in headless Chromium's software renderer, and what it weighs.

python benchmarks/points.py [--record]

100,000 points of size 3, blended, in a plot of 1,104 x 700: 100 panned frames, each drawn and read back, so that the
renderer has finished it. `frame_ms` is wall time, `work_ms` the processor time of all of the browser's processes for a
frame: what a machine without other load needs, on one core. `hover_ms`: from a pointer event until the frame after the
one with the point's words; `first_paint_ms`: from opening the file until the points are drawn. Then the bytes of a page
of 1,000,000 points with a label, a number, a name each and 2,000 thumbnails. Without a graphics processor a page draws
into a plain canvas; a second row has WebGL2 by software. Prints a line of JSON for each.
"""

from __future__ import annotations

import json
import os
import platform
import runpy
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT.parent), str(ROOT / "tests" / "page"), str(ROOT / "tests" / "models")]
FRAMES, HOVERS, TICK = 100, 40, os.sysconf("SC_CLK_TCK")
CHART = "document.querySelector('[data-chart=map]').points"
PAN = f"""async (frames) => {{
    const chart = {CHART}, times = [];
    for (let i = 0; i < frames; i++) {{
        await new Promise(requestAnimationFrame);
        const start = performance.now();
        chart.view.pan(i % 50 < 25 ? 4 : -4, i % 20 < 10 ? 3 : -3);
        chart.draw();
        chart.painter.finish();
        times.push(performance.now() - start);
    }}
    return times;
}}"""
HOVER = f"""async (hovers) => {{
    const chart = {CHART}, plot = document.querySelector("#element-map .points"), times = [];
    let seed = 1, hits = 0;
    const random = (most) => (seed = (seed * 16807) % 2147483647) % most;
    for (let i = 0; i < hovers; i++) {{
        const box = plot.getBoundingClientRect(), k = random(chart.set.count);
        const [x, y] = chart.view.pixel(chart.set.places[2 * k], chart.set.places[2 * k + 1]);
        await new Promise(requestAnimationFrame);
        const start = performance.now(), at = {{bubbles: true, clientX: box.x + x, clientY: box.y + y}};
        plot.dispatchEvent(new PointerEvent("pointermove", at));
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - start);
        hits += chart.hovered >= 0 ? 1 : 0;
    }}
    return [times, hits];
}}"""
WEBGL = """{  // as if it were none by software
    const own = WebGL2RenderingContext.prototype.getParameter;
    WebGL2RenderingContext.prototype.getParameter = function (name) {
        const value = own.call(this, name);
        return String(value).includes("SwiftShader") ? "a graphics processor" : value;
    };
    const getContext = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, options) {
        const any = kind === "webgl2" ? {...options, failIfMajorPerformanceCaveat: false} : options;
        return getContext.call(this, kind, any);
    };
}"""
READY = """new MutationObserver(() => {
    if (document.documentElement?.hasAttribute("data-ready")) window.readyAt ??= performance.now();
}).observe(document, {attributes: true, subtree: true})"""


def page_of(count: int, names: bool) -> Path:
    """Return a page of a cloud of points in twelve clusters, with a column of labels and one of numbers."""
    from point_views import KINDS, view_of
    from sklearn.datasets import load_sample_image

    from bbilang.registry import registry
    from bbilang.runtime.page.html import render
    from bbilang.runtime.view.points.pack import Points, pack

    random = np.random.default_rng(3)
    photo = load_sample_image("china.jpg")
    kind = random.integers(0, len(KINDS), count)
    x, y = (np.cos(kind) * 3 + random.normal(0, 1, count), np.sin(kind) * 2 + random.normal(0, 1, count))
    corners = random.integers(0, 300, (count, 2))

    def thumbnail(i: int) -> np.ndarray:
        top, left = corners[i]
        return photo[top : top + 96 : 2, left : left + 96 : 2]

    columns = {"label": np.array(KINDS, dtype=object)[kind], "loss": random.gamma(2, 1, count)}
    titles = [f"val/ILSVRC2012_val_{i:08d}.JPEG" for i in range(count)] if names else ()
    points = pack(Points(x, y, columns, titles, thumbnail, 48, colour="label"))
    path = Path(tempfile.mkdtemp()) / f"points_{count}.html"
    path.write_bytes(render(view_of(points), registry().styles).encode())
    return path


def measured(count: int, webgl: bool) -> dict[str, Any]:
    """Return what a page of so many points takes to open, to pan and to be pointed at."""
    from playwright.sync_api import sync_playwright

    path = page_of(count, names=True)
    test = runpy.run_path(str(ROOT / "tests" / "conftest.py"))
    load = round(os.getloadavg()[0], 1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=test["CHROMIUM"]["find"](), args=test["ARGUMENTS"])
        tab = browser.new_page(viewport={"width": 1280, "height": 1000})
        tab.add_init_script(READY)
        if webgl:
            tab.add_init_script(WEBGL)
        tab.goto(path.resolve().as_uri())
        tab.wait_for_selector("html[data-ready]", timeout=120_000)
        tab.evaluate(PAN, 10)
        before = browser_seconds()
        frames = tab.evaluate(PAN, FRAMES)
        work = (browser_seconds() - before) / FRAMES
        hovers, hits = tab.evaluate(HOVER, HOVERS)
        chart = f"[{CHART}.kind, {CHART}.size, {CHART}.inner.wide, {CHART}.inner.high, readyAt]"
        kind, size, wide, high, ready = tab.evaluate(chart)
        version = browser.version
        browser.close()
    return {
        "benchmark": "points",
        "points": count,
        "drawn": kind,
        "size": size,
        "plot": [wide, high],
        "bytes": path.stat().st_size,
        "frame_ms": spread(frames),
        "work_ms": round(1000 * work, 1),
        "hover_ms": spread(hovers),
        "hit": hits / HOVERS,
        "first_paint_ms": round(ready),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "load": load,
        "load_after": round(os.getloadavg()[0], 1),
        "chromium": version,
    }


def browser_seconds() -> float:
    """Return the processor time so far of all processes that this one started."""
    parents, times = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)], times[int(folder.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK
    own = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(times[pid] for pid in own - {os.getpid()})


def spread(times: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {"median": round(statistics.median(ordered), 1), "p95": round(p95, 1), "most": round(ordered[-1], 1)}


if __name__ == "__main__":
    from benchmarks.records import append

    for count, webgl in ((100_000, False), (100_000, True), (1_000_000, False)):
        record = measured(count, webgl)
        print(append("points", record) if "--record" in sys.argv[1:] else json.dumps(record), flush=True)
