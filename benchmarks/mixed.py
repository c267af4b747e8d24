"""200 elements over 8 layers and 20 classes in one file, beside one script with the minimal passes.

For every layer: 20 charts of the 8 channels with the highest attribution to a class, 4 maps of attribution by position,
one chart of the 8 most excited channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import minimal, work
from benchmarks.harness import KINKS, Limit, Numbers, Row, Way

BLOCKS = ("block3a", "block3b", "block4a", "block4c", "block5a", "block5c", "block6b", "block6c")
MAPS, SHOWN = 4, 8


def row(tiny: bool = False) -> Row:
    blocks, classes, maps = (BLOCKS[-2:], work.ranked()[:2], 1) if tiny else (BLOCKS, work.ranked()[:20], MAPS)
    lines: dict[str, str] = {}
    for b in blocks:
        lines[b] = f"{b}.expand.channel | activation | top({SHOWN}) | present(bars)"
        for index, c in enumerate(classes):
            lines[f"{b}/{c}"] = f"{b}.expand.channel | attribute(output[{c}]) | top({SHOWN}) | present(bars)"
            if index < maps:
                lines[f"{b}/{c}/map"] = f"{b}.expand.spatial | attribute(output[{c}]) | present(heatmap)"

    def ours(results: Any) -> Numbers:
        values = {}
        for index, name in enumerate(lines):
            if name.endswith("map"):
                values[name] = work.values(results, index, "y", "x")
            else:
                values[name] = work.values(results, index, "channel")
                values[f"{name} channels"] = work.atoms(results, index, "channel")
        return values

    def least(shown: Any) -> Numbers:
        numbers: dict[str, np.ndarray] = {}
        for name, value in shown.items():
            if name.endswith("map"):
                numbers[name] = value.numpy()
            else:
                numbers[name], numbers[f"{name} channels"] = value[0].numpy(), value[1].long().numpy()
        return numbers

    return Row(
        "mixed",
        f"{len(lines)} elements over {len(blocks)} layers and {len(classes)} classes in one file",
        (
            Way("bbilang", "ours", work.page("\n".join(lines.values())), ours),
            Way(
                "minimum",
                "minimum",
                lambda: minimal.mixed(work.adapter().module, work.picture(), blocks, classes, maps, SHOWN),
                least,
            ),
        ),
        (Limit("times", 1.3, "minimum"),),
        "every number that an element draws, and which channels",
        KINKS,
    )
