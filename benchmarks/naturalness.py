"""How pictures of units compare with photographs, for several ways of making them. Adds a line to
results/naturalness.jsonl.

python -m benchmarks.naturalness NAME=FOLDER... [--photographs 100]

A folder holds `LAYER-CHANNEL.png`; the units that every folder has are compared, but for those whose 99th percentile
over the photographs is 0. What is measured:

- the held-out objective at 128 and 224 px (`heldout.py`), also as a multiple of the 99th percentile over photographs of
  the unit's mean response;
- the distance to the five nearest photographs: 1 less the cosine of SqueezeNet's last features, averaged over
  positions. Nothing optimizes it (decisions: naturalness);
- the share of the power above a quarter cycle per pixel, of the picture's mean over colours at its own size.

Photographs and SqueezeNet are those of `shared/data`. Their own distance leaves out the photograph itself.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks import work
from benchmarks.alive import PHOTOGRAPHS, photographs
from benchmarks.heldout import SIZES, heldout, resized, responses
from benchmarks.records import append
from benchmarks.surroundings import surroundings

Unit = tuple[str, int]
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of SqueezeNet's input
NEAREST, BATCH = 5, 20


def pictures_in(folder: Path) -> dict[Unit, np.ndarray]:
    """Return (layer, channel) -> uint8 (y, x, rgb)."""
    found = {}
    for file in sorted(folder.glob("*.png")):
        layer, _, channel = file.stem.rpartition("-")
        with Image.open(file) as opened:
            found[layer, int(channel)] = np.asarray(opened.convert("RGB"))
    return found


def squeezenet() -> Any:
    """Return the network of `shared/data/models/networks.py`."""
    assert PHOTOGRAPHS is not None
    spec = importlib.util.spec_from_file_location("networks", PHOTOGRAPHS.parent / "models/networks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.squeezenet1_1()


def features(network: Any, x: Tensor) -> Tensor:
    """Return (picture, feature), of length 1."""
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    rows = []
    with torch.no_grad():
        for some in x.split(BATCH):
            rows.append(network.features((resized(some, 224) - mean) / deviation).mean((2, 3)))
    return torch.nn.functional.normalize(torch.cat(rows), dim=1)


def distances(of: Tensor, photos: Tensor) -> Tensor:
    """Return the mean distance to the nearest photographs, (picture,)."""
    away = 1 - of @ photos.T
    if of is photos:
        away.fill_diagonal_(torch.inf)
    return away.topk(NEAREST, largest=False).values.mean(1)


def high_share(pictures: Sequence[np.ndarray]) -> float:
    """Return the share of the power above a quarter cycle per pixel, in the mean over pictures."""
    shares = []
    for picture in pictures:
        grey = picture.astype(float).mean(2)
        power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
        y, x = (np.fft.fftfreq(side) for side in grey.shape)
        shares.append(power[np.hypot(y[:, None], x[None]) > 0.25].sum() / power.sum())
    return float(np.mean(shares))


def percentiles(x: Tensor, units: Sequence[Unit]) -> dict[Unit, float]:
    """Return the 99th percentile over photographs (photograph, 3, y, x) of each unit's mean response."""
    found = {}
    for layer in dict.fromkeys(layer for layer, _ in units):
        seen = torch.cat([responses(work.adapter(), layer, some) for some in x.split(BATCH)])
        for channel in (c for name, c in units if name == layer):
            found[layer, channel] = torch.quantile(seen[:, channel], 0.99).item()
    return found


def excited(pictures: dict[Unit, np.ndarray], units: Sequence[Unit], size: int) -> dict[Unit, float]:
    """Return each unit's held-out objective at a size."""
    found: dict[Unit, float] = {}
    for layer in dict.fromkeys(layer for layer, _ in units):
        channels = [c for name, c in units if name == layer]
        directions = torch.eye(work.adapter().description.by_name[layer].shape[0])[channels]
        values = heldout(work.adapter(), layer, [pictures[layer, c] for c in channels], directions, size)
        found |= {(layer, c): value for c, value in zip(channels, values.tolist(), strict=True)}
    return found


def compared(ways: dict[str, dict[Unit, np.ndarray]], photos: int) -> dict[str, Any]:
    """Return what the docstring of this module says, for all units and for each layer."""
    units = [unit for unit in next(iter(ways.values())) if all(unit in way for way in ways.values())]
    assert units, "no unit is in all folders"
    rows = []
    for file in photographs(photos):
        with Image.open(file) as opened:
            rows.append(work.adapter().prepare(opened.convert("RGB"))[0])
    x, network = torch.stack(rows), squeezenet()
    known, highest = features(network, x), percentiles(x, units)
    silent = [unit for unit in units if highest[unit] <= 0]
    units = [unit for unit in units if unit not in silent]
    rows_128 = [row.permute(1, 2, 0).numpy() for row in resized(x, SIZES[0])]
    record: dict[str, Any] = {
        "photographs": len(x),
        "left_out": [f"{layer}-{channel}" for layer, channel in silent],
        "photographs_distance": round(distances(known, known).mean().item(), 3),
        "photographs_high_share": round(high_share(rows_128), 3),
    }
    groups = {"all": units, **{name: [u for u in units if u[0] == name] for name in dict(units)}}
    for name, way in ways.items():
        own = {size: excited(way, units, size) for size in SIZES}
        shown = torch.cat([resized(torch.tensor(way[u]).permute(2, 0, 1)[None].float() / 255, 224) for u in units])
        away = dict(zip(units, distances(features(network, shown), known).tolist(), strict=True))
        record[name] = {
            group: {
                "units": len(members),
                **{f"objective_{size}": _mean([own[size][u] for u in members]) for size in SIZES},
                "objective": _mean([own[size][u] for u in members for size in SIZES]),
                "times_99th_percentile": _mean([own[size][u] / highest[u] for u in members for size in SIZES]),
                "distance": _mean([away[u] for u in members]),
                "high_share": round(high_share([way[u] for u in members]), 3),
            }
            for group, members in groups.items()
        }
    return {"benchmark": "naturalness", "units": [f"{layer}-{channel}" for layer, channel in units], **record}


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--photographs", type=int, default=100)
    given = parser.parse_args()
    if PHOTOGRAPHS is None:
        raise SystemExit("shared/data is not here")
    ways = {name: pictures_in(Path(folder)) for name, _, folder in (each.partition("=") for each in given.folders)}
    record = compared(ways, given.photographs)
    record |= {"date": datetime.now(UTC).isoformat(timespec="seconds"), **surroundings()}
    for name in ways:
        print(name, json.dumps(record[name]["all"]))
    append("naturalness", record)


if __name__ == "__main__":
    main()
