"""The demo's 39 icons: batched steps, processor time and held-out objective.

    python -m benchmarks.demo_icons [--steps 512] [--size 96]

Channels are spaced evenly over block5c.expand; none was used for any choice. The objective is the mean over all 39 (one
of them is dead), at 128 and at 224 px (`heldout.py`): 2.48 with the first version's 1,360 steps and `--steps 512`. Adds
a line to benchmarks/results/demo_icons.jsonl.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks.records import append
from benchmarks.surroundings import surroundings

LAYER, COUNT = "block5c.expand", 39


def measured(steps: int, size: int) -> dict[str, Any]:
    import torch

    from bbilang.runtime.featvis.engine import Objective, Recipe, visualize
    from bbilang.runtime.models.loading import load
    from bbilang.runtime.passes import Passes
    from benchmarks.heldout import SIZES, heldout

    torch.set_num_threads(1)
    adapter, counter = load("efficientnet_lite0"), Passes()
    width = adapter.description.by_name[LAYER].shape[0]
    channels = [round((i + 0.5) * width / COUNT) for i in range(COUNT)]
    began = time.process_time()
    icons = visualize(adapter, [Objective(LAYER, c) for c in channels], Recipe(size=size, steps=steps), counter=counter)
    seconds = time.process_time() - began
    alive = [(c, icon.picture) for c, icon in zip(channels, icons, strict=True) if not icon.dead]
    directions, pictures = torch.eye(width)[[c for c, _ in alive]], [picture for _, picture in alive]
    found = {side: heldout(adapter, LAYER, pictures, directions, side).sum().item() / COUNT for side in SIZES}
    return {
        "steps": steps,
        "size": size,
        "batched_steps": counter.backwards,
        "processor_s": round(seconds, 1),
        "dead": [c for c, icon in zip(channels, icons, strict=True) if icon.dead],
        **{f"objective_{side}": round(value, 3) for side, value in found.items()},
        "objective": round(sum(found.values()) / len(found), 4),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("steps", 512), ("size", 96)):
        parser.add_argument(f"--{name}", type=int, default=value)
    where = surroundings()
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    print(
        append(
            "demo_icons", {"benchmark": "demo_icons", "when": when, **measured(**vars(parser.parse_args())), **where}
        )
    )
