"""Selections: what a reader can choose, as an axis of states."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, TypeAlias

from bbilang.compiler.check.arguments.binding import SOME_LAYER, CheckError, at, bind, describe, literal, numbers_of
from bbilang.compiler.check.class_names import class_index
from bbilang.compiler.check.fields import FieldReader
from bbilang.compiler.check.scope import Scope
from bbilang.compiler.check.targets import TARGET
from bbilang.compiler.contract import Fail, Parameter, suggest
from bbilang.compiler.ir.models import is_stack
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import ATOMS, LASSO, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import NOWHERE

Which: TypeAlias = tuple[Any, ...]  # of `output`: a word, and what it needs
SELECTIONS = ("hover", "click", "pick", "slider", LASSO)
TITLE = Parameter(
    "title",
    "text",
    "the name of the choice, beside its menu and in the page's address; by default the name of the binding",
    "",
)
PARAMETERS = (
    Parameter("of", "atoms", "an element, a field or a substrate whose atoms the reader chooses from"),
    Parameter(
        "start",
        "start",
        "what is selected at first: by default the first atom drawn, or the middle of a map; `none` for nothing",
        "first",
    ),
    TITLE,
)


# Names of axes, which no selection may have.
RESERVED = {*ATOMS, "input", "layer", "y", "x", "class", "target", "term", "slot", "method", "measure"}

SLIDER = (
    Parameter("from", "number", "the lowest number"),
    Parameter("to", "number", "the highest number"),
    Parameter("step", "number", "distance from one number to the next", 1.0, minimum=1e-6),
    Parameter("start", "number", "the number at first: by default the lowest", None),
    TITLE,
)


BY_BINS = ("hover", "click")  # selections of a bin of an atlas, which encloses examples as a lasso does
ENCLOSING = (
    Parameter("of", "atoms", "a map: an element that draws the examples of a dataset as points, or in bins"),
    Parameter("title", "text", "what the part is called beside others; by default the name of the binding", ""),
)


class SelectionReader:
    """Reads `hover(x)`, `click(x)`, `pick(x)`, `slider(...)` and `lasso(x)`."""

    def __init__(self, scope: Scope, fields: FieldReader):
        self.scope, self.fields = scope, fields
        self.ids: dict[str, str] = {}  # id -> digest of its node

    def read(self, expression: ast.Expression) -> Node:
        """Check an argument that must be a selection. Raises CheckError E233."""
        value = self.scope.value(expression)
        if isinstance(value, Node) and value.type.content == "selection":
            return value
        shown = expression.name if isinstance(expression, ast.Path) else "..."
        help = f"write how the reader chooses: `hover({shown})`"
        raise at(expression.span, "E233", f"{describe(expression)} is not a selection", help)

    def make(self, call: ast.Call) -> Node:
        """Build the selection of a call. Raises CheckError E213, E214, E306 and those of its argument."""
        name, self.scope.name = self.scope.name, None
        if call.name == "slider":
            return self._slider(call, name)
        if call.name == LASSO or (call.name in BY_BINS and self._bins(call.arguments)):
            return self._lasso(call, name)
        starts: list[ast.Expression] = []  # checked later: it depends on what the selection ranges over

        def read(value: ast.Expression, parameter: Parameter) -> Any:
            if parameter.kind == "atoms":
                field = self.fields.field(value)
                return field.inputs[0] if is_stack(field) else field
            if parameter is TITLE:
                return literal(value, parameter)
            starts.append(value)
            return None

        arguments, _ = bind(call.name, call.span, call.arguments, PARAMETERS, read)
        over: Node = arguments["of"]
        of = call.arguments[0].value
        axis = self._range(over, of)
        start: Any = self._start(starts[0], axis, over) if starts else "first"
        shown = self.scope.element_names.get(over) or (of.name if isinstance(of, ast.Path) else over.type.atom)
        preferred = name if name and name not in RESERVED else f"{call.name}-{(name or shown).replace('.', '-')}"
        parameters = {"over": over, "start": start, "components": axis.components, "title": arguments["title"] or ""}
        identity = self._identity(preferred, call.name, parameters, over.type, name)
        if isinstance(start, Node):  # a state of its own
            axis = replace(axis, size=axis.size + 1, exact=False)
        if isinstance(start, tuple) and not _surely_inside(over, start):  # a state of its own where it is none of them
            most = axis.size if "group" in axis.components else self._atom_count(over.type, axis.components)
            axis = replace(axis, size=min(axis.size + 1, most), exact=False)
        axis = Axis(identity, axis.size, axis.components, axis.exact)
        family = over.type.family if "group" in axis.components else ""
        type = FieldType("selection", over.type.atom, over.type.layers, (axis,), model=over.type.model, family=family)
        return self.scope.make(call.name, (), {**parameters, "id": identity}, type, call.span)

    def _identity(self, preferred: str, op: str, parameters: dict[str, Any], type: FieldType, name: str | None) -> str:
        """Return a unique id for a selection; equal selections with the same title share one."""
        said = name or "", parameters["title"]  # a node's digest leaves out its title
        key = Node(op, (), tuple(sorted({**parameters, "id": said}.items())), type).digest
        identity, number = preferred, 2
        while self.ids.setdefault(identity, key) != key:
            identity, number = f"{preferred}-{number}", number + 1
        return identity

    def _slider(self, call: ast.Call, name: str | None) -> Node:
        """Build a number that the reader chooses: every step of the range is a state, and so is a start between two
        steps."""
        arguments, spans = bind(call.name, call.span, call.arguments, SLIDER, literal)
        low, high, step, start, title = (arguments[p.name] for p in SLIDER)
        if high < low:
            raise at(spans["to"], "E214", f"the slider ends at {high:g}, before it starts at {low:g}")
        count = int((high - low) / step + 1e-9) + 1
        if count > 4096:
            raise at(call.span, "E305", f"this slider has {count} steps, and 4096 is the most", "use a larger step")
        if start is not None and not low <= start <= high:
            raise at(spans["start"], "E214", f"`start` is {start:g}, and the slider goes from {low:g} to {high:g}")
        values = tuple(low + step * number for number in range(count))
        start = low if start is None else start
        near = next((value for value in values if abs(start - value) <= 1e-9 * step), None)
        if near is None:
            values = tuple(sorted((*values, start)))
        start = start if near is None else near
        preferred = name if name and name not in RESERVED else f"slider-{low:g}-{high:g}"
        parameters = {"from": low, "to": high, "step": step, "start": values.index(start), "values": values}
        parameters["title"] = title or ""
        identity = self._identity(preferred, call.name, parameters, FieldType("selection", "number", (), ()), name)
        parameters["id"] = identity
        type = FieldType("selection", "number", (), (Axis(identity, len(values), ("value",)),))
        return self.scope.make("slider", (), parameters, type, call.span)

    def _lasso(self, call: ast.Call, name: str | None) -> Node:
        """Build the part of the examples that a reader encloses in a map: one state, with which the page computes."""

        def read(value: ast.Expression, parameter: Parameter) -> object:
            return self.fields.field(value) if parameter.kind == "atoms" else literal(value, parameter)

        arguments, spans = bind(call.name, call.span, call.arguments, ENCLOSING, read)
        over: Node = arguments["of"]
        style = self.scope.registry.styles[over["style"]] if over.op == "present" else None
        bins = style is not None and style.gathers
        if bins and call.name == LASSO:
            message = f"{describe(call.arguments[0].value)} shows bins, and a reader chooses one of them"
            raise at(spans["of"], "E306", message, "as in `click(...)` or `hover(...)`")
        if style is None or not (bins or style.encloses(over)):
            help = "a map: `map = ... | across(photos) | project(pca, 2, along=channel) | present(scatter)`"
            message = f"{describe(call.arguments[0].value)} has no points of examples to draw around"
            raise at(spans["of"], "E306", message, help)
        shown = self.scope.element_names.get(over) or "map"
        preferred = name if name and name not in RESERVED else f"{call.name}-{shown.replace('.', '-')}"
        parameters = {"over": over, "start": None, "components": (LASSO,), "title": arguments["title"]}
        type = FieldType("selection", "example", over.type.layers, (), model=over.type.model, columns=over.type.columns)
        identity = self._identity(preferred, call.name, parameters, type, name)
        type = replace(type, axes=(Axis(identity, 1, (LASSO,)),))
        parameters |= {"id": identity, "called": name or "", **({"by": call.name} if bins else {})}
        return self.scope.make(LASSO, (), parameters, type, call.span)

    def _bins(self, arguments: tuple[ast.Argument, ...]) -> bool:
        """Return whether a selection is of the bins of an element."""
        of = arguments[0].value if arguments else None
        binding = self.scope.find(of.name) if isinstance(of, ast.Path) else None
        over = binding.value if binding is not None else None
        return isinstance(over, Node) and over.op == "present" and self.scope.registry.styles[over["style"]].gathers

    def _range(self, over: Node, expression: ast.Expression) -> Axis:
        """Return the axis of states: every atom that ``over`` shows, in any of its own states. Raises CheckError
        E306."""
        type = over.type
        style = self.scope.registry.styles[over["style"]] if over.op == "present" else None
        if style is not None and style.gathers:
            message = f"{describe(expression)} shows bins, each of which stands for several positions"
            help = "`hover` and `click` choose a bin, and what follows is computed of the examples in it"
            raise at(expression.span, "E306", message, help)
        if style is not None and style.shows_input and type.axis("example") is None:
            message = f"{describe(expression)} shows every layer's positions"
            raise at(expression.span, "E306", message, f"name the layer: `hover({SOME_LAYER}.spatial)`")
        axes = type.atom_axes if type.atom != "class" else tuple(a for a in type.axes if a.name == "class")
        components = tuple(c for axis in axes for c in axis.components)
        if not components and type.atom == "class":
            message = f"{describe(expression)} is one class, and a reader chooses among several"
            raise at(expression.span, "E306", message, "as in `pick(output[top(5)])`")
        if not components:
            help = "a selection ranges over positions, channels, neurons or classes"
            raise at(expression.span, "E306", f"{describe(expression)} has no atoms to choose from", help)
        if components == TARGET:
            message = f"{describe(expression)} holds sums or differences, and a reader chooses classes"
            help = "select each class by itself, as in `output[a] - output[b]`"
            raise at(expression.span, "E306", message, help)
        size, exact = math.prod(axis.size for axis in axes), all(axis.exact for axis in axes)
        total = size if {"group", "example"} & set(components) else self._atom_count(type, components)
        if size > total:  # layers of different sizes
            size, exact = total, over.op == "substrate"
        inputs = next((a.size for a in type.axes if a.name == "input"), 1)
        varies = bool(type.states) or inputs > 1
        if varies and over.op not in ("substrate", "output"):
            size, exact = min(size * type.state_count * inputs, total), False
        elif varies and over.op == "output" and _which(over)[0] == "top":
            size, exact = min(size * inputs, total), False
        return Axis("selection", size, components, exact)

    def _atom_count(self, type: FieldType, components: tuple[str, ...]) -> int:
        """Return the largest number of atoms that the layers can have."""
        if components == ("class",):
            return self.scope.context(type.model, NOWHERE).description.classes
        context = self.scope.context(type.model, NOWHERE)
        layers = [context.known_layer(name).sizes for name in type.layers]
        return sum(math.prod(size for axis, size in sizes.items() if axis in components) for sizes in layers)

    def _check_coordinates(
        self, numbers: tuple[int, ...], components: tuple[str, ...], type: FieldType, value: ast.List
    ) -> None:
        """Raise CheckError E214 for coordinates that the layers do not have."""
        coordinates = dict(zip(components, numbers, strict=True))
        layers = type.layers
        if "layer" in coordinates:
            layer = coordinates["layer"]
            layers = layers[layer : layer + 1] if layer >= 0 else ()
        for item, (component, number) in zip(value.items, coordinates.items(), strict=True):
            if component == "class":
                size = self.scope.context(type.model, NOWHERE).description.classes
            elif component == "layer":
                size = len(type.layers)
            elif component == "group":
                size = next(axis.size for axis in type.axes if component in axis.components)
            else:
                context = self.scope.context(type.model, NOWHERE)
                size = max((context.known_layer(name).sizes[component] for name in layers), default=0)
            if not 0 <= number < size:
                raise at(
                    item.span, "E214", f"{component} {number} is outside 0..{size - 1}", "positions count from zero"
                )

    def _start(self, value: ast.Expression, axis: Axis, over: Node) -> Any:
        """Return the initial state of a selection: a number, coordinates, a class, a score, or None. Raises CheckError
        E213, E214."""
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        if isinstance(value, ast.Number) and isinstance(value.value, int):
            if not 0 <= value.value < axis.size:
                message = f"`start` is {value.value}, and the selection goes from 0 to {axis.size - 1}"
                raise at(value.span, "E214", message)
            return value.value
        if isinstance(value, ast.List) and (numbers := numbers_of(value)) is not None:
            whole = tuple(number for number in numbers if isinstance(number, int))
            if len(whole) == len(numbers):
                return self._coordinates(whole, value, axis, over.type)
        if isinstance(value, ast.String) and axis.components == ("class",):
            try:
                return (class_index(self.scope.model.description, value.value),)
            except Fail as fail:
                raise CheckError(fail, value.span) from fail
        if isinstance(value, ast.Path | ast.Index):
            base = value.value if isinstance(value, ast.Index) else value
            if isinstance(base, ast.Path) and base.name == "output" and base.model is None:
                return self._output(value, axis)
        help = "a start is a number, coordinates as in `[6, 6]`, a class name, or `none`"
        if isinstance(value, ast.Path) and value.name != "none" and suggest(value.name, ["none"]):
            help = "did you mean `none`?"
        raise at(value.span, "E213", f"`start` cannot be {describe(value)}", help)

    def _coordinates(self, numbers: tuple[int, ...], value: ast.List, axis: Axis, type: FieldType) -> tuple[int, ...]:
        if len(numbers) != len(axis.components):
            message = f"coordinates here are {len(axis.components)} numbers: {', '.join(axis.components)}"
            raise at(value.span, "E213", message)
        self._check_coordinates(numbers, axis.components, type, value)
        return numbers

    def _output(self, value: ast.Expression, axis: Axis) -> Node:
        """Resolve `start=output`: until the reader chooses an atom, linked fields are linked to the output."""
        if axis.components == ("class",):
            raise at(value.span, "E213", "this selection is of classes, and starts at one", 'name it: `start="tabby"`')
        target: Node = self.scope.value(value)
        if target.type.axis("class") is not None or target.type.states:
            raise at(value.span, "E213", "a selection starts at one score", "as in `start=output`")
        return target


def _which(over: Node) -> Which:
    """Return which classes some scores are of, whichever model chooses them."""
    which: Which = over["which"]
    return _which(which[1]) if which[0] == "of" else which


def _surely_inside(over: Node, start: tuple[int, ...]) -> bool:
    """Return whether a start is known to be in the range before anything runs."""
    if over.op == "output":
        kind, *rest = _which(over)
        return bool(kind == "all" or (kind == "classes" and start[0] in rest[0]))
    return over.op == "substrate"
