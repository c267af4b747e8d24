"""Read arguments that name attribution methods, and check them against the field and the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbilang.compiler.check.arguments.binding import CheckError, at, bind, describe, literal
from bbilang.compiler.check.scope import Layers, Scope
from bbilang.compiler.check.selections import SELECTIONS
from bbilang.compiler.contract import Fail, Method, Operation, Parameter, bound, did_you_mean, suggest
from bbilang.compiler.ir.model_description import NOT_PICTURES, ModelDescription
from bbilang.compiler.ir.program import OUTPUT, Node, walk
from bbilang.compiler.optimize.cost import layer_of
from bbilang.compiler.optimize.target_slots import target_layer_of
from bbilang.grammar import ast
from bbilang.grammar.source import NOWHERE, Span


class MethodReader:
    """Reads methods: a name, a name with parameters, or a list of them."""

    def __init__(self, scope: Scope):
        self.scope = scope

    def method(self, value: ast.Expression) -> Any:
        """Read a method. Returns its name, (name, parameters) where the text gives some, or ("list", methods).

        Raises CheckError E219 and those of its parameters.
        """
        if isinstance(value, ast.List):
            return ("list", tuple(self.one_method(item) for item in value.items))
        return self.one_method(value)

    def for_field(self, value: ast.Expression, field: Node) -> Any:
        """Read a method, and check that it is defined for the atoms and layers of a field.

        Raises CheckError E219, E238.
        """
        methods = self.method(value)
        pairs = zip(value.items, methods[1], strict=True) if isinstance(value, ast.List) else [(value, methods)]
        for item, choice in pairs:
            method, parameters = bound(self.scope.registry, choice)
            if method.input_only and field.type.layers != ("input",):
                message = f"`{method.name}` is defined at the input only"
                raise at(item.span, "E238", message, "start the pipe with `input.pixel`")
            if method.maps_only and field.type.atom in ("whole", "token"):
                message = f"`{method.name}` is defined for layers with positions"
                raise at(item.span, "E238", message, "use `.spatial`, `.channel` or `input.pixel`")
            if method.atoms:
                self._check_positions(method, parameters, field, item.span)
        return methods

    def one_method(self, value: ast.Expression) -> Any:
        """Read one attribution method: its name, or (name, parameters). Raises CheckError E219, and what its arguments
        raise."""
        if not isinstance(value, ast.Path | ast.Call):
            spelling = _hyphenated(value)
            help = did_you_mean(spelling, self.scope.registry.methods) if spelling else None
            message = f"{describe(value)} is not an attribution method"
            raise at(value.span, "E219", message, help or "`linear` is the default")
        name = value.name
        if isinstance(value, ast.Call) and name in SELECTIONS:
            help = "list them, `method=[gradient, grad_cam]`, and lay them out: `facet=method`"
            raise at(value.span, "E219", "a reader cannot choose the method", help)
        method = self.scope.registry.find("methods", name)
        if method is None:
            raise at(value.span, "E219", f"`{name}` is not an attribution method", self._similar_methods(name))
        if not isinstance(value, ast.Call) or not value.arguments:
            return name
        arguments, spans = bind(name, value.span, value.arguments, method.parameters, self._method_argument)
        return (name, tuple((key, arguments[key]) for key in sorted(spans)))

    def _similar_methods(self, name: str) -> str:
        """Suggest for an unknown method the method of a similar name or synonym, or list all."""
        methods = self.scope.registry.methods
        known = {other: method for method in methods.values() for other in (method.name, *method.known_as)}
        plain = name.lower().replace("_", "")
        match = next((m for other, m in known.items() if other.replace("_", "") == plain), None)
        if match is None and (near := suggest(name, known)):
            match = known[near]
        listing = ", ".join(f"`{name}`" for name in methods)
        return f"did you mean `{match.name}`?" if match is not None else f"methods are {listing}"

    def _method_argument(self, value: ast.Expression, parameter: Parameter) -> Any:
        if parameter.kind == "method":
            return self._inner_method(value)
        if parameter.kind == "layer":
            layers = self.scope.value(value)
            if not isinstance(layers, Layers):
                raise at(value.span, "E204", f"`{parameter.name}` is a layer, and {describe(value)} is none")
            return layers.names[0]
        if parameter.kind == "quoted":  # a word that may be quoted
            word = value.value if isinstance(value, ast.String) else None
            return word if word in parameter.choices else literal(value, parameter)
        return literal(value, parameter)

    def _inner_method(self, value: ast.Expression) -> Any:
        """Read the method that another one is built on: it needs gradients at the field's own layer, and a known number
        of visits. Raises CheckError E219, E238."""
        choice = self.one_method(value)
        kind, parameters = bound(self.scope.registry, choice)
        if not kind.nests(parameters):
            help = "`gradient`, `linear`, `integrated_gradients` and `guided_backprop` are, among others"
            raise at(value.span, "E238", f"`{kind.name}` is no method of gradients at the layer itself", help)
        if kind.open_ended(parameters):
            help = f"as in `{kind.name}(n_steps=20)`"
            raise at(value.span, "E238", f"inside another method, `{kind.name}` needs a number of steps", help)
        return choice

    def _check_positions(self, method: Method, parameters: Mapping[str, Any], field: Node, span: Span) -> None:
        """Raise CheckError E238 where a method of positions is not defined for the atoms, and what `Method.suits`
        raises."""
        description = self.scope.context(field.type.model, NOWHERE).description
        any_numbers = "`linear`, `gradient` and `integrated_gradients` are of any numbers"
        if field.type.atom not in method.atoms:
            help = f"use `{field.type.layers[0]}.{'pixel' if field.type.layers == ('input',) else 'spatial'}`"
            if description.reads in NOT_PICTURES:
                help = any_numbers
            raise at(span, "E238", f"`{method.name}` is of positions, and these are {field.type.atom}s", help)
        for layer in field.type.layers:
            sizes = layer_of(description, layer).as_map.sizes
            if "y" not in sizes:
                message = f"`{method.name}` is of positions in a picture, and the model takes {description.reads}s"
                raise at(span, "E238", message, any_numbers)
            try:
                method.suits(parameters, (sizes["y"], sizes["x"]))
            except Fail as fail:
                raise CheckError(fail, span) from fail

    def with_layers(self, operation: Operation, arguments: dict[str, Any], field: Node) -> None:
        """Fill in the layer of methods that weight the maps of one layer, where the field is of another: the last layer
        with positions below the target. Raises `Fail` E238."""
        targets = [arguments[p.name] for p in operation.parameters if p.kind == "target"]
        for name in (p.name for p in operation.parameters if p.kind == "method"):
            arguments[name] = self._with_layer(arguments[name], field, targets, name)

    def _with_layer(self, choice: Any, field: Node, targets: list[Any], argument: str) -> Any:
        if not isinstance(choice, str) and choice[0] == "list":
            return ("list", tuple(self._with_layer(item, field, targets, argument) for item in choice[1]))
        kind, parameters = bound(self.scope.registry, choice)
        layer_name = parameters.get("layer")
        if not kind.layered or (layer_name is None and field.type.layers != ("input",)):
            return choice
        description = self.scope.context(field.type.model, NOWHERE).description
        maps = _maps_below(targets, description)
        if layer_name is not None and description.by_name[layer_name].name not in maps:
            message = f"`{layer_name}` has no positions, or is not below the target"
            raise Fail("E238", message, f"as in `{kind.name}(layer={maps[-1]})`" if maps else None, argument)
        if not maps:
            raise Fail("E238", f"no layer below the target has positions, as `{kind.name}` needs", None, argument)
        chosen = description.by_name[layer_name].name if layer_name is not None else maps[-1]
        others = () if isinstance(choice, str) else tuple(item for item in choice[1] if item[0] != "layer")
        return (kind.name, tuple(sorted((*others, ("layer", chosen)))))

    def check_targets(self, operation: Operation, arguments: Mapping[str, Any]) -> None:
        """Raise `Fail` E238 if the method is not defined for the target: a method without a gradient, or one that
        reruns the network, for an attribution; a method of competing classes for anything but a class."""
        targets = [arguments[p.name] for p in operation.parameters if p.kind == "target"]
        chained = any(isinstance(node, Node) and target_layer_of(node) != OUTPUT for node in targets)
        for name in (p.name for p in operation.parameters if p.kind == "method"):
            choice = arguments[name]
            for each in choice[1] if choice[0] == "list" else (choice,):
                method, parameters = bound(self.scope.registry, each)
                if method.classes_only(parameters) and not all(map(_is_class_score, targets)):
                    message = f"`{method.name}` is a competition among classes, and this is no class"
                    raise Fail("E238", message, "explain a class, or a list of them", name)
                if chained and not method.explains_attributions():
                    help = "leave the method out: attribution to an attribution is `linear`"
                    raise Fail("E238", f"`{method.name}` is not of attributions: of classes and of atoms", help, name)


def _maps_below(targets: list[Any], description: ModelDescription) -> list[str]:
    """Return the layers with more than one position that come before every target that is a layer."""
    names = {x for t in targets if isinstance(t, Node) and t.type.content != "score" for x in t.type.layers}
    below = list(description.layers)
    if names:
        below = below[: min(i for i, layer in enumerate(below) if layer.name in names)]
    sizes = [(layer.name, layer.as_map.sizes) for layer in below]
    return [name for name, size in sizes if size.get("y", 1) * size.get("x", 1) > 1]


def _hyphenated(value: ast.Expression) -> str | None:
    """Return `grad_cam` for `grad-cam`, which parses as a difference."""
    if isinstance(value, ast.Path):
        return value.name
    if isinstance(value, ast.Binary) and value.operator == "-":
        left, right = _hyphenated(value.left), _hyphenated(value.right)
        return f"{left}_{right}" if left and right else None
    return None


def _is_class_score(target: Any) -> bool:
    """Return whether a target is scores of classes, not a sum or difference of them."""
    return (
        isinstance(target, Node)
        and target.type.content == "score"
        and not any(node.op in ("combine", "chain") for node in walk(target))
    )
