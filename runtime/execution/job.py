"""One execution of a plan, with its model, inputs and device loaded on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Program
from bbilang.compiler.plan.plan import Plan
from bbilang.runtime.events import RunListener
from bbilang.runtime.execution.shared import Files
from bbilang.runtime.inputs.program_inputs import named_inputs, read_inputs

if TYPE_CHECKING:
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.execution.related import KeptForwards
    from bbilang.runtime.execution.results import Model, Results
    from bbilang.runtime.execution.shared import Workers
    from bbilang.runtime.featvis.dissociation.photographs import Photographs
    from bbilang.runtime.featvis.icon import Icon, Objective, Recipe
    from bbilang.runtime.fields.field import Field
    from bbilang.runtime.inputs.load import Input
    from bbilang.runtime.inputs.network_input import NetworkInput
    from bbilang.runtime.models.adapter import Adapter


class PartialResultsListener(Protocol):
    """Receives results before they are complete."""

    def numbers(self, results: Results, objectives: Sequence[Objective]) -> None:
        """Receive the results when everything but the icons is finished; the objectives are those of ``results.icons``,
        in order."""

    def icon(self, objective: Objective, icon: Icon) -> None:
        """Receive a finished icon, those from the cache first."""

    def making(self) -> None:
        """Learn that the icons that are not cached are made next."""


@dataclass(eq=False, repr=False)
class Job:
    """A plan with its model, input and cache. ``model``: a caller's module or adapter, of the program's first model, or
    several by the names of the program's models; None or a name for those of the program. ``input``: the caller's
    input; None for the files that the program names. ``cache``: of icons and numbers, or None. ``loaded``: the
    program's model, from an earlier job of the same program. ``workers``: processes that scan datasets and make icons.
    ``files``: which files it may read, and the datasets that the caller gives."""

    plan: Plan
    registry: Registry
    model: Any = None
    input: Any = None
    device: str = "auto"
    draft: bool = False
    cache: Cache | None = None
    listener: RunListener | None = None
    partial: PartialResultsListener | None = None
    loaded: Adapter | None = None
    workers: Workers | None = None
    files: Files = field(default_factory=Files)
    networks: dict[str, Adapter] = field(default_factory=dict)  # of a page of several models: those that are loaded
    given: Mapping[str, Field] = field(default_factory=dict)  # values of other models, by the digests of their nodes
    related: KeptForwards | None = None  # of a page of several models: what their forwards leave for each other
    prepared: dict[str, tuple[NetworkInput, ...]] = field(default_factory=dict)  # inputs, by what they depend on

    def part(self, plan: Plan, networks: dict[str, Adapter], given: Mapping[str, Field]) -> Job:
        """Return the job of one of several models. ``networks``: those that are loaded; it adds its own."""
        first = root_of(plan.program) == root_of(self.program)
        model = self.model if first or isinstance(self.model, Mapping) else None
        return replace(self, plan=plan, model=model, partial=None, loaded=None, networks=networks, given=given)

    @property
    def program(self) -> Program:
        return self.plan.program

    @property
    def own_model(self) -> object:
        """What the caller gives for the program's model, or for what that is derived from; None for its name."""
        return self.model.get(root_of(self.program)) if isinstance(self.model, Mapping) else self.model

    @cached_property
    def recipe(self) -> Recipe:
        from bbilang.runtime.featvis.icon import recipe_of

        return recipe_of(self.program, self.draft)

    @cached_property
    def photographs(self) -> Photographs | None:
        """What the icons are checked against; None for no check. Raises BbiError E411, E415, E417, E418, E447."""
        from bbilang.runtime.featvis.dissociation.photographs import photographs_of

        return photographs_of(self.program)

    @cached_property
    def named_inputs(self) -> list[tuple[Input, str]]:
        """Every input with its name; globs and folders expanded."""
        return named_inputs(self.program, self.input)

    def adapter(self) -> Adapter:
        """Return the model, loaded on first use."""
        from bbilang.runtime.execution.derived import network_of

        if self.loaded is None:
            self.loaded = network_of(self)
        return self.loaded

    def workers_kept(self) -> AbstractContextManager[None]:
        """Return a context in which workers start once for all that the job has them do."""
        return nullcontext() if self.workers is None else self.workers.pool.kept()

    def inputs(self, model: Model) -> tuple[NetworkInput, ...]:
        """Read every input for a model, or for the cache's description of one. Models of a page that prepare inputs
        alike read them once."""
        it, channels = model.description, len(model.preprocess.mean)
        read = replace(model.preprocess, mean=(0.0,) * channels, std=(1.0,) * channels)  # networks normalize themselves
        alike = it.reads != "text" and type(model).__module__.startswith("bbilang.")
        key = repr((type(model).__name__, read, it.reads, it.input, "" if alike else root_of(self.program)))
        if key not in self.prepared:
            self.prepared[key] = read_inputs(self.program, self.named_inputs, model)
        return self.prepared[key]


def root_of(program: Program) -> str:
    """Return the name of the model that a program's model is, or is derived from."""
    return program.models[0].lineage[-1].alias
