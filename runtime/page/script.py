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
# What draws point sets, in a scope of its own: only on pages that have some.
POINTS = (
    "points/payload.js",  # bytes of the page as numbers
    "points/columns.js",  # columns, their colours
    "points/grid.js",  # which points lie where
    "points/set.js",  # the points: places, columns, thumbnails, flags
    "points/view.js",  # zoom and middle
    "points/webgl.js",  # drawn by WebGL2
    "points/raster.js",  # or pixel by pixel
    "points/over.js",  # axes, rings, the lasso
    "points/tip.js",  # what is known of one point
    "points/pointer.js",
    "points/keys.js",
    "points/tools.js",  # colour, filter, legend
    "points/chosen.js",  # what the chosen points have in common
    "points/address.js",
    "points/chart.js",
    "points/bins.js",  # bins of an atlas, for what follows one
    "points/following.js",  # elements that follow a lasso
)
# Of elements with zooms and details: only on pages that have some, after what they follow.
DETAILS = ("zoom.js", "details.js")
SOUNDS = ("sounds.js",)  # players: only on pages that have sounds
SPACE = ("space.js",)  # of pages with a grid of where pages lie
FILM = ("player.js",)  # of pages whose inputs are frames
POINT_NAMES = "PointChart, Follower, onPointKey, keepPoints, recallPoints, pointRows"
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


@lru_cache(maxsize=8)
def script(
    vega: bool, points: bool = False, details: bool = False, sounds: bool = False, film: bool = False,
    space: bool = False,
) -> str:  # fmt: skip
    """Return the page's script. vega: Vega draws the charts, else the page's own renderer does; points: there are point
    sets; details: there are elements that say more of the mark that is pointed at; sounds: there are some to play;
    film: inputs are frames; space: there are grids of where pages lie."""
    scopes = [] if vega else [f"const Chart = (() => {{\n{joined(DRAW)}return Chart;\n}})();\n"]
    if points:
        scopes.append(f"const {{ {POINT_NAMES} }} = (() => {{\n{joined(POINTS)}return {{ {POINT_NAMES} }};\n}})();\n")
    names = [VEGA if vega and name == "charts/drawn.js" else name for name in FILES]
    at = names.index("copying.js")
    more = (*(DETAILS if details else ()), *(SOUNDS if sounds else ()), *(SPACE if space else ()))
    names[at:at] = more
    at = names.index("theme.js")
    names[at:at] = FILM if film else ()
    return "".join(scopes) + joined(names)


def joined(names: Iterable[str]) -> str:
    folder = files("bbilang.runtime.page") / "js"
    return "\n".join(folder.joinpath(*name.split("/")).read_text(encoding="utf-8").strip() + "\n" for name in names)
