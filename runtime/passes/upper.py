"""The network above a layer, alone: for activations that were perturbed, interpolated or replaced."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from bbilang.runtime.passes.borrow import error, guard_memory, tensor_of
from bbilang.runtime.passes.capture import Captured, forward
from bbilang.runtime.passes.count import Passes
from bbilang.runtime.passes.cut import Cut
from bbilang.runtime.passes.replay import OUTPUT, Replay, same

_known: weakref.WeakKeyDictionary[nn.Module, dict[Any, Cost]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Cost:
    """What was seen when a layer's network above was run for the first time: which way is right, and bytes a row."""

    way: str
    largest: int  # bytes of one row of its largest result
    sum: int  # bytes of one row of all its results: what a graph keeps


@dataclass
class Upper:
    """activations (row, *layer shape), rows (row,) -> place -> (row, *place shape), differentiable in activations.

    ``rows``: the input that each row belongs to, whose values stand where paths go around the layer; None where rows
    are the inputs. ``activations``: those of the layer as captured, (input, *layer shape).
    """

    layer: str
    places: tuple[str, ...]
    way: str  # "fx" or "hooks"
    activations: Tensor
    counter: Passes
    cost: Cost
    run: Callable[[Tensor, Tensor | None], dict[str, Tensor]]
    batched: dict[str, bool] = field(default_factory=dict)  # what torch.func could not batch, learnt on the way

    @property
    def inputs(self) -> int:
        return len(self.activations)

    def __call__(self, activations: Tensor, rows: Tensor | None = None) -> dict[str, Tensor]:
        if rows is not None and len(rows) != len(activations):
            raise ValueError(f"{len(activations)} rows of activations and {len(rows)} numbers of inputs")
        self.counter.rerun(len(activations))
        return self.run(activations, rows)


@contextmanager
def above(
    adapter: Any,
    captured: Captured,
    layer: str,
    places: Sequence[str] = (OUTPUT,),
    way: str = "auto",
    counter: Passes | None = None,
) -> Iterator[Upper]:
    """The network above one layer only, from what `forward(..., cuts=[layer])` left; without it the forward is run
    again up to the layer.

    ``places``: ``"output"`` (the scores) and later layers. ``way``: ``"fx"`` cuts the traced graph, ``"hooks"`` runs
    the model's own code over what was recorded, ``"auto"`` takes fx where the model can be traced and gives the same
    as the forward did, else hooks; looked at once for a model, layer and places. The model is given back at the end.

    Raises BbiError E501, E502 (a place that is not above), E504, E508 (what is above cannot be run alone).
    """
    counter = counter if counter is not None else Passes()
    places = tuple(dict.fromkeys(places))
    with torch.inference_mode(False), guard_memory(f"the network above `{layer}`"):
        cut = captured.cuts.get(layer)
        if cut is None:
            if captured.images is None:
                raise error("E505", f"nothing is kept of the forward below `{layer}`", "run `forward` again")
            cut = forward(adapter, captured.images, [layer], False, counter=counter, cuts=[layer]).cuts[layer]
            captured.cuts[layer] = cut
        activations = tensor_of(cut.result, layer)
        run = Replay(adapter, cut, places)
        with run.ready():
            cost = _checked(adapter, captured, cut, places, run, activations, counter)
            yield Upper(layer, places, "hooks", activations, counter, cost, run)


def _checked(
    adapter: Any,
    captured: Captured,
    cut: Cut,
    places: tuple[str, ...],
    run: Replay,
    activations: Tensor,
    counter: Passes,
) -> Cost:
    """Once for a model, layer and places: do rows of the captured activations give what the forward gave?"""
    key = ("hooks", cut.path, cut.layer, places, adapter.description.output)
    known = _known.setdefault(adapter.module, {})
    if key in known:
        return known[key]
    sizes: list[int] = []
    rows = torch.tensor([0, min(1, len(activations) - 1), 0], device=activations.device)

    def measure(module: nn.Module, arguments: Any, result: Any) -> None:
        if isinstance(result, Tensor) and not any(True for _ in module.children()):
            sizes.append(result.numel() * result.element_size() // len(rows))

    counter.probes += 1
    hooks = [m.register_forward_hook(measure) for m in adapter.module.modules()]
    try:
        with torch.no_grad():
            found = run(activations[rows], rows)
    finally:
        for hook in hooks:
            hook.remove()
    if not same(found, _expected(captured, places, rows)):
        raise error(
            "E508",
            f"the network above `{cut.layer}` does not give the same when it is run alone",
            "its forward may be random, or keep a state; a method that needs gradients only can be used",
        )
    each = activations[0].numel() * activations.element_size()
    known[key] = Cost("hooks", max([each, *sizes]), sum(sizes, each))
    return known[key]


def _expected(captured: Captured, places: Sequence[str], rows: Tensor) -> Mapping[str, Tensor]:
    values = dict(captured.activations)
    if captured.scores is not None:
        values[OUTPUT] = captured.scores
    return {place: values[place][rows] for place in places if place in values}
