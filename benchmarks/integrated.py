"""Integrated gradients at a hidden layer, every entry of it."""

from __future__ import annotations

from typing import Any

from benchmarks import minimal, peers, work
from benchmarks.harness import KINKS, Limit, Numbers, Row, Way

BLOCK = "block6c"


def row(tiny: bool = False) -> Row:
    n_steps, index = (4 if tiny else 50), work.ranked()[0]
    text = f"{BLOCK}.expand.channel | attribute(output, method=integrated_gradients(n_steps={n_steps})) | present(bars)"

    def ours(results: Any) -> Numbers:
        return {"channels": work.values(results, 0, "channel")}

    def least(attributions: Any) -> Numbers:
        return {"channels": attributions.sum((1, 2)).numpy()}

    name = "Captum, LayerIntegratedGradients"
    beside, missing = peers.ways(
        {name: ("captum", lambda: peers.captum_integrated_gradients(f"{BLOCK}.expand", index, n_steps))}, least
    )
    return Row(
        "integrated",
        f"integrated gradients, {n_steps} steps, at {BLOCK}.expand",
        (
            Way("bbilang", "ours", work.page(text), ours),
            Way(
                "minimum",
                "minimum",
                lambda: minimal.integrated_gradients(work.adapter().module, work.picture(), BLOCK, index, n_steps),
                least,
            ),
            *beside,
        ),
        (Limit("times", 1.3, "minimum"),),
        "attribution of every channel to the predicted class",
        KINKS,
        missing,
        {name: 6},
    )
