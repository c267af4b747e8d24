"""The moving picture of the README: a pointer goes over the icons of the teaser, and the photo answers.

python scripts/moving_picture.py [PAGE]    default: build/site/gallery/teaser.html, which `make docs` wrote

Writes docs/images/teaser-moving.webp, a looping animation of less than 1 MB.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from chromium import MISSING, find

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "images" / "teaser-moving.webp"
WIDE, SHOWN, MOST = 1200, 960, 1_000_000  # pixels of the page and of the picture; bytes
REST, STEP = 1300, 60  # milliseconds on an icon; of each step between two
STEPS = 6
ICONS = (0, 1, 2, 3, 4, 5)
POINTER = """
() => {
  const pointer = document.createElement("div")
  pointer.id = "pointer"
  pointer.style.cssText = "position: fixed; z-index: 9; width: 18px; height: 18px; margin: -9px; border-radius: 50%;"
    + "background: #b34a0055; border: 2px solid #b34a00; pointer-events: none; box-sizing: border-box"
  document.body.append(pointer)
  addEventListener("pointermove", (event) => {
    pointer.style.left = `${event.clientX}px`
    pointer.style.top = `${event.clientY}px`
  }, true)
}
"""


def frames(tab: Any) -> list[tuple[bytes, int]]:
    """Return (PNG, milliseconds) from the first icon to the last and back."""
    marks = tab.locator("#element-blocks svg image")
    boxes = [marks.nth(icon).bounding_box() for icon in ICONS]
    centres = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]
    end = tab.evaluate(
        "Math.max(...[...document.querySelectorAll('#element-photo figcaption, #element-blocks .chart')]"
        ".map((node) => node.getBoundingClientRect().bottom))"
    )
    clip = {"x": 0, "y": 0, "width": WIDE, "height": min(int(end) + 16, 900)}
    taken = []
    for number, (x, y) in enumerate(centres):
        tab.mouse.move(x, y)
        tab.wait_for_timeout(250)
        taken.append((tab.screenshot(clip=clip), REST))
        x1, y1 = centres[(number + 1) % len(centres)]
        for step in range(1, STEPS):
            share = step / STEPS
            share = share * share * (3 - 2 * share)  # starts and ends slowly
            tab.mouse.move(x + share * (x1 - x), y + share * (y1 - y))
            tab.wait_for_timeout(60)
            taken.append((tab.screenshot(clip=clip), STEP))
    return taken


def animation(taken: list[tuple[bytes, int]]) -> bytes:
    """Encode as WebP of the best quality that stays below the limit. Raises ValueError if none does."""
    from PIL import Image

    pictures = [Image.open(io.BytesIO(png)).convert("RGB") for png, _ in taken]
    size = (SHOWN, round(SHOWN * pictures[0].height / pictures[0].width))
    pictures = [picture.resize(size, Image.Resampling.LANCZOS) for picture in pictures]
    for quality in (85, 75, 65, 55, 45):
        buffer = io.BytesIO()
        durations = [time for _, time in taken]
        pictures[0].save(
            buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=quality,
            method=6, minimize_size=True,
        )  # fmt: skip
        if buffer.tell() < MOST:
            return buffer.getvalue()
    raise ValueError(f"the animation takes {buffer.tell():,} bytes, more than {MOST:,}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("page", type=Path, nargs="?", default=ROOT / "build" / "site" / "gallery" / "teaser.html")
    given = parser.parse_args()
    path = find()
    if path is None:
        print(MISSING, file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDE, "height": 900})
        tab.goto(given.page.resolve().as_uri())
        tab.wait_for_selector("html[data-ready]")
        tab.evaluate(POINTER)
        tab.wait_for_timeout(500)
        taken = frames(tab)
        browser.close()
    OUT.write_bytes(animation(taken))
    print(f"{OUT.relative_to(ROOT)}  {OUT.stat().st_size / 1e3:.0f} kB, {len(taken)} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
