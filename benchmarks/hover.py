"""How fast a page is ready and answers the pointer: four layers of icons at every position, over them a map for each of
1,225 positions; drawn by the page itself and by Vega. Prints one line of JSON for each.

python benchmarks/hover.py [PAGE.html ELEMENT]

In Chromium the pointer visits positions in a fixed random order. `answer_ms` is from the event until every chart has
its new picture, `frame_ms` until the frame after that one: what a reader sees. `ready_ms`: from opening the file.
"""

from __future__ import annotations

import json
import os
import platform
import runpy
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("page", "models")]
VISITS = 60
SCRIPT = """async ([element, visits]) => {
    const paths = [...document.querySelectorAll(`[data-chart="${element}"] [class*=front_hit_] path`)];
    const boxes = paths.filter((path) => path.getBoundingClientRect().width > 1);
    let seed = 1;
    const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
    const answers = [], frames = [];
    for (let i = 0; i < visits + 5; i++) {
        const path = boxes[Math.floor(random() * boxes.length)], box = path.getBoundingClientRect();
        const at = {bubbles: true, clientX: box.x + random() * box.width, clientY: box.y + random() * box.height};
        await new Promise(requestAnimationFrame);
        const start = performance.now();
        path.dispatchEvent(new PointerEvent("pointermove", at));
        const answered = performance.now();
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        if (i >= 5) { answers.push(answered - start); frames.push(performance.now() - start); }
    }
    return [answers, frames];
}"""


READY = """new MutationObserver(() => {
    if (document.documentElement?.hasAttribute("data-ready")) window.readyAt ??= performance.now();
}).observe(document, {attributes: true, subtree: true})"""


def main(page: Path, element: str) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    test = runpy.run_path(str(ROOT / "tests" / "conftest.py"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=test["CHROMIUM"]["find"](), args=test["ARGUMENTS"])
        tab = browser.new_page(viewport={"width": 1280, "height": 1000})
        tab.add_init_script(READY)
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("html[data-ready]")
        answers, frames = tab.evaluate(SCRIPT, [element, VISITS])
        ready, version = tab.evaluate("readyAt"), browser.version
        browser.close()
    return {
        "benchmark": "hover",
        "page": page.name,
        "drawn": "by Vega" if b'id="bbi-vega"' in page.read_bytes() else "by the page",
        "bytes": page.stat().st_size,
        "visits": VISITS,
        "ready_ms": round(ready),
        "answer_ms": _spread(answers),
        "frame_ms": _spread(frames),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "load": round(os.getloadavg()[0], 1),
        "chromium": version,
    }


def _spread(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "median": round(statistics.median(ordered), 1),
        "p90": round(ordered[int(0.9 * (len(ordered) - 1))], 1),
        "most": round(ordered[-1], 1),
    }


def planted(vega: bool) -> Path:
    """Return the page of planted numbers that the tests drive."""
    from planted import grids

    from bbilang.registry import registry
    from bbilang.runtime.page import html

    if vega:
        html.beyond = lambda specification: "everything"
    path = Path(tempfile.mkdtemp()) / f"four_layers{'_vega' if vega else ''}.html"
    path.write_bytes(html.render(grids(), registry().styles).encode())
    return path


if __name__ == "__main__":
    given = sys.argv[1:]
    pages = [(Path(given[0]), given[1])] if given else [(planted(vega), "grids") for vega in (False, True)]
    for page in pages:
        print(json.dumps(main(*page)))
