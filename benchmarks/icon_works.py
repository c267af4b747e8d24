"""32 icons at equal objective, whole works: ours, a plain loop, and torch-lucent one icon at a time as it is meant.

Equal means: on movements of the pictures that no way has trained on (`benchmarks/heldout.py`), at two sizes, ours has
at least 98 % of the other's mean objective over the same icons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import peers, work
from benchmarks.harness import Limit, Numbers, Row, Way
from benchmarks.icon_steps import LAYER, chosen, icons_module

COUNT, STEPS, SIZE = 32, 512, 128
TIMED = 24  # steps of the loop, of one batch
LUCENT_ICONS, LUCENT_TIMED = 4, 16  # icons that are made to the end for comparing; steps of one that are timed


def shortfall(ours: Numbers, other: Numbers) -> float:
    """Return by how much our mean objective falls short of the other's, at the worst size; 0 where it does not."""
    worst = 0.0
    for size, objectives in other.items():
        have, want = ours[size][: len(objectives)].mean(), objectives.mean()
        worst = max(worst, float((want - have) / abs(want)))
    return worst


def row(tiny: bool = False) -> Row:
    import torch

    from bbilang.runtime.featvis.engine import Recipe

    icons = icons_module()
    count, steps, size = (1, 8, 32) if tiny else (COUNT, STEPS, SIZE)
    objectives, recipe = chosen(count), Recipe(size=size, steps=steps)
    timed = min(TIMED, steps)
    channels = [o.direction for o in objectives]
    directions = torch.eye(work.adapter().description.by_name[LAYER].shape[0])[channels]
    measured: dict[str, float] = {}

    def objective(name: str, pictures: Sequence[np.ndarray]) -> Numbers:
        some = directions[: len(pictures)]
        responses = {
            f"{side} px": icons.heldout(work.adapter(), LAYER, pictures, some, side).numpy() for side in icons.SIZES
        }
        measured[name] = float(np.mean([values.mean() for values in responses.values()]))
        return responses

    def made(result: Any) -> Numbers:
        return objective("bbilang", [icon.picture for icon in result[0]])

    few, short = objectives[: recipe.batch], Recipe(size=size, steps=timed)
    batches = -(-count // recipe.batch)
    loop = Way(
        "plain loop",
        "minimum",
        lambda: icons.plain_loop(work.adapter(), few, short),
        lambda pictures: objective("plain loop", pictures),
        share=timed / steps / batches,
        whole=lambda: icons.plain_loop(work.adapter(), objectives, recipe),
    )
    ways, missing, lucent = (
        [Way("bbilang", "ours", lambda: icons.engine(work.adapter(), objectives, recipe), made), loop],
        {},
        "torch-lucent",
    )
    if reason := peers.reason_missing("lucent"):
        missing[lucent] = reason
    elif not tiny:
        ways.append(
            Way(
                lucent,
                "beside",
                lambda: peers.lucent(LAYER, channels[:1], LUCENT_TIMED),
                lambda pictures: objective(lucent, pictures),
                share=LUCENT_TIMED / steps / count,
                whole=lambda: peers.lucent(LAYER, channels[:LUCENT_ICONS], steps),
            )
        )
    return Row(
        "icon_works",
        f"{count} icons of {LAYER}, {size} px, at equal objective ({steps} steps of the others)",
        tuple(ways),
        (Limit("faster", 3.0, "plain loop"),),
        "mean objective on movements that nobody trained on, at 128 and 224 px: by how much ours stays behind",
        0.5 if tiny else icons.MOST,
        missing,
        {lucent: 10},
        differ=shortfall,
        rounds=3,
        notes=lambda: {"Mean objective": ", ".join(f"{name} {value:.2f}" for name, value in measured.items())},
    )
