"""Icons at equal steps and size: the same number of steps of one batch by the engine and by a plain loop that stops at
the layer (`benchmarks/icons.py`)."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.harness import Limit, Numbers, Row, Way

LAYER, STEPS = "block5c.expand", 24


def icons_module() -> Any:
    """Import benchmarks/icons.py, a script that imports its neighbour by its bare name."""
    folder = str(Path(__file__).parent)
    if folder not in sys.path:
        sys.path.append(folder)
    from benchmarks import icons

    return icons


def chosen(count: int) -> list[Any]:
    """Return channels spaced evenly over the layer, each between two of those by which the number of steps was chosen
    (`benchmarks/icons.py`)."""
    from bbilang.runtime.featvis.engine import Objective

    channels = work.adapter().description.by_name[LAYER].shape[0]
    return [Objective(LAYER, round((i + 0.5) * channels / count)) for i in range(count)]


def row(tiny: bool = False) -> Row:
    from bbilang.runtime.featvis.engine import Recipe

    icons = icons_module()
    steps, size = (4, 32) if tiny else (STEPS, 128)
    objectives = chosen(32)[: Recipe().batch]
    recipe = Recipe(size=size, steps=steps)

    @cache
    def taken() -> int:
        """Return the steps of the engine's schedule for this quality, which the loop takes too."""
        return icons.engine(work.adapter(), objectives, recipe)[1]

    def ours(made: Any) -> Numbers:
        pictures, own = made
        return {"steps": np.array([own]), "shape": np.array([len(pictures), *pictures[0].picture.shape])}

    def loop(pictures: Any) -> Numbers:
        return {"steps": np.array([taken()]), "shape": np.array([len(pictures), *pictures[0].shape])}

    return Row(
        "icon_steps",
        f"{len(objectives)} icons of {LAYER}, {size} px, at equal steps",
        (
            Way(
                "bbilang",
                "ours",
                lambda: icons.engine(work.adapter(), objectives, recipe),
                ours,
            ),
            Way(
                "plain loop",
                "minimum",
                lambda: icons.plain_loop(work.adapter(), objectives, replace(recipe, steps=taken())),
                loop,
            ),
        ),
        (Limit("faster", 1.4, "plain loop"),),
        "how many steps were taken, and of how many pictures of which size (quality is compared in the next row)",
        0.0,
    )
