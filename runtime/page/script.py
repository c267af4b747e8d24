"""The page's script: the small files under js/ joined into one module, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

# The page's own renderer, in a scope of its own. Constants at the top of a file are made in this order.
DRAW = (
    "draw/functions.js",  # the functions of expressions
    "draw/expression.js",  # expressions without eval
    "draw/params.js",  # params as a graph
    "draw/table.js",  # rows, and what is calculated from them
    "draw/paths.js",
    "draw/words.js",  # text, cut to its limit
    "draw/marks.js",  # kinds of marks
    "draw/layer.js",  # rows as SVG
    "draw/chart.js",  # a whole chart
)
VEGA = "charts/vega.js"
# Constants at the top of a file are made in this order; functions may be called from anywhere.
FILES = (
    "packed.js",  # what the page holds compressed
    "state.js",  # the page's data, and what the reader chose
    "images.js",  # pictures decoded once, maps cut from sheets
    "frames.js",  # which frame an element shows
    "charts/tabs.js",  # one map at a time over a picture
    "charts/position.js",  # the same position in every grid, groups that fade
    "charts/update.js",  # charts follow the state
    "describe.js",  # words follow the state
    "answers.js",  # sentences follow the state
    "announce.js",  # what a screen reader hears
    "choose.js",  # every change of the state
    "address.js",  # the state in the address
    "reading.js",  # the value at a position
    "pointing.js",  # pointer and touch
    "keyboard.js",
    "copying.js",  # texts that ask about one atom
    "saving.js",  # CSV, PNG, SVG
    "charts/drawn.js",  # what makes a chart: or charts/vega.js
    "charts/start.js",
    "printing.js",  # paper
    "docking.js",  # the photo stays in view
    "hosts.js",  # notebooks and the live preview
    "controls.js",  # menus, references, the document
    "theme.js",  # light and dark
    "main.js",  # starts everything
)


@lru_cache(maxsize=2)
def script(vega: bool) -> str:
    """Return the page's script. vega: Vega draws the charts, else the page's own renderer does."""
    if vega:
        return joined([VEGA if name == "charts/drawn.js" else name for name in FILES])
    return f"const Chart = (() => {{\n{joined(DRAW)}return Chart;\n}})();\n{joined(FILES)}"


def joined(names: Iterable[str]) -> str:
    folder = files("bbilang.runtime.page") / "js"
    return "\n".join(folder.joinpath(*name.split("/")).read_text(encoding="utf-8").strip() + "\n" for name in names)
