"""Screenshots of the gallery's live pages for docs/images, at moments that show what a page does.

python scripts/docs_shots.py [--site FOLDER] [--only NAME ...]

Each page that `make docs` wrote is opened in Chromium, the pointer is moved as in MOMENTS, and everything above the
footer becomes docs/images/gallery-NAME.webp. Look at the results.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from chromium import MISSING, find

ROOT = Path(__file__).resolve().parents[1]
WIDE, QUIET = 1280, 300  # pixels; milliseconds until a page has drawn
# name -> (element, number of its picture, across, down): where the pointer is, as shares of that picture
MOMENTS = {
    "teaser": ("blocks", 4, 0.5, 0.5),
    "activation_grids": ("grids", 1, 0.32, 0.33),
    "spatial_attribution": ("grids", 4, 0.5, 0.5),
    "neuron_groups": ("icons", 2, 0.5, 0.5),
    "activation_atlas": ("atlas", 4, 0.5, 0.5),
}


def shot(browser: Any, page: Path, moment: tuple[str, int, float, float] | None) -> bytes:
    """Return the page above its footer as a PNG. Raises ValueError if the page reports an error."""
    complaints: list[str] = []
    tab = browser.new_page(viewport={"width": WIDE, "height": 1000})
    tab.set_default_timeout(180_000)
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-ready]")
    tab.wait_for_timeout(QUIET)
    if moment is not None:
        element, number, across, down = moment
        mark = tab.locator(f"#element-{element} svg image").nth(number)
        mark.scroll_into_view_if_needed()
        box = mark.bounding_box()
        tab.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        tab.wait_for_timeout(QUIET)
    end = tab.evaluate("document.querySelector('footer').getBoundingClientRect().top + scrollY")
    taken = tab.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDE, "height": int(end) - 20})
    tab.close()
    if complaints:
        raise ValueError(f"{page.name}: {'; '.join(complaints)}")
    return taken


def small(png: bytes) -> bytes:
    """Convert the picture to WebP: a quarter of the bytes, with the colours of icons and groups unchanged."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(buffer, "WEBP", quality=88, method=6)
    return buffer.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--site", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--only", nargs="*", metavar="NAME")
    given = parser.parse_args()
    path = find()
    if path is None:
        print(MISSING, file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    pages = sorted((given.site / "gallery").glob("*.html"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for page in pages:
            if given.only and page.stem not in given.only:
                continue
            picture = ROOT / "docs" / "images" / f"gallery-{page.stem}.webp"
            picture.write_bytes(small(shot(browser, page, MOMENTS.get(page.stem))))
            sizes = f"{picture.stat().st_size / 1e3:.0f} kB, the page {page.stat().st_size / 1e6:.2f} MB"
            print(f"{picture.relative_to(ROOT)}  {sizes}", flush=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
