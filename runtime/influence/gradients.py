"""Gradients of each example's loss by the weights, for a batch at once: a layer's input times the gradient at its
output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bbilang.runtime.errors import error
from bbilang.runtime.influence.weights import Weighted
from bbilang.runtime.passes.autograd import grad


@dataclass(frozen=True)
class Recorded:
    """What one layer received and gave in one forward pass."""

    layer: Weighted
    given: Tensor
    version: int
    result: Tensor

    def inputs(self) -> Tensor:
        """Return (example, group, place, in): what the weights are multiplied with at each place, 1 for the bias."""
        module, given = self.layer.module, self.given
        if given._version != self.version:
            raise error("E591", f"`{self.layer.name}` has its input overwritten by a later layer, so that the gradient "
                        "by its weights cannot be found", "use `inplace=False` in the network")  # fmt: skip
        if isinstance(module, nn.Linear):
            places = given.reshape(len(given), 1, -1, given.shape[-1])
        else:
            places = _patches(module, given)
        if not self.layer.bias:
            return places
        return torch.cat([places, places.new_ones(*places.shape[:3], 1)], 3)

    def outputs(self, gradient: Tensor) -> Tensor:
        """Return (example, group, place, out of the group) of a gradient at the output."""
        if isinstance(self.layer.module, nn.Linear):
            return gradient.reshape(len(gradient), 1, -1, gradient.shape[-1])
        flat = gradient.flatten(2)
        return flat.unflatten(1, (self.layer.groups, -1)).transpose(2, 3)


def _patches(module: nn.Conv1d | nn.Conv2d, given: Tensor) -> Tensor:
    """Return (example, group, place, in) of a convolution's input."""
    kernel, stride, dilation = module.kernel_size, module.stride, module.dilation
    if isinstance(module.padding, str):
        whole = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
        sides = [(each // 2, each - each // 2) if module.padding == "same" else (0, 0) for each in whole]
    else:
        sides = [(each, each) for each in module.padding]
    padded = functional.pad(given, [each for side in reversed(sides) for each in side])
    if isinstance(module, nn.Conv1d):
        padded, kernel, stride, dilation = padded.unsqueeze(2), (1, *kernel), (1, *stride), (1, *dilation)
    unfolded = functional.unfold(padded, kernel, dilation=dilation, stride=stride)  # example, channel * kernel, place
    return unfolded.unflatten(1, (module.groups, -1)).transpose(2, 3)


class Recorder:
    """Records the layers of one forward pass, and takes gradients of a loss at their outputs."""

    def __init__(self, layers: Sequence[Weighted]):
        self._layers = layers
        self._runs: list[Recorded] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the layers of the forward pass that runs inside, and forget the one before."""
        self._runs = []
        handles = [layer.module.register_forward_hook(self._hook(layer)) for layer in self._layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, layer: Weighted) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        def at(module: nn.Module, arguments: tuple[Tensor, ...], result: Tensor) -> Tensor:
            if not result.requires_grad:
                result = result.requires_grad_(True)
            given = arguments[0]
            self._runs.append(Recorded(layer, given, given._version, result))
            return result.clone()  # a later operation in place would change what was recorded

        return at

    @property
    def ran(self) -> set[str]:
        """The names of the layers that ran as modules."""
        return {one.layer.name for one in self._runs}

    def inputs_of(self, layer: Weighted) -> Tensor:
        """Return the input of a layer that ran, (example, group, place, in)."""
        return next(one for one in self._runs if one.layer == layer).inputs()

    def at_outputs(self, losses: Tensor) -> Iterator[tuple[Weighted, list[tuple[Tensor, Tensor]]]]:
        """Yield each layer with (inputs, gradients at the outputs) for each time that it ran: of the losses (example,),
        which are independent. A layer that the loss does not depend on is left out."""
        found = grad(losses.sum(), [one.result for one in self._runs], allow_unused=True)
        runs: dict[str, list[tuple[Recorded, Tensor]]] = {}
        for one, gradient in zip(self._runs, found, strict=True):
            if gradient is not None:
                runs.setdefault(one.layer.name, []).append((one, gradient))
        del found
        for layer in self._layers:
            own = runs.pop(layer.name, [])
            if own:
                yield layer, [(one.inputs().detach(), one.outputs(gradient)) for one, gradient in own]


def per_example(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the gradient of each example's loss by a layer's weights, (example, out, in)."""
    total: Tensor | None = None
    for inputs, outputs in pairs:
        own = (outputs.transpose(2, 3) @ inputs).flatten(1, 2)
        total = own if total is None else total + own
    assert total is not None, "a layer ran at least once"
    return total
