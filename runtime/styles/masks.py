"""`masks`: the positions of each group in its colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Drawn, Fail, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.view import hues
from bbilang.runtime.view.drawing import Drawing, Index, Shape, rounded
from bbilang.runtime.view.model import Answer, Element, Frame, Panel
from bbilang.runtime.view.scales import numbers_fit

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown


class Masks(Style):
    """Where each group is: every position is tinted with the mean of the groups' colours, weighted by their values, and
    more strongly where the largest value is higher. The number of each group is printed where the group is strongest.
    Pointing at a group shows its own map; pointing at a position fades the groups that are absent there, in every
    element that shows them."""

    name = "masks"
    drawn_as = "coloured masks"
    spends = "`group`, `y` and `x`"
    overlays = True
    carries = True
    selects_positions = True
    fades_groups = True
    example = (
        "photo  = input | present(image)\n"
        "groups = block6a.expand | factorize(nmf, 6)\n"
        "groups.spatial | present(masks, over=photo)"
    )

    def spend(self, field: FieldType) -> Drawn:
        y, x, group = (field.axis(name) for name in ("y", "x", "group"))
        if y is None or x is None or group is None:
            raise Fail(
                "E304", "`masks` draws groups over positions", "as in `groups.spatial | present(masks, over=photo)`"
            )
        return Drawn(("group", "y", "x"), series=group, cells=(y.size, x.size))

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        axes = [drawing.axis(name) for name in ("y", "x", "group")]
        values = drawing.grid(drawing.field.values, *axes)
        counts = drawing.group_counts()
        numbered = drawing.whole or numbers_fit(values)

        def frame(index: Index) -> tuple[Frame, Shape]:
            weights = drawing.inside(values[index], index)
            weights = weights[..., ~np.isnan(weights).all((0, 1))]  # fewer groups in this state
            y, x, count = weights.shape
            numbers, total = group_numbers(drawing, index, count), int(counts[index])
            colours = drawing.group_colours(numbers, total, drawing.node)
            tints = [mask(weights, colours, only) for only in (None, *range(count))]
            names = drawing.series(index)[:count]
            where = f"over positions of {drawing.layer_at(index)}"
            alternatives = [f"every group {where}", *(f"{name} {where}" for name in names)]
            flat = weights.reshape(-1, count)
            shown = Frame(
                drawing.cells(index, (y, x)),
                tuple(_picture(drawing, tint, words) for tint, words in zip(tints, alternatives, strict=True)),
                tuple(tuple(map(rounded, one)) for one in flat) if numbered else (),
                names,
                series_atoms=drawing.series_atoms(index)[:count],
                series_colours=colours,
                spots=spots(weights),
            )
            return shown, (y, x)

        return drawing.map_panels(frame)

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        return (
            "colour: the mean of the groups' colours, weighted by their strength; opacity: the strongest group",
            "a number marks its group",
        )

    def answer(self, shown: Shown) -> Answer | None:
        from bbilang.runtime.view.answers.maps import shares_of_groups

        return shares_of_groups(shown)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.masks import chart

        return chart(element, theme)


def group_numbers(drawing: Drawing, index: Index, count: int) -> np.ndarray:
    """Return the number of each group (group,) that is drawn in one state and facet."""
    if "group" not in drawing.field.coords:
        return np.arange(count)
    return drawing.grid(drawing.field.coords["group"], drawing.axis("group"))[index][:count]


def mask(weights: np.ndarray, colours: Sequence[str], only: int | None = None) -> np.ndarray:
    """Colour the groups' values (y, x, group) as uint8 (y, x, rgba): the mean of their colours, opaque where the
    strongest group reaches its own maximum. ``only``: the map of one group."""
    strength = _strength(weights)
    if only is not None:
        strength = strength * (np.arange(strength.shape[-1]) == only)
    opacity = strength.max(-1, initial=0)
    colour = hues.mixed(strength, colours)
    return np.rint(255 * np.concatenate([colour, opacity[..., None]], axis=-1)).astype(np.uint8)


def spots(weights: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Return (x, y), as shares of the panel, where each group exceeds the others most: the position of its number."""
    strength = _strength(weights)
    y, x, count = strength.shape
    places = []
    for group in range(count):
        others = np.delete(strength, group, axis=-1).max(-1, initial=0)
        row, column = divmod(int((strength[..., group] - others).argmax()), x)
        places.append(((column + 0.5) / x, (row + 0.5) / y))
    return tuple(places)


def _strength(weights: np.ndarray) -> np.ndarray:
    """Return each group's values relative to its maximum."""
    weights = np.clip(np.nan_to_num(np.asarray(weights, np.float64)), 0, None)
    return weights / np.maximum(weights.max((0, 1), keepdims=True, initial=0), 1e-12)


def _picture(drawing: Drawing, pixels: np.ndarray, words: str) -> int:
    from bbilang.runtime.view.image_bytes import png

    return drawing.picture(png(pixels), "image/png", pixels.shape[1], pixels.shape[0], words)


STYLES = (Masks(),)
