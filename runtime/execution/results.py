"""The results of a run: numbers, icons, and the provenance for a page's footer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypedDict, Unpack

import numpy as np

from bbilang.compiler.explain.units import Measured
from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription
from bbilang.compiler.ir.program import AtomName, Node, Program, walk
from bbilang.compiler.plan.plan import Step
from bbilang.grammar.frozen import frozen
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.inputs.network_input import NetworkInput

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor

    from bbilang.runtime.execution.following import Followed
    from bbilang.runtime.execution.thumbnails import Thumbnails
    from bbilang.runtime.featvis.icon import Icon, Recipe
    from bbilang.runtime.models.preprocess import Preprocess
    from bbilang.runtime.passes import Passes


class Model(Protocol):
    """The model that numbers come from: an adapter, or what the cache knows of one that was not loaded."""

    @property
    def description(self) -> ModelDescription: ...
    @property
    def weights(self) -> str: ...
    @property
    def random(self) -> bool: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def device(self) -> torch.device | str: ...
    def prepare(self, picture: Image, /) -> tuple[Tensor | None, np.ndarray]: ...


@frozen
class IconSet:
    """The icons of an element: ``index`` into ``Results.icons`` over the field's axes, -1 where there is no atom."""

    index: Named


@frozen
class Reused:
    """The parts of a run's results that came from the cache."""

    elements: tuple[str, ...] = ()  # ids, of those whose numbers were there
    predictions: bool = False
    icons: int = 0


@frozen
class Numbers:
    """The numbers of elements without pictures and icons: what passes compute and the cache stores. The tables are
    those of `Results`."""

    fields: Mapping[str, Field]
    selections: Mapping[str, Field]
    sizes: Mapping[str, Field]
    icon_sets: Mapping[str, IconSet]
    layers: Mapping[str, LayerDescription]
    probabilities: np.ndarray | None = None
    kind: str = ""
    budgets: Mapping[str, Mapping[str, Named]] = field(default_factory=dict)
    thumbnails: Mapping[str, Thumbnails] = field(default_factory=dict)
    followed: Mapping[str, Followed] = field(default_factory=dict)
    kept: tuple[Field, ...] = ()  # values of `Program.kept`


class Counts(TypedDict, total=False):
    """The passes that the numbers of one run took: the fields of `Results` of these names."""

    model_passes: tuple[int, int]
    tangents: int
    reruns: int
    resumed: int
    removals: int
    trusted: int
    scanned: int
    recalled: int


class Making(Counts, total=False):
    """How a run went, and its icons: the fields of `Results` of these names."""

    icons: Sequence[Icon]
    passes: Passes | None
    recipe: Recipe
    draft: bool
    reused: Reused
    timings: Sequence[tuple[Step, Measured]]
    noticed: tuple[str, ...]


@frozen
class Results:
    """Numbers and pictures of a run or from the cache, without torch tensors. Created by `of`."""

    program: Program
    fields: Mapping[str, Field]  # element id -> what it draws
    selections: Mapping[str, Field]  # selection id -> the atoms that can be chosen
    icons: Sequence[Icon] = ()
    icon_sets: Mapping[str, IconSet] = field(default_factory=dict)
    pictures: tuple[NetworkInput, ...] = ()
    sizes: Mapping[str, Field] = field(default_factory=dict)  # element id -> what `size=norm` shows
    budgets: Mapping[str, Mapping[str, Named]] = field(default_factory=dict)  # element id -> see execution/budget.py
    thumbnails: Mapping[str, Thumbnails] = field(default_factory=dict)  # element id -> pictures of its examples
    followed: Mapping[str, Followed] = field(default_factory=dict)  # element id -> numbers of the examples in a lasso
    probabilities: np.ndarray | None = None  # (input, class); values where scores are no probabilities
    kind: str = ""  # of the scores (compiler/ir/score_kinds.py)
    labels: Callable[[int], str] = str
    layers: Mapping[str, LayerDescription] = field(default_factory=dict)
    passes: Passes | None = None  # everything that ran, icons too; None where nothing did
    model_passes: tuple[int, int] = (0, 0)  # (forward, backward) of this run for the numbers, without icons
    tangents: int = 0  # forward-mode passes, likewise
    reruns: int = 0  # activations at which the network above a layer ran again, likewise
    resumed: int = 0  # forwards of several models that ran only what depends on a change, likewise
    removals: int = 0  # runs of each input with a layer at zero, for the budget line
    trusted: int = 0  # passes for each input that the measures of `trust` took, in whole or part of the network
    scanned: int = 0  # examples of datasets that the network ran on
    recalled: int = 0  # examples whose numbers an earlier scan left in the cache
    adapter: Model | None = None
    recipe: Recipe | None = None
    draft: bool = False
    reused: Reused = Reused()
    timings: Sequence[tuple[Step, Measured]] = ()
    imported: tuple[str, ...] = ()  # what came from another machine, in words
    noticed: tuple[str, ...] = ()  # warnings that only showed when the network ran
    stale: frozenset[AtomName] = frozenset()  # names that were given for something else
    kept: tuple[Field, ...] = ()  # values of `Program.kept`, which other models need
    parts: tuple[Results, ...] = ()  # of several models: the results of each

    @classmethod
    def of(
        cls, program: Program, numbers: Numbers, model: Model, pictures: Sequence[NetworkInput],
        **making: Unpack[Making],
    ) -> Results:  # fmt: skip
        """Gather the numbers of a run with the model and the inputs that they were computed from. An input is called
        what the text calls it, else as its file."""
        called = {number: name for name, number in program.called}
        shown = tuple(replace(own, name=called.get(number, own.name)) for number, own in enumerate(pictures))
        return cls(
            program, numbers.fields, numbers.selections, icon_sets=numbers.icon_sets, pictures=shown,
            sizes=numbers.sizes, probabilities=numbers.probabilities, kind=numbers.kind,
            labels=model.description.label, layers=numbers.layers, adapter=model,
            budgets=numbers.budgets, thumbnails=numbers.thumbnails, followed=numbers.followed, kept=numbers.kept,
            **making,
        )  # fmt: skip

    def named(self, layer: str, components: Mapping[str, int], family: str = "") -> str:
        """Return what the text calls an atom, as labels show it: `"stripes"`, or `(stale "stripes")` where the name was
        given for another one; empty where it has no name. ``family``: of groups and directions."""
        return self._names.get((layer, family, frozenset(components.items())), "")

    @cached_property
    def _names(self) -> dict[tuple[str, str, frozenset[tuple[str, int]]], str]:
        own = self.program.models[0].alias
        return {(it.layer, it.family, frozenset(it.components)): f'(stale "{it.name}")' if it in self.stale
                else f'"{it.name}"' for it in self.program.names if it.model == own}  # fmt: skip

    def nodes(self) -> Iterator[Node]:
        """Iterate over every node that an element needs, once each."""
        return walk(*(element.node for element in self.program.elements))
