"""One forward that captures every requested layer and stops at the deepest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor, nn

from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.runtime.errors import error
from bbilang.runtime.passes.boundary import Cut, Recorder
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.explicit.saved_values import SavedValues
from bbilang.runtime.passes.hooks import (
    INPUT,
    Stop,
    check_finite,
    frozen_module,
    guard_memory,
    is_own_memory,
    shares_memory,
    tensor_of,
    with_tensor,
)
from bbilang.runtime.passes.module.behaviour import Behaviour, behaviour_of, deterministic
from bbilang.runtime.passes.module.memo import checked_memo
from bbilang.runtime.passes.module.precision import promoted
from bbilang.runtime.passes.resume import ALONE, Borrower, Kept, Lender, Sharing
from bbilang.runtime.passes.trace import check_runs_once, runs_twice

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

    from bbilang.runtime.passes.adapter import Adapter
    from bbilang.runtime.passes.explicit.vjp import ExplicitVjp

OUTPUT = "output"
UNCHANGED = "not changed in place"  # in the memo of a module: layer -> whether


class Seeding(Protocol):
    """What determines where backward passes start."""

    def seed(self, outputs: Tensor, cotangents: Tensor, target_layer: str) -> Tensor:
        """Return (slot, input, *target axes): the cotangents that a backward from ``outputs`` starts with."""


class BackwardRule(Seeding, Protocol):
    """A torch function mode that gives operations another backward, such as `Relevance` and `Rectifiers`."""

    def begin(self, pixels: Tensor, bounded: bool = True) -> None:
        """Receive the input of the network; ``bounded``: it is a picture, in [0, 1]."""

    def enter(self, name: str) -> None:
        """Enter a module that begins to run."""

    def leave(self) -> None:
        """Leave a module that has run."""


Context = AbstractContextManager[Any]
Around = Context | Callable[[], Context] | None


def rule_of(context: Context | None) -> BackwardRule | None:
    """Return the context as a backward rule, if it is one; others only change single derivatives."""
    return cast("BackwardRule", context) if hasattr(context, "seed") else None


@dataclass
class Captured:
    """The result of one forward.

    ``activations`` by layer, detached, (input, *layer shape); ``scores`` likewise, (input, class), or None. ``graph``
    and ``score_graph`` are the same tensors attached to the autograd graph, for `vjp`; the backward that frees the
    graph empties both. ``cuts``: by layer, where `above` continues.
    """

    activations: dict[str, Tensor]
    scores: Tensor | None
    graph: dict[str, Tensor] = field(default_factory=dict)
    score_graph: Tensor | None = None
    images: Tensor | None = None  # (input, 3, y, x) in [0, 1]: what was run
    cuts: dict[str, Cut] = field(default_factory=dict)
    saved: SavedValues | None = None  # results of the modules, for the explicit VJP
    explicit_vjps: dict[tuple[str, ...], ExplicitVjp | None] = field(default_factory=dict)  # (target, *layers) -> it
    relevance: Seeding | None = None  # the rule that the forward ran in, where backward passes give relevance
    parts: tuple[Captured, ...] = ()  # where rows run one by one, that of each row, whose graphs these are made of
    kept: Kept | None = None  # what it leaves for related networks

    def __getitem__(self, layer: str) -> Tensor:
        return self.activations[layer]

    def free(self) -> None:
        """Release the autograd graph and the memory that it holds."""
        self.graph, self.score_graph, self.saved, self.explicit_vjps, self.relevance = {}, None, None, {}, None
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
    around: Around = None,
    sharing: Sharing = ALONE,
) -> Captured:
    """Run one forward that captures every layer; it stops at the deepest unless the scores are requested.

    ``images`` (input, 3, y, x) in [0, 1], before normalization. With ``grad`` the earliest captured layers become
    leaves of the graph: nothing below them is recorded, and no parameter takes part. A capture is the module's result
    and is not changed by later in-place operations; its gradient counts the paths through the module's result.
    ``replace`` substitutes (input, *layer shape) for a layer's result (ablation, path methods, steering). ``cuts``:
    layers above which the network will run again by `above`; they are captured too, and so are the results below them
    that the network above reads. ``around``: the context that the model runs in, or a function that returns it; inside
    a `BackwardRule` its ``seed`` says what a backward starts with. Where rows depend on each other (`Behaviour`), each
    input runs alone, and the results are joined. ``sharing``: what it leaves for forwards of related networks, and
    takes from them; nothing where rows run alone or the network is random.

    Raises BbiError E501 to E504 (see the package).
    """
    _refuse_scripted(adapter, around)
    counter = counter if counter is not None else Passes()
    replace = dict(replace or {})
    behaviour = behaviour_of(adapter)
    if behaviour.row_by_row and len(images) > 1:
        return _row_by_row(adapter, images, layers, want_output, grad, counter, replace, cuts, around)
    context = around() if callable(around) else around
    layers = list(dict.fromkeys([*layers, *cuts]))
    if behaviour.row_by_row or behaviour.random:
        sharing = ALONE
    there = sharing.there(cuts)
    own = [layer for layer in layers if layer not in there]
    capture = _Capture(adapter, own, want_output, grad, replace, cuts, sharing)
    if capture.layers_of and not capture.whole:
        check_runs_once(adapter, {m: names[0] for m, names in capture.layers_of.items()}, images, counter)
    with torch.inference_mode(False), torch.set_grad_enabled(grad), guard_memory("a forward pass"):
        pixels = replace.get(INPUT, images).detach().to(adapter.device).clone()
        if grad and INPUT in capture.leaves:
            pixels.requires_grad_()
        if capture.required or capture.whole:
            capture.run(pixels, context, behaviour, counter)
    capture.check_complete()
    recorded = capture.cuts(pixels)
    intact = capture.is_intact()
    if recorded is None or not intact:  # a result that was not copied was changed in place; the next run copies it
        return forward(adapter, images, layers, want_output, grad, counter, replace, cuts, around, sharing)
    captured = capture.collect(pixels, recorded, rule_of(context))
    captured.activations |= {layer: promoted(value, pixels) for layer, value in there.items()}
    return captured


def _refuse_scripted(adapter: Adapter, around: Around) -> None:
    if around is not None and any(isinstance(part, torch.jit.ScriptModule) for part in adapter.module.modules()):
        what = "the method has rules for single operations, and those of a scripted module cannot be seen"
        raise error("E515", what, "pass the module before `torch.jit`, or use `gradient` or `integrated_gradients`")


class _Capture:
    """One run of the model with hooks on the requested modules."""

    def __init__(
        self,
        adapter: Adapter,
        layers: Sequence[str],
        want_output: bool,
        grad: bool,
        replace: Mapping[str, Tensor],
        cuts: Sequence[str],
        sharing: Sharing,
    ):
        lend, kept = sharing.lend, sharing.kept
        self.leaves = {*layers} if sharing.leaves is None else {*layers} & {*sharing.leaves}
        self.adapter, self.layers, self.want_output, self.grad, self.replace = (
            adapter, layers, want_output, grad, replace,
        )  # fmt: skip
        self.layers_of: dict[nn.Module, list[str]] = {}
        for layer in dict.fromkeys([*layers, *replace]):
            if layer != INPUT:
                self.layers_of.setdefault(adapter.module_of(layer), []).append(layer)
        self.path = adapter.description.output if want_output else ""
        self.head = adapter.module.get_submodule(self.path) if self.path else None
        self.required = {m for m, names in self.layers_of.items() if set(names) & set(layers)}
        self.required |= {self.head} if self.head is not None else set()
        self.whole = want_output and self.head is None
        self.attached: dict[nn.Module, Tensor] = {}
        memo = checked_memo(adapter.module)
        self.unchanged: dict[str, bool] = {} if memo is None else memo.setdefault(UNCHANGED, {})  # see `is_intact`
        self.learns = memo is not None and not grad and not cuts and not replace and kept is None
        self.watched: dict[str, tuple[Tensor, int]] = {}  # layer -> what goes on, and its version
        self.result: Any = None
        cut_modules = {layer: adapter.module_of(layer) for layer in cuts if layer != INPUT}
        self.recorder = Recorder(adapter.module, cut_modules) if cut_modules else None
        self.cut_input = INPUT in cuts
        self.saved: SavedValues | None = None
        self.lender = Lender(adapter.module, lend, adapter.device, kept) if lend is not None else None
        running = {*self.layers_of, *([self.head] if self.head else [])}
        self.borrower = Borrower(adapter.module, kept, running) if kept is not None else None

    def run(self, pixels: Tensor, context: Context | None, behaviour: Behaviour, counter: Passes) -> None:
        """Run the model on the images, with all hooks."""
        adapter, rule = self.adapter, rule_of(context)
        with frozen_module(adapter.module) as handles:
            handles += self.recorder.register() if self.recorder else []
            handles += self.lender.register() if self.lender else []
            hooked = {*self.layers_of, *([self.head] if self.head else [])}
            handles += [m.register_forward_hook(self.hook) for m in hooked]
            if self.grad and context is None and not self.replace:
                self.saved = SavedValues(adapter, pixels.detach())
                handles += self.saved.hooks()
            handles += _name_hooks(adapter.module, rule) if rule else []
            counter.forward(len(pixels), self.borrower is not None)
            standing_in = self.borrower.ready() if self.borrower is not None else nullcontext()
            try:
                if rule is not None:
                    rule.begin(pixels, adapter.description.reads not in NOT_PICTURES)
                with context or nullcontext(), deterministic(behaviour), standing_in:
                    self.result = adapter.module(adapter.normalize(pixels))
            except Stop:
                pass

    def hook(self, module: nn.Module, arguments: tuple[object, ...], result: object) -> object:
        """Capture a module's result; the model continues with a copy."""
        layers = self.layers_of.get(module, [self.path])
        if module in self.attached:
            raise runs_twice(layers[0])
        tensor = tensor_of(result, layers[0])
        replacement = next((self.replace[layer] for layer in layers if layer in self.replace), None)
        if replacement is not None:
            tensor = replacement.detach().to(tensor).expand_as(tensor).clone()
        leaf = self.grad and not self.leaves.isdisjoint(layers)
        if leaf and not tensor.requires_grad and tensor.is_floating_point():
            tensor = tensor.detach().clone() if shares_memory(tensor, arguments) else tensor.detach()
            tensor.requires_grad_()
        elif shares_memory(tensor, arguments):
            tensor = tensor.clone()
        self.attached[module] = tensor
        last = not self.whole and len(self.attached.keys() & self.required) == len(self.required)
        if last and self.recorder is None:
            raise Stop
        passed_on = self.passed_on(result, tensor, layers[0])
        if self.recorder:
            self.recorder.replaced(module, passed_on)
        if self.lender:
            self.lender.passed_on(result, passed_on)
        if last:
            raise Stop
        return passed_on

    def passed_on(self, result: object, tensor: Tensor, layer: str) -> object:
        """Return what the model continues with: a copy of the captured tensor, unless no later operation changed one in
        place before."""
        if self.learns and self.unchanged.get(layer, False) and is_own_memory(tensor):
            self.watched[layer] = tensor, tensor._version
            return result if tensor_of(result, layer) is tensor else with_tensor(result, tensor, layer)
        copy = tensor.clone()
        if self.learns and layer not in self.unchanged:
            self.watched[layer] = copy, copy._version
        return with_tensor(result, copy, layer)

    def is_intact(self) -> bool:
        """Return whether no captured tensor was changed after it was captured, and remember which layers go on without
        a copy."""
        changed = {layer for layer, (tensor, version) in self.watched.items() if tensor._version != version}
        relied = {layer for layer in changed if self.unchanged.get(layer, False)}
        self.unchanged.update({layer: layer not in changed for layer in self.watched})
        self.watched.clear()
        return not relied

    def cuts(self, pixels: Tensor) -> dict[str, Cut] | None:
        """Return layer -> Cut; None where the forward has to run again (see `Recorder.cuts`)."""
        cuts = self.recorder.cuts(pixels.detach()) if self.recorder else {}
        if cuts is not None and self.cut_input:
            cuts[INPUT] = Cut(INPUT, "", pixels.detach(), pixels.detach())
        return cuts

    def check_complete(self) -> None:
        """Raise BbiError E502 where a requested module did not run."""
        for module, names in self.layers_of.items():
            if module not in self.attached and set(names) & set(self.layers):
                help = "name a layer that the model's forward uses"
                raise error("E502", f"`{names[0]}` did not run in this pass", help)
        if self.head is not None and self.head not in self.attached:
            help = 'set `output = "module.path"`'
            raise error("E502", f"`{self.path}`, the scores of this model, did not run", help)

    def collect(self, pixels: Tensor, cuts: dict[str, Cut], rule: BackwardRule | None) -> Captured:
        """Return the results of the run. Raises BbiError E503."""
        graph = {layer: pixels for layer in self.layers if layer == INPUT}
        for module, names in self.layers_of.items():
            graph |= {name: self.attached[module] for name in names if name in self.layers}
        scores = None
        if self.want_output:
            scores = tensor_of(self.result, OUTPUT) if self.head is None else self.attached[self.head]
        for name, value in [*graph.items(), *([(OUTPUT, scores)] if scores is not None else [])]:
            check_finite(name, value)
        return Captured(
            {layer: promoted(graph[layer].detach(), pixels) for layer in self.layers},
            None if scores is None else promoted(scores.detach(), pixels),
            {layer: graph[layer] for layer in self.layers if layer in self.leaves} if self.grad else {},
            scores if self.grad else None,
            pixels.detach(),
            cuts,
            self.saved,
            relevance=rule,
            kept=self.lender.finished() if self.lender is not None else None,
        )


def _row_by_row(
    adapter: Adapter, images: Tensor, layers: Sequence[str], want_output: bool, grad: bool, counter: Passes,
    replace: Mapping[str, Tensor], cuts: Sequence[str], around: Around,
) -> Captured:  # fmt: skip
    """Run a forward for each input separately and join the results row by row."""
    parts = []
    for row in range(len(images)):
        own = {layer: value[row : row + 1] if len(value) > 1 else value for layer, value in replace.items()}
        one = images[row : row + 1]
        parts.append(forward(adapter, one, layers, want_output, grad, counter, own, cuts, around))
    first = parts[0]
    with torch.inference_mode(False), torch.set_grad_enabled(grad):
        score_graph = None if first.score_graph is None else torch.cat([_present(p.score_graph) for p in parts])
        graph = {layer: torch.cat([p.graph[layer] for p in parts]) for layer in first.graph}
    return Captured(
        {layer: torch.cat([p.activations[layer] for p in parts]) for layer in first.activations},
        None if first.scores is None else torch.cat([_present(p.scores) for p in parts]),
        graph,
        score_graph,
        torch.cat([_present(p.images) for p in parts]),
        relevance=None if first.relevance is None else _RowSeeds(parts),
        parts=tuple(parts),
    )


def _present(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


class _RowSeeds:
    """Where backward passes of relevance start when each input ran alone."""

    def __init__(self, parts: Sequence[Captured]):
        self.parts = parts

    def seed(self, outputs: Tensor, cotangents: Tensor, target_layer: str) -> Tensor:
        """Return (slot, input, *target axes): the cotangents that a backward from ``outputs`` starts with."""
        seeds = []
        for row, part in enumerate(self.parts):
            own = part.graph.get(target_layer, outputs[row : row + 1])
            own = _present(part.score_graph) if target_layer == OUTPUT else own
            assert part.relevance is not None
            seeds.append(part.relevance.seed(own, cotangents[:, row : row + 1], target_layer))
        return torch.cat(seeds, 1)


def _name_hooks(module: nn.Module, rule: BackwardRule) -> list[RemovableHandle]:
    """Return hooks that record which module runs, for messages."""
    handles: list[RemovableHandle] = []
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):  # its submodules accept no hooks
            continue
        handles.append(part.register_forward_pre_hook(lambda m, a, name=name: rule.enter(name)))
        handles.append(part.register_forward_hook(lambda m, a, result: rule.leave()))
    return handles
