"""A scale of colours as a list that Vega expressions look a number up in, with the ink that reads on each."""

from __future__ import annotations

import json
from itertools import pairwise

LEVELS = 65


class LevelColours:
    """The colours of a scale at ``LEVELS`` steps, as Vega expressions over ``datum.value``."""

    def __init__(self, stops: tuple[str, ...], share: str):
        """Build the lists of colours. ``share``: where the value lies on the scale, 0 to 1, as an expression that may
        leave that range."""
        colours = interpolated(stops)
        inks = ["#111" if is_light(colour) else "#fff" for colour in colours]
        level = f"round(clamp({share}, 0, 1) * {LEVELS - 1})"
        self.colour, self.ink = (f"{json.dumps(table)}[{level}]" for table in (colours, inks))


def interpolated(stops: tuple[str, ...]) -> list[str]:
    """Interpolate a scale's nine colours so finely that the steps are not visible."""
    each = (LEVELS - 1) // (len(stops) - 1)
    colours = []
    for first, last in pairwise(stops):
        a, b = ([int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (first, last))
        for part in range(each):
            mixed = [round(x + (y - x) * part / each) for x, y in zip(a, b, strict=True)]
            colours.append("#" + "".join(f"{value:02x}" for value in mixed))
    return [*colours, stops[-1]]


def is_light(colour: str) -> bool:
    """Return whether dark letters read better on the colour (relative luminance, WCAG 2). The limit serves both light
    and dark pages, where colours and letters are inverted (page.css): contrasts of 4 and more on each."""
    linear = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.215
