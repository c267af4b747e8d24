"""Which parameters of a network lie above a layer: those whose modules read what depends on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.passes.hooks import INPUT, tensor_of, with_tensor
from bbilang.runtime.passes.module.results import tensors


def trainable_above(adapter: Adapter, layer: str, images: Tensor) -> dict[str, nn.Parameter]:
    """Return name -> parameter of every module that runs above a layer and not below it, too. images (1, *input axes)
    in [0, 1]. The module's parameters have to be frozen. Raises BbiError E553 where there are none."""
    module = adapter.module
    above: set[nn.Module] = set()
    below: set[nn.Module] = set()

    def note(part: nn.Module, arguments: object, result: object) -> None:
        (above if any(x.requires_grad for x in tensors(result)) else below).add(part)

    def start(part: nn.Module, arguments: object, result: object) -> object:
        return with_tensor(result, tensor_of(result, layer).detach().requires_grad_(True), layer)

    handles = [part.register_forward_hook(note) for part in module.modules()]
    if layer != INPUT:
        handles.append(adapter.module_of(layer).register_forward_hook(start))
    try:
        with torch.inference_mode(False), torch.enable_grad():
            pixels = images.detach().clone().requires_grad_(layer == INPUT)
            module(adapter.normalize(pixels))
    finally:
        for handle in handles:
            handle.remove()
    shared = {id(p) for part in below for p in part.parameters(recurse=False)}
    own = {id(p) for part in above for p in part.parameters(recurse=False) if p.is_floating_point()} - shared
    found = {name: p for name, p in module.named_parameters() if id(p) in own}
    if not found:
        message = f"nothing above `{layer}` has weights that could be trained"
        raise error("E553", message, "discourage atoms of an earlier layer")
    return found
