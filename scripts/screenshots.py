"""Screenshots of pages: wide, on a phone and in dark mode.

python scripts/screenshots.py OUT [PAGE ...]    without pages, those that `make docs` wrote into build/site/gallery

Writes OUT/NAME_wide.png, NAME_phone.png and NAME_dark.png, each of the whole page. A page that writes to the console or
makes a request is reported, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chromium import MISSING, find

ROOT = Path(__file__).resolve().parents[1]
KINDS: Mapping[str, Mapping[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}
QUIET = 500  # milliseconds after a page is ready until it has drawn


def shoot(browser: Any, page: Path, kind: str, to: Path) -> list[str]:
    """Write one screenshot. Returns what the page wrote to the console or requested."""
    complaints: list[str] = []
    context = browser.new_context(**KINDS[kind])
    tab = context.new_page()
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else complaints.append(request.url),
    )
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-ready]")
    tab.wait_for_timeout(QUIET)
    tab.screenshot(path=to, full_page=True)
    context.close()
    return complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("pages", type=Path, nargs="*")
    given = parser.parse_args()
    path = find()
    if path is None:
        print(MISSING, file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    given.out.mkdir(parents=True, exist_ok=True)
    code = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for page in given.pages or sorted((ROOT / "build" / "site" / "gallery").glob("*.html")):
            for kind in KINDS:
                picture = given.out / f"{page.stem}_{kind}.png"
                for complaint in shoot(browser, page, kind, picture):
                    print(f"{page.name}, {kind}: {complaint}", file=sys.stderr)
                    code = 1
                print(picture, flush=True)
        browser.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
