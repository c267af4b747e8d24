"""Arguments of operations that are more than literals: methods, axes, conditions, rankings, datasets, contents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bbilang.compiler.check import bounding_boxes as boxes
from bbilang.compiler.check.arguments import SOME_LAYER, At, Poisoned, at, bind, describe, literal
from bbilang.compiler.contract import Fail, Method, Operation, Parameter, bound, did_you_mean, suggest
from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.compiler.ir.program import OUTPUT, Node, walk
from bbilang.compiler.ir.types import FieldType
from bbilang.compiler.optimize.cost import layer_of
from bbilang.compiler.optimize.target_slots import place_of
from bbilang.grammar import ast
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Span

if TYPE_CHECKING:
    from bbilang.compiler.check.resolve import Resolver

_NO_SLIDE = (
    "write a number, the largest that a reader may want; what can slide is a number of groups, as in "
    f"`{SOME_LAYER} | factorize(nmf, slider(2, 8))`"
)

# Kinds with a reader of their own.
READERS = {
    "method": "_method",
    "contents": "_contents",
    "compatible": "_compatible",
    "numbers*": "_numbers",
    "fit": "_fit",
    "linked": "_linked",
    "dataset": "_dataset",
    "measures": "_measures",
    "boxes": "_boxes",
}


@frozen
class Layers:
    """One or several layers of a model before an atom is chosen."""

    model: str
    names: tuple[str, ...]
    listed: bool = False  # written as a list: has an axis `layer` even with one member


def _hyphenated(value: ast.Expression) -> str | None:
    """`grad_cam` of `grad-cam`, which reads as a difference."""
    if isinstance(value, ast.Path):
        return value.name
    if isinstance(value, ast.Binary) and value.operator == "-":
        parts = _hyphenated(value.left), _hyphenated(value.right)
        return "_".join(parts) if all(parts) else None
    return None


def _of_classes(target: Any) -> bool:
    """Whether a target is scores of classes, and no sum or difference of them."""
    return isinstance(target, Node) and target.type.content == "score" and not any(
        node.op in ("combine", "chain") for node in walk(target)
    )  # fmt: skip


class Reader:
    """Reads one argument as its parameter's kind asks."""

    def __init__(self, resolver: Resolver):
        self.resolver = resolver

    def argument(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        """One argument, read as its parameter's kind asks."""
        kind = parameter.kind
        if kind in ("integer", "number") and (slider := self._slider(value, parameter)) is not None:
            return slider
        if kind == "target":
            return self.resolver.targets.target(value, field)
        if kind == "atoms":
            return self.resolver.as_field(self.resolver.value(value), value)
        if kind == "selection":
            return self.resolver.selections.read(value)
        if kind == "condition":
            return self.condition(value, field.type)
        if kind == "axis":
            return self.axis_name(value, field.type, parameter)
        if kind == "ranking":
            if isinstance(value, ast.Path) and value.name in parameter.choices:
                return value.name
            if isinstance(value, ast.Path) and self.resolver.find(value.name) is None and value.name != "output":
                return literal(value, parameter)
            return self.resolver.targets.target(value)
        if kind in READERS:
            return getattr(self, READERS[kind])(value, parameter, field)
        if isinstance(value, ast.Path) and kind in ("integer", "number", "text", "flag", "numbers"):
            binding = self.resolver.find(value.name)  # a bound literal
            if binding is not None and isinstance(binding.value, bool | int | float | str):
                inner = binding.value
                node: ast.Expression = (
                    ast.Constant(inner, span=value.span)
                    if isinstance(inner, bool)
                    else ast.String(inner, span=value.span)
                    if isinstance(inner, str)
                    else ast.Number(inner, span=value.span)
                )
                return literal(node, parameter)
        return literal(value, parameter)

    def method(self, value: ast.Expression) -> Any:
        """A method's name, or (name, parameters) where it was given some, or a list of methods."""
        if isinstance(value, ast.List):
            return ("list", tuple(self.one_method(item) for item in value.items))
        return self.one_method(value)

    def one_method(self, value: ast.Expression) -> Any:
        name = value.name if isinstance(value, ast.Path | ast.Call) else None
        if name is None:
            message = f"{describe(value)} is not an attribution method"
            name = _hyphenated(value)
            help = did_you_mean(name, self.resolver.registry.methods) if name else None
            raise at(value.span, "E219", message, help or "`linear` is the default")
        if isinstance(value, ast.Call) and name in ("pick", "hover", "click", "slider"):
            help = "list them, `method=[gradient, grad_cam]`, and lay them out: `facet=method`"
            raise at(value.span, "E219", "a reader cannot choose the method", help)
        method = self.resolver.registry.find("methods", name)
        if method is None:
            near = self._near_methods(name)
            raise at(value.span, "E219", f"`{name}` is not an attribution method", near)
        if not method.available:
            self.resolver.unavailable(value.span, f"the method `{name}`", "`linear` is activation x gradient")
        if not isinstance(value, ast.Call) or not value.arguments:
            return name
        arguments, spans = bind(name, value.span, value.arguments, method.parameters, self._method_argument)
        return (name, tuple((key, arguments[key]) for key in sorted(spans)))

    def _near_methods(self, name: str) -> str:
        """What may be meant by a name that no method has: by spelling, by other names of methods, or all there are."""
        methods = self.resolver.registry.methods
        known = {other: method for method in methods.values() for other in (method.name, *method.known_as)}
        plain = name.lower().replace("_", "")
        found = next((m for other, m in known.items() if other.replace("_", "") == plain), None)
        if found is None and (near := suggest(name, known)):
            found = known[near]
        listing = ", ".join(f"`{n}`" for n, method in methods.items() if method.available)
        return f"did you mean `{found.name}`?" if found is not None else f"methods are {listing}"

    def _method_argument(self, value: ast.Expression, parameter: Parameter) -> Any:
        if parameter.kind == "method":
            return self._inner(value)
        if parameter.kind == "layer":
            found = self.resolver.value(value)
            if not isinstance(found, Layers):
                raise at(value.span, "E204", f"`{parameter.name}` is a layer, and {describe(value)} is none")
            return found.names[0]
        if parameter.kind == "quoted":  # a word that may stand in quotes
            word = value.value if isinstance(value, ast.String) else None
            return word if word in parameter.choices else literal(value, parameter)
        return literal(value, parameter)

    def _inner(self, value: ast.Expression) -> Any:
        """A method that another one is made of: one of gradients at the field's own layer, with a known number of
        visits."""
        found = self.one_method(value)
        kind, parameters = bound(self.resolver.registry, found)
        plain = kind.reruns or type(kind).contribution is not Method.contribution
        if kind.layered or not plain or kind.finds != "gradients" or kind.rivals(parameters, 2):
            help = "`gradient`, `linear`, `integrated_gradients` and `guided_backprop` are, among others"
            raise at(value.span, "E238", f"`{kind.name}` is no method of gradients at the layer itself", help)
        if len(kind.attempts(parameters)) > 1:
            help = f"as in `{kind.name}(n_steps=20)`"
            raise at(value.span, "E238", f"inside another method, `{kind.name}` needs a number of steps", help)
        return found

    def axis_name(self, value: ast.Expression, type: FieldType, parameter: Parameter) -> str:
        if not isinstance(value, ast.Path):
            help = f"without quotes: `{parameter.name}={value.value}`" if isinstance(value, ast.String) else None
            message = f"`{parameter.name}` is the name of an axis, and {describe(value)} is none"
            raise at(value.span, "E230", message, help)
        if type.axis(value.name) is None:
            names = [axis.name for axis in type.axes if axis.name != "input" or axis.size > 1]
            has = f"it has {', '.join(names)}" if names else "it has none left"
            raise at(value.span, "E230", f"the field has no axis `{value.name}`", f"{has}")
        return value.name

    def condition(self, value: ast.Expression, type: FieldType) -> tuple:
        """`value > 0.1 and channel < 100` as nested tuples."""
        if isinstance(value, ast.Binary) and value.operator in ("and", "or"):
            return (value.operator, self.condition(value.left, type), self.condition(value.right, type))
        if isinstance(value, ast.Unary) and value.operator == "not":
            return ("not", self.condition(value.operand, type))
        if isinstance(value, ast.Binary) and value.operator in ("<", "<=", ">", ">=", "==", "!="):
            return (value.operator, self._operand(value.left, type), self._operand(value.right, type))
        raise at(value.span, "E213", f"{describe(value)} is not a condition", "compare: `value > 0.1`, `channel < 100`")

    def _operand(self, value: ast.Expression, type: FieldType) -> float | str:
        axes = [axis for axis in type.axes if axis.name != "input" or axis.size > 1]
        words = ["value", "magnitude", *(c for axis in axes for c in axis.components)]
        if isinstance(value, ast.Number):
            return value.value
        if isinstance(value, ast.Path):
            if value.name in words:
                return value.name
            binding = self.resolver.find(value.name)
            if binding is not None and isinstance(binding.value, int | float):
                return float(binding.value)
            raise at(
                value.span,
                "E215",
                f"a condition cannot use `{value.name}`",
                did_you_mean(value.name, words, f"it can use {', '.join(words)}"),
            )
        help = "as in `magnitude > 0.1` or `channel < 100`"
        raise at(value.span, "E213", f"a condition compares numbers, and {describe(value)} is none", help)

    def _method(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        found = self.method(value)
        for item in value.items if isinstance(value, ast.List) else (value,):
            method = self.resolver.registry.methods[item.name]
            layers = field.type.layers
            if method.input_only and layers != ("input",):
                raise at(
                    item.span,
                    "E238",
                    f"`{method.name}` is defined at the input only",
                    "start the pipe with `input.pixel`",
                )
            if method.maps_only and field.type.atom in ("whole", "token"):
                raise at(
                    item.span,
                    "E238",
                    f"`{method.name}` is defined for layers with positions",
                    "use `.spatial`, `.channel` or `input.pixel`",
                )
            if method.atoms:
                self._suited(method, self.one_method(item), field, item.span)
        return found

    def _suited(self, method: Any, given: Any, field: Node, span: Span) -> None:
        """Complains of atoms that a method is not for, and of parameters that a layer cannot have."""
        if field.type.atom not in method.atoms:
            help = f"use `{field.type.layers[0]}.{'pixel' if field.type.layers == ('input',) else 'spatial'}`"
            if self.resolver.models[field.type.model].description.reads in NOT_PICTURES:
                help = "`linear`, `gradient` and `integrated_gradients` are of any numbers"
            raise at(span, "E238", f"`{method.name}` is of positions, and these are {field.type.atom}s", help)
        _, parameters = bound(self.resolver.registry, given)
        description = self.resolver.models[field.type.model].description
        for layer in field.type.layers:
            sizes = layer_of(description, layer).as_map.sizes
            if "y" not in sizes:
                message = f"`{method.name}` is of positions in a picture, and the model takes {description.reads}s"
                raise at(span, "E238", message, "`linear`, `gradient` and `integrated_gradients` are of any numbers")
            try:
                method.suits(parameters, (sizes["y"], sizes["x"]))
            except Fail as fail:
                raise At(fail, span) from fail

    def placed(self, operation: Operation, arguments: dict[str, Any], field: Node) -> None:
        """Gives methods that weight the maps of one layer that layer, where the field is of others: the last with
        positions below the target. Raises `Fail` for a layer without positions, or that is not below the target."""
        targets = [arguments[p.name] for p in operation.parameters if p.kind == "target"]
        for name in (p.name for p in operation.parameters if p.kind == "method"):
            arguments[name] = self._placed(arguments[name], field, targets, name)

    def _placed(self, given: Any, field: Node, targets: list[Any], argument: str) -> Any:
        if not isinstance(given, str) and given[0] == "list":
            return ("list", tuple(self._placed(item, field, targets, argument) for item in given[1]))
        kind, parameters = bound(self.resolver.registry, given)
        wanted = parameters.get("layer")
        if not kind.layered or (wanted is None and field.type.layers != ("input",)):
            return given
        description = self.resolver.models[field.type.model].description
        later = {x for t in targets if isinstance(t, Node) and t.type.content != "score" for x in t.type.layers}
        below = list(description.layers)
        if later:
            below = below[: min(i for i, layer in enumerate(below) if layer.name in later)]
        sized = [(x.name, x.as_map.sizes) for x in below]
        maps = [name for name, sizes in sized if sizes.get("y", 1) * sizes.get("x", 1) > 1]
        if wanted is not None and description.by_name[wanted].name not in maps:
            message = f"`{wanted}` has no positions, or is not below the target"
            raise Fail("E238", message, f"as in `{kind.name}(layer={maps[-1]})`" if maps else None, argument)
        if not maps:
            raise Fail("E238", f"no layer below the target has positions, as `{kind.name}` needs", None, argument)
        chosen = description.by_name[wanted].name if wanted is not None else maps[-1]
        others = () if isinstance(given, str) else tuple(item for item in given[1] if item[0] != "layer")
        return (kind.name, tuple(sorted((*others, ("layer", chosen)))))

    def suits(self, operation: Operation, arguments: Mapping[str, Any]) -> None:
        """Raises `Fail` for a method that has no gradient, or runs the network again, where the target is an
        attribution."""
        chained = any(
            isinstance(node, Node) and place_of(node) != OUTPUT
            for node in (arguments[p.name] for p in operation.parameters if p.kind == "target")
        )
        for name in (p.name for p in operation.parameters if p.kind == "method"):
            given = arguments[name]
            for each in given[1] if given[0] == "list" else (given,):
                method, own = bound(self.resolver.registry, each)
                scores = [arguments[p.name] for p in operation.parameters if p.kind == "target"]
                if method.rivals(own, 2) and any(not _of_classes(target) for target in scores):
                    message = f"`{method.name}` is a competition among classes, and this is no class"
                    raise Fail("E238", message, "explain a class, or a list of them", name)
                if chained and method is not None and (method.reruns or method.redistributes):
                    help = "leave the method out: attribution to an attribution is `linear`"
                    raise Fail("E238", f"`{method.name}` is not of attributions: of classes and of atoms", help, name)

    def _slider(self, value: ast.Expression, parameter: Parameter) -> Node | None:
        """A `slider(...)`, or a name bound to one, where a number may slide."""
        call = isinstance(value, ast.Call) and value.name in ("slider", "hover", "click", "pick")
        binding = self.resolver.find(value.name) if isinstance(value, ast.Path) else None
        if binding is not None and binding.value is None:
            raise Poisoned
        found = self.resolver.value(value) if call else binding.value if binding else None
        if not (isinstance(found, Node) and found.type.content == "selection"):
            return None
        if found.op != "slider":
            raise at(
                value.span,
                "E213",
                f"`{parameter.name}` is a number, and {describe(value)} ranges over atoms",
                "use `slider(from, to, step)`",
            )
        if not parameter.slides:
            raise at(
                value.span, "E213", f"`{parameter.name}` cannot slide: it is fixed when the page is made", _NO_SLIDE
            )
        low, high = found["from"], found["to"]
        odd = next((n for n in (low, found["step"]) if parameter.kind == "integer" and n != int(n)), None)
        if odd is not None:
            message = f"`{parameter.name}` is a whole number, and the slider comes to others: {low:g} in steps of "
            raise at(value.span, "E213", f"{message}{found['step']:g}", "slide from a whole number in whole steps")
        if (parameter.minimum is not None and low < parameter.minimum) or (
            parameter.maximum is not None and high > parameter.maximum
        ):
            limits = f"{parameter.minimum:g} to {parameter.maximum:g}"
            message = f"the slider goes from {low:g} to {high:g}, and `{parameter.name}` from {limits}"
            raise at(value.span, "E214", message)
        return found

    def _contents(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        """`activation`, `gradient(t)`, `attribute(t)` of the layer's neurons, or a list of them: nodes."""
        if isinstance(value, ast.List):
            return tuple(self._contents(item, parameter, field) for item in value.items)
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        name = value.name if isinstance(value, ast.Path | ast.Call) else None
        operation = self.resolver.registry.find("operations", name) if name else None
        if operation is None or not operation.content or name in ("factorize", "link"):
            raise at(
                value.span,
                "E215",
                f"`{parameter.name}` cannot be {describe(value)}",
                "it can be `activation`, `gradient(...)`, `attribute(...)` or a list of them",
            )
        missing = next((p.name for p in operation.parameters if p.required), None)
        if isinstance(value, ast.Path) and missing:
            raise at(value.span, "E212", f"`{name}` needs `{missing}`", f"as in `{name}(output)`")
        given = value.arguments if isinstance(value, ast.Call) else ()
        neurons = self._neurons(field, value)
        arguments, spans = bind(
            name, value.span, given, operation.parameters, lambda v, p: self.argument(v, p, neurons)
        )
        try:
            self.suits(operation, arguments)
            type = operation.refined(operation.type(neurons.type, arguments), arguments, self.resolver.registry)
        except Fail as fail:
            raise At(fail, spans.get(fail.argument or "", value.span)) from fail
        if not operation.available:
            self.resolver.unavailable(value.span, f"`{name}`", f"it {operation.plan}")
        return self.resolver.make(name, (neurons,), arguments, type, value.span)

    def _neurons(self, field: Node, value: ast.Expression) -> Node:
        return self.resolver.substrate(Layers(field.type.model, field.type.layers), "neuron", value.span)

    def _compatible(self, value: ast.Expression, parameter: Parameter, field: Node) -> Node | None:
        """Groups of a later layer: the attribution of the layer's neurons to them."""
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        groups = self.resolver.as_field(self.resolver.value(value), value)
        if groups.type.atom != "group":
            help = f"as in `late = {SOME_LAYER} | factorize(nmf, 6)`"
            raise at(value.span, "E235", f"`{parameter.name}` is a factorization of a later layer", help)
        self.resolver.in_order(field.type.layers, groups.type.layers, groups.type.model, value.span)
        operation, neurons = self.resolver.registry.operations["attribute"], self._neurons(field, value)
        arguments = {p.name: p.default for p in operation.parameters} | {"to": groups}
        try:
            type = operation.type(neurons.type, arguments)
        except Fail as fail:
            raise At(fail, value.span) from fail
        return self.resolver.make("attribute", (neurons,), arguments, type, value.span)

    def _numbers(self, value: ast.Expression, parameter: Parameter, field: Node) -> tuple[float, ...]:
        items = value.items if isinstance(value, ast.List) else (value,)
        if not all(isinstance(item, ast.Number) for item in items):
            raise at(value.span, "E213", f"`{parameter.name}` is a list of numbers, as in `[1, 0.5]`", parameter.doc)
        return tuple(float(item.value) for item in items)

    def _fit(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        found = self.resolver.value(value)
        if isinstance(found, Layers) and not found.listed:
            return found.names[0]
        return self.resolver.as_field(found, value)

    def _linked(self, value: ast.Expression, parameter: Parameter, field: Node) -> Node:
        found = self.resolver.value(value)
        if isinstance(found, Node) and found.type.content == "selection":
            return found
        return self.resolver.as_field(found, value)

    def _boxes(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        """What a file of boxes says of the page's pictures: its content, so that a changed file is another program."""
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        name = self.argument(value, Parameter(parameter.name, "text", parameter.doc), field)
        try:
            return boxes.read(name, self.resolver.files)
        except Fail as fail:
            raise At(fail, value.span) from fail

    def _dataset(self, value: ast.Expression, parameter: Parameter, field: Node) -> Node:
        found = self.resolver.value(value) if isinstance(value, ast.Path) else None
        if isinstance(found, Node) and found.op == "dataset":
            return found
        raise at(value.span, "E213", f"{describe(value)} is not a dataset", 'name one: `dataset photos = "folder/"`')

    def _measures(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        if isinstance(value, ast.List):
            return tuple(literal(item, parameter) for item in value.items)
        return literal(value, parameter)
