"""The network above a layer, run alone: for activations that were perturbed, interpolated or replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from bbilang.runtime.device.memory import is_out_of_memory
from bbilang.runtime.errors import error
from bbilang.runtime.passes.above_check import BackendCheck, Checks, Cost
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.explicit.graph import DerivativeGraph
from bbilang.runtime.passes.explicit.jvp import ExplicitJvp
from bbilang.runtime.passes.fallback import OPERATION_ERRORS, NotTraceable, log_fallback
from bbilang.runtime.passes.forward import Captured, forward
from bbilang.runtime.passes.fx_graph import GraphSection
from bbilang.runtime.passes.gradient_path import NoGradientPath, locate_missing_path, other_values
from bbilang.runtime.passes.hooks import frozen_module, guard_memory, tensor_of
from bbilang.runtime.passes.module.behaviour import Behaviour, behaviour_of, deterministic
from bbilang.runtime.passes.module.precision import all_promoted
from bbilang.runtime.passes.module.restore import restored
from bbilang.runtime.passes.replay_above import OUTPUT, Replay


class Backend(Protocol):
    """An implementation of the network above a layer: `GraphSection`, `Replay`, or one of them `RowByRow`."""

    def __call__(self, activations: Tensor, rows: Tensor | None, /) -> dict[str, Tensor]:
        """Map activations (row, *layer shape), with rows (row,) the input of each, to target layer -> (row, *its
        shape)."""


@dataclass
class NetworkAbove:
    """The network above a layer: activations (row, *layer shape), rows (row,) -> target layer -> (row, *its shape),
    differentiable in activations.

    ``rows``: the input that each row belongs to, whose values are read where paths go around the layer; None where rows
    are the inputs. ``activations``: those of the layer as captured, (input, *layer shape).
    """

    layer: str
    target_layers: tuple[str, ...]
    backend: str  # "fx" or "hooks"
    activations: Tensor
    counter: Passes
    cost: Cost
    run: Backend
    checks: Checks = field(default_factory=Checks)
    batched: dict[str, bool] = field(default_factory=dict)  # transform -> False once it failed on this network
    linear: ExplicitJvp | None = None  # made for the first tangents
    networks: dict[str, DerivativeGraph] = field(default_factory=dict)  # target layer -> the graph of its explicit VJP
    pictures: Tensor | None = None  # (input, channel, y, x): results are promoted to their dtype
    connected: set[str] = field(default_factory=set)  # target layers that have a gradient path to the layer

    @property
    def inputs(self) -> int:
        """The number of inputs of the forward."""
        return len(self.activations)

    def check_gradient_path(self, target_layer: str) -> None:
        """Check for a gradient path; call it where a whole gradient is zero. Raises NoGradientPath, which is E505
        outside of `above`, where no gradient leads to a target layer that depends on the layer, or to the scores."""
        if target_layer in self.connected:
            return
        with torch.inference_mode(False), torch.enable_grad():
            value = self.run(self.activations.detach().clone().requires_grad_(), None)[target_layer]
        self.counter.probes += 1
        if not value.requires_grad:
            with torch.inference_mode(False), torch.no_grad():
                changed = (self.run(x, None)[target_layer] for x in other_values(self.activations.detach()))
                if target_layer == OUTPUT or any(not torch.equal(x, value) for x in changed):
                    raise NoGradientPath(target_layer)
        self.connected.add(target_layer)

    def __call__(self, activations: Tensor, rows: Tensor | None = None) -> dict[str, Tensor]:
        if rows is not None and len(rows) != len(activations):
            raise ValueError(f"{len(activations)} rows of activations and {len(rows)} numbers of inputs")
        self.counter.rerun(len(activations))
        return all_promoted(self.run(activations.to(self.activations.dtype), rows), self.pictures)


@contextmanager
def above(
    adapter: Adapter,
    captured: Captured,
    layer: str,
    target_layers: Sequence[str] = (OUTPUT,),
    backend: str = "auto",
    counter: Passes | None = None,
) -> Iterator[NetworkAbove]:
    """Yield the network above one layer, from the result of `forward(..., cuts=[layer])`; without that cut the forward
    runs again up to the layer.

    ``target_layers``: ``"output"`` (the scores) and later layers. ``backend``: ``"fx"`` cuts the traced graph,
    ``"hooks"`` runs the model's own code on the recorded results, ``"auto"`` uses fx where the model can be traced and
    the graph reproduces the forward, else hooks; checked once for a model, layer and target layers. The model is
    restored at the end.

    Raises BbiError E501, E502 (a target layer that is not above), E504, E505, E508 (the network above cannot run
    alone).
    """
    counter = counter if counter is not None else Passes()
    target_layers = tuple(dict.fromkeys(target_layers))
    behaviour = behaviour_of(adapter)
    context = locate_missing_path(adapter, captured, layer)
    with torch.inference_mode(False), guard_memory(f"the network above `{layer}`"), context:
        backends = ("fx", "hooks") if backend == "auto" else (backend,)
        parts = captured.parts or (captured,)
        checked = [_checked(adapter, part, layer, target_layers, backends, counter) for part in parts]
        first, activations = checked[0], checked[0].activations
        run: Backend = first.run
        with frozen_module(adapter.module), restored(adapter.module), ExitStack() as stack:
            if behaviour.row_by_row:
                run = RowByRow([each.run for each in checked], behaviour)
                activations = torch.cat([each.activations for each in checked])
            elif first.single_row:
                run = RowByRow([first.run], behaviour)
            else:
                stack.enter_context(first.run.ready())
            yield NetworkAbove(
                layer,
                target_layers,
                first.cost.backend,
                activations,
                counter,
                first.cost,
                run,
                first.checks,
                pictures=captured.images,
            )


@dataclass(frozen=True)
class _CheckedBackend:
    """A backend whose results equal the forward's, for the inputs of one forward."""

    run: Replay | GraphSection
    cost: Cost
    checks: Checks
    activations: Tensor  # (input, *layer shape)
    single_row: bool


def _checked(
    adapter: Adapter,
    captured: Captured,
    layer: str,
    target_layers: tuple[str, ...],
    backends: Sequence[str],
    counter: Passes,
) -> _CheckedBackend:
    """Return the first backend that reproduces the results of the forward. Raises BbiError E508 if none does."""
    cut = captured.cuts.get(layer)
    if cut is None:
        if captured.images is None:
            raise error("E505", f"the forward below `{layer}` was not recorded", "run `forward` again")
        cut = forward(adapter, captured.images, [layer], False, counter=counter, cuts=[layer]).cuts[layer]
        captured.cuts[layer] = cut
    activations = tensor_of(cut.result, layer).detach()
    check = BackendCheck(adapter, captured, cut, target_layers, counter, backends)
    for backend in backends:
        with frozen_module(adapter.module):
            try:
                runner = GraphSection if backend == "fx" else Replay
                run: Replay | GraphSection = runner(adapter, cut, target_layers)
            except (NotTraceable, *OPERATION_ERRORS) as e:
                if backend == "hooks" or is_out_of_memory(e):
                    raise
                log_fallback(f"no graph above `{layer}`", "the model's own code runs", e)
                continue
            with run.ready():
                cost = check(backend, run, activations)
            if cost is not None:
                return _CheckedBackend(run, cost, check.checks, activations, check.single_row(backend))
    raise error(
        "E508",
        f"the network above `{layer}` gives other results when it runs alone",
        "its forward may be random, or keep a state; use a method that only needs gradients",
    ) from check.failure


class RowByRow:
    """The network above a layer where rows depend on each other: each runs alone, with the values recorded for its own
    input."""

    def __init__(self, runs: Sequence[Replay | GraphSection], behaviour: Behaviour):
        self.runs, self.behaviour = runs, behaviour

    def __call__(self, activations: Tensor, rows: Tensor | None) -> dict[str, Tensor]:
        inputs = list(range(len(activations))) if rows is None else rows.tolist()
        results: list[dict[str, Tensor]] = []
        for row, index in enumerate(inputs):
            run = self.runs[index]
            with run.ready(), deterministic(self.behaviour):
                results.append(run(activations[row : row + 1], None))
        return {target: torch.cat([each[target] for each in results]) for target in results[0]}
