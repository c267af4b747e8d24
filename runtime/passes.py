"""The only file that runs a model or hangs a hook.

One forward captures every demanded layer and stops at the deepest; one backward per target serves every layer, from
the target down to the earliest layer, and never computes a weight's gradient. Whatever happens on the way, the model is
given back as it was found: hooks, training mode, ``requires_grad`` and ``.grad``.

An adapter (``runtime/model.py``) is anything with ``module``, ``normalize(images)``, ``module_of(layer)``, ``device``
and ``description.output``. Layers go by name; ``"input"`` is the images in [0, 1] themselves.

Errors: E501 a layer ran twice, E502 a layer never ran, E503 not finite, E504 out of memory, E505 graph already spent.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from bbilang.grammar.diagnostic import BbiError, Diagnostic

INPUT = "input"


@dataclass
class Passes:
    """What was run: whole or stopped forwards, backwards, and the rows (images) in them. Every function adds to it.

    ``probes`` are single-image forwards made once per model to learn which of its modules run twice.
    """

    forwards: int = 0
    backwards: int = 0
    forward_rows: int = 0
    backward_rows: int = 0
    probes: int = 0

    def forward(self, rows: int) -> None:
        self.forwards += 1
        self.forward_rows += rows

    def backward(self, rows: int) -> None:
        self.backwards += 1
        self.backward_rows += rows


@dataclass
class Captured:
    """What one forward left: ``activations`` by layer, detached, shaped (input, *layer shape); ``scores`` likewise,
    (input, class), or None. ``graph`` and ``score_graph`` are the same tensors attached to the autograd graph, for
    `vjp`; both are emptied by the backward that frees the graph."""

    activations: dict[str, Tensor]
    scores: Tensor | None
    graph: dict[str, Tensor] = field(default_factory=dict)
    score_graph: Tensor | None = None

    def __getitem__(self, layer: str) -> Tensor:
        return self.activations[layer]

    def free(self) -> None:
        """Let go of the autograd graph and the memory that it holds."""
        self.graph, self.score_graph = {}, None


@dataclass(frozen=True)
class Trace:
    """One run watched: how often each module ran, in order of first completion, and batch norms fed by a convolution.

    Modules are held weakly by the table that keeps traces, so names stand for them here.
    """

    runs: Mapping[str, int]
    pairs: tuple[tuple[str, str], ...]  # (convolution, batch norm that reads its result)


class _Stop(BaseException):
    """Leaves a forward after its deepest demanded layer; not an Exception, so that no model catches it."""


def _error(code: str, message: str, help: str) -> BbiError:
    return BbiError(Diagnostic(code, message, help=help))


@contextmanager
def _memory(what: str) -> Iterator[None]:
    """Out of memory, on any device, becomes E504; everything else passes."""
    try:
        yield
    except (RuntimeError, MemoryError) as e:
        if not is_out_of_memory(e):
            raise
        raise _error(
            "E504",
            f"out of memory during {what}",
            "use fewer inputs at once, a smaller image size, or a smaller batch (`set featvis(batch=4)`)",
        ) from e


def is_out_of_memory(error: BaseException) -> bool:
    """True for torch's out-of-memory errors of every device, the CPU's allocator included, and for E504."""
    if isinstance(error, BbiError):
        return any(d.code == "E504" for d in error.diagnostics)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


@contextmanager
def _borrowed(module: nn.Module) -> Iterator[list[Any]]:
    """The module in eval mode with frozen parameters; yields a list for hook handles. All is undone at the end."""
    training = [(m, m.training) for m in module.modules()]
    learning = [p for p in module.parameters() if p.requires_grad]
    handles: list[Any] = []
    try:
        for m, _ in training:
            m.training = False  # not eval(): a train() of the model's own may do more than the reader asked for
        for p in learning:
            p.requires_grad_(False)
        yield handles
    finally:
        for handle in reversed(handles):
            handle.remove()
        for p in learning:
            p.requires_grad_(True)
        for m, mode in training:
            m.training = mode


def _tensor(result: Any, layer: str) -> Tensor:
    """A layer's result: a tensor, else the ``logits`` of a record, else its first tensor."""
    if isinstance(result, Tensor):
        return result
    if isinstance(getattr(result, "logits", None), Tensor):
        return result.logits
    for part in result.values() if isinstance(result, Mapping) else result if isinstance(result, tuple | list) else ():
        if isinstance(part, Tensor):
            return part
    raise _error("E502", f"`{layer}` gives no tensor but {type(result).__name__}", "name a layer inside it")


def _with_tensor(result: Any, tensor: Tensor) -> Any:
    """The result with its first tensor replaced, so that what follows reads the replacement."""
    if isinstance(result, Tensor):
        return tensor
    if isinstance(result, tuple | list):
        at = next(i for i, part in enumerate(result) if isinstance(part, Tensor))
        parts = [*result[:at], tensor, *result[at + 1 :]]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    return result


def _shares_memory(out: Tensor, arguments: Sequence[Any]) -> bool:
    """True for the result of an identity or an in-place module: another reader of its input holds the same memory."""
    pointer = out.untyped_storage().data_ptr()
    return any(isinstance(a, Tensor) and a.untyped_storage().data_ptr() == pointer for a in arguments)


_traces: weakref.WeakKeyDictionary[nn.Module, Trace] = weakref.WeakKeyDictionary()


def trace(adapter: Any, images: Tensor, counter: Passes | None = None) -> Trace:
    """Watch one image pass through the whole model; done once per model and remembered.

    A stopped forward cannot see that its layer would have run again further up: this can. Where the model fails half
    way (a head made for another image size), what ran before that is known and the rest is taken to run once.
    """
    if adapter.module in _traces:
        return _traces[adapter.module]
    names = {m: name for name, m in adapter.module.named_modules()}
    runs: dict[str, int] = {}
    pairs: list[tuple[str, str]] = []
    latest: list[Any] = [None, None]

    def watch(module: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
        runs[names[module]] = runs.get(names[module], 0) + 1
        if isinstance(module, nn.BatchNorm2d) and arguments and arguments[0] is latest[1]:
            pairs.append((names[latest[0]], names[module]))
        if isinstance(module, nn.Conv2d):
            latest[:] = [module, result]

    with _borrowed(adapter.module) as handles, torch.no_grad():
        handles += [m.register_forward_hook(watch) for m in names]
        try:
            adapter.module(adapter.normalize(images[:1].detach().to(adapter.device)))
        except Exception:  # what it is shows in the pass itself, if that gets as far
            pass
    if counter:
        counter.probes += 1
    found = _traces[adapter.module] = Trace(runs, tuple(pairs))
    return found


def _twice(layer: str) -> BbiError:
    return _error(
        "E501",
        f"`{layer}` runs more than once in one pass, so its activation is not one thing",
        "name the layer before or after it, or the block that holds it",
    )


def _check_single(adapter: Any, layers: Mapping[nn.Module, str], images: Tensor, counter: Passes | None) -> None:
    names = {m: name for name, m in adapter.module.named_modules()}
    runs = trace(adapter, images, counter).runs
    for module, layer in layers.items():
        if runs.get(names.get(module, ""), 1) > 1:
            raise _twice(layer)


def forward(
    adapter: Any,
    images: Tensor,
    layers: Sequence[str],
    want_output: bool = True,
    grad: bool = False,
    counter: Passes | None = None,
    replace: Mapping[str, Tensor] | None = None,
) -> Captured:
    """One forward that captures every layer; it stops at the deepest unless the scores are wanted.

    ``images`` (input, 3, y, x) in [0, 1], before normalization. With ``grad`` the earliest captured layers become
    leaves of the graph: nothing below them is recorded, and no parameter takes part. A capture is the module's result
    and stays so when what follows works in place; its gradient counts the paths that leave through the module.
    ``replace`` puts (input, *layer shape) in the place of a layer's result (ablation, path methods, steering).

    Raises BbiError E501 to E504 (see the module).
    """
    counter = counter if counter is not None else Passes()
    replace = dict(replace or {})
    layers = list(dict.fromkeys(layers))
    modules: dict[nn.Module, list[str]] = {}
    for layer in dict.fromkeys([*layers, *replace]):
        if layer != INPUT:
            modules.setdefault(adapter.module_of(layer), []).append(layer)
    path = adapter.description.output if want_output else ""
    head = adapter.module.get_submodule(path) if path else None
    wanted = {m for m, names in modules.items() if set(names) & set(layers)} | ({head} if head is not None else set())
    whole = want_output and head is None
    attached: dict[nn.Module, Tensor] = {}

    def capture(module: nn.Module, arguments: tuple[Any, ...], result: Any) -> Any:
        name = modules.get(module, [path])[0]
        if module in attached:
            raise _twice(name)
        kept = _tensor(result, name)
        put = next((replace[n] for n in modules.get(module, ()) if n in replace), None)
        if put is not None:
            kept = put.detach().to(kept).expand_as(kept).clone()
        if grad and not kept.requires_grad and kept.is_floating_point():
            kept = kept.detach().clone().requires_grad_() if _shares_memory(kept, arguments) else kept.detach()
            kept.requires_grad_()
        elif _shares_memory(kept, arguments):
            kept = kept.clone()
        attached[module] = kept
        if not whole and len(attached.keys() & wanted) == len(wanted):
            raise _Stop
        return _with_tensor(result, kept.clone())

    if modules and not whole:
        _check_single(adapter, {m: names[0] for m, names in modules.items()}, images, counter)
    result = None
    with torch.inference_mode(False), torch.set_grad_enabled(grad), _memory("a forward pass"):
        pixels = replace.get(INPUT, images).detach().to(adapter.device).clone()
        if grad and INPUT in layers:
            pixels.requires_grad_()
        if wanted or whole:
            with _borrowed(adapter.module) as handles:
                handles += [m.register_forward_hook(capture) for m in {*modules, *([head] if head else [])}]
                counter.forward(len(pixels))
                try:
                    result = adapter.module(adapter.normalize(pixels))
                except _Stop:
                    pass
    graph = {layer: pixels for layer in layers if layer == INPUT}
    for module, names in modules.items():
        if module not in attached and set(names) & set(layers):
            raise _error("E502", f"`{names[0]}` did not run in this pass", "name a layer that the model's forward uses")
        graph |= {name: attached[module] for name in names if name in layers}
    if head is not None and head not in attached:
        raise _error("E502", f"`{path}`, the scores of this model, did not run", 'set `output = "module.path"`')
    scores = None if not want_output else _tensor(result, "output") if head is None else attached[head]
    for name, value in [*graph.items(), *([("output", scores)] if scores is not None else [])]:
        _check_finite(name, value)
    return Captured(
        {layer: graph[layer].detach() for layer in layers},
        None if scores is None else scores.detach(),
        {layer: graph[layer] for layer in layers} if grad else {},
        scores if grad else None,
    )


def _check_finite(layer: str, values: Tensor) -> None:
    if values.is_floating_point() and not bool(torch.isfinite(values).all()):
        rows = (~torch.isfinite(values.flatten(1))).any(1).nonzero().flatten().tolist() if values.dim() > 1 else []
        raise _error(
            "E503",
            f"the activations of `{layer}` are not finite" + (f" (input {rows[0]})" if rows else ""),
            "look at the input's range and at the weights: some hold NaN or infinity",
        )


def vjp(
    captured: Captured,
    outputs: Tensor,
    cotangents: Tensor,
    layers: Sequence[str],
    counter: Passes | None = None,
    keep: bool = False,
    create_graph: bool = False,
) -> dict[str, Tensor]:
    """Vector-Jacobian products: for every target and layer, the gradient of <cotangent, outputs>.

    ``outputs`` is any function of ``captured.graph`` and ``captured.score_graph``; ``cotangents``
    (target, *outputs shape). Gives layer -> (target, input, *layer shape), zero where a target does not depend on the
    layer. One backward per target serves every layer. The graph is freed after the last target unless ``keep``;
    ``create_graph`` keeps it and makes the result differentiable (an attribution to an attribution).

    Raises BbiError E503 (not finite), E504 (out of memory), E505 (the graph is spent, or was never recorded).
    """
    missing = [layer for layer in layers if layer not in captured.graph]
    if missing or not outputs.requires_grad:
        name = missing[0] if missing else "output"
        raise _error("E505", f"no graph for `{name}`", "run `forward(..., grad=True)` again; `keep=True` keeps a graph")
    counter = counter if counter is not None else Passes()
    inputs = [captured.graph[layer] for layer in layers]
    cotangents = cotangents.to(outputs)
    gradients: list[list[Tensor]] = [[] for _ in layers]
    with torch.inference_mode(False), torch.enable_grad(), _memory("a backward pass"):
        for target, cotangent in enumerate(cotangents):
            retain = keep or create_graph or target + 1 < len(cotangents)
            counter.backward(len(outputs) if outputs.dim() else 1)
            found = torch.autograd.grad(
                outputs, inputs, cotangent, retain_graph=retain, create_graph=create_graph, allow_unused=True
            )
            for rows, gradient, value in zip(gradients, found, inputs, strict=True):
                rows.append(torch.zeros_like(value) if gradient is None else gradient)
        shapes = [(0, *value.shape) for value in inputs]
        result = {
            layer: torch.stack(rows) if rows else torch.zeros(shape)
            for layer, rows, shape in zip(layers, gradients, shapes, strict=True)
        }
    if not (keep or create_graph):
        captured.free()
    for layer, value in result.items():
        _check_finite(f"{layer}, gradient", value)
    return result


def gradients(
    captured: Captured,
    cotangents: Tensor,
    layers: Sequence[str],
    counter: Passes | None = None,
    keep: bool = False,
    create_graph: bool = False,
) -> dict[str, Tensor]:
    """`vjp` that starts at the scores: ``cotangents`` (target, input, class), gives layer ->
    (target, input, *layer shape). A class is a one-hot cotangent, a difference of classes has +1 and -1."""
    if captured.score_graph is None:
        raise _error("E505", "no graph for `output`", "run `forward(..., want_output=True, grad=True)` again")
    return vjp(captured, captured.score_graph, cotangents, layers, counter, keep, create_graph)


class _Redirected(torch.autograd.Function):
    """ReLU (or ReLU6) whose gradient, where none of an image passes, is let through shut units that it would open.

    The gradient is that of a loss, so a positive one pushes a unit lower (Lucid's redirected gradient).
    """

    @staticmethod
    def forward(context: Any, x: Tensor, ceiling: float) -> Tensor:
        context.save_for_backward(x)
        context.ceiling = ceiling
        return x.clamp(0.0, ceiling)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (x,) = context.saved_tensors
        plain = torch.ops.aten.hardtanh_backward(gradient, x, 0.0, context.ceiling)
        shut = plain.abs().amax(tuple(range(1, x.dim()))) == 0
        if bool(shut.any()):  # few images, in few layers: the rest of the work is for them alone
            values, g = x[shut], gradient[shut]
            plain[shut] = g.masked_fill(((values <= 0) & (g > 0)) | ((values >= context.ceiling) & (g < 0)), 0.0)
        return plain, None


class _Clamped(torch.autograd.Function):
    """ReLU6 that keeps its result for the backward: torch's in-place one copies its input, 15 % of a step."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        y = x.clamp(0.0, 6.0)
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (y,) = context.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, y, 0.0, 6.0)


class Runner:
    """Images in [0, 1] (batch, 3, y, x) -> the layer's activation, (batch, channel, y, x), attached to the graph.

    While ``through_relu`` is true, gradients pass ReLU and ReLU6 modules that are shut for a whole image. Only modules
    can be reached: a model that calls ``torch.relu`` or ``F.relu`` itself keeps its own gradient there.
    """

    def __init__(self, adapter: Any, layer: str, counter: Passes):
        self.adapter, self.layer, self.counter = adapter, layer, counter
        self.through_relu = False
        self._result: Tensor | None = None

    def _stop(self, module: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
        self._result = _tensor(result, self.layer)
        raise _Stop

    def _relu(self, module: nn.Module, ceiling: float) -> Callable[[Tensor], Tensor]:
        plain = module.forward if ceiling != 6.0 else _Clamped.apply
        return lambda x: _Redirected.apply(x, ceiling) if self.through_relu and x.requires_grad else plain(x)

    def __call__(self, images: Tensor) -> Tensor:
        self.counter.forward(len(images))
        if self.layer == INPUT:
            return images
        self._result = None
        try:
            self.adapter.module(self.adapter.normalize(images))
        except _Stop:
            pass
        if self._result is None:
            raise _error("E502", f"`{self.layer}` did not run", "name a layer that the model's forward uses")
        result, self._result = self._result, None
        return result

    def backward(self, loss: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The gradients of a scalar loss; zero where it does not depend on an input. Frees the graph."""
        self.counter.backward(len(inputs[0]))
        if not loss.requires_grad:  # the layer does not depend on its input
            return tuple(torch.zeros_like(x) for x in inputs)
        found = torch.autograd.grad(loss, list(inputs), allow_unused=True)
        return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True))


@contextmanager
def run_to(
    adapter: Any, layer: str, through_relu: bool = False, counter: Passes | None = None, example: Tensor | None = None
) -> Iterator[Runner]:
    """A `Runner` that stops at the layer, for optimizing its input: one registration for any number of calls.

    ``through_relu`` may be switched on the runner between calls. ``example`` (batch, 3, y, x) lets the layer be
    checked for running twice. Raises BbiError E501, E502, E504.
    """
    runner = Runner(adapter, layer, counter if counter is not None else Passes())
    runner.through_relu = through_relu
    patched: list[tuple[nn.Module, Any]] = []
    with torch.inference_mode(False), torch.enable_grad(), _memory(f"a run to `{layer}`"):
        if layer != INPUT and example is not None:
            _check_single(adapter, {adapter.module_of(layer): layer}, example, runner.counter)
        with _borrowed(adapter.module) as handles:
            try:
                for module in adapter.module.modules():
                    if type(module) in (nn.ReLU, nn.ReLU6):
                        ceiling = 6.0 if type(module) is nn.ReLU6 else float("inf")
                        replacement = runner._relu(module, ceiling)
                        patched.append((module, module.__dict__.get("forward")))
                        module.forward = replacement  # type: ignore[method-assign]
                if layer != INPUT:
                    handles.append(adapter.module_of(layer).register_forward_hook(runner._stop))
                yield runner
            finally:
                for module, own in patched:
                    module.__dict__.pop("forward", None)
                    if own is not None:
                        module.forward = own  # type: ignore[method-assign]
