"""What each attention head looks at: the weights that multiply the values, as the network computes them.

Fused attention does not give them; they are computed from its own queries, keys and mask. Layers of heads must be
mounted (`module.heads`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from bbilang.runtime.errors import error
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.hooks import frozen_module, guard_memory

Args: TypeAlias = tuple[Any, ...]
Named: TypeAlias = Mapping[str, Any]
PRODUCTS = {"matmul", "__matmul__", "bmm", "einsum"}


def attention_weights(adapter: Adapter, images: Tensor, layers: Sequence[str], counter: Passes) -> dict[str, Tensor]:
    """Return the weights of each head at some layers of heads, (input, head, query, key), each row of keys a share of
    1. Raises BbiError E561 where the weights of a layer are not of tokens to tokens."""
    watch, weights = _Watch(), dict[str, Tensor]()

    def keep(layer: str) -> Callable[[nn.Module, Args, Tensor], None]:
        def hook(module: nn.Module, arguments: Args, outputs: Tensor) -> None:
            weights[layer] = _checked(layer, watch.latest, outputs)

        return hook

    with guard_memory("a forward pass"), torch.no_grad(), ExitStack() as stack:
        handles = stack.enter_context(frozen_module(adapter.module))
        handles += [adapter.module_of(layer).register_forward_hook(keep(layer)) for layer in layers]
        counter.forward(len(images))
        with watch:
            adapter.module(adapter.normalize(images.to(adapter.device)))
    return weights


def _checked(layer: str, weights: Tensor | None, outputs: Tensor) -> Tensor:
    """Return the weights of the heads whose outputs are (input, token, head, channel)."""
    count, tokens, heads = outputs.shape[:3]
    if weights is None or weights.numel() != count * heads * tokens * tokens:
        what = "gives none that could be seen" if weights is None else f"has the shape {tuple(weights.shape)}"
        message = f"the attention of `{layer}` is not of {tokens} tokens to {tokens} tokens: it {what}"
        help = "its heads are atoms all the same: `.head | attribute(output)`"
        raise error("E561", message, help)
    return weights.detach().float().reshape(count, heads, tokens, tokens)


class _Watch(TorchFunctionMode):
    """Keeps the weights of the attention that was computed last."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: Tensor | None = None
        self._shares: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Args = (), kwargs: Named | None = None
    ) -> object:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name == "multi_head_attention_forward":
            needed, averaged = kwargs.get("need_weights", True), kwargs.get("average_attn_weights", True)
            result, self.latest = func(*args, **{**kwargs, "need_weights": True, "average_attn_weights": False})
            own = self.latest.mean(1) if averaged and self.latest is not None else self.latest
            return result, own if needed else None
        result = func(*args, **kwargs)
        if name == "scaled_dot_product_attention":
            self.latest = explicit_weights(*args, **kwargs)
        elif name in ("softmax", "_softmax"):
            self._shares[result] = result
        elif name in PRODUCTS:
            operands = [x for a in args for x in (a if isinstance(a, list | tuple) else (a,)) if isinstance(x, Tensor)]
            self.latest = next((self._shares[x] for x in operands if x in self._shares), self.latest)
        elif args and isinstance(args[0], Tensor) and isinstance(result, Tensor) and args[0] in self._shares:
            if result.shape == args[0].shape:
                self._shares[result] = result
        return result


def explicit_weights(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """Return softmax(q k' scale + mask) of `torch.nn.functional.scaled_dot_product_attention`, by its documentation."""
    if enable_gqa and key.shape[-3] != query.shape[-3]:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    products = query.float() @ key.float().transpose(-2, -1)
    products = products * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        kept = torch.ones(products.shape[-2:], dtype=torch.bool, device=products.device).tril()
        products = products.masked_fill(~kept, -math.inf)
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        products = products.masked_fill(~attn_mask, -math.inf) if masked else products + attn_mask
    return products.softmax(-1)
