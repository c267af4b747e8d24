"""32 icons of block5c.expand: the engine beside a plain batched loop that stops at the layer. Prints a line of JSON.

python benchmarks/icons.py [--count 32] [--steps 512] [--size 128] [--timed 24] [--rounds 5] [--layer block5c.expand]

First equality: the engine's icons have, on held-out movements, the mean objective of those that the plain ascent of
``--steps`` steps makes (`heldout.py`). Then time, alternating: ``--timed`` steps of one batch by the loop and by the
engine, the median of ``--rounds`` pairs. From both: the ratio at equal steps, and the ratio at equal objective, which
is that of the whole works, steps times time a step.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heldout import SIZES, heldout
from torch import Tensor

from bbilang.runtime.featvis.ascent import Ascent
from bbilang.runtime.featvis.engine import Icon, Objective, Recipe, visualize
from bbilang.runtime.featvis.icon import seed_of
from bbilang.runtime.featvis.parametrization import Fourier, initial_spectrum
from bbilang.runtime.featvis.schedule import schedule_of
from bbilang.runtime.featvis.transforms import affine, resample
from bbilang.runtime.models.loading import load
from bbilang.runtime.passes import Passes

MOST = 0.02  # by which mean objectives may differ


class _Reached(BaseException):
    pass


def plain_loop(adapter: Any, objectives: Sequence[Objective], recipe: Recipe) -> list[np.ndarray]:
    """Optimize icons as one would by hand: batches, a hook that stops at the layer, Adam; the model unchanged.

    Exactly ``recipe.steps`` steps; the same seeds, parametrization and transforms as the engine's plain recipe, without
    its redirected gradients. Pictures as uint8 (y, x, rgb).
    """
    captured: list[Tensor] = []

    def stop(module: Any, arguments: Any, result: Tensor) -> None:
        captured.append(result)
        raise _Reached

    model, pictures = adapter.module.eval(), []
    fourier, view = Fourier(recipe.size, decay=recipe.decay), recipe.transforms.view_size(recipe.size)
    handle = adapter.module_of(objectives[0].layer).register_forward_hook(stop)
    learning = [p for p in model.parameters() if p.requires_grad]
    for p in learning:
        p.requires_grad_(False)
    for start in range(0, len(objectives), recipe.batch):
        rows = objectives[start : start + recipe.batch]
        sources = [torch.Generator().manual_seed(seed_of(recipe, o)) for o in rows]
        spectrum = torch.stack([initial_spectrum(recipe.size, recipe.deviation, s) for s in sources]).requires_grad_()
        draws = torch.stack([recipe.transforms.draw(recipe.steps, s) for s in sources], 1)
        channels = torch.tensor([o.direction for o in rows])
        adam = torch.optim.Adam([spectrum], lr=recipe.rate)
        for draw in draws:
            adam.zero_grad()
            try:
                model(adapter.normalize(resample(fourier(spectrum), affine(draw, recipe.size, view), view)))
            except _Reached:
                pass
            seen = captured.pop().flatten(2).mean(2)
            (-seen[torch.arange(len(rows)), channels].sum()).backward()
            adam.step()
        pictures += list((fourier(spectrum.detach()) * 255).round().byte().permute(0, 2, 3, 1).numpy())
    handle.remove()
    for p in learning:
        p.requires_grad_(True)
    return pictures


def engine(adapter: Any, objectives: Sequence[Objective], recipe: Recipe) -> tuple[list[Icon], int]:
    """Return the icons and the number of batched steps."""
    counter = Passes()
    return visualize(adapter, objectives, recipe, counter=counter), counter.backwards


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Return wall time and processor time."""
    began, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - worked


def main(count: int, steps: int, size: int, timed: int, rounds: int, layer: str, equality: bool) -> dict[str, Any]:
    adapter = load("efficientnet_lite0")
    channels = adapter.description.by_name[layer].shape[0]
    objectives = [Objective(layer, round(i * channels / count)) for i in range(count)]
    directions = torch.eye(channels)[[o.direction for o in objectives]]
    recipe = Recipe(size=size, steps=steps)
    result: dict[str, Any] = {"benchmark": "icons", "layer": layer, "count": count, "size": size, "steps": steps}
    made = schedule_of(recipe).steps * -(-count // recipe.batch)
    if equality:
        began = time.perf_counter()
        icons, made = engine(adapter, objectives, recipe)
        result["engine_s"] = round(time.perf_counter() - began, 1)
        began = time.perf_counter()
        reference = plain_loop(adapter, objectives, recipe)
        result["loop_s"] = round(time.perf_counter() - began, 1)
        pictures = [icon.picture for icon in icons]
        for side in SIZES:
            have, want = (heldout(adapter, layer, p, directions, side) for p in (pictures, reference))
            result[f"objective_{side}"] = round((have.mean() / want.mean()).item(), 4)
        result["equal"] = all(result[f"objective_{side}"] >= 1 - MOST for side in SIZES)
    result["engine_steps"] = made
    few, short = objectives[: recipe.batch], replace(recipe, steps=timed, redirect=0)
    loops: list[tuple[float, float]] = []
    engines: list[tuple[float, float]] = []
    with Ascent(adapter, few[0], short, recipe.batch, Passes()) as ascent:
        for _ in range(rounds + 1):
            loops.append(seconds(lambda: plain_loop(adapter, few, short)))
            engines.append(seconds(lambda: ascent.run(few, lambda objective, icon: None)))
    # the first warms up; by the clock, and of the processors, which other programs on the machine blur less
    (loop, loop_cpu), (own, own_cpu) = (
        [statistics.median(each) / timed for each in zip(*taken[1:], strict=True)] for taken in (loops, engines)
    )
    whole = steps * -(-count // recipe.batch)
    ratios = {
        "ratio_equal_steps": loop / own,
        "ratio_equal_steps_cpu": loop_cpu / own_cpu,
        "ratio_equal_objective": loop * whole / (own * made),
        "ratio_equal_objective_cpu": loop_cpu * whole / (own_cpu * made),
    }
    return {
        **result,
        "loop_step_ms": round(loop * 1000, 1),
        "engine_step_ms": round(own * 1000, 1),
        **{name: round(value, 2) for name, value in ratios.items()},
        "timed_steps": timed,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "load": [round(x, 1) for x in os.getloadavg()],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("bbilang", "torch", "numpy")},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("count", 32), ("steps", 512), ("size", 128), ("timed", 24), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--layer", default="block5c.expand")
    parser.add_argument("--no-equality", dest="equality", action="store_false", help="time alone")
    line = json.dumps(main(**vars(parser.parse_args())))
    print(line)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    with (results / "icons.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
