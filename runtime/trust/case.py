"""One attribution under test: its numbers for every atom of its layer, and modified activations to run the network
on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import bound
from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.compiler.ir.program import OUTPUT, Node, Rerun
from bbilang.compiler.ir.score_kinds import VALUE
from bbilang.runtime.fields.atoms import axes_of_atoms, masks_over
from bbilang.runtime.fields.field import TERM, Field, Named
from bbilang.runtime.fields.prose import PLURALS
from bbilang.runtime.inputs import baselines

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bbilang.compiler.ir.model_description import LayerDescription
    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.passes import Captured

PROBABILITY = "probability"
MakeRows = Callable[
    [int, int], "tuple[Tensor, Tensor]"
]  # (start, stop) -> activations (row, *layer axes), inputs (row,)


@dataclass
class Case:
    """The input of a measure. Axes: ``input``; ``target``, the classes and states that are attributed to, flattened;
    ``atom``, all atoms of the layer, flattened over its atom axes in order (y, x, channel ...)."""

    node: Node  # the `trust` operation
    attribution: Node  # the `attribute` operation under test
    frame: Field  # the shown atoms, with their attribution
    step: Rerun
    run: Run
    n: int

    # --- axes and numbers ----------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.attribution.type.layers[0]

    @cached_property
    def layer(self) -> LayerDescription:
        return self.run.layer(self.name)

    @property
    def seed(self) -> int:
        return int(self.run.program.setting("seed", 0))

    def generator(self, use: int = 0) -> torch.Generator:
        """Return a random generator for one use; the same in every run with the same `set seed`."""
        import torch

        return torch.Generator().manual_seed(1_000_003 * (self.seed + 1) + use)

    @property
    def inputs(self) -> int:
        return len(self.run.images)

    @cached_property
    def keep(self) -> tuple[str, ...]:
        """The axes of the atoms in the layer."""
        return axes_of_atoms(self.attribution.type.atom, self.layer)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        layer = self.layer.as_map if self.attribution.type.atom == "spatial" else self.layer
        return tuple(layer.sizes[axis] for axis in self.keep)

    @property
    def atoms(self) -> int:
        return math.prod(self.sizes)

    @property
    def atoms_words(self) -> str:
        """What the atoms are, in words: "channels"."""
        return PLURALS.get(self.attribution.type.atom, "atoms")

    @cached_property
    def full(self) -> Field:
        return self.run.value(self.attribution)

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The axes that are flattened into ``target``: `class`, and states of what is attributed to."""
        return tuple(d for d in self.full.values.dims if d not in ("input", *self.keep))

    @cached_property
    def target_sizes(self) -> tuple[int, ...]:
        return tuple(self.full.values.sizes[d] for d in self.targets)

    def flat(self, values: Named) -> np.ndarray:
        """Flatten a field's values over all atoms to (input, target, atom)."""
        spread = values.spread(("input", *self.targets, *self.keep))
        shape = (self.inputs, *self.target_sizes, *self.sizes)
        return np.broadcast_to(spread, shape).reshape(self.inputs, -1, self.atoms).astype(np.float64)

    @cached_property
    def attributions(self) -> np.ndarray:
        """(input, target, atom)."""
        return self.flat(self.full.values)

    def unflat(self, data: np.ndarray) -> Named:
        """Unflatten (input, target, atom) to named axes."""
        dims = ("input", *self.targets, *self.keep)
        return Named(dims, np.asarray(data, np.float32).reshape(self.inputs, *self.target_sizes, *self.sizes))

    def shown(self, data: np.ndarray) -> Named:
        """Pick the shown atoms: (input, target, atom) -> the axes of the element's values."""
        from bbilang.runtime.fields.atoms import gather

        target = (self.inputs, *self.target_sizes)
        maps = np.asarray(data, np.float32).reshape(*target, *self.sizes)
        maps = np.moveaxis(maps, 0, len(self.targets))  # (target ..., input, *atom axes)
        return gather(self.frame, {self.name: maps}, {self.name: self.layer}, (*self.targets, "input"))

    # --- targets -------------------------------------------------------------------------------------------------

    @cached_property
    def target(self) -> Field:
        return self.run.value(self.attribution["to"])

    @cached_property
    def index(self) -> np.ndarray:
        """(input, target, term): the classes that each target is made of."""
        return self._terms(self.target.index)

    @cached_property
    def weight(self) -> np.ndarray:
        return self._terms(self.target.weight)

    def _terms(self, array: Named | None) -> np.ndarray:
        assert array is not None
        spread = array.spread(("input", *self.targets, TERM))
        shape = (self.inputs, *self.target_sizes, array.sizes[TERM])
        return np.array(np.broadcast_to(spread, shape)).reshape(self.inputs, -1, array.sizes[TERM])

    @property
    def probable(self) -> bool:
        """Whether the target's scores are probabilities."""
        return self.attribution["to"].type.unit == PROBABILITY

    @property
    def reports_probability(self) -> bool:
        """Whether effects are reported as probabilities: for single classes; else as scores."""
        return self.probable or (self.single and self.run.kind != VALUE)

    @property
    def single(self) -> bool:
        """Whether each target is one class, not a sum or a difference."""
        return self.index.shape[-1] == 1 and bool((self.weight == 1).all())

    def values(self, scores: Tensor, owners: Tensor, probability: bool | None = None) -> Tensor:
        """Compute the targets' values (row, target) from the network's scores (row, class)."""
        import torch

        from bbilang.runtime.models.score_output import probabilities

        probability = self.probable if probability is None else probability
        scores = probabilities(scores.double(), self.run.kind) if probability else scores.double()
        index = torch.as_tensor(self.index, device=scores.device)[owners.to(scores.device)]
        weight = torch.as_tensor(self.weight, device=scores.device, dtype=scores.dtype)[owners.to(scores.device)]
        picked = scores.gather(1, index.flatten(1)).view_as(index)
        return (picked * weight).sum(-1)

    def cotangent(self, scores: Tensor, owners: Tensor) -> Tensor:
        """Return d target / d scores, (target, row, class)."""
        import torch

        from bbilang.runtime.models.score_output import probability_vjp

        index = torch.as_tensor(self.index, device=scores.device)[owners.to(scores.device)]
        weight = torch.as_tensor(self.weight, device=scores.device, dtype=scores.dtype)[owners.to(scores.device)]
        slope = torch.zeros(*index.shape[:2], scores.shape[1], device=scores.device, dtype=scores.dtype)
        slope.scatter_add_(2, index, weight)
        if self.probable:
            slope = probability_vjp(scores.double()[:, None], slope.double(), self.run.kind).to(scores)
        return slope.transpose(0, 1)

    # --- the network ---------------------------------------------------------------------------------------------

    @cached_property
    def captured(self) -> Captured:
        return self.run.forward(self.step.forward)

    @cached_property
    def activation(self) -> Tensor:
        """(input, *layer axes)."""
        return self.captured[self.name]

    @property
    def baseline_word(self) -> str | None:
        """The baseline image of the attribution method; None where it has none."""
        method, parameters = bound(self.run.registry, self.attribution["method"])
        return method.baseline(parameters)

    @cached_property
    def baseline(self) -> Tensor:
        """(input, *layer axes): the values that replace removed atoms. The layer's activation on the method's baseline
        image, else 0: no activation, or black."""
        import torch

        if self.step.baseline >= 0:
            return self.run.forward(self.step.baseline)[self.name]
        return torch.zeros_like(self.activation)

    @property
    def baseline_words(self) -> str:
        """What removed atoms are replaced by, in words."""
        if self.step.baseline >= 0:
            return f"what the layer makes of the baseline picture `{self.baseline_word}`"
        if self.name == "input" and self.run.adapter.description.reads in NOT_PICTURES:
            return "zero"
        return "black" if self.name == "input" else "zero activation"

    def picture(self, word: str) -> Tensor:
        """Return a baseline image of the inputs, (input, channel, y, x)."""
        return baselines.picture(word, self.run.images, self.run.adapter, self.seed)

    def entries(self, masks: Tensor) -> Tensor:
        """Expand masks over atoms (row, atom) to masks that broadcast over (row, *layer axes)."""
        return masks_over(masks, self.layer, self.attribution.type.atom, elsewhere=1)  # prefix tokens are never masked

    def mixed(self, retained: Tensor, owners: Tensor, baseline: Tensor | None = None) -> Tensor:
        """Set some atoms to the baseline: retained (row, atom) is 1 where an atom stays, 0 where it is removed."""
        base = self.baseline if baseline is None else baseline
        owners = owners.to(self.activation.device)
        share = self.entries(retained.to(self.activation))
        return base[owners] + share * (self.activation[owners] - base[owners])

    def scores(self, make: MakeRows, count: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield (start, scores (row, class), inputs (row,)) for ``count`` changed activations of the layer."""
        from bbilang.runtime import passes

        counter = self.run.shared.trust_passes
        if self.step.above:
            yield from passes.score_chunks(self.run.adapter, self.captured, self.name, make, count, OUTPUT, counter)
            return
        for start in range(count):
            rows, owners = make(start, start + 1)
            images = self.run.images[owners.to(self.run.images.device)]
            again = passes.forward(
                self.run.adapter, images, [self.name], grad=False, counter=counter, replace={self.name: rows}
            )
            assert again.scores is not None
            yield start, again.scores, owners

    def gradients(self, make: MakeRows, count: int) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, d target / d activation (target, row, *layer axes)) for ``count`` changed activations."""
        from bbilang.runtime import passes

        counter, targets = self.run.shared.trust_passes, self.index.shape[1]
        if self.step.above:
            with passes.above(self.run.adapter, self.captured, self.name, [OUTPUT], counter=counter) as upper:
                block = 64
                for begin in range(0, count, block):
                    rows, owners = make(begin, min(begin + block, count))
                    for start, gradient in passes.rerun_gradient_chunks(
                        upper, rows, owners, self.cotangent, OUTPUT, counter, targets=targets
                    ):
                        yield begin + start, gradient
            return
        for start in range(count):
            rows, owners = make(start, start + 1)
            images = self.run.images[owners.to(self.run.images.device)]
            again = passes.forward(
                self.run.adapter, images, [self.name], grad=True, counter=counter, replace={self.name: rows}
            )
            assert again.score_graph is not None
            cotangent = self.cotangent(again.score_graph.detach(), owners)
            yield start, passes.vjp(again, again.score_graph, cotangent, [self.name], counter, chunk=1)[self.name]

    def reduced(self, cube: Tensor) -> np.ndarray:
        """Sum over each atom's part in float64: (target, row, *layer axes) -> (target, row, atom)."""
        from bbilang.runtime.fields.atoms import reduce_part

        sums = reduce_part(cube.double(), self.layer, self.attribution.type.atom, "sum")
        return sums.flatten(2).cpu().numpy()

    # --- what the element shows ------------------------------------------------------------------------------------

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """The axes of the shown atoms."""
        return tuple(d for d in self.frame.values.dims if d not in ("input", *self.targets))

    def shown_atoms(self) -> np.ndarray:
        """Return the index of each shown atom in its layer, (input, target, slot); -1 for a missing atom."""
        from bbilang.runtime.attribution.target_slots import atom_numbers

        numbers = atom_numbers(self.frame, self.layer, self.name)
        sizes = {**dict(zip(self.targets, self.target_sizes, strict=True)), **self.frame.values.sizes}
        dims = ("input", *self.targets, *self.slots)
        shape = [self.inputs, *(sizes[d] for d in dims[1:])]
        spread = np.broadcast_to(numbers.spread(dims), shape)
        missing = np.isnan(np.broadcast_to(self.frame.values.spread(dims), shape))
        return np.where(missing, -1, spread).reshape(self.inputs, self.index.shape[1], -1)

    def unflat_shown(self, data: np.ndarray) -> Named:
        """Unflatten (input, target, slot) to the axes of the element's values."""
        sizes = self.frame.values.sizes
        shape = (self.inputs, *self.target_sizes, *(sizes[d] for d in self.slots))
        return Named(("input", *self.targets, *self.slots), np.asarray(data, np.float32).reshape(shape))
