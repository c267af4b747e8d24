"""The handlers of relevance propagation by the name of the operation.

A handler returns the result with its backward, or None where it has no rule for these arguments: the operation then
runs unchanged, and `path.check_rules` refuses it if it lies between a target and a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from bbilang.runtime.relevance import attention
from bbilang.runtime.relevance.calls import Call
from bbilang.runtime.relevance.marks import Mark, mark_of
from bbilang.runtime.relevance.mode import Handler, Relevance
from bbilang.runtime.relevance.redistribute import PassThrough, Proportional
from bbilang.runtime.relevance.weighted import LayerFunction, WeightedLayer, scale_and_shift

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
ACTIVATIONS = (
    "relu", "relu6", "hardtanh", "silu", "gelu", "hardswish", "elu", "selu", "celu", "leaky_relu", "prelu", "rrelu",
    "mish", "softplus", "softsign", "tanh", "logsigmoid", "softshrink", "hardshrink", "tanhshrink", "threshold",
    "clamp", "clamp_min", "clamp_max", "clip", "local_response_norm", "neg", "negative",
)  # fmt: skip
GATES = ("sigmoid", "hardsigmoid", "expit")
SUMS = (
    "add", "radd", "mean", "sum", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
)  # fmt: skip


def weighted(mode: Relevance, call: Call) -> Tensor | None:
    """Handle a convolution or linear layer whose weights do not depend on the picture."""
    names = ("input", "weight", "bias", "stride", "padding")
    last = ("output_padding", "groups", "dilation") if call.name in TRANSPOSED else ("dilation", "groups")
    arguments = call.named_arguments(*names, *last)
    x, weight, bias = arguments["input"], arguments["weight"], arguments.get("bias")
    function, rest = call.run, call.arguments[3:]
    named = {name: value for name, value in call.named.items() if name not in ("input", "weight", "bias")}

    def run(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return function(x, weight, bias, *rest, **named)  # type: ignore[no-any-return]

    kind = "linear" if call.name == "linear" else "convolution"
    return _weighted(
        mode, call, kind, run, x, weight, bias, 1 if call.name in TRANSPOSED else 0, arguments.get("groups", 1)
    )


def _weighted(
    mode: Relevance,
    call: Call,
    kind: str,
    run: LayerFunction,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    axis: int | None,
    groups: int = 1,
) -> Tensor | None:
    if weight.requires_grad or (isinstance(bias, Tensor) and bias.requires_grad) or not x.requires_grad:
        return None
    mark = mark_of(x)
    rule = mode.rule_of(kind, mark.pixels is not None)
    layer = WeightedLayer(run, x, weight, bias, axis, groups, rule, mode.contrast, mode.options, mark)
    return mode.attach(call, layer, x, mark=Mark(weighted=layer))


def matrix_product(mode: Relevance, call: Call) -> Tensor | None:
    """Handle a product of matrices: with a weight that does not depend on the picture, or with attention as a
    constant."""
    if call.inplace or len(call.arguments) != 2 or call.named:
        return None
    (a, b), run = call.arguments, call.run
    if a.requires_grad and not b.requires_grad:
        return _weighted(mode, call, "linear", lambda x, w, bias: run(x, w), a, b, None, None)
    if b.requires_grad and not a.requires_grad:
        return _weighted(mode, call, "linear", lambda x, w, bias: run(w, x), b, a, None, None)
    if mark_of(a).gate == mark_of(b).gate:
        return None
    return in_proportion(mode, call, b if mark_of(a).gate else a)


def addmm(mode: Relevance, call: Call) -> Tensor | None:
    """Handle addmm(bias, x, weight)."""
    if call.inplace or len(call.arguments) != 3 or call.named:
        return None
    bias, x, weight = call.arguments
    if bias.dim() != 1:
        return None

    def run(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return x @ weight if bias is None else x @ weight + bias

    return _weighted(mode, call, "linear", run, x, weight, bias, None)


def in_proportion(mode: Relevance, call: Call, *sources: Tensor) -> Tensor:
    """Redistribute in proportion to what each source adds; all other tensors are constants."""
    epsilon = 0.0 if mode.excites else mode.options["stabilizer"]
    pixels = mode.value_range(call)[0]
    step = Proportional(call.as_function_of(*sources), sources, epsilon, mode.options["positive"], call.inplace)
    return mode.attach(call, step, *sources, mark=Mark(pixels=pixels))


def sum_or_mean(mode: Relevance, call: Call) -> Tensor | None:
    """Handle a sum or mean. A constant takes the share of a bias, except beside the picture itself,
    where it is part of the preprocessing."""
    sources = tuple(x for x in call.sources if x.requires_grad)
    alone = call.name in ("add", "radd", "sub", "rsub") and len(sources) == 1
    pixels = all(mark_of(x).pixels is not None for x in sources)
    free = mode.excites or pixels or not mode.options["bias"]
    if alone and free and _keeps_shape(call, sources[0]):
        return mode.pass_through(call, sources[0])
    return in_proportion(mode, call, *sources)


def difference(mode: Relevance, call: Call) -> Tensor | None:
    """Handle a difference as a sum; by positive parts only where the subtrahend is constant."""
    sources = [x for x in call.sources if x.requires_grad]
    if mode.options["positive"] and len(sources) > 1:
        return None
    return sum_or_mean(mode, call)


def scaling(mode: Relevance, call: Call) -> Tensor | None:
    """Handle a product with, or quotient by, a constant, and a product with a gate, which is treated as constant: all
    relevance goes to the signal (Arras et al. 2019)."""
    sources = [x for x in call.sources if x.requires_grad]
    gates: list[Tensor] = []
    if len(sources) == 2:
        gates = [x for x in sources if mark_of(x).gate]
        if len(gates) != 1 or call.name != "mul":
            return None
        sources = [x for x in sources if x is not gates[0]]
    if len(sources) != 1 or sum(x is sources[0] for x in call.arguments) != 1:
        return None
    (source,) = sources
    if call.name in ("div", "rdiv") and (call.arguments[0] is not source or call.named.get("rounding_mode")):
        return None
    if not _keeps_shape(call, source):
        return in_proportion(mode, call, source)
    if not gates:
        return mode.pass_through(call, source, mark_of(source).gate)
    return mode.attach(call, PassThrough(call.as_function_of(source)), source)


def _keeps_shape(call: Call, source: Tensor) -> bool:
    return torch.broadcast_shapes(*(x.shape for x in call.sources)) == source.shape


def elementwise(mode: Relevance, call: Call) -> Tensor | None:
    """Pass relevance through an elementwise operation."""
    source = call.arguments[0] if call.arguments else call.named.get("input")
    if not isinstance(source, Tensor) or any(x.requires_grad for x in call.sources if x is not source):
        return None
    return mode.pass_through(call, source, call.name in GATES)


def batch_norm(mode: Relevance, call: Call) -> Tensor | None:
    """Pass relevance through a batch norm; it is folded into the layer before it where nothing else reads that layer's
    result."""
    arguments = call.named_arguments(
        "input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"
    )
    x, layer = arguments["input"], mark_of(arguments["input"]).weighted
    if layer is not None and not arguments.get("training") and arguments.get("running_var") is not None:
        if x.dim() == 2 or (layer.axis is not None and layer.weight.dim() > 2):
            mean, variance, eps = arguments["running_mean"], arguments["running_var"], arguments.get("eps", 1e-5)
            norm = scale_and_shift(mean, variance, arguments.get("weight"), arguments.get("bias"), eps)
            layer.norm = layer.norm or norm
    return mode.pass_through(call, x)


def interpolate(mode: Relevance, call: Call) -> Tensor | None:
    """Handle interpolation: linear kinds are sums; the nearest is a copy, for which autograd's own backward is
    correct."""
    if call.named.get("mode", "nearest").startswith("nearest"):
        return None
    return sum_or_mean(mode, call)


def dropout(mode: Relevance, call: Call) -> Tensor | None:
    """Handle dropout: the identity in eval mode."""
    arguments = call.named_arguments("input", "p", "training")
    return (
        None
        if arguments.get("training", True)
        else mode.pass_through(call, arguments["input"], mark_of(arguments["input"]).gate)
    )


HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys((*CONVOLUTIONS, *TRANSPOSED, "linear"), weighted),
    **dict.fromkeys(("matmul", "bmm", "mm"), matrix_product),
    **dict.fromkeys(SUMS, sum_or_mean),
    **dict.fromkeys(("sub", "rsub"), difference),
    **dict.fromkeys(("mul", "multiply", "div", "divide", "true_divide"), scaling),
    **dict.fromkeys((*ACTIVATIONS, *GATES), elementwise),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"), dropout),
    **dict.fromkeys(("layer_norm", "group_norm", "rms_norm"), attention.normalization),
    "addmm": addmm,
    "batch_norm": batch_norm,
    "interpolate": interpolate,
    "softmax": attention.softmax,
    "scaled_dot_product_attention": partial(attention.scaled_dot_product, in_proportion),
    "multi_head_attention_forward": attention.multi_head_attention,
}
