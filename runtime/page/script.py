"""The page's script: the small files under js/ joined into one module, in a fixed order."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

# Constants at the top of a file are made in this order; functions may be called from anywhere.
FILES = (
    "state.js",  # the page's data, and what the reader chose
    "images.js",  # pictures decoded once, maps cut from sheets
    "frames.js",  # which frame an element shows
    "charts/position.js",  # the same position in every grid, groups that fade
    "charts/update.js",  # charts follow the state
    "describe.js",  # words follow the state
    "announce.js",  # what a screen reader hears
    "choose.js",  # every change of the state
    "address.js",  # the state in the address
    "pointing.js",  # pointer and touch
    "keyboard.js",
    "saving.js",  # CSV, PNG, SVG
    "charts/start.js",  # Vega makes the charts
    "docking.js",  # the photo stays in view
    "hosts.js",  # notebooks and the live preview
    "controls.js",  # menus, references, the document
    "theme.js",  # light and dark
    "main.js",  # starts everything
)


@lru_cache(maxsize=1)
def script() -> str:
    folder = files("bbilang.runtime.page") / "js"
    return "\n".join(folder.joinpath(*name.split("/")).read_text(encoding="utf-8").strip() + "\n" for name in FILES)
