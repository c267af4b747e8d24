"""What each operation does with relevance: the table from its name to its way back.

A handler gives the result with its way back, or None where it has none for these arguments: then the operation runs
plainly, and `path.look` refuses it if it lies between a target and a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bbilang.runtime.relevance import attention
from bbilang.runtime.relevance.calls import Called
from bbilang.runtime.relevance.marks import Mark, mark_of
from bbilang.runtime.relevance.mode import Relevance
from bbilang.runtime.relevance.redistribute import Pass, Proportion
from bbilang.runtime.relevance.weighted import Weighted, norm_of

Handler = Callable[[Relevance, Called], "Tensor | None"]

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


def weighted(mode: Relevance, call: Called) -> Tensor | None:
    """A convolution or linear layer whose weights do not depend on the picture."""
    names = ("input", "weight", "bias", "stride", "padding")
    last = ("output_padding", "groups", "dilation") if call.name in TRANSPOSED else ("dilation", "groups")
    given = call.bound(*names, *last)
    x, weight, bias = given["input"], given["weight"], given.get("bias")
    function, rest = call.run, call.arguments[3:]
    named = {name: value for name, value in call.named.items() if name not in ("input", "weight", "bias")}

    def run(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return function(x, weight, bias, *rest, **named)  # type: ignore[no-any-return]

    kind = "linear" if call.name == "linear" else "convolution"
    return _weighted(
        mode, call, kind, run, x, weight, bias, 1 if call.name in TRANSPOSED else 0, given.get("groups", 1)
    )


def _weighted(
    mode: Relevance, call: Called, kind: str, run: Any, x: Tensor, weight: Tensor, bias: Any, axis: Any, groups: int = 1
) -> Tensor | None:
    if weight.requires_grad or (isinstance(bias, Tensor) and bias.requires_grad) or not x.requires_grad:
        return None
    mark = mark_of(x)
    rule = mode.rule_of(kind, mark.pixels is not None)
    layer = Weighted(run, x, weight, bias, axis, groups, rule, mode.contrast, mode.options, mark)
    return mode.make(call, layer, x, mark=Mark(weighted=layer))


def product(mode: Relevance, call: Called) -> Tensor | None:
    """Matrices: a weight that does not depend on the picture, or attention that is taken as given."""
    if call.inplace or len(call.arguments) != 2 or call.named:
        return None
    (a, b), run = call.arguments, call.run
    if a.requires_grad and not b.requires_grad:
        return _weighted(mode, call, "linear", lambda x, w, bias: run(x, w), a, b, None, None)
    if b.requires_grad and not a.requires_grad:
        return _weighted(mode, call, "linear", lambda x, w, bias: run(w, x), b, a, None, None)
    if mark_of(a).gate == mark_of(b).gate:
        return None
    return shared(mode, call, b if mark_of(a).gate else a)


def add_product(mode: Relevance, call: Called) -> Tensor | None:
    """addmm(bias, x, weight)."""
    if call.inplace or len(call.arguments) != 3 or call.named:
        return None
    bias, x, weight = call.arguments
    if bias.dim() != 1:
        return None

    def run(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return x @ weight if bias is None else x @ weight + bias

    return _weighted(mode, call, "linear", run, x, weight, bias, None)


def shared(mode: Relevance, call: Called, *sources: Tensor) -> Tensor:
    """In proportion to what each source gives; all other tensors are taken as given."""
    epsilon = 0.0 if mode.excites else mode.options["stabilizer"]
    pixels = mode.range(call)[0]
    step = Proportion(call.taking(*sources), sources, epsilon, mode.options["positive"], call.inplace)
    return mode.make(call, step, *sources, mark=Mark(pixels=pixels))


def summed(mode: Relevance, call: Called) -> Tensor | None:
    """A sum or mean of what varies. A constant takes the share of a bias, except beside the picture itself, where it
    belongs to how that is prepared."""
    sources = tuple(x for x in call.sources if x.requires_grad)
    alone = call.name in ("add", "radd", "sub", "rsub") and len(sources) == 1
    pixels = all(mark_of(x).pixels is not None for x in sources)
    free = mode.excites or pixels or not mode.options["bias"]
    if alone and free and _keeps_shape(call, sources[0]):
        return mode.passes(call, sources[0])
    return shared(mode, call, *sources)


def difference(mode: Relevance, call: Called) -> Tensor | None:
    """As a sum; by positive parts only where nothing that varies is taken away."""
    sources = [x for x in call.sources if x.requires_grad]
    if mode.options["positive"] and len(sources) > 1:
        return None
    return summed(mode, call)


def scaled(mode: Relevance, call: Called) -> Tensor | None:
    """A product with, or quotient by, what does not vary; a product with a gate, which is taken as given: all goes to
    the signal (Arras et al. 2019)."""
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
        return shared(mode, call, source)
    if not gates:
        return mode.passes(call, source, mark_of(source).gate)
    return mode.make(call, Pass(call.taking(source)), source)


def _keeps_shape(call: Called, source: Tensor) -> bool:
    return torch.broadcast_shapes(*(x.shape for x in call.sources)) == source.shape


def elementwise(mode: Relevance, call: Called) -> Tensor | None:
    """Relevance goes through."""
    source = call.arguments[0] if call.arguments else call.named.get("input")
    if not isinstance(source, Tensor) or any(x.requires_grad for x in call.sources if x is not source):
        return None
    return mode.passes(call, source, call.name in GATES)


def batch_norm(mode: Relevance, call: Called) -> Tensor | None:
    """Relevance goes through; the norm is folded into the layer whose result it alone reads."""
    given = call.bound("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    x, layer = given["input"], mark_of(given["input"]).weighted
    if layer is not None and not given.get("training") and given.get("running_var") is not None:
        if x.dim() == 2 or (layer.axis is not None and layer.weight.dim() > 2):
            norm = norm_of(given["running_mean"], given["running_var"], given.get("weight"), given.get("bias"),
                           given.get("eps", 1e-5))  # fmt: skip
            layer.norm = layer.norm or norm
    return mode.passes(call, x)


def interpolate(mode: Relevance, call: Called) -> Tensor | None:
    """Linear kinds are sums; the nearest is a copy, which has autograd's own way back."""
    if call.named.get("mode", "nearest").startswith("nearest"):
        return None
    return summed(mode, call)


def dropped(mode: Relevance, call: Called) -> Tensor | None:
    """In eval mode, nothing."""
    given = call.bound("input", "p", "training")
    return None if given.get("training", True) else mode.passes(call, given["input"], mark_of(given["input"]).gate)


HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys((*CONVOLUTIONS, *TRANSPOSED, "linear"), weighted),
    **dict.fromkeys(("matmul", "bmm", "mm"), product),
    **dict.fromkeys(SUMS, summed),
    **dict.fromkeys(("sub", "rsub"), difference),
    **dict.fromkeys(("mul", "multiply", "div", "divide", "true_divide"), scaled),
    **dict.fromkeys((*ACTIVATIONS, *GATES), elementwise),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"), dropped),
    **dict.fromkeys(("layer_norm", "group_norm", "rms_norm"), attention.normalized),
    "addmm": add_product,
    "batch_norm": batch_norm,
    "interpolate": interpolate,
    "softmax": attention.softmax,
    "scaled_dot_product_attention": partial(attention.attended, shared),
    "multi_head_attention_forward": attention.heads,
}
