"""The contract of an operation: field in, field out.

An operation declares; it never touches the model. It says what it takes and gives (``type``), what it needs of the
model (``demands``) and how numbers become numbers (``kernel``, the only part that may import torch). Adding one is
adding a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from bbilang.compiler.contract.demands import Demand
from bbilang.compiler.contract.parameters import Fail, Parameter
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.ast import Argument

if TYPE_CHECKING:  # what checks a text must not load torch and numpy
    from numpy import floating
    from numpy.typing import NDArray
    from torch import Tensor

    from bbilang.compiler.contract.batch import Batch, TensorField
    from bbilang.compiler.contract.registry import Registry
    from bbilang.compiler.contract.run import Run
    from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription
    from bbilang.runtime.fields.field import Field


Make = Callable[..., Node]  # (operation, field, **arguments) -> node
Written: TypeAlias = tuple["str | Node", ...]  # words of a text; a selection where what the reader chose stands


class Writer(Protocol):
    """Writes parts of a text that stand inside of a stage."""

    def classes_text(self, indices: Sequence[int]) -> str | None:
        """Return scores of classes as written in `output[...]`; None where they are in different boxes."""

    def field_text(self, node: Node) -> Written | None:
        """Write a pipe that results in the same atoms; None if a text has no words for them."""

    def stage_text(self, node: Node) -> Written | None:
        """Write the last stage of that pipe, with its name."""


Arguments: TypeAlias = Mapping[str, Any]  # a value for every parameter, of the type that its ``kind`` says


class Operation:
    """Field in, field out.

    ``content``: the operation replaces the content and keeps atoms, order and states; a field needs a content before
    any other operation, and gets `activation` where the text names none.
    """

    name: ClassVar[str] = ""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    content: ClassVar[bool] = False
    merges_classes: ClassVar[bool] = False  # a sum or difference of classes may be followed as one score for it
    adds_up: ClassVar[bool] = False  # its numbers add up to what those that it is given do, or to a share of it
    decomposable: ClassVar[bool] = True  # of a content: a factorization can be of it
    factors: ClassVar[tuple[str, ...]] = ()  # the atoms that groups are made of, as in `groups.spatial`
    factor: ClassVar[str] = "factor"  # the operation that gives them
    settings: ClassVar[str] = ""  # a group of `set` that it depends on: its argument `settings`
    of_channels: ClassVar[bool] = False  # makes atoms of all channels of a layer, before any content
    directs: ClassVar[bool] = False  # its atoms have directions, which add and subtract: `a - b + c`
    selects: ClassVar[bool] = False  # keeps some of the atoms, or changes their order, by their numbers
    pure: ClassVar[bool] = False  # computes from the field's numbers alone, each input apart
    intervenes: ClassVar[bool] = False  # says how atoms change; what that does is an operation of its own
    mixes_inputs: ClassVar[bool] = False  # an input takes parts of another, which has as many tokens
    of_interventions: ClassVar[bool] = False  # gives numbers of atoms that an intervention changes
    of_datasets: ClassVar[bool] = False  # applies to a dataset as such, whose columns are its numbers
    of_datasets_only: ClassVar[bool] = False  # and to nothing else
    over_examples: ClassVar[bool] = False  # of the pipe before it, which is computed for each example of a dataset
    retrieves: ClassVar[bool] = False  # finds the examples of a dataset that excite an atom most
    takes_parts: ClassVar[bool] = False  # its datasets may be parts that a reader encloses with a lasso
    evidence: ClassVar[str] = ""  # the parameter that names the score that its numbers are evidence for
    discourages: ClassVar[bool] = False  # makes a network of another one, in which some evidence counts less
    controls: ClassVar[str] = ""  # the parameter that says with how many random sets the numbers are compared
    hands_over: ClassVar[bool] = False  # lets a reader choose along its axes
    draws: ClassVar[bool] = False  # ends a pipe: what is drawn is no field any more
    numbers_only: ClassVar[bool] = False  # changes numbers, and neither which atoms there are nor their order
    idempotent: ClassVar[bool] = False  # a second time with the same arguments, it changes nothing
    keeps_least: ClassVar[str] = ""  # of two of it in a row, equal but for this argument, the smaller one counts
    commutes: ClassVar[bool] = False  # along one axis and then another, it gives what it does in the other order
    head: ClassVar[bool] = False  # starts a pipe (substrate, output, selection): the text has syntax of its own for it
    called: ClassVar[bool] = False  # of a head: a call of layers starts the pipe (`started`)
    indices: ClassVar[
        Mapping[str, str]
    ] = {}  # of such a call: word in an index behind it -> the axis that it picks from
    example: ClassVar[str] = ""
    example_needs: ClassVar[str] = ""  # what its model has and no network that ships does; empty where it checks

    without_input: ClassVar[bool] = False  # its numbers may be of weights alone, though its pipe starts with a layer
    crosses_models: ClassVar[bool] = False  # its arguments may be atoms of an unrelated model
    changes_model: ClassVar[bool] = False  # may change a network: `model b = a | ablate(...)` (`ModelChange`)

    def filled(self, arguments: Sequence[Argument]) -> Sequence[Argument]:
        """Return the arguments of a call that starts a pipe, with those named that mean other parameters than their
        positions say."""
        return arguments

    def started(self, arguments: Arguments, model: ModelDescription) -> tuple[Arguments, FieldType]:
        """Return the parameters and the type of a pipe that a call of layers (by name) starts. Raises `Fail`."""
        raise NotImplementedError

    def controls_of(self, type: FieldType) -> str:
        """Return the parameter that says with how many random sets numbers of this type are compared; empty for
        none."""
        return self.controls

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        """Return the type of the result. ``arguments`` has a value for every parameter. Raises `Fail`."""
        raise NotImplementedError

    def two_ended(self, node: Node) -> bool:
        """Return whether the directions of the atoms that a node makes count both ways, so that a picture of one shows
        half of what it tells apart."""
        return False

    def keeps_most(self, node: Node) -> bool:
        """Return whether no other linear map to as many numbers keeps more of the field's norm (Eckart and Young
        1936)."""
        return False

    def neutral(self, field: FieldType) -> bool:
        """Return whether the numbers of such a field stay as they are."""
        return False

    def refined(self, type: FieldType, arguments: Arguments, registry: Registry) -> FieldType:
        """Refine the type by what names among the arguments stand for: the unit and sign of a method."""
        return type

    def within(self, arguments: Arguments, description: ModelDescription) -> Arguments:
        """Add to the arguments what depends on the description of the whole network; asked before `type`. Raises
        `Fail`."""
        return arguments

    def shaped(self, type: FieldType, arguments: Arguments, layers: Sequence[LayerDescription]) -> FieldType:
        """Add the axes that depend on the descriptions of the field's layers. Raises `Fail`."""
        return type

    def follows(self, field: FieldType, arguments: Arguments) -> bool:
        """Return whether a page can apply the operation again to the examples that a lasso encloses: it reduces them to
        one number each, or only passes numbers on."""
        return False

    def reduces_examples(self, node: Node) -> tuple[str, float] | None:
        """Return how a node makes one number of those of all examples, and the number that this depends on; None where
        it does not."""
        return None

    def ranks(self, node: Node) -> tuple[int, bool, bool] | None:
        """Return (how many atoms a node keeps, whether the smallest, whether by magnitude) where it only keeps one end
        of their order; else None."""
        return None

    def labels(self, node: Node) -> tuple[str, ...]:
        """Return what the atoms that a node makes are called, where a text can pick them by that: `c["striped"]`."""
        return ()

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        """Add to the arguments the nodes of operations that this one is made of (``make``); what those demand is shared
        like everything else."""
        return arguments

    def fed(self, field: Node, arguments: Arguments, registry: Registry) -> tuple[Node, ...]:
        """Return the inputs of the node: the field, unless it is computed for each example of a dataset and not for the
        page. Raises `Fail` where it cannot be."""
        return (field,)

    def written(self, node: Node, writer: Writer) -> Written | None:
        """Write the stage as a text would apply it to a single atom. None if one atom does not need it, as a ranking,
        and for a content that a text has no words for, as that of several methods; no words at all for the default
        content. For a ``head``, the start of the pipe."""
        return None

    def phrase(self, node: Node, registry: Registry) -> str:
        """Say what the operation makes of its field, for a sentence about a pipe: "the 8 highest". By default what it
        adds to the legend, or its name."""
        (field, *_) = node.inputs
        added = node.type.steps[len(field.type.steps) :]
        return ", ".join(added) or self.name.replace("_", " ")

    def linear(self, arguments: Arguments) -> bool:
        """Return whether a content's number of a direction is the sum of those of channels, weighted by its entries."""
        return False

    def everywhere(self, node: Node, registry: Registry) -> tuple[tuple[str, Arguments], ...]:
        """Return the contents (operation, arguments) of a layer's neurons from which a content of directions follows
        that is not linear; () where it cannot be computed so."""
        return ()

    def along(
        self, node: Node, cubes: Sequence[NDArray[floating]], vectors: NDArray[floating], registry: Registry
    ) -> NDArray[floating]:
        """Compute a content of directions from those of `everywhere`, (example, ..., channel, position) each, and the
        vectors of the directions (concept, channel): (example, ..., concept)."""
        raise NotImplementedError

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        """Return what the kernel needs of the model. ``registry`` has the methods that the node names."""
        return ()

    def reduce(self, node: Node, layer: LayerDescription, activation: Tensor, gradient: Tensor, run: Run) -> Tensor:
        """Reduce gradients at one layer to the atoms' axes, for operations that demand gradients.

        activation (input, *layer axes); gradient (target, input, *layer axes), of some of the targets; the result
        (target, input, *atom axes). Called as gradients arrive, so that none has to be stored.
        """
        raise NotImplementedError

    def parts(self, node: Node, layer: LayerDescription, activation: Tensor, atoms: NDArray[Any], run: Run) -> Tensor:
        """Return what the gradient is multiplied with, (atom, input, *layer axes), for demands with ``parts``.

        atoms: their numbers in the layer. The jvp of these tangents gives what `reduce` gives.
        """
        raise NotImplementedError

    def collect(self, node: Node, layer: LayerDescription, cube: Tensor, run: Run) -> Tensor:
        """Reduce a method's contributions (target, input, *layer axes) to (target, input, *atom axes), for operations
        that demand reruns."""
        raise NotImplementedError

    def trial(self, node: Node, words: str, run: Run) -> None:
        """Run the test named ``words``, once, for operations that demand `Trials`."""
        raise NotImplementedError

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        """Compute the result from the input fields and what the run has (values of other nodes, tensors)."""
        raise NotImplementedError

    def differentiable(self, node: Node, value: TensorField | None, batch: Batch, registry: Registry) -> TensorField:
        """Compute the result for each example of a batch, with its graph, for a penalty (`bbilang.penalty`). ``value``:
        of the input field; None for a substrate, which has no numbers. Raises `Fail` E480 where there is no such
        form."""
        raise Fail("E480", f"`{self.name}` has no derivative that a penalty could use",
                   "`abs`, `relu`, `sum`, `mean`, `norm`, `std`, `min` and `max` have one")  # fmt: skip
