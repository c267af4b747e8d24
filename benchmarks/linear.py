"""Linear attribution: 4 layers, 10 classes, the sum over positions for every channel."""

from __future__ import annotations

from typing import Any

from benchmarks import minimal, peers, work
from benchmarks.harness import KINKS, Limit, Numbers, Row, Way

BLOCKS = ("block3b", "block4c", "block5c", "block6c")


def row(tiny: bool = False) -> Row:
    blocks, classes = (BLOCKS[2:], work.ranked()[:2]) if tiny else (BLOCKS, work.ranked()[:10])
    text = "\n".join(f"{b}.expand.channel | attribute(output[top({len(classes)})]) | present(bars)" for b in blocks)

    def ours(results: Any) -> Numbers:
        return {b: work.values(results, number, "class", "channel") for number, b in enumerate(blocks)}

    def least(rows: Any) -> Numbers:
        return {b: sums.numpy() for b, sums in rows.items()}

    paths = [f"{b}.expand" for b in blocks]
    beside, missing = peers.ways(
        {
            "Captum, a list of layers": ("captum", lambda: peers.captum_linear(paths, classes, together=True)),
            "Captum, each layer and class": ("captum", lambda: peers.captum_linear(paths, classes, together=False)),
        },
        lambda rows: {b: rows[f"{b}.expand"] for b in blocks},
    )
    return Row(
        "linear",
        f"linear attribution, {len(blocks)} layers ({', '.join(blocks)} `.expand`) x {len(classes)} classes",
        (
            Way("bbilang", "ours", work.page(text), ours),
            Way(
                "minimum",
                "minimum",
                lambda: minimal.linear(work.adapter().module, work.picture(), blocks, classes),
                least,
            ),
            *beside,
        ),
        (Limit("times", 1.3, "minimum"),),
        "attribution of every channel of every layer to every class",
        KINKS,
        missing,
        {"Captum, a list of layers": 3, "Captum, each layer and class": 8},
    )
