"""A network and others derived from it, each with one channel of a layer set to zero: the scores of all of them.

Hooks by hand run the whole network for each. The minimum keeps the layer's activation and runs the network above it, so
it does no more than the FLOPs that depend on a change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.harness import KINKS, Limit, Numbers, Row, Way
from benchmarks.interventions import LAYER, Above, pictures

DERIVED, PICTURES = 8, 8


def page(models: int, count: int) -> Callable[[], Any]:
    """Return our way: a page of the scores of every model."""
    import bbilang

    text = "model m0 = net\n"
    text += "".join(f"model m{n} = m0 | ablate({LAYER}.channel[{n}])\n" for n in range(1, models + 1))
    text += "".join(f"m{n}:output.class | present(table)\n" for n in range(models + 1))
    model, images = work.adapter(), pictures(count)
    program = bbilang.check(bbilang.parse(text), model=model, input=images)
    steps = bbilang.plan(bbilang.optimize(program))
    return lambda: bbilang.execute(steps, model=model, input=images, cache=False)


def hooked(models: int, count: int) -> np.ndarray:
    """Return (model, input, class) by whole forwards."""
    import torch

    module = work.adapter().module
    normalized, layer = work.adapter().normalize(pictures(count)), module.get_submodule(LAYER)
    with torch.inference_mode():
        found = [module(normalized)]
        for n in range(1, models + 1):

            def zeroed(part: Any, arguments: Any, result: Any, n: int = n) -> Any:
                result = result.clone()
                result[:, n] = 0
                return result

            handle = layer.register_forward_hook(zeroed)
            found.append(module(normalized))
            handle.remove()
    return torch.stack(found).numpy()


def least(models: int, count: int) -> np.ndarray:
    """Return the same by the network above the layer."""
    import torch

    with torch.inference_mode():
        above = Above(count)
        found = []
        for n in range(models + 1):
            layer = above.layer.clone()
            if n:
                layer[:, n] = 0
            block = above.block.project(above.block.depthwise(layer))
            found.append(above.rest(block + above.inputs if above.block.residual else block))
        return torch.stack(found).numpy()


def row(tiny: bool = False) -> Row:
    models, count = (2, 1) if tiny else (DERIVED, PICTURES)

    def ours(results: Any) -> Numbers:
        each = [results.fields[e.id].values.ordered(("input", "class")).data for e in results.program.elements]
        return {"scores": np.stack(each)}

    def numbers(found: np.ndarray) -> Numbers:
        return {"scores": found}

    return Row(
        "derived",
        f"scores of a network and of {models} derived from it, each without a channel of {LAYER}, of {count} pictures",
        (
            Way("bbilang", "ours", page(models, count), ours),
            Way("minimum", "minimum", lambda: least(models, count), numbers),
            Way("hooks by hand", "beside", lambda: hooked(models, count), numbers),
        ),
        (Limit("faster", 1.5, "hooks by hand"),),
        "the scores of every model",
        KINKS,
    )
