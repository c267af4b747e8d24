"""Checks, once for a model, layer, target layers and backend, that the network above equals the whole forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.device.memory import is_out_of_memory
from bbilang.runtime.passes.boundary import Cut, versions
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.fallback import log_fallback
from bbilang.runtime.passes.forward import Captured, forward
from bbilang.runtime.passes.fx_graph import GraphSection
from bbilang.runtime.passes.module.behaviour import behaviour_of, deterministic
from bbilang.runtime.passes.module.memo import memo_of
from bbilang.runtime.passes.module.precision import all_promoted, input_types
from bbilang.runtime.passes.replay_above import OUTPUT, Replay, nearly_equal

if TYPE_CHECKING:
    from bbilang.runtime.passes.adapter import Adapter

CheckKey = tuple[object, ...]


@dataclass(frozen=True)
class Cost:
    """The outcome of the first run of the network above a layer: the backend that is correct, and the bytes of one
    row."""

    backend: str
    largest: int  # of its largest result
    sum: int  # of all its results: what a graph keeps


@dataclass
class Checks:
    """Results of the checks of one module, valid until it changes."""

    costs: dict[CheckKey, Cost | None] = field(default_factory=dict)  # None where the check failed
    single_row: dict[CheckKey, bool] = field(default_factory=dict)
    explicit_vjp: dict[tuple[str, str], bool] = field(default_factory=dict)  # (layer, target layer)


class BackendCheck:
    """A check that the network above reproduces the forward's results from rows of the captured activations."""

    def __init__(
        self,
        adapter: Adapter,
        captured: Captured,
        cut: Cut,
        target_layers: tuple[str, ...],
        counter: Passes,
        backends: Sequence[str],
    ):
        self.cut, self.counter, self.behaviour = cut, counter, behaviour_of(adapter)
        self.checks = cast("Checks", memo_of(adapter.module).setdefault("above", Checks()))
        self.failure: Exception | None = None  # of the last run that failed
        coarsest = max(torch.finfo(dtype).eps for dtype in input_types(adapter.module))
        self.tolerance = max(1e-4, 8 * coarsest)  # of the largest: a batch is rounded differently from a single row
        self.key = (cut.layer, cut.path, target_layers, adapter.description.output, len(cut.images) == 1)
        checked = any(self.checks.costs.get((backend, *self.key)) for backend in backends)
        self.expected = {} if checked else self._forward_values(adapter, captured, target_layers)

    def __call__(self, backend: str, run: Replay | GraphSection, activations: Tensor) -> Cost | None:
        """Return the cost of the network above; None where it does not equal the forward."""
        key = (backend, *self.key)
        if key not in self.checks.costs and self.expected:
            self.checks.costs[key] = self._check(backend, run, activations)
        return self.checks.costs.get(key)

    def single_row(self, backend: str) -> bool:
        """Return whether rows must run one by one: values saved from the network below have rows inside other axes,
        such as the windows of all pictures in one axis, so that only one row can stand above it."""
        return self.checks.single_row.get((backend, *self.key), False)

    def _check(self, backend: str, run: Replay | GraphSection, activations: Tensor) -> Cost | None:
        row_by_row = self.behaviour.row_by_row
        cost = self._run(backend, run, activations, row_by_row)
        if cost is None and backend == "hooks" and len(activations) == 1 and not row_by_row:
            cost = self._run(backend, run, activations, True)
            self.checks.single_row[backend, *self.key] = cost is not None
        return cost

    def _run(self, backend: str, run: Replay | GraphSection, activations: Tensor, single: bool) -> Cost | None:
        indices = [0] if single else [0, min(1, len(activations) - 1), 0]
        rows = torch.tensor(indices, device=activations.device)
        before = versions([activations, self.cut.result, [r for _, _, r in self.cut.records]])
        self.counter.probes += 1
        try:
            with torch.no_grad(), ResultSizes() as sizes, deterministic(self.behaviour):
                values = run(activations[rows], rows)
        except Exception as e:  # the model's own code runs here, on a batch that it may not have been written for
            if is_out_of_memory(e) or isinstance(e, BbiError):
                raise
            what = f"the network above `{self.cut.layer}` ({backend}, {len(indices)} rows)"
            log_fallback(what, "another backend, or one row at a time", e)
            self.failure = e.with_traceback(None)  # its frames hold tensors, and this object
            return None
        expected = {target: value[rows] for target, value in self.expected.items()}
        if not nearly_equal(all_promoted(values, self.cut.images), expected, self.tolerance) or any(
            x._version != version for x, version in before
        ):
            return None
        row = activations[0].numel() * activations.element_size()
        per_row = [size // len(rows) for size in sizes.bytes]
        return Cost(backend, max([row, *per_row]), sum(per_row, row))

    def _forward_values(
        self, adapter: Adapter, captured: Captured, target_layers: tuple[str, ...]
    ) -> dict[str, Tensor]:
        """Return target layer -> its value in the forward, which runs again for those that it did not capture."""
        values = dict(captured.activations)
        if captured.scores is not None:
            values[OUTPUT] = captured.scores
        missing = [target for target in target_layers if target not in values]
        if missing:
            layers = [target for target in missing if target != OUTPUT]
            repeated = forward(adapter, self.cut.images[:2], layers, OUTPUT in missing, counter=Passes())
            self.counter.probes += 1
            values |= repeated.activations
            if OUTPUT in missing and repeated.scores is not None:
                values[OUTPUT] = repeated.scores
        return {target: values[target] for target in target_layers}


class ResultSizes(TorchDispatchMode):
    """A recorder of the bytes of every new tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: list[int] = []

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and not result._is_view():
            self.bytes.append(result.numel() * result.element_size())
        return result
