"""A network derived from another one: the same modules and tensors, with a layer or some parameters changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from itertools import count

import torch
from torch import Tensor, fx, nn

from bbilang.compiler.contract import LayerChange, NetworkChange, NewParameters
from bbilang.runtime.errors import error
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.models.copy_module import copy_module
from bbilang.runtime.models.score_output import own, scored
from bbilang.runtime.passes.hooks import tensor_of, with_tensor
from bbilang.runtime.passes.module.behaviour import copy_behaviour, is_built_in
from bbilang.runtime.passes.module.heads import mount
from bbilang.runtime.passes.module.precision import input_type, remember_input_type
from bbilang.runtime.passes.trace import copy_trace


class Changed(nn.Module):
    """A layer whose result another module changes. Model code may read the layer's own attributes through it."""

    holds_change = True  # `passes.resume` asks for it, and for `is_change`: inside is the layer as it was

    def __init__(self, inner: nn.Module, change: nn.Module, layer: str):
        super().__init__()
        self.inner, self.change, self.layer = inner, change, layer

    def forward(self, *arguments: object, **named: object) -> object:
        result = self.inner(*arguments, **named)
        if isinstance(result, Tensor | fx.Proxy):
            return self.change(result)
        return with_tensor(result, self.change(tensor_of(result, self.layer)), self.layer)

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        try:
            return super().__getattr__(name)
        except AttributeError:
            value: Tensor | nn.Module = getattr(super().__getattr__("inner"), name)
            return value


def derive(base: Adapter, change: NetworkChange, words: str) -> Adapter:
    """Return a network with a change. All tensors that do not change are those of the base, which stays as it is.
    ``words``: that identify the change and the values that it depends on, as a hash. Raises BbiError E547, E548."""
    network = copy_module(own(base.module), shared=True)
    if isinstance(change, LayerChange):
        change.module.requires_grad_(False)  # the parameters of the base are as its owner left them
        change.module.is_change = True  # type: ignore[assignment]
        _change_layer(network, base, change)
        state = _digest(change.module.state_dict())
    else:
        _set_parameters(network, change)
        state = _digest(change.values)
    network.eval()
    remember_input_type(network, input_type(own(base.module)))
    identity = hashlib.sha256(f"{base.fingerprint} {words} {state}".encode()).hexdigest()[:16]
    made = replace(base, module=scored(network, base.description), derived=identity, _hashed=None)
    if not is_built_in(base):  # which is not probed
        copy_behaviour(made, base)  # a change is the same for every row, and nothing runs more often
        copy_trace(made, base)
    return made


def _change_layer(network: nn.Module, base: Adapter, change: LayerChange) -> None:
    """Put a module behind a layer, wherever the network holds the layer."""
    known = base.description.by_name
    path = known[change.layer].module if change.layer in known else change.layer
    if change.layer in known and known[change.layer].is_heads:
        mount(network, known[change.layer])
    layer = network.get_submodule(path)
    if type(layer) is nn.Sequential:  # its parts keep their paths, also for code that goes through them
        names = (f"change_{number}" for number in count(1))  # the network that this one comes from may have changes too
        layer.add_module(next(name for name in names if name not in layer._modules), change.module)
        return
    changed = Changed(layer, change.module, change.layer)
    for parent in list(network.modules()):
        if parent is not changed:
            for name, child in parent._modules.items():
                if child is layer:
                    parent._modules[name] = changed
    if network.get_submodule(path) is not changed:
        message = f"`{change.layer}` is the whole network, whose result is no layer that can change"
        raise error("E548", message, "change a layer inside it")


def _set_parameters(network: nn.Module, change: NewParameters) -> None:
    """Replace parameters, also where several modules share one. Raises BbiError E548."""
    parameters = dict(network.named_parameters())
    for name, value in change.values.items():
        old = parameters.get(name)
        if old is None or old.shape != value.shape:
            has = "it has none of that name" if old is None else f"it has the shape {tuple(old.shape)}"
            raise error("E548", f"`{name}` of {tuple(value.shape)} is no parameter of the network: {has}")
        new = nn.Parameter(value.detach().to(old), requires_grad=False)
        for part in network.modules():
            for key, own_value in part._parameters.items():
                if own_value is old:
                    part._parameters[key] = new


def _digest(values: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(values.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return digest.hexdigest()
