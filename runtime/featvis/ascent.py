"""Gradient ascent of icons in a fixed number of slots: a finished icon's slot takes the next one in the queue.

Seeds, transforms, steps, rates and the last step belong to the icon, and every step runs all slots, free ones too, so
that an icon is the same, bit for bit, in any batch and any order. Memory is bounded by the slots.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.device.accelerate import as_cuda_graph, autocast_bfloat16, multiplies_bfloat16
from bbilang.runtime.device.memory import keep_freed_memory
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.fuse_batchnorm import activation_of, fused
from bbilang.runtime.featvis.icon import NOT_FINITE, Icon, Objective, Recipe, seed_of
from bbilang.runtime.featvis.losses import Response
from bbilang.runtime.featvis.parametrization import parametrization
from bbilang.runtime.featvis.pixels import bytes_of, levels_of
from bbilang.runtime.featvis.schedule import WINDOW, converged, schedule_of
from bbilang.runtime.featvis.starts import PATIENCE, SHUT, initial_parameters, reason, starts_of, worth_repeating
from bbilang.runtime.featvis.transforms import affine, resample
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.explicit.fused_run import fused_run
from bbilang.runtime.passes.fallback import log
from bbilang.runtime.passes.run_to_layer import OUTPUT

_EPSILON = 1e-8  # Adam's

Take = Callable[[Objective, Icon], None]


@dataclass
class _RunningIcon:
    """An icon in progress. ``maps``: its transforms (step, 2, 3). ``source``: its own noise generator. ``end``: its
    last step. ``start``: the number of earlier starts; ``repeats``: how often its first steps were repeated since.
    ``highest`` and ``before``: the highest value before the nonlinearity, in this start when it was last compared, and
    in earlier starts."""

    objective: Objective
    maps: Tensor
    source: torch.Generator
    end: int
    start: int = 0
    repeats: int = 0
    highest: float = -math.inf
    before: float = -math.inf
    step: int = 0
    done: bool = False
    windows: list[float] = field(default_factory=list)


class Ascent:
    """Gradient ascent for icons of one family at one layer. Hooks and the folded copy live inside its `with` block."""

    def __init__(
        self,
        adapter: Adapter,
        objective: Objective,
        recipe: Recipe,
        batch: int,
        counter: passes.Passes,
        cache: Cache | None = None,
    ):
        self.layer, self.recipe, self.batch, self.counter = objective.layer, recipe, batch, counter
        if objective.pictures > batch:
            text = f"{objective.pictures} pictures that differ are made in one batch, and the batch has {batch} slots"
            raise error("E510", text, "request fewer pictures, or a larger batch")
        self.device = torch.device(adapter.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.schedule = schedule_of(recipe)
        self.transforms = recipe.transforms.within(recipe.size, adapter.description.input_size)
        self.grey = getattr(adapter.description, "channels", 3) == 1
        self.picture_of = parametrization(recipe, self.device, self.grey)
        self.view = recipe.transforms.view_size(recipe.size) if recipe.plain else recipe.size
        example = torch.rand(2, 3, self.view, self.view, generator=torch.Generator().manual_seed(0))
        example = self.network_channels(example.to(self.device))
        self.shape, example, activation = _network_size(adapter, self.layer, example, counter)
        passes.probe(adapter, example, batch > 1, counter=counter, cache=cache)
        self.fixed = self.shape != (self.view, self.view)
        self.response = Response(
            tuple(activation.shape[1:]), channel_axis(adapter, self.layer), batch, objective, self.device
        )
        subject, self.layout, self._fused = adapter, torch.contiguous_format, None
        if not recipe.plain:
            subject, self.layout = fused(adapter, self.layer, example, counter), torch.channels_last
            half = multiplies_bfloat16(self.device)
            self._fused = fused_run(subject, self.layer, subject.normalize(example), half)
        self._run = passes.run_to(subject, self.layer, counter=counter, example=example)
        self._side = max(self.view, *self.shape)
        self._running: list[_RunningIcon | None] = [None] * batch
        self._graph: Callable[..., None] | None = None
        self.reset()

    def reset(self) -> None:
        """Empty all slots."""
        empty = torch.zeros(self.batch, *self.picture_of.shape, device=self.device)
        self.coefficients, self.mean, self.square = empty, torch.zeros_like(empty), torch.zeros_like(empty)
        self.total = torch.zeros(self.batch, device=self.device)
        self.finite = torch.ones(self.batch, dtype=torch.bool, device=self.device)
        self.alive = torch.zeros_like(self.finite)
        self.moved = torch.zeros_like(self.finite)  # by a gradient, in redirected steps too
        self.shut = torch.zeros(self.batch, device=self.device)  # steps in a row in which the unit was
        self.highest = torch.full_like(self.shut, -torch.inf)  # value before the nonlinearity

    def __enter__(self) -> Ascent:
        with ExitStack() as stack:
            self.runner = stack.enter_context(self._run)
            self.runner.through_own, self.runner.fused = not self.recipe.plain, self._fused
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, traceback)

    def fit(self, pictures: Tensor) -> Tensor:
        """Resize pictures (batch, 3, y, x) to the input size of the network."""
        if pictures.shape[2:] == self.shape:
            return pictures
        return F.interpolate(pictures, self.shape, mode="bilinear", antialias=True, align_corners=False)

    def network_channels(self, pictures: Tensor) -> Tensor:
        """Return pictures (batch, 3, y, x) with the channels that the network takes: for grey input, one of the three
        equal channels."""
        return pictures[:, :1] if self.grey else pictures

    def excite(self, pictures: Tensor) -> Tensor:
        """Return the layer's activation of pictures (batch, 3, y, x), of the objectives' own channels where they do."""
        pictures, self.runner.only = self.network_channels(pictures), self.response.only
        if self.runner.fused is None or pictures.shape[1:] != self.runner.fused.shape:
            pictures = pictures.contiguous(memory_format=self.layout)
        with autocast_bfloat16(self.device, not self.recipe.plain):
            return self.runner(pictures).float()

    def excite_unresized(self, pictures: Tensor) -> Tensor:
        """Return the layer's activation of pictures of any size, resized only for a network with a fixed input size."""
        return self.excite(self.fit(pictures) if self.fixed else pictures)

    def value_and_gradient(self, x: Tensor, activation: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Return (objectives (batch,), their gradient at x (batch, ...)); ``activation`` maps x to the layer's."""
        x = x.detach().requires_grad_()
        values = self.response.surrogate(activation(x))
        (gradient,) = self.runner.backward(-values.sum(), [x])
        return values.detach(), -gradient

    def run(self, objectives: Sequence[Objective], take: Take, step: Callable[[int], None] | None = None) -> None:
        """Make every objective's icon and pass it to ``take`` as soon as it is finished. The pictures of one diverse
        direction are consecutive and start together. ``step(left)`` is called after each step, with the largest number
        of steps left."""
        together = objectives[0].pictures if objectives else 1
        for objective in objectives:
            self.response.check(objective)
        queue = deque(objectives)
        while queue or any(self._running):
            for slot in range(0, self.batch - together + 1, together):
                if len(queue) >= together and not any(self._running[slot : slot + together]):
                    for index in range(slot, slot + together):
                        self._begin(index, queue.popleft())
            self._advance()
            finished = [slot for slot, icon in enumerate(self._running) if icon and self._at_end(slot, icon)]
            if together > 1:  # pictures of one diverse direction also leave together
                waiting = {s // together for s in range(self.batch) if self._running[s] and s not in finished}
                finished = [slot for slot in finished if slot // together not in waiting]
            if finished:
                for slot, icon in zip(finished, self._icons(finished), strict=True):
                    made, self._running[slot] = self._running[slot], None
                    if made is not None:
                        take(made.objective, icon)
            if step:
                active = [c.end - c.step for c in self._running if c]
                waves = -(-len(queue) // self.batch)
                step(max(active, default=0) + waves * self.schedule.steps)

    def _begin(self, slot: int, objective: Objective, number: int = 0, before: float = -math.inf) -> None:
        """Begin an icon in a slot, for the ``number``-th time: its coefficients, moments, transforms and objective."""
        recipe, source = self.recipe, torch.Generator().manual_seed(seed_of(self.recipe, objective) + number)
        first = initial_parameters(self.picture_of, source, number)
        start = None
        if objective.start is not None:
            start = levels_of(objective.start.array()) / 255
            start = F.interpolate(start, (recipe.size,) * 2, mode="bicubic", antialias=True, align_corners=False)
            start = start.clamp(0, 1).to(self.device)
            first = self.picture_of.inverse(start[0])
        draws = self.transforms.draw(self.schedule.steps, source, self.schedule.widening)
        maps = affine(draws, recipe.size, self.view)
        self._running[slot] = _RunningIcon(objective, maps, source, self.schedule.steps, number, before=before)
        for state in (self.mean, self.square, self.total, self.shut):
            state[slot] = 0.0
        self.highest[slot] = -torch.inf
        self.finite[slot], self.alive[slot], self.moved[slot] = True, False, False
        self.coefficients[slot] = first.to(self.device)
        target = None
        if objective.kind == "caricature" and start is not None:
            shown = start if self.fixed else F.interpolate(start, self.shape, mode="bilinear", align_corners=False)
            with torch.no_grad():
                rows = self.fit(shown).expand(self.batch, -1, -1, -1)
                target = self.excite(rows)[0]
        self.response.put(slot, objective, target)

    def _advance(self) -> None:
        """Advance all slots by one step."""
        running = self._running
        maps = torch.stack([c.maps[min(c.step, len(c.maps) - 1)] if c else torch.zeros(2, 3) for c in running])
        sizes = torch.tensor([self.schedule.size(c.step, c.end) if c and c.step < c.end else 0.0 for c in running])
        redirected = [c is not None and c.step < self.recipe.redirect for c in running]
        last = min(self.recipe.redirect, self.schedule.steps - 1)
        counted = torch.tensor([c is not None and c.step >= last for c in running])
        arguments = [maps.to(self.device), sizes.to(self.device), counted.to(self.device)]
        if self.picture_of.transparent:
            arguments.append(self._backgrounds().to(self.device))
        self.runner.through_relu = torch.tensor(redirected, device=self.device) if any(redirected) else False
        if any(redirected) or self.device.type != "cuda" or self.recipe.plain:
            self._step(*arguments)
        else:
            self._replay(arguments)
        for icon in running:
            if icon:
                icon.step += 1

    def _step(self, maps: Tensor, sizes: Tensor, counted: Tensor, backgrounds: Tensor | None = None) -> None:
        """Update all slots: render, forward, backward, optimizer step. Works in place and reads no value on the
        host. ``counted`` (batch,): the icons for which a gradient in this step shows that they are alive."""
        values, gradient = self.ascend(self.coefficients, maps, backgrounds)
        low, high = torch.aminmax(gradient.flatten(1), dim=1)
        self.finite &= torch.isfinite(values) & torch.isfinite(high - low)
        reached = (low < 0) | (high > 0)
        self.moved |= reached
        self.alive |= counted & reached
        self._note_shut(reached)
        self.total += values
        adam_step(
            self.coefficients, self.mean, self.square, gradient, sizes * self.picture_of.stride, self.schedule.moments
        )

    def _note_shut(self, reached: Tensor) -> None:
        opened, highest = self.runner.opened(), self.runner.highest()
        if opened is not None and highest is not None:
            reached = reached & opened
            torch.maximum(self.highest, highest, out=self.highest)
        self.shut.add_(1.0).mul_(~reached)

    def ascend(self, coefficients: Tensor, maps: Tensor, backgrounds: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (objective of each picture (batch,), gradient of the loss (batch, *coefficients))."""
        coefficients = coefficients.detach().requires_grad_()
        pictures = self.picture_of(coefficients)
        view = resample(pictures, maps, self._side, not self.recipe.plain)
        clear = None
        if backgrounds is not None:
            alpha = view[:, 3:].clamp(0, 1)
            view, clear = view[:, :3] * alpha + backgrounds * (1 - alpha), 1 - pictures[:, 3].mean((1, 2))
        values = self.response.surrogate(self.excite(self.fit(view)))
        if clear is not None:
            values = values * clear
        (gradient,) = self.runner.backward(-values.sum(), [coefficients])
        return values.detach(), gradient

    def _replay(self, arguments: list[Tensor]) -> None:
        if self._graph is None:
            moving = (self.coefficients, self.mean, self.square, self.total, self.shut, self.highest)
            state = (*moving, self.finite, self.alive, self.moved)
            before = [tensor.clone() for tensor in state]
            self._graph = as_cuda_graph(self._step, self.device, *arguments)
            for tensor, value in zip(state, before, strict=True):
                tensor.copy_(value)
        if self._graph != self._step:  # a graph is not counted by the runner
            self.counter.forward(self.batch)
            self.counter.backward(self.batch)
        self._graph(*arguments)

    def _backgrounds(self) -> Tensor:
        """Draw backgrounds (batch, 3, side, side) of coarse noise, each from its icon's own generator: transparent
        parts cannot rely on any one background."""
        rows = []
        for icon in self._running:
            source = icon.source if icon else torch.Generator().manual_seed(0)
            coarse = torch.rand(3, 8, 8, generator=source)
            rows.append(F.interpolate(coarse[None], (self._side,) * 2, mode="bilinear", align_corners=False)[0])
        return torch.stack(rows)

    def _at_end(self, slot: int, icon: _RunningIcon) -> bool:
        """Return whether an icon is done: at its last step, or dead. The last step moves forward once the icon has
        converged, and back while its unit is shut."""
        icon.done = icon.done or self._check_end(slot, icon)
        return icon.done

    def _check_end(self, slot: int, icon: _RunningIcon) -> bool:
        last, since = icon.step >= icon.end, icon.step - self.recipe.redirect
        if self.schedule.patient:
            return last
        window = since > 0 and since % WINDOW == 0
        if (last or window or since == PATIENCE) and float(self.shut[slot]) >= SHUT:
            return not self._retry(slot, icon)
        if last:
            return True
        if since == PATIENCE and not bool(self.alive[slot] & self.finite[slot]):
            return True
        if window:
            icon.windows.append(float(self.total[slot]) / WINDOW)
            if converged(icon.windows):
                icon.end = min(icon.end, icon.step + self.schedule.tail)
        if since == 0 and not icon.repeats:
            icon.highest = float(self.highest[slot])
        if window or since == 0:
            self.total[slot] = 0.0
        return False

    def _retry(self, slot: int, icon: _RunningIcon) -> bool:
        """Repeat an icon's first steps, from its present state or from another start; return False when no option is
        left."""
        if not bool(self.finite[slot]):
            return False
        highest = float(self.highest[slot])
        if bool(self.moved[slot]) and worth_repeating(icon.repeats, highest, icon.highest):
            icon.repeats, icon.highest, icon.step = icon.repeats + 1, highest, 0
            icon.end = self.schedule.steps
            icon.windows.clear()
            return True
        if icon.start + 1 < starts_of(icon.objective):
            self._begin(slot, icon.objective, icon.start + 1, max(highest, icon.before))
            return True
        return False

    def _icons(self, slots: list[int]) -> Iterator[Icon]:
        """Return the current icons of the slots, each with its objective measured without transforms."""
        with torch.no_grad():
            self.runner.through_relu = False
            pictures = self.picture_of(self.coefficients)
            shown = pictures[:, :3]
            if self.picture_of.transparent:
                alpha = pictures[:, 3:]
                shown = shown * alpha + 0.5 * (1 - alpha)
            measured = self.response.measured(self.excite_unresized(shown))[slots].tolist()
        rows = bytes_of(pictures)
        finite, alive, moved = self.finite.tolist(), self.alive.tolist(), self.moved.tolist()
        highest = self.highest.tolist()
        shut = [not self.recipe.plain and steps >= SHUT for steps in self.shut.tolist()]
        made = [running for slot in slots if (running := self._running[slot]) is not None]
        for slot, running, objective in zip(slots, made, measured, strict=True):
            if not finite[slot]:
                yield Icon.grey(rows[slot], NOT_FINITE)
            elif not alive[slot] or shut[slot]:
                nearest = max(highest[slot], running.before)
                yield Icon.grey(rows[slot], reason(moved[slot], nearest, starts_of(running.objective)), objective)
            else:
                yield Icon(rows[slot].copy(), objective)


def adam_step(
    coefficients: Tensor, mean: Tensor, square: Tensor, gradient: Tensor, sizes: Tensor, moments: tuple[float, float]
) -> None:
    """Take a step of Adam (Kingma and Ba, ICLR 2015), in place, with a step size (batch,) for each picture that
    includes the bias corrections."""
    first, second = moments
    mean.mul_(first).add_(gradient, alpha=1 - first)
    square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
    step = square.sqrt().add_(_EPSILON)
    coefficients.sub_(torch.div(mean, step, out=step).mul_(sizes.view(-1, *[1] * (gradient.dim() - 1))))


def layer_description(adapter: Adapter, layer: str) -> LayerDescription | None:
    """Return the model's description of a layer, by name or alias; None for a module path."""
    return cast(Mapping[str, LayerDescription], getattr(adapter.description, "by_name", {})).get(layer)


def channel_axis(adapter: Adapter, layer: str) -> int:
    """Return the axis of channels in the layer's result, or of classes in the scores, counting the batch."""
    description = layer_description(adapter, layer)
    return 1 + description.axes.index("channel") if description is not None and layer != OUTPUT else 1


def _network_size(
    adapter: Adapter, layer: str, example: Tensor, counter: passes.Passes
) -> tuple[tuple[int, int], Tensor, Tensor]:
    """Return (size (y, x) of the network's input, an example input, the layer's activation of it): the size of the
    view, or the network's own size where it takes no other."""
    try:
        return (example.shape[2], example.shape[3]), example, activation_of(adapter, layer, example[:1], counter)
    except BbiError:
        raise
    except Exception as e:  # raised by the model's code: a network with a fixed input size may raise anything
        log.info("`%s` does not run on %s: %r; its own input size is used", layer, tuple(example.shape[2:]), e)
        y, x = adapter.description.input_size
        example = F.interpolate(example, (int(y), int(x)), mode="bilinear", align_corners=False)
        return (int(y), int(x)), example, activation_of(adapter, layer, example[:1], counter)
