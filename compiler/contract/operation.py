"""The contract of an operation, a style and a method, and the registry that holds them.

An operation declares; it never touches the model. It says what it takes and gives (``type``), what it needs of the
model (``demands``) and how numbers become numbers (``kernel``, the only place that may import torch). Adding one is
adding a file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar.frozen import frozen


class Fail(Exception):
    """A type rule's plain complaint. The checker adds the place and the source.

    ``argument`` names the argument at fault; None means the operation as a whole.
    """

    def __init__(self, code: str, message: str, help: str | None = None, argument: str | None = None):
        super().__init__(message)
        self.code, self.message, self.help, self.argument = code, message, help, argument


REQUIRED = object()


@frozen
class Parameter:
    """One parameter. ``kind`` directs how its argument is read:

    integer, number, flag, text: literals, with ``minimum`` and ``maximum`` in ``unit``.
    word: one of ``choices``. axis: the name of an axis of the field. ranking: a word of ``choices`` or a class.
    target: what can be attributed to. atoms: an element, field or substrate. element: the name of an element.
    selection, condition, style, method, dataset: what they say. numbers: one, or three for the colours; numbers*: any
    number of them. contents: `activation`, `gradient(t)`, `attribute(t)`. compatible: groups of a later layer.
    measures: words of ``choices``. linked: atoms or a selection. fit: a field or a layer. layer: a layer. quoted: a
    word that may stand in quotes.
    """

    name: str
    kind: str
    doc: str
    default: Any = REQUIRED
    choices: tuple[str, ...] = ()
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    slides: bool = False  # a `slider(...)` may stand here

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


Rule = tuple[Any, ...]  # (method, parameters) whose rule changes the way back, or nothing


@frozen
class Activations:
    """The operation needs the activations of the field's layers."""

    layers: tuple[str, ...]


@frozen
class Gradients:
    """The operation needs d target / d activation at the field's layers, and the activations there.

    ``parts``: not empty where its numbers are inner products of the gradient with parts that are known before
    (`Operation.parts`), so that tangents find them as well as cotangents do; equal names stand for equal parts.
    ``rule``: a method's name and parameters, whose `Method.around` the network runs in; empty for plain derivatives.
    ``combined``: a sum or difference of classes is one score, since the numbers are not sums over its classes.
    """

    target: Node
    layers: tuple[str, ...]
    parts: str = ""
    rule: Rule = ()
    combined: bool = False


@frozen
class Reruns:
    """The operation needs a method that runs the network above a layer again for each activation that it visits
    (`Method.finds` says what for): gradients there (path methods, noise), values (masks), or masks that are learned."""

    target: Node
    layers: tuple[str, ...]
    method: tuple[str, tuple[tuple[str, Any], ...]]  # name and all parameters
    combined: bool = False  # as in `Gradients`


@frozen
class Trials:
    """The operation puts an attribution to the test and runs the network for it by itself: the attribution ``again``,
    to ``classes`` others where that is not 0; ``rows`` changed activations of its layer, ``each`` more for every
    target, and ``gradients`` from which every target is followed down. ``words`` name the test. ``of``: equal for tests
    that are one. ``baseline``: the picture that the attribution's own path starts from, empty for none.
    """

    target: Node
    layers: tuple[str, ...]
    words: str
    of: str
    again: int = 0
    classes: int = 0
    rows: int = 0
    each: int = 0
    gradients: int = 0
    baseline: str = ""


@frozen
class Scores:
    """The operation needs the scores of all classes."""


@frozen
class IconsOf:
    """The element needs an icon for every atom that one of its states can show."""


Demand = Activations | Gradients | Reruns | Trials | Scores | IconsOf


Make = Callable[..., Node]  # (operation, field, **arguments) -> node


class Operation:
    """Field in, field out.

    ``content``: the operation replaces the content and keeps atoms, order and states; a field needs a content before
    any other operation, and gets `activation` where the text names none.
    """

    name: ClassVar[str] = ""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    content: ClassVar[bool] = False
    available: ClassVar[bool] = True  # False: typed, and refused by `check` until its kernel is there
    plan: ClassVar[str] = ""  # what it will do, for that message
    head: ClassVar[bool] = False  # starts a pipe (substrate, output, selection): the text has syntax of its own for it
    example: ClassVar[str] = ""

    def type(self, field: FieldType, arguments: Mapping[str, Any]) -> FieldType:
        """The type of the result. ``arguments`` has a value for every parameter. Raises `Fail`."""
        raise NotImplementedError

    def refined(self, type: FieldType, arguments: Mapping[str, Any], registry: Registry) -> FieldType:
        """The type with what the words among the arguments stand for (methods): their unit and sign."""
        return type

    def expand(self, field: Node, arguments: Mapping[str, Any], make: Make) -> Mapping[str, Any]:
        """The arguments, with nodes among them of operations that this one is made of (``make``): what those demand is
        shared like everything else."""
        return arguments

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        """What the kernel will ask of the model. ``registry``: what the node's words stand for (methods)."""
        return ()

    def reduce(self, node: Node, layer: Any, activation: Any, gradient: Any, run: Any) -> Any:
        """For operations that demand gradients: some targets' gradients (target, input, *layer axes) at one layer, with
        its activation (input, *layer axes), reduced to the atoms' axes (target, input, *kept axes). Called as gradients
        arrive, so that none has to be kept."""
        raise NotImplementedError

    def parts(self, node: Node, layer: Any, activation: Any, atoms: Any, run: Any) -> Any:
        """For demands with ``parts``: what the gradient is multiplied with, (atom, input, *layer axes), for atoms given
        by their number in the layer (an array). Their tangents give what `reduce` gives."""
        raise NotImplementedError

    def collect(self, node: Node, layer: Any, cube: Any, run: Any) -> Any:
        """For operations that demand reruns: a method's finished contributions (target, input, *layer axes), reduced to
        (target, input, *kept axes)."""
        raise NotImplementedError

    def trial(self, node: Node, words: str, run: Any) -> Any:
        """For operations that demand `Trials`: runs the one that ``words`` name, once."""
        raise NotImplementedError

    def kernel(self, node: Node, inputs: tuple[Any, ...], run: Any) -> Any:
        """The result as a `runtime.field.Field`, from the input fields and ``run`` (values of other nodes, tensors)."""
        raise NotImplementedError


@frozen
class Drawn:
    """What a style makes of a field's axes: one axis along the slots, one as series, the rest are facets or states."""

    spent: tuple[str, ...]
    slots: Axis | None = None
    series: Axis | None = None
    cells: tuple[int, int] | None = None  # (y, x) of a map


class Style:
    """One way to draw a field. ``takes`` may be spent besides, when they are there."""

    name: ClassVar[str] = ""
    spends: ClassVar[str] = ""  # in words, for messages: "one axis of atoms"
    takes: ClassVar[tuple[str, ...]] = ()
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    overlays: ClassVar[bool] = False  # may be drawn `over=` another element
    carries: ClassVar[bool] = False  # other elements may be drawn into it
    coloured: ClassVar[bool] = False  # `color=` says what the colour of its bars shows
    available: ClassVar[bool] = True
    example: ClassVar[str] = ""

    def spend(self, field: FieldType) -> Drawn:
        """Which axes are drawn. Raises `Fail` where the field cannot be drawn like this."""
        raise NotImplementedError

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        """(the most marks that a panel shows at once, the numbers that the page carries for them in each state): what
        bounds an element's size. A map is one picture, whatever its cells."""
        if drawn.cells is not None:
            return 0, 0
        sizes = [axis.size for axis in (drawn.slots, drawn.series) if axis is not None]
        return math.prod(sizes), math.prod(sizes)

    def demands(self, node: Node) -> tuple[Demand, ...]:
        return ()

    def objectives(self, node: Node, field: Any, run: Any) -> tuple[Any, list[Any]]:
        """For styles that demand icons: what each atom's icon maximizes, as numbers into a list of objectives."""
        raise NotImplementedError

    def drawn(self, field: Any) -> Any:
        """What of a field is drawn: itself, or what it carries along."""
        return field

    def panels(self, drawing: Any) -> tuple[Any, ...]:
        """Plain panels for the view model, from numbers (runtime/view/drawing.py)."""
        raise NotImplementedError

    def notes(self, drawing: Any) -> tuple[str, ...]:
        """What the legend says of this way to draw, besides quantity, unit and scale."""
        return ()

    def options(self, drawing: Any) -> dict[str, object]:
        """What the chart is told besides the panels."""
        return {}

    def chart(self, element: Any, theme: Any) -> Any:
        """The element as an Altair chart or a Vega-Lite specification, from the view model. The built-in styles have
        theirs in runtime/charts, so that nothing but drawing imports Altair."""
        raise NotImplementedError


AXIOMS = {
    "sensitivity_a": "a part in which alone input and baseline differ, where the scores differ too, gets a "
    "contribution (Sundararajan et al. 2017)",
    "sensitivity_b": "a part that the score does not depend on gets none (Sundararajan et al. 2017; dummy)",
    "implementation_invariance": "contributions do not depend on how a function is written: they are the same before "
    "and after batch norms are folded (Sundararajan et al. 2017, of any two networks with the same function)",
    "completeness": "contributions add up to what the score differs by from that at the baseline (Sundararajan et al. "
    "2017)",
    "linearity": "the contributions to a f + b g are a times those to f plus b times those to g (Sundararajan et al. "
    "2017)",
    "symmetry": "parts that may change places without changing the function, with equal values here and at the "
    "baseline, get equal contributions (Sundararajan et al. 2017)",
    "conservation": "in a network without biases, contributions add up to the same at every layer: the score, or, of "
    "probabilities, 1 (Bach et al. 2015)",
}


class Method:
    """One attribution method: how much each atom contributed to the target.

    One that needs a single gradient has `contribution`. One that ``reruns`` the network above the layer says which
    activations it visits and what it makes of the gradients there (`visit`, `weights`, `finish`); or, where it
    ``finds`` values, how it masks positions and what it makes of the target's values then (`mask`, `credit`, `settle`);
    or, where it finds masks, how it learns them (`learn`).
    """

    name: ClassVar[str] = ""
    known_as: ClassVar[tuple[str, ...]] = ()  # other names of it, or of methods that it stands nearest to, for messages
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    source: ClassVar[str] = ""
    axioms: ClassVar[tuple[str, ...]] = ()  # those of `AXIOMS`, in order, that it satisfies at the input by default
    available: ClassVar[bool] = True
    maps_only: ClassVar[bool] = False  # defined at layers with positions only
    input_only: ClassVar[bool] = False  # defined at the input only
    linear: ClassVar[bool] = False  # the contribution is activation x gradient
    rule: ClassVar[bool] = False  # the network runs in `around`
    layered: ClassVar[bool] = False  # `maps` of the layer that the parameter `layer` names, resized to the field's own
    reruns: ClassVar[bool] = False
    finds: ClassVar[str] = "gradients"  # what the reruns are for: `gradients`, `values` of masked layers, `masks`
    keeps: ClassVar[bool] = False  # of masks: what they keep gets the credit; else what they hide
    atoms: ClassVar[tuple[str, ...]] = ()  # the atoms that it is defined for; all where empty
    unit: ClassVar[str] = ""  # of its numbers, where they are not in the target's
    signed: ClassVar[bool] = True  # whether its numbers can be negative
    redistributes: ClassVar[bool] = False  # its numbers are shares of the score, not made from a gradient
    completes: ClassVar[bool] = False  # contributions add up to the score's difference from that at the baseline
    insensitive: ClassVar[str] = ""  # a sentence with its reference, where the result hardly depends on the class

    def contribution(self, activation: Any, gradient: Any) -> Any:
        """Contribution of every entry of a layer to some targets, before the sum over an atom's part.

        activation (input, *layer axes); gradient and the result (target, input, *layer axes).
        """
        raise NotImplementedError

    def note(self, parameters: Mapping[str, Any]) -> str:
        """What a reader has to know of the numbers, for the legend: where they are no contributions."""
        return ""

    def additive(self, parameters: Mapping[str, Any]) -> bool:
        """Whether contributions to a sum of scores are the sums of those to each: then classes are followed one by
        one, and serve every sum that they are in. Else a sum or difference is followed as one score."""
        return True

    def maps(self, activation: Any, gradient: Any) -> Any:
        """For methods with ``layer``: one number a position, (target, input, y, x), from a layer's maps.

        activation (input, channel, y, x); gradient (target, input, channel, y, x).
        """
        raise NotImplementedError

    def around(self, parameters: Mapping[str, Any]) -> Any:
        """For methods with a ``rule``: a context manager that the forward runs in, such as a torch function mode that
        gives operations another derivative."""
        raise NotImplementedError

    def ruled(self, parameters: Mapping[str, Any]) -> bool:
        """Whether the network runs in `around` where it runs again."""
        return self.rule

    def visits(self, parameters: Mapping[str, Any]) -> int:
        """How many activations are visited for each input; of a method that goes on until it is good enough, the most.
        That of a single gradient visits the layer's own."""
        return 1

    def attempts(self, parameters: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        """Parameters to try one after the other until the completeness error is below the parameter `tolerance`."""
        return (parameters,)

    def rivals(self, parameters: Mapping[str, Any], classes: int) -> int:
        """How many classes compete with the target (`compete`): those with the highest scores; 0 for none."""
        return 0

    def baseline(self, parameters: Mapping[str, Any]) -> str | None:
        """The picture that the path starts from (see runtime/inputs); None where there is no path."""
        return None

    def visit(self, parameters: Mapping[str, Any], start: int, stop: int, activation: Any, baseline: Any) -> Any:
        """The activations number start to stop that are visited: (visit, input, *layer axes), whatever the chunk.
        ``baseline``: the layer's activation for the baseline picture, (input, *layer axes)."""
        return activation[None].expand(stop - start, *activation.shape)

    def gather(self, parameters: Mapping[str, Any], activation: Any, baseline: Any) -> Any:
        """What takes the gradients in: an object with `add(visit, point, gradient)`, called for
        every visit in order with the activation visited (input, *layer axes) and the gradient there (target, input,
        *layer axes), and `result()`, the contributions. None: their sum by `weights`, then `finish`; for a method of a
        single gradient, `contribution`."""
        return None

    def compete(self, contribution: Any, highest: Any, lowest: Any) -> Any:
        """For methods with `rivals`: what is left of contributions (target, input, *layer axes), from the highest and
        lowest of all rivals at each entry, (input, *layer axes)."""
        raise NotImplementedError

    def weights(self, parameters: Mapping[str, Any]) -> Any:
        """The weight of each visit's gradient in their sum: (visit,), a numpy array."""
        raise NotImplementedError

    def finish(self, parameters: Mapping[str, Any], total: Any, activation: Any, baseline: Any) -> Any:
        """Contributions (target, input, *layer axes) from the weighted sum of the gradients, of the same shape."""
        raise NotImplementedError

    def suits(self, parameters: Mapping[str, Any], size: tuple[int, int]) -> None:
        """Raises `Fail` for parameters that a layer of this size, (y, x), cannot have. For methods with ``atoms``."""

    def masks(self, parameters: Mapping[str, Any], size: tuple[int, int]) -> int:
        """How many masks a layer of this size has; of one that learns them: how many steps that takes."""
        raise NotImplementedError

    def mask(self, parameters: Mapping[str, Any], start: int, stop: int, size: tuple[int, int], seed: int) -> Any:
        """Masks number start to stop, (mask, y, x) in [0, 1], a torch tensor on the CPU: 1 keeps what the layer has at
        a position, 0 puts the `baseline`'s there. The same whatever the chunk."""
        raise NotImplementedError

    def credit(self, parameters: Mapping[str, Any], values: Any, own: Any) -> Any:
        """What each mask's positions get, those that it ``keeps`` or those that it hides: (target, row).

        values (target, row): the target's for a masked layer; own (target, row): for the layer as it is.
        """
        raise NotImplementedError

    def settle(self, parameters: Mapping[str, Any], total: Any, hidden: Any, mean: Any) -> Any:
        """Contributions (target, input, y, x) from what positions got from all masks, of the same shape. hidden (y, x):
        the sum of 1 - mask. mean (target, input): of the credits of all masks."""
        raise NotImplementedError

    def bytes_each(self, parameters: Mapping[str, Any], size: tuple[int, int]) -> int:
        """Memory that learning one mask for pictures of this size, (y, x), takes besides the network's."""
        raise NotImplementedError

    def learn(self, parameters: Mapping[str, Any], task: Any) -> Any:
        """Masks (row, y, x) by gradient steps, for all rows of a `runtime.learning.Task` at once."""
        raise NotImplementedError


def bound(registry: Registry, method: Any, **more: Any) -> tuple[Method, dict[str, Any]]:
    """A method and all of its parameters, from a name or (name, parameters): those that were given, and defaults. A
    method among them is such a pair itself. ``more``: what methods get besides, such as the file's seed."""
    name, given = (method, ()) if isinstance(method, str) else method
    kind: Method = registry.methods[name]
    values = {p.name: p.default for p in kind.parameters} | dict(given)
    inner = {p.name: bound(registry, values[p.name], **more) for p in kind.parameters if p.kind == "method"}
    return kind, values | inner | more


def spelled(registry: Registry, method: Any) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """(name, all parameters in order) of a method that was given some of them: equal where the methods are."""
    name, given = (method, ()) if isinstance(method, str) else method
    kind: Method = registry.methods[name]
    values = {p.name: p.default for p in kind.parameters} | dict(given)
    for p in kind.parameters:
        if p.kind == "method":
            values[p.name] = spelled(registry, values[p.name])
    return name, tuple(sorted(values.items()))


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The nearest known word, where one is near enough to be what was meant."""
    from rapidfuzz import fuzz, process  # seldom needed, and not quickly imported

    found = process.extractOne(word, list(known), scorer=fuzz.ratio, processor=str.lower, score_cutoff=60)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    near = suggest(word, known)
    return f"did you mean `{near}`?" if near else otherwise


@dataclass
class Registry:
    """Everything that has a name in the language. Filled by the front door; ``find`` loads plugins on first use."""

    operations: dict[str, Operation] = field(default_factory=dict)
    styles: dict[str, Style] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)
    describe: Callable[[str], Any] | None = None  # registry name -> ModelDescription
    models: Callable[[], tuple[str, ...]] = lambda: ()
    discover: Callable[[str, Registry], bool] | None = None

    def find(self, group: str, name: str) -> Any | None:
        table: dict[str, Any] = getattr(self, group)
        if name not in table and self.discover is not None:
            self.discover(group, self)
        return table.get(name)
