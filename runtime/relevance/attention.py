"""Attention and normalization: attention weights and the scale of a normalization are treated as constants, so that
the rest is linear, and relevance is redistributed in proportion (Ali et al. 2022, equations 8 and 12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from bbilang.runtime.relevance.calls import Call
from bbilang.runtime.relevance.marks import gated
from bbilang.runtime.relevance.mode import Relevance
from bbilang.runtime.relevance.path import KEY
from bbilang.runtime.relevance.redistribute import Proportional


def softmax(mode: Relevance, call: Call) -> Tensor | None:
    """Return a gate: products with it scale the other factor. No relevance passes through it."""
    result = call.run(*call.arguments, **call.named)
    result.grad_fn.metadata[KEY] = mode.describe("softmax")
    return gated(result)


def scaled_dot_product(share: Callable[..., Tensor], mode: Relevance, call: Call) -> Tensor | None:
    """Compute softmax(q k') v: all relevance goes to the values, in proportion to attention x value."""
    arguments = call.named_arguments("query", "key", "value")
    query, key, value = (arguments[name] for name in ("query", "key", "value"))
    if len({id(x) for x in (query, key, value)}) != 3:  # one tensor has two roles
        clones = (query, key, value.clone())
        call = Call(call.name, False, call.run, (*clones, *call.arguments[3:]), _other_arguments(call.named))
        value = clones[2]
    return share(mode, call, value) if value.requires_grad else None


def _other_arguments(named: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in named.items() if name not in ("query", "key", "value")}


def multi_head_attention(mode: Relevance, call: Call) -> Tensor | tuple[Tensor, Tensor | None] | None:
    """Run `nn.MultiheadAttention` as separate operations, so that each has its own rule."""
    names = (
        "query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight", "in_proj_bias", "bias_k",
        "bias_v", "add_zero_attn", "dropout_p", "out_proj_weight", "out_proj_bias", "training", "key_padding_mask",
        "need_weights", "attn_mask",
    )  # fmt: skip
    arguments = call.named_arguments(*names)
    refused = ("bias_k", "bias_v", "key_padding_mask", "attn_mask", "use_separate_proj_weight", "is_causal")
    if any(
        arguments.get(name) is not None and arguments.get(name) is not False for name in (*refused, "add_zero_attn")
    ):
        return None
    query, key, value = arguments["query"], arguments["key"], arguments["value"]
    if query is not key or key is not value or query.dim() != 3:
        return None
    count, width = arguments["num_heads"], query.shape[2]
    with mode:
        tokens = F.linear(query, arguments["in_proj_weight"], arguments["in_proj_bias"])
        length, rows = tokens.shape[:2]
        q, k, v = (
            part.reshape(length, rows * count, width // count).transpose(0, 1).unflatten(0, (rows, count))
            for part in tokens.chunk(3, dim=2)
        )
        weights = torch.softmax(q @ k.transpose(2, 3) * (width // count) ** -0.5, dim=-1)
        mixed = (weights @ v).flatten(0, 1).transpose(0, 1).reshape(length, rows, width)
        result = F.linear(mixed, arguments["out_proj_weight"], arguments["out_proj_bias"])
    if not arguments.get("need_weights", True):
        return result, None
    averaged = arguments.get("average_attn_weights", True)
    return result, weights.detach().mean(1) if averaged else weights.detach()


def normalization(mode: Relevance, call: Call) -> Tensor | None:
    """Subtract the mean and multiply by a scale treated as constant. Probabilities pass through, as in a batch norm."""
    x = call.arguments[0]
    if mode.excites:
        return mode.pass_through(call, x)
    weight, bias, positional = call.named.get("weight"), call.named.get("bias"), call.arguments
    eps = call.named.get("eps")
    if call.name == "group_norm":
        return _group_normalization(mode, call, x, positional[1], weight, bias, 1e-5 if eps is None else eps)
    dims = tuple(range(x.dim() - len(positional[1]), x.dim()))
    centred = call.name == "layer_norm"
    small = eps if eps is not None else 1e-5 if centred else torch.finfo(x.dtype).eps
    with torch.no_grad():
        mean = x.mean(dims, keepdim=True) if centred else torch.zeros_like(x)
        scale = ((x - mean).square().mean(dims, keepdim=True) + small).rsqrt()

    def run(x: Tensor) -> Tensor:
        y = (x - x.mean(dims, keepdim=True) if centred else x) * scale
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    return mode.attach(call, Proportional(run, (x,), mode.options["stabilizer"]), x)


def _group_normalization(
    mode: Relevance, call: Call, x: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    def grouped(x: Tensor) -> Tensor:
        return x.reshape(len(x), groups, -1)

    shape = (1, -1, *[1] * (x.dim() - 2))
    with torch.no_grad():
        scale = (grouped(x).var(2, unbiased=False, keepdim=True) + eps).rsqrt()

    def run(x: Tensor) -> Tensor:
        wide = grouped(x)
        y = ((wide - wide.mean(2, keepdim=True)) * scale).view_as(x)
        y = y if weight is None else y * weight.view(shape)
        return y if bias is None else y + bias.view(shape)

    return mode.attach(call, Proportional(run, (x,), mode.options["stabilizer"]), x)
