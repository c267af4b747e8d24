"""One forward that captures every demanded layer and stops at the deepest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.boundary import Cut, Recorder
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.hooks import (
    INPUT,
    Stop,
    borrowed,
    check_finite,
    error,
    guard_memory,
    shares_memory,
    tensor_of,
    with_tensor,
)
from bbilang.runtime.passes.module.behaviour import calm, conduct_of
from bbilang.runtime.passes.module.precision import outside
from bbilang.runtime.passes.saved_values import Kept
from bbilang.runtime.passes.trace import check_single, twice

if TYPE_CHECKING:
    from bbilang.runtime.relevance.mode import Relevance


@dataclass
class Captured:
    """What one forward left: ``activations`` by layer, detached, shaped (input, *layer shape); ``scores`` likewise,
    (input, class), or None. ``graph`` and ``score_graph`` are the same tensors attached to the autograd graph, for
    `vjp`; both are emptied by the backward that frees the graph. ``cuts``: by layer, what `above` goes on from."""

    activations: dict[str, Tensor]
    scores: Tensor | None
    graph: dict[str, Tensor] = field(default_factory=dict)
    score_graph: Tensor | None = None
    images: Tensor | None = None  # (input, 3, y, x) in [0, 1]: what was run
    cuts: dict[str, Cut] = field(default_factory=dict)
    kept: Kept | None = None  # what the modules gave, for cotangents written out (`transposed`)
    written: dict[Any, Any] = field(default_factory=dict)  # (place, layers) -> their Transposed, or None
    relevance: Relevance | Seeds | None = None  # what the forward ran in, where backward passes give relevance
    parts: tuple[Captured, ...] = ()  # where rows run one at a time, that of each row, whose graphs these are made of

    def __getitem__(self, layer: str) -> Tensor:
        return self.activations[layer]

    def free(self) -> None:
        """Let go of the autograd graph and the memory that it holds."""
        self.graph, self.score_graph, self.kept, self.written, self.relevance = {}, None, None, {}, None
        for part in self.parts:
            part.free()


def forward(
    adapter: Adapter,
    images: Tensor,
    layers: Sequence[str],
    want_output: bool = True,
    grad: bool = False,
    counter: Passes | None = None,
    replace: Mapping[str, Tensor] | None = None,
    cuts: Sequence[str] = (),
    around: Any = None,
) -> Captured:
    """One forward that captures every layer; it stops at the deepest unless the scores are wanted.

    ``images`` (input, 3, y, x) in [0, 1], before normalization. With ``grad`` the earliest captured layers become
    leaves of the graph: nothing below them is recorded, and no parameter takes part. A capture is the module's result
    and stays so when what follows works in place; its gradient counts the paths that leave through the module.
    ``replace`` puts (input, *layer shape) in the place of a layer's result (ablation, path methods, steering).
    ``cuts``: layers above which the network will be run again by `above`; they are captured too, and so are the
    results below them that the network above reads. ``around``: the context that the model runs in, or what makes it;
    inside a `Relevance` gradients are relevance, and its ``seed`` says what a backward starts with. Where rows depend
    on each other (`conduct`), each input runs alone, and what the forwards gave is joined.

    Raises BbiError E501 to E504 (see the module).
    """
    if around is not None and any(isinstance(part, torch.jit.ScriptModule) for part in adapter.module.modules()):
        what = "the method has rules for single operations, and those of a scripted module cannot be seen"
        raise error("E515", what, "give the module before `torch.jit`, or take `gradient` or `integrated_gradients`")
    counter = counter if counter is not None else Passes()
    replace = dict(replace or {})
    conduct = conduct_of(adapter)
    if conduct.apart and len(images) > 1:
        return _one_by_one(adapter, images, layers, want_output, grad, counter, replace, cuts, around)
    mode = around() if callable(around) else around
    layers = list(dict.fromkeys([*layers, *cuts]))
    modules: dict[nn.Module, list[str]] = {}
    for layer in dict.fromkeys([*layers, *replace]):
        if layer != INPUT:
            modules.setdefault(adapter.module_of(layer), []).append(layer)
    path = adapter.description.output if want_output else ""
    head = adapter.module.get_submodule(path) if path else None
    wanted = {m for m, names in modules.items() if set(names) & set(layers)} | ({head} if head is not None else set())
    whole = want_output and head is None
    attached: dict[nn.Module, Tensor] = {}
    cut_at = {layer: adapter.module_of(layer) for layer in cuts if layer != INPUT}
    recorder = Recorder(adapter.module, cut_at) if cut_at else None
    kept = None

    def capture(module: nn.Module, arguments: tuple[Any, ...], result: Any) -> Any:
        name = modules.get(module, [path])[0]
        if module in attached:
            raise twice(name)
        kept = tensor_of(result, name)
        put = next((replace[n] for n in modules.get(module, ()) if n in replace), None)
        if put is not None:
            kept = put.detach().to(kept).expand_as(kept).clone()
        if grad and not kept.requires_grad and kept.is_floating_point():
            kept = kept.detach().clone().requires_grad_() if shares_memory(kept, arguments) else kept.detach()
            kept.requires_grad_()
        elif shares_memory(kept, arguments):
            kept = kept.clone()
        attached[module] = kept
        given = with_tensor(result, kept.clone(), name)
        if recorder:
            recorder.give(module, given)
        if not whole and len(attached.keys() & wanted) == len(wanted):
            raise Stop
        return given

    if modules and not whole:
        check_single(adapter, {m: names[0] for m, names in modules.items()}, images, counter)
    result = None
    with torch.inference_mode(False), torch.set_grad_enabled(grad), guard_memory("a forward pass"):
        pixels = replace.get(INPUT, images).detach().to(adapter.device).clone()
        if grad and INPUT in layers:
            pixels.requires_grad_()
        if wanted or whole:
            with borrowed(adapter.module) as handles:
                handles += recorder.hang() if recorder else []
                handles += [m.register_forward_hook(capture) for m in {*modules, *([head] if head else [])}]
                if grad and mode is None and not replace:
                    kept = Kept(adapter, pixels.detach())
                    handles += kept.hooks()
                relevance = mode if hasattr(mode, "seed") else None
                handles += _named(adapter.module, relevance) if relevance else []
                counter.forward(len(pixels))
                try:
                    if relevance is not None:
                        relevance.begin(pixels, adapter.description.reads not in NOT_PICTURES)
                    with mode or nullcontext(), calm(conduct):
                        result = adapter.module(adapter.normalize(pixels))
                except Stop:
                    pass
    graph = {layer: pixels for layer in layers if layer == INPUT}
    for module, names in modules.items():
        if module not in attached and set(names) & set(layers):
            raise error("E502", f"`{names[0]}` did not run in this pass", "name a layer that the model's forward uses")
        graph |= {name: attached[module] for name in names if name in layers}
    if head is not None and head not in attached:
        raise error("E502", f"`{path}`, the scores of this model, did not run", 'set `output = "module.path"`')
    found_cuts = recorder.cuts(pixels.detach()) if recorder else {}
    if found_cuts is None:  # what is changed in place is known now
        return forward(adapter, images, layers, want_output, grad, counter, replace, cuts, around)
    if INPUT in cuts:
        found_cuts[INPUT] = Cut(INPUT, "", pixels.detach(), pixels.detach())
    scores = None if not want_output else tensor_of(result, "output") if head is None else attached[head]
    for name, value in [*graph.items(), *([("output", scores)] if scores is not None else [])]:
        check_finite(name, value)
    return Captured(
        {layer: outside(graph[layer].detach(), pixels) for layer in layers},
        None if scores is None else outside(scores.detach(), pixels),
        {layer: graph[layer] for layer in layers} if grad else {},
        scores if grad else None,
        pixels.detach(),
        found_cuts,
        kept,
        relevance=mode if hasattr(mode, "seed") else None,
    )


def _one_by_one(
    adapter: Adapter, images: Tensor, layers: Sequence[str], want_output: bool, grad: bool, counter: Passes,
    replace: Mapping[str, Tensor], cuts: Sequence[str], around: Any,
) -> Captured:  # fmt: skip
    """A forward of each input alone, joined: rows of the results are those of the inputs."""
    parts = []
    for row in range(len(images)):
        own = {layer: value[row : row + 1] if len(value) > 1 else value for layer, value in replace.items()}
        one = images[row : row + 1]
        parts.append(forward(adapter, one, layers, want_output, grad, counter, own, cuts, around))
    first = parts[0]
    with torch.inference_mode(False), torch.set_grad_enabled(grad):
        score_graph = None if first.score_graph is None else torch.cat([_given(p.score_graph) for p in parts])
        graph = {layer: torch.cat([p.graph[layer] for p in parts]) for layer in first.graph}
    return Captured(
        {layer: torch.cat([p.activations[layer] for p in parts]) for layer in first.activations},
        None if first.scores is None else torch.cat([_given(p.scores) for p in parts]),
        graph,
        score_graph,
        torch.cat([_given(p.images) for p in parts]),
        relevance=None if first.relevance is None else Seeds(parts),
        parts=tuple(parts),
    )


def _given(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


class Seeds:
    """What backward passes of relevance begin with, where each input ran alone."""

    def __init__(self, parts: Sequence[Captured]):
        self.parts = parts

    def seed(self, outputs: Tensor, cotangents: Tensor, place: str) -> Tensor:
        """(slot, input, *place axes), as `Relevance.seed` gives it for each input."""
        found = []
        for row, part in enumerate(self.parts):
            own = part.score_graph if place == "output" else part.graph.get(place, outputs[row : row + 1])
            found.append(part.relevance.seed(own, cotangents[:, row : row + 1], place))  # type: ignore[union-attr]
        return torch.cat(found, 1)


def _named(module: nn.Module, relevance: Relevance) -> list[Any]:
    """Hooks that tell which module runs, for messages."""
    handles: list[Any] = []
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):  # its parts take no hooks
            continue
        handles.append(part.register_forward_pre_hook(lambda m, a, name=name: relevance.enter(name)))
        handles.append(part.register_forward_hook(lambda m, a, result: relevance.leave()))
    return handles
