"""Icons on a GPU: 528 channels of block5c.expand, 128 px, 512 steps. Icons per second, share of the peak, memory.

    python -m benchmarks.gpu [--count 528] [--steps 512] [--size 128]

The share of the peak: floating point operations that the steps need (torch's own count of one plain step of one batch,
forward and backward up to the layer, times the steps that the engine took), by the time, by what the card itself does
on a product of two large bfloat16 matrices, measured in the same run. Adds a line to benchmarks/results/gpu.jsonl.
Without CUDA it says so and ends with 2.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks.records import append
from benchmarks.surroundings import load as busy
from benchmarks.surroundings import surroundings

LAYER = "block5c.expand"
MATRIX, PRODUCTS = 8192, 20


def peak_flops(device: Any) -> float:
    """Return the operations per second of a product of large matrices in bfloat16, the best of several."""
    import torch

    a, b = (torch.randn(MATRIX, MATRIX, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(PRODUCTS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        a @ b
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end) / 1000)
    return 2 * MATRIX**3 / best


def step_flops(adapter: Any, recipe: Any) -> int:
    """Return the FLOPs of one step of one batch: forward to the layer and backward to the picture, without gradients of
    weights."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    class Reached(BaseException):
        pass

    captured = []

    def stop(module: Any, arguments: Any, result: Any) -> None:
        captured.append(result)
        raise Reached

    side = recipe.transforms.view_size(recipe.size)
    images = torch.rand(recipe.batch, 3, side, side, device=adapter.device, requires_grad=True)
    handle = adapter.module_of(LAYER).register_forward_hook(stop)
    try:
        with FlopCounterMode(display=False) as counter:
            try:
                adapter.module(adapter.normalize(images))
            except Reached:
                pass
            torch.autograd.grad(captured[0].mean(), images)
    finally:
        handle.remove()
    return counter.get_total_flops()


def measure(count: int, steps: int, size: int) -> dict[str, Any]:
    import torch

    from bbilang.runtime.featvis.engine import Objective, Recipe, visualize
    from bbilang.runtime.models.loading import load
    from bbilang.runtime.passes import Passes

    adapter = load("efficientnet_lite0", device="cuda")
    channels = adapter.description.by_name[LAYER].shape[0]
    objectives = [Objective(LAYER, round(i * channels / count)) for i in range(count)]
    recipe = Recipe(size=size, steps=steps)
    visualize(adapter, objectives[: recipe.batch], Recipe(size=size, steps=20))  # warm: kernels, graphs
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    counter = Passes()
    began = time.perf_counter()
    icons = visualize(adapter, objectives, recipe, counter=counter)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    memory = torch.cuda.max_memory_allocated()
    flops = step_flops(adapter, recipe) / recipe.batch * counter.backward_rows
    peak = peak_flops(adapter.device)
    return {
        "row": "gpu",
        "title": f"{count} icons of {LAYER}, {size} px, {steps} steps",
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **surroundings(),
        "load_after": busy(),
        "seconds": round(seconds, 2),
        "icons_per_second": round(count / seconds, 2),
        "batched_steps": counter.backwards,
        "pictures_stepped": counter.backward_rows,
        "dead": sum(icon.dead for icon in icons),
        "needed_flops": int(flops),
        "measured_peak_flops": int(peak),
        "share_of_peak": round(flops / seconds / peak, 4),
        "peak_bytes": memory,
    }


def main() -> int:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("count", 528), ("steps", 512), ("size", 128)):
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        print("there is no CUDA device here: nothing was measured", file=sys.stderr)
        return 2
    print(append("gpu", measure(**vars(chosen))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
