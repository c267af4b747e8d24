"""A point set where no script draws it: a picture of all points, the titles of its axes and the labels of its
colours."""

from __future__ import annotations

import io
from base64 import b64encode

import altair as alt
import numpy as np
from PIL import Image

from bbilang.runtime.vega.colours import POINT_SCALES
from bbilang.runtime.vega.element import Row, clipped
from bbilang.runtime.vega.geometry import least
from bbilang.runtime.vega.marks import Layer, MarkProperty, layer, stacked, text, x_of, y_of
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.hues import PALETTE
from bbilang.runtime.view.model import Element, PointSet
from bbilang.runtime.view.points.unpack import sections_of, shades_of

WIDE, HIGH, MARGIN = 720, 460, 12  # pixels, drawn at twice as many
FOOT, LINE, ACROSS = 28, 20, 4  # pixels below; of a line of labels; labels in a line
PLAIN, OTHER, NONE = "#3f4650", "#9aa0a8", "#c9cdd3"


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    """Draw a point set as one picture, with a key: for pages and files without WebGL."""
    points = element.points
    assert points is not None
    pixels, labels = drawn(points)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    uri = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    lines = -(-len(labels) // ACROSS)
    geometry = theme.geometry(element)
    wide = geometry.named("plot", least(WIDE, geometry.room))
    geometry.flow(1, wide, wide * (HIGH / WIDE) + FOOT + lines * LINE, False)
    plot = f"({geometry.width} * {HIGH / WIDE:g})"
    row: Row = {"panel": 0, "own": 0, "slot": 0}
    base = layer(element, [{**row, "uri": uri}], left="0", top="0")
    size: dict[str, MarkProperty] = {"width": alt.ExprRef(str(geometry.width)), "height": alt.ExprRef(plot)}
    picture = base.mark_image(align="left", baseline="top", aspect=False, **size)
    made: list[Layer] = [picture.encode(x_of(), y_of(), url="uri:N")]
    if points.axes:
        words = f"{points.axes[0]} (to the right), {points.axes[1]} (upwards)"
        axes = layer(element, [{**row, "words": words}], left=f"{geometry.width} / 2", top=f"{plot} + 6")
        made.append(text(axes, "words", align="center", fontWeight=600))
    for at, (words, colour) in enumerate(labels):
        left = f"{geometry.width} * {at % ACROSS / ACROSS:g}"
        top = f"{plot} + {FOOT + at // ACROSS * LINE}"
        one = layer(element, [{**row, "words": f"\u25cf {clipped(words)}"}], left=left, top=top)
        made.append(text(one, "words", color=colour, limit=alt.ExprRef(f"{geometry.width} / {ACROSS} - 8")))
    return stacked(made)


def drawn(points: PointSet) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Return (the picture (y, x, rgb), twice as fine as it is shown, and the colours with their labels)."""
    wide, high, margin = 2 * WIDE, 2 * HIGH, 2 * MARGIN
    sections = sections_of(points)
    colours, labels = _colours(points, sections)
    spans = np.array([top - low or 1.0 for low, top in points.ranges])
    room = np.array([wide - 2 * margin, high - 2 * margin])
    scale = np.full(2, (room / spans).min()) if points.equal else room / spans
    share = np.stack([sections["x"], sections["y"]], axis=1) / 65535 - 0.5
    place = np.rint(share * spans * scale * [1, -1] + [wide / 2, high / 2]).astype(int)
    pixels = np.full((high, wide, 3), 255, np.uint8)
    reach = 6 if points.count <= 2_000 else 3 if points.count <= 20_000 else 2
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if right * right + down * down <= reach * reach:
                at = place + np.array([right, down])
                inside = ((at >= 0) & (at < [wide, high])).all(1)
                pixels[at[inside, 1], at[inside, 0]] = colours[inside]
    return pixels, labels


def _colours(points: PointSet, sections: dict[str, np.ndarray]) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Return each point's colour (point, rgb), and the labels of the colours."""
    number = next((i for i, column in enumerate(points.columns) if column.name == points.colour), -1)
    column = points.columns[number] if number >= 0 else None
    if column is None:
        return np.broadcast_to(_rgb(PLAIN), (points.count, 3)), []
    codes = sections[f"column{number}"]
    if column.kind == "category":
        shades, words = shades_of(column, codes)
        palette = (*PALETTE[: len(words) - 2], OTHER, NONE)
        labels = [(word, colour) for i, (word, colour) in enumerate(zip(words, palette, strict=True))
                  if word and (shades == i).any()]  # fmt: skip
        return np.stack([_rgb(colour) for colour in palette])[shades], labels
    scale = np.stack([_rgb(colour) for colour in POINT_SCALES["signed" if column.signed else "magnitude"]["light"]])
    values = codes.astype(float) if column.step is None else column.low + column.step * codes
    missing = np.isnan(values) if column.step is None else codes == 65535
    low, high = column.ends
    at = np.clip((np.nan_to_num(values) - low) / ((high - low) or 1), 0, 1) * (len(scale) - 1)
    made = np.stack([np.interp(at, np.arange(len(scale)), scale[:, c]) for c in range(3)], axis=1)
    made[missing] = _rgb(NONE)
    ends = [(f"{column.name} {end:.4g}", POINT_SCALES["signed" if column.signed else "magnitude"]["light"][at])
            for end, at in ((low, 0), (high, -1))]  # fmt: skip
    return np.rint(made).astype(np.uint8), ends


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
