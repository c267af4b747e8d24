"""What is known of a module before it runs, found by one forward: layers, shapes, signs, and what each costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from bbilang.compiler.description import LayerDescription, ModelDescription
from bbilang.grammar.diagnostic import BbiError, Diagnostic

AXES = {4: ("channel", "y", "x"), 3: ("token", "channel"), 2: ("channel",)}  # by rank, the input's own axis first
GIVES = {"relu", "relu_", "relu6", "sigmoid", "softmax", "square", "abs", "exp", "softplus"}
KEEPS = {
    "cat", "concat", "max_pool2d", "_max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "mean",
    "flatten", "reshape", "view", "permute", "transpose", "contiguous", "squeeze", "unsqueeze", "dropout",
    "local_response_norm", "sqrt", "interpolate", "amax",
}  # fmt: skip


class _Signs(TorchFunctionMode):
    """Remembers which tensors cannot be negative: the results of ReLU, and what pools, joins or reshapes only those."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, Tensor] = {}  # held, so that no id is used again

    def nonnegative(self, tensor: Tensor) -> bool:
        return id(tensor) in self.known

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        inplace = name.endswith("_") and not name.startswith("__") and args and isinstance(args[0], Tensor)
        if inplace or (name.startswith("__i") and args):
            self.known.pop(id(args[0]), None)
        if isinstance(result, Tensor) and (name in GIVES or (name in KEEPS and self._all_known(args))):
            self.known[id(result)] = result
        elif isinstance(result, Tensor) and name in ("hardtanh", "clamp") and _floor(args, kwargs or {}) >= 0:
            self.known[id(result)] = result
        return result

    def _all_known(self, args: tuple[Any, ...]) -> bool:
        first = args[0] if args else ()
        tensors = list(first) if isinstance(first, list | tuple) else [first]
        return bool(tensors) and all(isinstance(t, Tensor) and self.nonnegative(t) for t in tensors)


def _floor(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float:
    """The lower bound of a clamp; minus one where there is none that can be read off."""
    bound = args[1] if len(args) > 1 else kwargs.get("min_val", kwargs.get("min"))
    return float(bound) if isinstance(bound, int | float) else -1.0


def describe_module(
    module: nn.Module,
    input_size: tuple[int, int],
    name: str = "model",
    channels: int = 3,
    *,
    output: str = "",
    title: str = "",
    labels: tuple[str, ...] = (),
    names: Mapping[str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
) -> ModelDescription:
    """One forward on an image of zeros (input=1, channel, y, x); the module is given back as it was found.

    ``names``: short name -> module path; without it every module that ran exactly once under its own path. ``kinds``:
    short name -> kind. Layers come in the order in which they finish, with the FLOPs that were spent until then (as
    torch.utils.flop_counter counts: convolutions and matrix products). Axes by rank: (channel, y, x), (token, channel),
    (channel,). ``output``: the path whose result (input, class) is the scores; without one, the module's own result, or
    no classes where that is not one vector. Raises BbiError E408 where the forward fails, or the output is no module or
    not one vector.
    """
    seen = _run(module, input_size, channels, output)
    paths = {path: short for short, path in names.items()} if names is not None else None
    layers = []
    for path, tensor in seen.results.items():
        if tensor is None or tensor.ndim not in AXES or tensor.shape[0] != 1:
            continue
        if paths is not None and path not in paths:
            continue
        short = paths[path] if paths is not None else path
        shape = tuple(tensor.shape[1:])
        kind = (kinds or {}).get(short, "")
        nonnegative = path in seen.nonnegative
        layers.append(LayerDescription(short, path, AXES[tensor.ndim], shape, nonnegative, seen.flops[path], kind))
    if missing := set(names or ()) - {layer.name for layer in layers}:
        raise _error(f"the layers {', '.join(sorted(missing))} of {name} did not run exactly once")
    scores = seen.results.get(output) if output else seen.whole
    vector = isinstance(scores, Tensor) and scores.ndim == 2 and scores.shape[0] == 1
    if output and not vector:
        found = f"gives the shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else "gives no single tensor"
        raise _error(f"the output `{output}` of {name} {found}, not one vector of scores (input, class)")
    classes = int(scores.shape[1]) if vector and isinstance(scores, Tensor) else 0
    if labels and len(labels) != classes:
        raise _error(f"{name} has {classes} classes, but there are {len(labels)} labels")
    size = (int(input_size[0]), int(input_size[1]))
    others = dict(aliases or {})
    return ModelDescription(name, title or name, size, tuple(layers), classes, labels, output, others, seen.total)


@dataclass
class _Seen:
    """One forward: by path in order of finishing, the result (None where the module ran twice) and the FLOPs so far."""

    results: dict[str, Tensor | None] = field(default_factory=dict)
    flops: dict[str, int] = field(default_factory=dict)
    nonnegative: set[str] = field(default_factory=set)  # when it finished: a ReLU in place changes it afterwards
    signs: _Signs = field(default_factory=_Signs)
    whole: Any = None
    total: int = 0


def _run(module: nn.Module, input_size: tuple[int, int], channels: int, output: str) -> _Seen:
    """The one forward. Raises E408 where it fails."""
    paths = {child: path for path, child in module.named_modules() if path}
    if output and output not in paths.values():
        raise _error(f"the output `{output}` is not a module of this model")
    seen, counter = _Seen(), FlopCounterMode(display=False)

    def hook(child: nn.Module, inputs: Any, value: Any) -> None:
        while isinstance(value, tuple | list) and value:
            value = value[0]
        path = paths[child]
        seen.results[path] = value if isinstance(value, Tensor) and path not in seen.results else None
        seen.flops[path] = counter.get_total_flops()
        if isinstance(value, Tensor) and seen.signs.nonnegative(value):
            seen.nonnegative.add(path)

    modes = {child: child.training for child in module.modules()}
    handles = []
    reference = next(module.parameters(), torch.empty(0))
    image = torch.zeros((1, channels, *input_size), device=reference.device, dtype=reference.dtype)
    try:
        for child in modes:
            child.training = False
        handles = [child.register_forward_hook(hook) for child in paths]
        with torch.no_grad(), counter, seen.signs:
            seen.whole = module(image)
    except Exception as e:
        text = str(e).strip().splitlines()
        shape = " x ".join(str(size) for size in image.shape)
        message = f"the model does not take an image of {shape}: {text[0] if text else type(e).__name__}"
        raise _error(message, "give input_size=(y, x) and channels= as the model was trained") from e
    finally:
        for handle in handles:
            handle.remove()
        for child, training in modes.items():
            child.training = training
    seen.total = counter.get_total_flops()
    return seen


def _error(message: str, help: str | None = None) -> BbiError:
    return BbiError(Diagnostic("E408", message, help=help))
