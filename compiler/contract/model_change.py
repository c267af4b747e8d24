"""The contract of a stage that changes a network: `model b = a | ablate(some_layer.channel[7])`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from bbilang.compiler.contract.operation import Arguments, Make, Operation
from bbilang.compiler.contract.parameters import Fail, Parameter
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.frozen import frozen

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bbilang.compiler.contract.run import Run

ATOMS = Parameter("atoms", "field", "the atoms that change: some of a layer, the same for every picture")


@frozen
class LayerChange:
    """What a layer gives becomes ``module(what it gives)``, for a batch of any size: (row, *layer axes) to the same."""

    layer: str
    module: nn.Module


@frozen
class NewParameters:
    """Other values for some parameters, by the names of the module's `named_parameters`."""

    values: Mapping[str, Tensor] = field(default_factory=dict)


NetworkChange: TypeAlias = "LayerChange | NewParameters"


class ModelChange(Operation):
    """An operation that may stand in a `model` statement, as a stage behind the model that it changes.

    There it has parameters of its own (``model_parameters``), which are read with the names of that model. Adding one
    is adding a file: it says what it needs (``in_model``, and `demands` of datasets, as everywhere), and what changes
    (``change``), and everything else of the language works on the model that results. An operation that stands in no
    pipe says ``only_in_models``.
    """

    changes_model = True
    only_in_models: ClassVar[bool] = False
    model_parameters: ClassVar[tuple[Parameter, ...]] = ()
    only_weights: ClassVar[bool] = False  # changes parameters alone: the result is a file of weights
    model_settings: ClassVar[str] = ""  # a group of `set` that it depends on: its argument `settings`
    reported_by: ClassVar[str] = ""  # an operation without inputs whose numbers say what became of the network
    measures: ClassVar[tuple[str, ...]] = ()  # of that operation: the columns of its table

    def in_model(
        self, arguments: Arguments, model: ModelDescription, make: Make
    ) -> tuple[tuple[Node, ...], Arguments, FieldType]:
        """Return the inputs, the parameters and the type of the node of a stage; the type's ``layers`` are those that
        change. Raises `Fail`, whose argument is one of ``model_parameters``."""
        raise NotImplementedError

    def change(self, node: Node, run: Run) -> NetworkChange:
        """Return how the network changes. ``run``: of the model that it changes, without inputs: `run.adapter`,
        `run.value` of atoms, `run.scanned` and `run.dataset`. The module itself stays as it is."""
        raise NotImplementedError

    def changed_layers(self, node: Node, model: ModelDescription) -> tuple[str, ...]:
        """Return the layers that the change is at: those whose result it changes, or, with ``only_weights``, those
        whose modules may hold another weight. All others change only where they depend on these."""
        return node.type.layers

    def rows(self, node: Node) -> int:
        """Return how many rows the table of `reported_by` has."""
        return 0

    def in_words(self, node: Node) -> str:
        """Describe the change, for the page: "channel 447 of block5c.expand set to zero"."""
        raise NotImplementedError

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        if self.only_in_models:
            help = f"as in `model b = a | {self.name}(...)`; then everything works on `b:some_layer`"
            raise Fail("E288", f"`{self.name}` changes a network, and stands in a `model` statement", help)
        return super().type(field, arguments)
