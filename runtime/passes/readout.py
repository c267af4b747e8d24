"""The last layers of a network, applied to the tokens of an earlier one: final norm and unembedding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bbilang.runtime.errors import error
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.hooks import frozen_module, guard_memory, tensor_of

TOLERANCE = 1e-3  # of the largest score: between the network's own scores and those that its last layers give


def read_scores(adapter: Adapter, layers: Sequence[str], values: Tensor) -> Tensor:
    """Apply some layers one after the other to vectors of tokens: (input, token, channel) -> (input, token, class).
    Raises BbiError E579 where one of them takes something else."""
    with guard_memory("the last layers"), torch.no_grad(), frozen_module(adapter.module):
        for name in layers:
            try:
                values = tensor_of(adapter.module_of(name)(values), name)
            except (TypeError, RuntimeError, IndexError, ValueError) as e:
                message = f"`{name}` cannot be applied to the tokens of another layer: {str(e).splitlines()[0]}"
                raise error("E579", message, HELP) from e
    return values


def check_scores(read: Tensor, scores: Tensor, layers: Sequence[str]) -> float:
    """Return by how much the scores (input, class) differ from those read from the last tokens (input, token, class),
    of the first token, the last, or their mean. Raises BbiError E579 where none of them is close."""
    if read.ndim != 3 or read.shape[-1] != scores.shape[-1]:
        raise error("E579", f"`{layers[-1]}` does not give a score for each class", HELP)
    candidates = (read[:, -1], read[:, 0], read.mean(1))
    misses = [float((own.float() - scores).abs().max()) for own in candidates]
    if min(misses) > TOLERANCE * max(1.0, float(scores.abs().max())):
        words = ", ".join(f"`{name}`" for name in layers)
        message = f"the network does more with its last tokens than {words}: its scores differ by {min(misses):.2g}"
        raise error("E579", message, HELP)
    return min(misses)


HELP = "its tokens have activations and attributions all the same: `LAYER.token | attribute(output)`"
