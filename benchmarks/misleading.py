"""How many honest units the check of icons marks: 300 of EfficientNet-Lite0, of which at most 8 may be.

    python -m benchmarks.misleading PHOTOGRAPHS [--units 60]

PHOTOGRAPHS: a folder of pictures. Nobody planted a circuit in this network: each mark counts as wrong. Adds a line to
benchmarks/results/misleading.jsonl; an interrupted run goes on where it stopped, since icons and checks are cached.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks import work
from benchmarks.records import append
from benchmarks.surroundings import surroundings

LAYERS = ("block3b.expand", "block4c.expand", "block5c.expand", "block6c.expand", "head")
SIZE, STEPS = 96, 512


def main() -> None:
    from bbilang.runtime.cache.disk import Cache, default_folder
    from bbilang.runtime.featvis.dissociation.check import check
    from bbilang.runtime.featvis.dissociation.photographs import read_photographs
    from bbilang.runtime.featvis.engine import visualize
    from bbilang.runtime.featvis.icon import Objective, Recipe

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--units", type=int, default=60, help="of each of five layers")
    given = parser.parse_args()
    photographs = read_photographs(str(given.photographs), Path())
    adapter, cache, recipe = work.adapter(), Cache(default_folder()), Recipe(size=SIZE, steps=STEPS)
    counts: dict[str, dict[str, int]] = {}
    marked: list[str] = []
    for layer in LAYERS:
        channels = adapter.description.by_name[layer].shape[0]
        chosen = np.random.default_rng(0).permutation(channels)[: given.units].tolist()
        objectives = [Objective(layer, channel) for channel in chosen]
        icons = dict(zip(objectives, visualize(adapter, objectives, recipe, cache), strict=True))
        found = check(adapter, icons, recipe, photographs, cache)
        flagged = [o for o in objectives if found[o].misleads]
        marked += [f"{layer}.channel[{o.direction}]: {found[o].words}" for o in flagged]
        done = sum(not found[o].words or found[o].misleads for o in objectives)
        counts[layer] = {"units": len(objectives), "checked": done, "marked": len(flagged)}
        print(layer, counts[layer], flush=True)
    record = {
        "row": "misleading", "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **surroundings(),
        "photographs": len(photographs.files), "size": SIZE, "steps": STEPS, "layers": counts, "marked": marked,
    }  # fmt: skip
    append("misleading", record)


if __name__ == "__main__":
    main()
