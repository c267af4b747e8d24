"""Values of the network above a layer at given activations, without gradients: masked, noisy, other pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from bbilang.runtime.device.memory import chunks
from bbilang.runtime.passes.above import Backend, NetworkAbove, above
from bbilang.runtime.passes.above_gradients import MAX_CHUNK
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.explicit.vjp import to_layout
from bbilang.runtime.passes.fold_batchnorm import folded
from bbilang.runtime.passes.forward import Captured
from bbilang.runtime.passes.fx_graph import GraphSection
from bbilang.runtime.passes.hooks import check_finite, guard_memory
from bbilang.runtime.passes.module.precision import promoted

# bytes of a chunk's largest result on a CPU: glibc returns larger blocks to the system, which clears them at each use
MAX_RESULT_BYTES = 2**25
FOLD_FROM = 32  # rows from which folding batch norms pays off: it takes 10 ms
UNVIEWABLE = "view size is not compatible"


def at_once(upper: NetworkAbove) -> int:
    """Return how many rows run together. On a CPU no value is larger than ``MAX_RESULT_BYTES``: for pictures of 224 x
    224 pixels these are a few rows, which run twice as fast as 32 at once."""
    device = upper.activations.device.type
    limit = MAX_CHUNK.get(device, 32)
    return max(1, min(limit, MAX_RESULT_BYTES // max(1, upper.cost.largest))) if device == "cpu" else limit


def value_chunks(
    upper: NetworkAbove,
    make: Callable[[int, int], tuple[Tensor, Tensor]],
    count: int,
    target_layer: str = "output",
    counter: Passes | None = None,
    chunk: int | None = None,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield the values above a layer at ``count`` rows of activations, as many at once as memory allows.

    ``make(start, stop)`` gives rows start to stop when they are needed, so that they are never all in memory:
    activations (row, *layer shape) and the inputs that they belong to, (row,): paths around the layer take the values
    of those inputs. Yields (start, value at the target layer (row, *shape), inputs (row,)), in order. One forward per
    row serves every class; the counter counts them as reruns. Running out of memory halves the chunk and continues at
    the same row, so what ``make`` returns for a row must not depend on the chunk. Raises BbiError E503, E504.
    """
    counter = counter if counter is not None else upper.counter
    device = upper.activations.device
    row = upper.activations[0].numel() * upper.activations.element_size()
    each = 3 * upper.cost.largest + 2 * row  # an operation's operands and result; the row, and its source
    channels_last = device.type == "cpu"
    network: Backend = upper.run
    if isinstance(network, GraphSection) and count >= FOLD_FROM:
        with torch.inference_mode(False), torch.no_grad():
            network = folded(network, upper.layer, target_layer)

    def run(activations: Tensor, rows: Tensor) -> Tensor:
        """Run rows of activations, channels last where that is possible: on a CPU convolutions then take two thirds of
        the time. Code that calls `view` may need the memory order that it was written for."""
        nonlocal channels_last
        if channels_last:
            try:
                return network(to_layout(activations), rows)[target_layer]
            except RuntimeError as e:
                if UNVIEWABLE not in str(e):
                    raise
                channels_last = False
        return network(activations.contiguous(), rows)[target_layer]

    def work(start: int, stop: int) -> tuple[Tensor, Tensor]:
        with torch.inference_mode(False), torch.no_grad(), guard_memory("the network above a layer"):
            activations, rows = make(start, stop)
            value = run(activations.to(upper.activations), rows.to(device))
            counter.rerun(len(activations))
            return promoted(value.detach(), upper.pictures), rows

    for start, (value, rows) in chunks(count, each, work, at_once(upper), device, chunk):
        check_finite(target_layer, value)
        yield start, value, rows


def score_chunks(
    adapter: Adapter,
    captured: Captured,
    layer: str,
    make: Callable[[int, int], tuple[Tensor, Tensor]],
    count: int,
    target_layer: str = "output",
    counter: Passes | None = None,
    chunk: int | None = None,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield `value_chunks` of what lies `above` a layer, after a forward; for the layer ``"input"``, of the whole
    network.

    captured: of `forward(..., cuts=[layer])`; without that cut the network runs once more to the layer. Raises BbiError
    E501, E502, E503, E504, E508.
    """
    counter = counter if counter is not None else Passes()
    with above(adapter, captured, layer, [target_layer], counter=counter) as upper:
        yield from value_chunks(upper, make, count, target_layer, counter, chunk)
