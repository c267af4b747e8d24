"""Channels of a layer set to zero one at a time: 672 of block5c.expand x 50 pictures.

Hooks by hand keep the activation before block5c, and zero a channel of each row in a forward hook; the minimum starts
at the layer itself, and so does no more than the FLOPs above it. Both take the batch size that is fastest for them.
nnsight traces block5c and what follows in the same way. Every picture costs the same, so some of the 50 are timed.

    make bench ROWS=interventions             the row of the table
    python -m benchmarks.interventions 9      our time as a multiple of the others', side by side in 9 rounds: what can
                                              be told beside other load. Adds a line to
                                              benchmarks/results/interventions_ratios.jsonl
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks import peers, records, work
from benchmarks.harness import KINKS, Limit, Numbers, Row, Way, alternate, compare, processor_time
from benchmarks.surroundings import load, surroundings

BLOCK, LAYER = "block5c", "block5c.expand"
ALL, TIMED = 50, 1  # pictures
SIZES = (8, 16, 32, 64)


@cache
def pictures(count: int) -> Any:
    """Return (input, channel, y, x): the sample, moved by some pixels in each."""
    import torch

    return torch.stack([torch.roll(work.picture(), 9 * number, -1) for number in range(count)])


def page(channels: int, count: int) -> Callable[[], Any]:
    """Return our way, and what it shows: the effect on the predicted class of each picture."""
    import bbilang

    atoms = f"{LAYER}.channel" if channels == 672 else f"{LAYER}.channel | activation | top({channels}, joint=input)"
    text = f"{atoms} | ablate(zero) | effect(output) | present(bars, facet=input)"
    model, images = work.adapter(), pictures(count)
    program = bbilang.check(bbilang.parse(text), model=model, input=images)
    steps = bbilang.plan(bbilang.optimize(program))
    return lambda: bbilang.execute(steps, model=model, input=images, cache=False)


class Above:
    """The network from block5c on, of pictures whose activation before it is kept."""

    def __init__(self, count: int):
        import torch

        self.module = work.adapter().module
        names = [name for name, _ in self.module.named_children()]
        self.before, self.after = (names[: names.index(BLOCK)], names[names.index(BLOCK) + 1 : names.index("pool")])
        self.block = self.module.get_submodule(BLOCK)
        with torch.inference_mode():
            x = work.adapter().normalize(pictures(count))
            for name in self.before:
                x = self.module.get_submodule(name)(x)
            self.inputs, self.layer = x, self.block.expand(x)
            scores = self.rest(self.block(x))
        self.classes, self.scores = scores.argmax(1), scores.max(1).values

    def rest(self, x: Any) -> Any:
        for name in self.after:
            x = self.module.get_submodule(name)(x)
        return self.module.classifier(self.module.pool(x).flatten(1))


def effects(count: int, channels: Any, size: int, rows: Callable[[Above, int, Any], Any]) -> np.ndarray:
    """Return (input, channel): the score of each picture's class after minus before."""
    import torch

    with torch.inference_mode():
        above = Above(count)
        found = torch.empty(count, len(channels))
        for number in range(count):
            for start in range(0, len(channels), size):
                chosen = channels[start : start + size]
                scores = rows(above, number, chosen)[:, above.classes[number]]
                found[number, start : start + len(chosen)] = scores - above.scores[number]
        return found.numpy()


def hooked(above: Above, number: int, channels: Any) -> Any:
    """Set a channel of each row to zero in a forward hook."""
    import torch

    def hook(module: Any, arguments: Any, result: Any) -> None:
        result[torch.arange(len(channels)), channels] = 0

    handle = above.block.expand.register_forward_hook(hook)
    try:
        return above.rest(above.block(above.inputs[number].expand(len(channels), -1, -1, -1)))
    finally:
        handle.remove()


def least(above: Above, number: int, channels: Any) -> Any:
    """Start at the layer."""
    import torch

    x = above.layer[number].repeat(len(channels), 1, 1, 1)
    x[torch.arange(len(channels)), channels] = 0
    block = above.block
    return above.rest(block.project(block.depthwise(x)) + above.inputs[number])


def traced(above: Above, number: int, channels: Any) -> Any:
    """Set a channel of each row to zero in a trace of nnsight."""
    import torch
    from nnsight import NNsight

    class Rest(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = above.block

        def forward(self, x: Any) -> Any:
            return above.rest(self.block(x))

    model = NNsight(Rest())
    rows = torch.arange(len(channels))
    with model.trace(above.inputs[number].repeat(len(channels), 1, 1, 1)):
        model.block.expand.output[rows, channels] = 0
        scores = model.output.save()
    return scores


@cache
def best(rows: Callable[[Above, int, Any], Any], some: int) -> int:
    """Return the batch size that takes the least processor time for some channels of one picture."""
    import torch

    def spent(size: int) -> float:
        effects(1, torch.arange(size), size, rows)
        began = processor_time()
        effects(1, torch.arange(some), size, rows)
        return processor_time() - began

    return min(SIZES, key=spent)


def row(tiny: bool = False) -> Row:
    import torch

    count, channels = (1, 4) if tiny else (TIMED, 672)

    def ours(results: Any) -> Numbers:
        field = results.fields[results.program.elements[0].id]
        return {"effects": field.values.ordered(("input", "channel")).data}

    def way(rows: Callable[[Above, int, Any], Any]) -> Callable[[], np.ndarray]:
        wanted = torch.arange(672)
        if tiny:
            with torch.inference_mode():
                wanted = Above(count).layer[0].sum((1, 2)).argsort(descending=True, stable=True)[:channels]
        return lambda: effects(count, wanted, 8 if tiny else best(rows, 128), rows)

    def numbers(found: np.ndarray) -> Numbers:
        return {"effects": found}

    share = 1.0 if tiny else count / ALL
    offered, missing = peers.ways({"nnsight": ("nnsight", way(traced))}, numbers, {"nnsight": share})
    every = "1 picture" if tiny else f"{ALL} pictures (timed: {count} of them)"
    return Row(
        "interventions",
        f"{channels} channels of {LAYER} set to zero one at a time, {every}",
        (
            Way("bbilang", "ours", page(channels, count), ours, share),
            Way("minimum", "minimum", way(least), numbers, share),
            Way("hooks by hand", "beside", way(hooked), numbers, share),
            *offered,
        ),
        (Limit("times", 1.1, "hooks by hand"), Limit("times", 1.3, "minimum")),
        "the effect of every channel on the score of each picture's class",
        KINKS,
        missing,
        notes=partial(_sizes, tiny),
    )


def _sizes(tiny: bool) -> dict[str, str]:
    if tiny:
        return {}
    return {"batch sizes": f"hooks by hand {best(hooked, 128)}, minimum {best(least, 128)}"}


def ratios(rounds: int) -> dict[str, Any]:
    """Return our time as a multiple of each other way's in the same round: lowest, median and highest, of wall time and
    of processor time."""
    chosen, started = row(), surroundings()
    equal = compare(chosen)
    timings = alternate(chosen.ways, rounds, lambda words: print(words, file=sys.stderr, flush=True))
    ours, against = timings[chosen.ours.name], {}
    for way in chosen.ways:
        if way is not chosen.ours:
            own = timings[way.name]
            pairs = {"wall": (ours.wall, own.wall), "processor": (ours.cpu, own.cpu)}
            against[way.name] = {"rounds": len(own.wall), "difference": equal[way.name]} | {
                what: [round(float(value), 3) for value in np.quantile(np.divide(a[: len(b)], b), (0, 0.5, 1))]
                for what, (a, b) in pairs.items()
            }
    return {**started, "load_after": load(), "of": chosen.title, "against": against, "missing": dict(chosen.missing),
            "notes": dict(chosen.notes())}  # fmt: skip


if __name__ == "__main__":
    print(records.append("interventions_ratios", ratios(int(sys.argv[1]) if len(sys.argv) > 1 else 5)))
