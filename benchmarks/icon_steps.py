"""Icons at equal steps and size: the same number of steps of one batch by the engine and by a plain loop that stops at
the layer (`benchmarks/icons.py`)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.harness import Limit, Numbers, Row, Way

LAYER, STEPS = "block5c.expand", 24
STEPS_DEFAULT = 512
PEAK = 1024  # rows and columns of the matrices


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


def speed(objectives: list[Any], recipe: Any) -> dict[str, str]:
    """Say how many icons of the default quality a second of one processor makes, and what share of the peak a step
    reaches: the network's floating point operations, as torch counts them where autograd runs it, against a product of
    matrices."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from bbilang.runtime.featvis.ascent import Ascent
    from bbilang.runtime.featvis.schedule import schedule_of
    from bbilang.runtime.passes import Passes

    def seconds(work: Callable[[], Any]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    matrices = {"float32": torch.rand(2, PEAK, PEAK), "bfloat16": torch.rand(2, PEAK, PEAK).bfloat16()}
    steps, short = schedule_of(replace(recipe, steps=STEPS_DEFAULT)).steps, replace(recipe, redirect=0)
    with Ascent(work.adapter(), objectives[0], short, recipe.batch, Passes()) as ascent:

        def run() -> None:
            ascent.run(objectives, lambda objective, icon: None)

        fused, ascent.runner.fused = ascent.runner.fused, None
        with FlopCounterMode(display=False) as counted:
            run()
        ascent.runner.fused = fused
        run()
        products = [lambda pair=pair: pair[0] @ pair[1] for pair in matrices.values()]
        taken = [[seconds(each) for each in (run, *products)] for _ in range(5)]
        kind = "with autograd" if fused is None else f"fused, {str(fused.kind).removeprefix('torch.')}"
    step, *each = (min(times) for times in zip(*taken, strict=True))
    operations = counted.get_total_flops() / step
    made = len(objectives) * ascent.schedule.steps / steps / step
    peaks = {name: 2 * PEAK**3 / product for name, product in zip(matrices, each, strict=True)}
    shares = (f"{operations / peak:.0%} of {peak / 1e9:.0f} GFLOP/s of {name}" for name, peak in peaks.items())
    return {
        "Icons per second of one processor": f"{made:.2f} of {recipe.size} px and {steps} steps ({kind})",
        "Share of the peak": f"{', '.join(shares)}, products of matrices",
    }


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
        notes=lambda: {} if tiny else speed(objectives, recipe),
    )
