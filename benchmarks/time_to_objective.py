"""Time to torch-lucent's held-out objective, for each of the 32 units of `beside_lucent.py` and each of three seeds.

    python -m benchmarks.time_to_objective measure FOLDER [--seeds 3] [--count 32]
    python -m benchmarks.time_to_objective last FOLDER
    python -m benchmarks.time_to_objective longer FOLDER
    python -m benchmarks.time_to_objective time FOLDER
    python -m benchmarks.time_to_objective join FOLDER

`measure` runs, in the environment of the peers, torch-lucent's `STEPS` steps (its default is 512) one unit after
another, and ours as `docs/beside_lucent.bbi` has them, the units of a layer in one batch. Pictures are kept on the way,
and their held-out objective is measured afterwards (`heldout.py`, mean of 128 and 224 px), so nothing stops or is
chosen by it. Each icon is a line in FOLDER; those that are there are not measured again. `last` adds torch-lucent's
last pictures of seed 0 that `beside_lucent.py` has made in FOLDER, without those on the way; `longer` makes ours
that do not reach them with `steps=2048`. `time` measures what a step of each costs, in alternating short runs of one
process, and `join` adds one line to benchmarks/results/time_to_objective.jsonl.

Time is processor time of one thread, a step times the number of steps: repeated starts of shut units count; loading,
folding and the measurement of the objective do not. The time to an objective is that of the first kept picture that has
it; torch-lucent's own, too, may be earlier than its last.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.beside_lucent import LAYERS, Unit, by_turns, file_of
from benchmarks.records import append
from benchmarks.surroundings import surroundings

TIMED, ROUNDS = 12, 5  # steps of a short run, and alternating runs of each
STEPS, EVERY = 256, 32  # torch-lucent's, and those between two kept pictures
OWN_EVERY = 8
LONGER = 2048  # steps= for the icons that do not reach it
SHARES = (1.0, 0.98)  # of torch-lucent's objective
Line = dict[str, Any]
Key = tuple[str, int, int]  # layer, channel, seed


def objectives_of(layer: str, pictures: Sequence[np.ndarray], channels: Sequence[int]) -> list[float]:
    """Return the held-out objective of each picture along its own channel."""
    import torch

    from benchmarks.heldout import SIZES, heldout

    directions = torch.eye(work.adapter().description.by_name[layer].shape[0])[list(channels)]
    seen = [heldout(work.adapter(), layer, pictures, directions, size) for size in SIZES]
    return [round(value, 4) for value in torch.stack(seen).mean(0).tolist()]


def lucent(unit: Unit, seed: int) -> Line:
    from benchmarks import peers

    thresholds = range(EVERY, STEPS + 1, EVERY)
    began = time.process_time()
    pictures = peers.lucent_pictures(*unit, thresholds, seed)
    step = (time.process_time() - began) / STEPS
    found = objectives_of(unit[0], pictures, [unit[1]] * len(pictures))
    return {"step_s": round(step, 5), "steps": list(thresholds), "objectives": found}


def ours(layer: str, channels: Sequence[int], seed: int, measured: Sequence[int], steps: int = 512) -> list[Line]:
    """Return a line for each channel of ``measured``; all channels are in one batch. ``steps``: of the setting."""
    from bbilang.runtime.featvis.ascent import Ascent
    from bbilang.runtime.featvis.icon import Icon, Objective, Recipe
    from bbilang.runtime.featvis.pixels import bytes_of
    from bbilang.runtime.passes import Passes

    objectives = [Objective(layer, channel) for channel in channels]
    recipe = Recipe(seed=seed, batch=len(channels), steps=steps)
    kept: list[tuple[int, np.ndarray]] = []
    taken: list[float] = []
    ends: dict[int, int] = {}
    finished: dict[int, np.ndarray] = {}

    def take(objective: Objective, icon: Icon) -> None:
        ends[int(objective.direction)], finished[int(objective.direction)] = len(taken) + 1, icon.picture  # type: ignore[arg-type]

    with Ascent(work.adapter(), objectives[0], recipe, len(channels), Passes()) as ascent:

        def step(left: int) -> None:
            nonlocal began
            taken.append(time.process_time() - began)
            if len(taken) % OWN_EVERY == 0:
                kept.append((len(taken), bytes_of(ascent.picture_of(ascent.coefficients).detach()).copy()))
            began = time.process_time()

        began = time.process_time()
        ascent.run(objectives, take, step)
    each = statistics.median(taken) / len(channels)
    lines = []
    for channel in measured:
        slot = channels.index(channel)
        rows = [(at, pictures[slot]) for at, pictures in kept if at < ends[channel]]
        rows.append((ends[channel], finished[channel]))
        found = objectives_of(layer, [picture for _, picture in rows], [channel] * len(rows))
        lines.append({"step_s": round(each, 5), "steps": [at for at, _ in rows], "objectives": found})
    return lines


def measure(folder: Path, seeds: int, count: int) -> None:
    """Measure what is missing, a seed after the other."""
    available_peers()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lines.jsonl"
    there = {(line["way"], line["layer"], line["channel"], line["seed"]) for line in lines_in(folder)}

    def keep(way: str, unit: Unit, seed: int, line: Line) -> None:
        whole = {"way": way, "layer": unit[0], "channel": unit[1], "seed": seed, **line}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(whole) + "\n")
        print(way, *unit, seed, line["step_s"], line["objectives"][-1], file=sys.stderr, flush=True)

    units = by_turns()
    for seed in range(seeds):
        for layer in LAYERS:
            every = [c for name, c in units if name == layer]
            left = [c for name, c in units[:count] if name == layer and ("bbilang", name, c, seed) not in there]
            if left:
                for channel, line in zip(left, ours(layer, every, seed, left), strict=True):
                    keep("bbilang", (layer, channel), seed, line)
        for unit in units[:count]:
            if ("torch-lucent", *unit, seed) not in there:
                keep("torch-lucent", unit, seed, lucent(unit, seed))


def lines_in(folder: Path, name: str = "lines.jsonl") -> list[Line]:
    path = folder / name
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def longer(folder: Path) -> None:
    """Make with ``steps=`` `LONGER` the icons that do not reach torch-lucent's last objective."""
    lines = [*lines_in(folder, "last.jsonl"), *lines_in(folder)]
    targets = {_key(line): line["objectives"][-1] for line in lines if line["way"] == "torch-lucent"}
    own = {_key(line): line for line in lines if line["way"] == "bbilang"}
    missed = [key for key in own if seconds_to(own[key], targets[key]) is None]
    rows = []
    for layer, seed in dict.fromkeys((layer, seed) for layer, _, seed in missed):
        channels = [channel for name, channel, of in missed if (name, of) == (layer, seed)]
        for channel, line in zip(channels, ours(layer, channels, seed, channels, LONGER), strict=True):
            rows.append({"way": "bbilang", "layer": layer, "channel": channel, "seed": seed, **line})
            print(layer, channel, seed, line["objectives"][-1], file=sys.stderr, flush=True)
    (folder / "longer.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def measure_steps(folder: Path) -> None:
    """Write what a step of one icon costs in each layer."""
    available_peers()
    found = {}
    for layer in LAYERS:
        found[layer] = step_seconds(layer)
        print(layer, found[layer], file=sys.stderr, flush=True)
    (folder / "steps.json").write_text(json.dumps(found), encoding="utf-8")


def step_seconds(layer: str) -> dict[str, float]:
    """Return the median processor time of a step of one icon: ours in batches of eight, torch-lucent's one by one, as
    the difference of runs of two lengths."""
    from bbilang.runtime.featvis.ascent import Ascent
    from bbilang.runtime.featvis.icon import Objective, Recipe
    from bbilang.runtime.passes import Passes

    peers, recipe = available_peers(), Recipe(steps=TIMED, redirect=0)
    objectives = [Objective(layer, channel) for channel in range(recipe.batch)]
    channel = next(c for name, c in by_turns() if name == layer)
    own: list[float] = []
    other: list[float] = []

    def lucent_seconds(steps: int) -> float:
        began = time.process_time()
        peers.lucent_pictures(layer, channel, (steps,))
        return time.process_time() - began

    with Ascent(work.adapter(), objectives[0], recipe, recipe.batch, Passes()) as ascent:
        for _ in range(ROUNDS + 1):
            began = time.process_time()
            ascent.run(objectives, lambda objective, icon: None)
            own.append((time.process_time() - began) / ascent.schedule.steps / recipe.batch)
            short, long = lucent_seconds(2), lucent_seconds(TIMED + 2)
            other.append((long - short) / TIMED)
    return {"bbilang": statistics.median(own[1:]), "torch-lucent": statistics.median(other[1:])}


def available_peers() -> Any:
    from benchmarks import peers

    if reason := peers.reason_missing("lucent"):
        raise SystemExit(f"torch-lucent is not here: {reason}")
    return peers


def seconds_to(line: Line, objective: float) -> float | None:
    """Return the time to the first kept picture with an objective; None where no picture has it."""
    at = next((at for at, value in zip(line["steps"], line["objectives"], strict=True) if value >= objective), None)
    return None if at is None else at * line["step_s"]


def summary(pairs: Sequence[tuple[Line, Line]], share: float) -> dict[str, Any]:
    """Say for pairs (ours, torch-lucent's) how long ours take to a share of torch-lucent's last objective, relative to
    its whole run, and to its own time to the same where its pictures on the way were kept."""
    whole, own, missed = [], [], []
    for mine, other in pairs:
        target = other["objectives"][-1] * share
        needed, theirs = seconds_to(mine, target), seconds_to(other, target)
        assert theirs is not None
        if needed is None:
            missed.append(f"{mine['layer']}-{mine['channel']}, seed {mine['seed']}")
        seconds = float("inf") if needed is None else needed
        whole.append(seconds / (other["steps"][-1] * other["step_s"]))
        own += [seconds / theirs] if len(other["steps"]) > 1 else []
    return {"share": share, "missed": missed, "of_its_whole_run": _ratios(whole), "of_its_own_time": _ratios(own)}


def _ratios(ratios: Sequence[float]) -> dict[str, Any]:
    """Return the geometric mean of those that reach it; the worst decile counts the others as longest (none: never)."""
    if not ratios:
        return {"icons": 0}
    reached = [ratio for ratio in ratios if ratio < float("inf")]
    decile = sorted(ratios)[math.ceil(0.9 * (len(ratios) - 1))]
    return {
        "icons": len(ratios),
        "reached": len(reached),
        "geometric_mean": round(float(np.exp(np.mean(np.log(reached)))), 4) if reached else None,
        "worst_decile": round(decile, 4) if decile < float("inf") else None,
        "longest_of_those_that_reach": round(max(reached), 4) if reached else None,
    }


def last_pictures(folder: Path, seed: int = 0) -> None:
    """Measure the last pictures of a seed that `beside_lucent.py` has made: FOLDER/lucent of the same units."""
    from PIL import Image

    rows = []
    for layer, channel in by_turns():
        with Image.open(file_of(folder / "lucent", (layer, channel))) as opened:
            found = objectives_of(layer, [np.asarray(opened.convert("RGB"))], [channel])
        line = {"way": "torch-lucent", "layer": layer, "channel": channel, "seed": seed}
        rows.append({**line, "steps": [STEPS], "objectives": found})
    (folder / "last.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _key(line: Line) -> Key:
    return line["layer"], line["channel"], line["seed"]


def _words(key: Key) -> str:
    return f"{key[0]}-{key[1]}, seed {key[2]}"


def usual_responses(units: Sequence[Unit]) -> dict[Unit, float]:
    """Return the 99th percentile of each unit's mean response over 100 photographs."""
    import torch
    from PIL import Image

    from benchmarks.alive import photographs
    from benchmarks.naturalness import percentiles

    rows = []
    for file in photographs(100):
        with Image.open(file) as opened:
            rows.append(work.adapter().prepare(opened.convert("RGB"))[0])
    return percentiles(torch.stack(rows), units)


def join(folder: Path) -> None:
    """Add the record of all lines; a line's time of a step is that of `time`."""
    steps = json.loads((folder / "steps.json").read_text(encoding="utf-8"))

    def timed(name: str) -> dict[tuple[str, Key], Line]:
        lines = ({**line, "step_s": steps[line["layer"]][line["way"]]} for line in lines_in(folder, name))
        return {(line["way"], _key(line)): line for line in lines}

    by = timed("last.jsonl") | timed("lines.jsonl")  # where there are both, the pictures on the way count
    keys = [key for way, key in by if way == "bbilang" and ("torch-lucent", key) in by]
    usual = usual_responses(sorted({key[:2] for key in keys}))
    alive = [key for key in keys if usual[key[:2]] > 0]

    def silent(way: str) -> list[str]:
        return sorted(_words(key) for key in alive if by[way, key]["objectives"][-1] <= usual[key[:2]])

    missing = silent("torch-lucent")
    pairs = [(by["bbilang", key], by["torch-lucent", key]) for key in alive if _words(key) not in missing]
    longer = timed("longer.jsonl")
    patient = [(longer.get(("bbilang", _key(mine)), mine), other) for mine, other in pairs]
    record = {
        "benchmark": "time_to_objective",
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        **surroundings(),
        "time": "processor time of one thread",
        "lucent_steps": STEPS,
        "step_ms_of_an_icon": {
            layer: {way: round(value * 1000, 1) for way, value in each.items()} for layer, each in steps.items()
        },
        "units_without_response_to_photographs": sorted({f"{a}-{b}" for a, b, _ in set(keys) - set(alive)}),
        "lucent_does_not_exceed_the_99th_percentile": missing,
        "ours_does_not_exceed_it": silent("bbilang"),
        "icons_by_seed": {str(s): sum(key[2] == s for key in alive) for s in sorted({key[2] for key in alive})},
        **compared(pairs),
        f"with_steps_{LONGER}_where_missed": [summary(patient, share) for share in SHARES],
    }
    print(append("time_to_objective", record))


def compared(pairs: Sequence[tuple[Line, Line]]) -> dict[str, Any]:
    """Compare the last objectives and the times of pairs (ours, torch-lucent's), over all and for each layer."""
    last = np.array([[line["objectives"][-1] for line in pair] for pair in pairs])
    ratios = last[:, 0] / last[:, 1]
    groups = {"all": pairs, **{name: [pair for pair in pairs if pair[0]["layer"] == name] for name in LAYERS}}

    def whole(members: Sequence[tuple[Line, Line]], side: int) -> float:
        return round(float(np.median([pair[side]["steps"][-1] * pair[side]["step_s"] for pair in members])), 2)

    return {
        "last_objective": {
            "icons": len(pairs),
            "at_least_lucents": int((ratios >= 1).sum()),
            "geometric_mean_of_ratios": round(float(np.exp(np.log(ratios).mean())), 3),
            "worst_decile": round(float(np.quantile(ratios, 0.1)), 3),
            "least": round(float(ratios.min()), 3),
        },
        "time_to_objective": {
            name: [summary(members, share) for share in SHARES] for name, members in groups.items() if members
        },
        "whole_icon_s": {
            way: {name: whole(members, side) for name, members in groups.items() if members}
            for side, way in enumerate(("bbilang", "torch-lucent"))
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=("measure", "last", "longer", "time", "join"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--count", type=int, default=32, help="units to measure")
    given = parser.parse_args()
    if given.way == "measure":
        measure(given.folder, given.seeds, given.count)
    elif given.way == "last":
        last_pictures(given.folder)
    elif given.way == "longer":
        longer(given.folder)
    elif given.way == "time":
        measure_steps(given.folder)
    else:
        join(given.folder)
