"""Scores of the network with a layer set to zero, for the budget line."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bbilang.compiler.ir.program import OUTPUT, Rerun
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.fields.atoms import numpy_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from bbilang.runtime.execution.context import Run

logger = logging.getLogger("bbilang")


def removal(run: Run, step: Rerun) -> None:
    """Fill ``run.removed`` with the scores (input, class) of the network with the layer's activation at zero; None
    where the network cannot run on it, for instance because it divides by the layer's norm."""
    run.passes.removals += len(run.images)
    try:
        scores = _above(run, step) if step.above else _whole(run, step.layer)
    except BbiError as error:
        logger.info("no budget for %s: the network does not run with it at zero: %s", step.layer, error)
        run.removed[step.layer] = None
    else:
        run.removed[step.layer] = numpy_of(scores)


def _whole(run: Run, layer: str) -> Tensor:
    import torch

    zero = torch.zeros_like(run.images) if layer == "input" else torch.zeros(1, device=run.images.device)
    left = passes.forward(run.adapter, run.images, (), replace={layer: zero}, counter=passes.Passes())
    assert left.scores is not None
    return left.scores.float()


def _above(run: Run, step: Rerun) -> Tensor:
    import torch

    captured = run.forward(step.forward)
    activation = captured[step.layer]

    def make(start: int, stop: int) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(activation[start:stop]), torch.arange(start, stop)

    parts = passes.score_chunks(
        run.adapter, captured, step.layer, make, len(run.images), OUTPUT, passes.Passes()
    )  # fmt: skip
    return torch.cat([scores for _, scores, _ in parts]).float()


def removed(run: Run, layer: str) -> np.ndarray | None:
    """Return the scores (input, class) without a layer, for texts of several lengths those of all parts joined."""
    import numpy as np

    if run.parts:
        parts = [(part.rows, removed(part, layer)) for part in run.parts]
        scores = [own for _, own in parts if own is not None]
        if len(scores) < len(parts):
            return None
        whole = np.empty((len(run.images), scores[0].shape[1]), np.float32)
        for (rows, _), own in zip(parts, scores, strict=True):
            whole[rows] = own
        return whole
    if layer not in run.removed:
        for step in run.program.reruns:
            if step.is_removal and step.layer == layer:
                run.derive(step)
    return run.removed.get(layer)
