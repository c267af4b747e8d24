"""The network above a layer by hooks: the model's own code runs, and the modules below the layer are not computed.

Modules that had completed before the layer return their recorded results; the layer returns the new activations.
Functions between modules run again, which costs little. It works for anything that runs in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.boundary import RERUN, Cut, expand_rows
from bbilang.runtime.passes.hooks import INPUT, Stop, frozen_module, tensor_of, with_tensor
from bbilang.runtime.passes.trace import runs_twice

OUTPUT = "output"


class Replay:
    """The network above a layer by the model's own code: activations (row, *layer shape), rows (row,) or None -> target
    layer -> (row, *its shape)."""

    def __init__(self, adapter: Adapter, cut: Cut, target_layers: Sequence[str]):
        self.adapter, self.cut = adapter, cut
        self.inputs = len(cut.images)
        head = adapter.description.output
        self.at: dict[nn.Module, list[str]] = {}
        for target_layer in target_layers:
            if target_layer != OUTPUT or head:
                module = (
                    adapter.module.get_submodule(head) if target_layer == OUTPUT else adapter.module_of(target_layer)
                )
                self.at.setdefault(module, []).append(target_layer)
        self.whole = OUTPUT in target_layers and not head
        self.names = {m: name for name, m in adapter.module.named_modules()}
        self.saved: dict[str, list[tuple[int, Any]]] = {}
        for path, call, result in cut.records:
            self.saved.setdefault(path, []).append((call, result))
        self.next: dict[str, int] = {}
        self.activations: Tensor | None = None
        self.rows: Tensor | None = None
        self.results: dict[str, Tensor] = {}
        self.passed = False

    def stub(self, module: nn.Module, plain: Callable[..., object]) -> Callable[..., object]:
        """Return a replacement of a module's forward that replays recorded results; ``plain``: its own forward."""
        path = self.names[module]

        def forward(*arguments: object, **named: object) -> object:
            if path == self.cut.path and self.activations is not None:
                self.passed = True
                result = expand_rows(self.cut.result, self.rows, self.inputs, path in self.cut.mutated)
                return with_tensor(result, self.activations.clone(), self.cut.layer)
            queue, at = self.saved.get(path, ()), self.next.get(path, 0)
            if self.passed or at >= len(queue):
                return plain(*arguments, **named)
            self.next[path] = at + 1
            result = queue[at][1]
            if result is RERUN:
                return plain(*arguments, **named)
            return expand_rows(result, self.rows, self.inputs, path in self.cut.mutated)

        return forward

    def capture(self, module: nn.Module, arguments: tuple[object, ...], result: object) -> object:
        """Record the result of a target layer and stop after the last one (a forward hook)."""
        for target_layer in self.at[module]:
            if target_layer in self.results:
                raise runs_twice(target_layer)
            self.results[target_layer] = tensor_of(result, target_layer)
        if not self.whole and len(self.results) == sum(map(len, self.at.values())):
            raise Stop
        name = self.at[module][0]
        return with_tensor(result, self.results[name].clone(), name)

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Put the stubs and hooks on the model; inside, this object can be called."""
        patched: list[tuple[nn.Module, Any]] = []
        with frozen_module(self.adapter.module) as handles:
            try:
                for module, path in self.names.items():
                    if self.cut.layer != INPUT and (path in self.saved or path == self.cut.path):
                        patched.append((module, module.__dict__.get("forward")))
                        module.forward = self.stub(module, module.forward)  # type: ignore[method-assign]
                handles += [m.register_forward_hook(self.capture) for m in self.at]
                yield
            finally:
                for module, own in patched:
                    module.__dict__.pop("forward", None)
                    if own is not None:
                        module.forward = own  # type: ignore[method-assign]

    def __call__(self, activations: Tensor, rows: Tensor | None) -> dict[str, Tensor]:
        self.rows, self.next, self.results, self.passed = rows, {}, {}, False
        result = None
        try:
            if self.cut.layer == INPUT:
                pixels = activations
            else:
                self.activations = activations
                pixels = expand_rows(self.cut.images, rows, self.inputs)
            try:
                result = self.adapter.module(self.adapter.normalize(pixels).clone())
            except Stop:
                pass
            results = dict(self.results)
        finally:
            self.activations, self.rows, self.results = None, None, {}
        if self.whole:
            results[OUTPUT] = tensor_of(result, OUTPUT)
        for module, target_layers in self.at.items():
            for target_layer in target_layers:
                if target_layer not in results:
                    name = self.names.get(module, target_layer)
                    raise error("E502", f"`{name}` did not run above `{self.cut.layer}`", "name a layer above it")
        return results


def nearly_equal(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float = 1e-4) -> bool:
    """Return whether values are equal within a share of the largest value of each target layer."""
    for target_layer, value in expected.items():
        other = actual[target_layer]
        if other.shape != value.shape or not bool(torch.isfinite(other).all()):
            return False
        if bool((other - value).abs().max() > tolerance * value.abs().max().clamp_min(1e-3)):
            return False
    return True
