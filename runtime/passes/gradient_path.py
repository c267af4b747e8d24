"""Check whether a gradient path leads from a layer to a target, and find where it ends.

A dead unit has a gradient of zero; a detached tensor has none, and a zero for it would be wrong. Checked only where a
whole gradient is zero: in a forward of one input, in which only the layer's result requires a gradient, hooks
record for every module whether its arguments and its result depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.forward import Captured, forward
from bbilang.runtime.passes.hooks import INPUT, frozen_module, tensor_of, with_tensor
from bbilang.runtime.passes.module.results import tensors
from bbilang.runtime.passes.replay_above import OUTPUT


def check_gradient_path(
    adapter: Adapter, images: Tensor, layer: str, target_layer: str, counter: Passes | None = None
) -> None:
    """Raise BbiError E505 where no gradient path leads from the layer to the scores, or to a target layer whose values
    depend on it; the message says where the path ends. A path whose gradient is zero is fine."""
    head = adapter.description.output
    path = head if target_layer == OUTPUT else target_layer
    tracer = _PathTracer(adapter, layer)
    results: list[Tensor] = []
    if counter is not None:
        counter.probes += 1
    with torch.inference_mode(False), torch.enable_grad(), frozen_module(adapter.module) as handles:
        pixels = images[:1].detach().to(adapter.device).clone().requires_grad_(layer == INPUT)
        handles += tracer.hooks()
        if path:
            target = adapter.module.get_submodule(head) if target_layer == OUTPUT else adapter.module_of(target_layer)
            handles.append(
                target.register_forward_hook(lambda m, a, result: results.append(tensor_of(result, target_layer)))
            )
        result = adapter.module(adapter.normalize(pixels))
        value = results[0] if path and results else tensor_of(result, target_layer)
    if not value.requires_grad and (target_layer == OUTPUT or _depends(adapter, images[:1], layer, target_layer)):
        raise tracer.error(target_layer)


def other_values(values: Tensor) -> Iterator[Tensor]:
    """Yield different values of similar magnitude; anything that depends on the values differs for one of them."""
    yield -values - values.abs().mean() - 1
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32).to(values)
    yield values + noise * (3 * values.abs().mean() + 1)


def _depends(adapter: Adapter, images: Tensor, layer: str, target_layer: str) -> bool:
    """Return whether a target layer depends on a layer at all: a parallel one does not, and its gradient is rightly
    zero."""
    own = forward(adapter, images, [layer, target_layer], False)
    return any(
        not torch.equal(
            forward(adapter, images, [target_layer], False, replace={layer: other})[target_layer], own[target_layer]
        )
        for other in other_values(own[layer])
    )


class NoGradientPath(Exception):
    """Raised inside `above`, which turns it into E505, where no gradient path leads to a target layer."""

    def __init__(self, target_layer: str):
        super().__init__(target_layer)
        self.target_layer = target_layer


@contextmanager
def locate_missing_path(adapter: Adapter, captured: Captured, layer: str) -> Iterator[None]:
    """Turn `NoGradientPath` into E505, which says where the path ends."""
    try:
        yield
    except NoGradientPath as e:
        if captured.images is not None:
            check_gradient_path(adapter, captured.images, layer, e.target_layer)
        to = "the scores" if e.target_layer == OUTPUT else f"`{e.target_layer}`"
        message = f"no gradient leads from `{layer}` to {to} when the network above it runs alone"
        raise error("E505", message, "use a method without gradients, such as `occlusion`") from e


def all_zero(gradient: Tensor) -> bool:
    """Return whether a gradient (row, ...) is zero throughout. The sum of the first row, which is rarely 0, is tested
    first: it takes a tenth of the time of `any`."""
    return bool(gradient.numel()) and not bool(gradient[0].sum()) and not bool(gradient.any())


class _PathTracer:
    """A tracer of what depends on the layer's result, module by module."""

    def __init__(self, adapter: Adapter, layer: str):
        self.layer = layer
        short = {layer.module: layer.name for layer in getattr(adapter.description, "layers", ())}
        self.paths = {module: path for path, module in adapter.module.named_modules() if path}
        self.names = {module: short.get(path, path) for module, path in self.paths.items()}
        self.module = adapter.module_of(layer) if layer != INPUT else None
        self.started = self.module is None
        self.last = layer  # the last module whose result depends on the layer's
        self.ends = ""  # the first module whose arguments depend on it and whose result does not
        self.next = ""  # the first module after `last` whose arguments do not

    def hooks(self) -> list[RemovableHandle]:
        results = [m.register_forward_hook(self.after, with_kwargs=True) for m in self.names]
        if self.module is not None and self.module not in self.names:
            results.append(self.module.register_forward_hook(self.after, with_kwargs=True))
        return results

    def after(
        self, module: nn.Module, arguments: tuple[object, ...], named: Mapping[str, object], result: object
    ) -> object:
        if module is self.module:
            self.started = True
            own = tensor_of(result, self.layer).detach().clone().requires_grad_()
            return with_tensor(result, own.clone(), self.layer)
        if not self.started or _around(self.paths.get(module, ""), self.paths.get(self.module, "-")):
            return None
        name = self.names[module]
        before, now = _requires_grad([*arguments, *named.values()]), _requires_grad(result)
        if now:
            self.last, self.next = name, ""
        elif before:
            self.ends = self.ends or name
        else:
            self.next = self.next or name
        return None

    def error(self, target_layer: str) -> BbiError:
        to = "the scores" if target_layer == OUTPUT else f"`{target_layer}`"
        start = f"no gradient leads from `{self.layer}` to {to}"
        if self.ends and self.ends != target_layer:
            where = f"it ends at `{self.ends}`"
        elif self.last != self.layer or self.next:
            where = f"it ends after `{self.last}`" + (f", before `{self.next}`" if self.next else "")
        else:
            where = (
                f"{to} are not computed from its result"
                if target_layer == OUTPUT
                else f"{to} is not computed from its result"
            )
        return error(
            "E505",
            f"{start}: {where}",
            "something like `torch.no_grad()`, `.detach()`, rounding or `argmax` cuts it there, or another result is "
            "used: choose a later layer, or a method without gradients, such as `occlusion`",
        )


def _around(name: str, inner: str) -> bool:
    """Return whether a module contains another: its result is judged by the modules inside."""
    return inner.startswith(f"{name}.")


def _requires_grad(tree: object) -> bool:
    return any(value.requires_grad for value in tensors(tree))
