"""Linear attribution of every position of a layer to all 1,000 classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import minimal, peers, work
from benchmarks.harness import KINKS, Limit, Numbers, Row, Way

CAPTUM_CLASSES = 20  # of 1,000; the time is multiplied


def row(tiny: bool = False) -> Row:
    block, classes = ("block6d", 2) if tiny else ("block5c", CAPTUM_CLASSES)
    text = f"{block}.spatial | attribute(output.class) | present(heatmap, facet=class)"

    def ours(results: Any) -> Numbers:
        values = work.values(results, 0, "y", "x", "class")
        return {"all classes": values.reshape(-1, values.shape[-1]), "some": values.reshape(-1, 1000)[:, :classes]}

    def whole(rows: Any) -> Numbers:
        return {"all classes": np.asarray(rows)}

    share = classes / 1000
    name = f"Captum, a call per class (timed: {classes} of them)"
    beside, missing = peers.ways(
        {name: ("captum", lambda: peers.captum_positions(block, range(classes)))},
        lambda rows: {"some": rows},
        {name: share},
    )
    reverse = Way("bbilang, forced to batched reverse mode", "beside", work.page(text, force="reverse"), ours)
    return Row(
        "positions",
        f"{49 if tiny else 196} positions of {block} to all 1,000 classes",
        (
            Way("bbilang", "ours", work.page(text), ours),
            Way("minimum", "minimum", lambda: minimal.positions(work.adapter().module, work.picture(), block), whole),
            *([] if tiny else [reverse]),
            *beside,
        ),
        (Limit("times", 1.3, "minimum"),),
        "attribution of every position to every class",
        KINKS,
        missing,
        {name: 30, reverse.name: 4},
    )
