"""The network above a layer, alone: for activations that were perturbed, interpolated or replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.device.memory import is_out_of_memory
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.boundary import Cut, versions
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.explicit_jvp import Linear
from bbilang.runtime.passes.explicit_vjp import Network
from bbilang.runtime.passes.forward import Captured, forward
from bbilang.runtime.passes.fx_graph import Section
from bbilang.runtime.passes.gradient_path import NoWay, others, told
from bbilang.runtime.passes.hooks import borrowed, error, guard_memory, tensor_of
from bbilang.runtime.passes.module.behaviour import Conduct, calm, conduct_of
from bbilang.runtime.passes.module.memo import remembered
from bbilang.runtime.passes.module.precision import all_outside, input_types
from bbilang.runtime.passes.module.restore import restored
from bbilang.runtime.passes.replay_above import OUTPUT, Replay, same


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
    batched: dict[str, bool] = field(default_factory=dict)  # what could not be batched, learnt on the way
    linear: Linear | None = None  # made for the first tangents
    known: dict[Any, Any] = field(default_factory=dict)  # what was learnt of this model
    networks: dict[str, Network] = field(default_factory=dict)  # place -> what cotangents go down
    pictures: Tensor | None = None  # (input, channel, y, x): numbers that leave are of their type
    led: set[str] = field(default_factory=set)  # places that gradients are known to have a way to

    @property
    def inputs(self) -> int:
        return len(self.activations)

    def check_way(self, place: str) -> None:
        """Where everything that came back is zero. Raises NoWay, which is E505 outside of `above`, where no gradient
        leads to a place that depends on the layer, or to the scores."""
        if place in self.led:
            return
        with torch.inference_mode(False), torch.enable_grad():
            value = self.run(self.activations.detach().clone().requires_grad_(), None)[place]
        self.counter.probes += 1
        if not value.requires_grad:
            with torch.inference_mode(False), torch.no_grad():
                away = (self.run(x, None)[place] for x in others(self.activations.detach()))
                if place == OUTPUT or any(not torch.equal(x, value) for x in away):
                    raise NoWay(place)
        self.led.add(place)

    def __call__(self, activations: Tensor, rows: Tensor | None = None) -> dict[str, Tensor]:
        if rows is not None and len(rows) != len(activations):
            raise ValueError(f"{len(activations)} rows of activations and {len(rows)} numbers of inputs")
        self.counter.rerun(len(activations))
        return all_outside(self.run(activations.to(self.activations.dtype), rows), self.pictures)


@contextmanager
def above(
    adapter: Adapter,
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

    Raises BbiError E501, E502 (a place that is not above), E504, E505, E508 (what is above cannot be run alone).
    """
    counter = counter if counter is not None else Passes()
    places = tuple(dict.fromkeys(places))
    with torch.inference_mode(False), guard_memory(f"the network above `{layer}`"), told(adapter, captured, layer):
        ways = ("fx", "hooks") if way == "auto" else (way,)
        found = [_checked(adapter, part, layer, places, ways, counter) for part in captured.parts or (captured,)]
        one, run, cost, known, activations, single = found[0]
        conduct = conduct_of(adapter)
        with borrowed(adapter.module), restored(adapter.module), ExitStack() as stack:
            if conduct.apart:
                alone: Any = Alone([each[1] for each in found], conduct)
                activations = torch.cat([each[4] for each in found])
                run = alone
            elif single:
                run = Alone([run], conduct)
            else:
                stack.enter_context(run.ready())
            yield Upper(layer, places, one, activations, counter, cost, run, known=known, pictures=captured.images)


Checked = tuple[str, Replay | Section, Cost, dict[Any, Any], Tensor, bool]


def _checked(
    adapter: Adapter, captured: Captured, layer: str, places: tuple[str, ...], ways: Sequence[str], counter: Passes
) -> Checked:
    """(way, what runs the network above, its cost, what was learnt of it, the layer's activations, whether rows run one
    by one) of one forward. Raises BbiError E508."""
    cut = captured.cuts.get(layer)
    if cut is None:
        if captured.images is None:
            raise error("E505", f"nothing is kept of the forward below `{layer}`", "run `forward` again")
        cut = forward(adapter, captured.images, [layer], False, counter=counter, cuts=[layer]).cuts[layer]
        captured.cuts[layer] = cut
    activations = tensor_of(cut.result, layer).detach()
    check = _Check(adapter, captured, cut, places, counter, ways)
    for one in ways:
        with borrowed(adapter.module):
            try:
                run = Section(adapter, cut, places) if one == "fx" else Replay(adapter, cut, places)
            except Exception as e:  # Uncut, and what else a graph can meet that the model's own code does not
                if one == "hooks" or is_out_of_memory(e):
                    raise
                continue
            with run.ready():
                cost = check(one, run, activations)
            if cost is not None:
                return one, run, cost, check.known, activations, check.single(one)
    raise error(
        "E508",
        f"the network above `{layer}` does not give the same when it is run alone",
        "its forward may be random, or keep a state; a method that needs gradients only can be used",
    )


class Alone:
    """The network above a layer where rows depend on each other: every row by itself, with what its own input left."""

    def __init__(self, runs: Sequence[Replay | Section], conduct: Conduct):
        self.runs, self.conduct = runs, conduct

    def __call__(self, activations: Tensor, rows: Tensor | None) -> dict[str, Tensor]:
        owners = list(range(len(activations))) if rows is None else rows.tolist()
        found: list[dict[str, Tensor]] = []
        for at, owner in enumerate(owners):
            run = self.runs[owner]
            with run.ready(), calm(self.conduct):
                found.append(run(activations[at : at + 1], None))
        return {place: torch.cat([one[place] for one in found]) for place in found[0]}


class _Check:
    """Once for a model, layer, places and way: do rows of the captured activations give what the forward gave?"""

    def __init__(
        self,
        adapter: Adapter,
        captured: Captured,
        cut: Cut,
        places: tuple[str, ...],
        counter: Passes,
        ways: Sequence[str],
    ):
        self.cut, self.counter, self.conduct = cut, counter, conduct_of(adapter)
        self.known = remembered(adapter.module).setdefault("above", {})
        coarsest = max(torch.finfo(dtype).eps for dtype in input_types(adapter.module))
        self.near = max(1e-4, 8 * coarsest)  # of the largest: rows together are rounded otherwise than alone
        self.key = (cut.layer, cut.path, places, adapter.description.output, len(cut.images) == 1)
        seen = any(self.known.get((way, *self.key)) for way in ways)
        self.want = {} if seen else self.expected(adapter, captured, places)

    def __call__(self, way: str, run: Replay | Section, activations: Tensor) -> Cost | None:
        key = (way, *self.key)
        if key not in self.known and self.want:
            self.known[key] = self.look(way, run, activations)
        return self.known.get(key)

    def single(self, way: str) -> bool:
        """Whether rows run one by one: what is kept of the network below has rows inside its other axes, such as the
        windows of all pictures in one axis, so that only one row can stand above it."""
        return bool(self.known.get(("single", way, *self.key)))

    def look(self, way: str, run: Replay | Section, activations: Tensor) -> Cost | None:
        found = self.look_at(way, run, activations, self.conduct.apart)
        if found is None and way == "hooks" and len(activations) == 1 and not self.conduct.apart:
            found = self.look_at(way, run, activations, True)
            self.known["single", way, *self.key] = found is not None
        return found

    def look_at(self, way: str, run: Replay | Section, activations: Tensor, alone: bool) -> Cost | None:
        some = [0] if alone else [0, min(1, len(activations) - 1), 0]
        rows = torch.tensor(some, device=activations.device)
        watched = versions([activations, self.cut.result, [r for _, _, r in self.cut.records]])
        self.counter.probes += 1
        try:
            with torch.no_grad(), Sizes() as sizes, calm(self.conduct):
                found = run(activations[rows], rows)
        except Exception as e:
            if is_out_of_memory(e) or isinstance(e, BbiError):
                raise
            return None  # hooks can more, and one row by itself more still
        want = {place: value[rows] for place, value in self.want.items()}
        if not same(all_outside(found, self.cut.images), want, self.near) or any(
            x._version != version for x, version in watched
        ):
            return None
        each = activations[0].numel() * activations.element_size()
        bytes_each = [size // len(rows) for size in sizes.found]
        return Cost(way, max([each, *bytes_each]), sum(bytes_each, each))

    def expected(self, adapter: Adapter, captured: Captured, places: tuple[str, ...]) -> dict[str, Tensor]:
        """place -> what the forward gave there; it is run again for places that it was not asked for."""
        values = dict(captured.activations)
        if captured.scores is not None:
            values[OUTPUT] = captured.scores
        missing = [place for place in places if place not in values]
        if missing:
            layers = [place for place in missing if place != OUTPUT]
            seen = forward(adapter, self.cut.images[:2], layers, OUTPUT in missing, counter=Passes())
            self.counter.probes += 1
            values |= seen.activations
            if OUTPUT in missing and seen.scores is not None:
                values[OUTPUT] = seen.scores
        return {place: values[place] for place in places}


class Sizes(TorchDispatchMode):
    """Bytes of every new tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and not result._is_view():
            self.found.append(result.numel() * result.element_size())
        return result
