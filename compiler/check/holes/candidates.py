"""What may stand at a hole, before it is tried: layers, atoms, operations with their arguments, and arguments.

Everything comes from what operations, styles and methods declare (`Parameter.candidates`), from the model and from the
names that the text has bound so far. Whether a candidate fits is decided by the checker's own rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, product
from typing import Literal, TypeAlias

from bbilang.compiler.check.arguments.binding import at
from bbilang.compiler.check.present import PARAMETERS as PRESENT
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import INPUT_LAYER
from bbilang.compiler.contract import Fail, Operation, Parameter
from bbilang.compiler.contract.parameters import ANY
from bbilang.compiler.ir.program import OUTPUT, Node
from bbilang.compiler.ir.spelling import layer_text
from bbilang.compiler.ir.types import ATOMS
from bbilang.grammar import ast, holes
from bbilang.grammar.source import Span

OF_ATOMS = ("atoms", "linked")
OF_DATASETS = ("dataset", "datasets")
Ends: TypeAlias = Literal["never", "may", "must"]  # whether what stands for a hole draws
MODEL_ENDS = (INPUT_LAYER, OUTPUT)  # besides the layers between


class Candidates:
    """The candidates of the holes of one statement. ``resolver``: knows the names that are bound above it."""

    def __init__(self, resolver: Resolver):
        self.resolver, self.registry = resolver, resolver.registry

    # --- what a pipe begins with ---

    def starts(self, value: ast.Expression) -> Iterator[ast.Expression]:
        """Iterate over an expression with each of its holes filled."""
        match value:
            case ast.Path() if holes.HOLE in value.name.split("."):
                yield from self._paths(value)
            case ast.Attribute(value=inner, name=name):
                atoms = ATOMS if name == holes.HOLE else (name,)
                for head in self.starts(inner):
                    yield from (_with_atom(head, atom, value.span) for atom in atoms)
            case ast.Index(value=inner, arguments=arguments) if holes.has_hole(inner):
                yield from (ast.Index(head, arguments, span=value.span) for head in self.starts(inner))
            case ast.List(items=items) if holes.has_hole(value):
                for chosen in product(*(list(self.starts(item)) for item in items)):
                    yield ast.List(chosen, span=value.span)
            case _:
                yield value

    def _paths(self, path: ast.Path) -> Iterator[ast.Expression]:
        """Iterate over layers and atoms in place of the holes of a path."""
        layer, atom = holes.splits(path) or (path.name, "")
        layers = self._layers(path.model, path.span) if layer == holes.HOLE else (layer,)
        atoms = ATOMS if atom == holes.HOLE else (atom,)
        for name in layers:
            plain = ast.Path(name, path.model, span=path.span)
            quoted = path.model is None and layer == holes.HOLE and name not in MODEL_ENDS and _needs_quotes(name)
            head = ast.String(name, span=path.span) if quoted else plain
            yield from (_with_atom(head, word, path.span) if word else head for word in atoms)

    def _layers(self, alias: str | None, span: Span) -> tuple[str, ...]:
        context = self.resolver.context(alias, span) if alias else self.resolver.model
        names = tuple(layer.name for layer in context.description.layers)
        return names if alias else (INPUT_LAYER, *names, OUTPUT)

    # --- stages ---

    def operations(self, ends: Ends = "may") -> Iterator[Operation]:
        """Iterate over every operation that could follow a field. ``ends``: whether they draw."""
        for operation in tuple(self.registry.operations.values()):
            if ends != ("never" if operation.draws else "must") and not operation.head:
                yield operation

    def calls(self, operation: Operation, field: Node, span: Span) -> Iterator[ast.Call]:
        """Iterate over the calls of an operation that could follow a field."""
        parameters = PRESENT if operation.draws else operation.parameters
        varied = [parameter for parameter in parameters if parameter.required or parameter.candidates]
        choices = [list(self._arguments(parameter, field, span)) for parameter in varied]
        for arguments in product(*choices):
            given = tuple(argument for argument in arguments if argument is not None)
            yield ast.Call(operation.name, given, span=span, name_span=span)

    def _arguments(self, parameter: Parameter, field: Node, span: Span) -> Iterator[ast.Argument | None]:
        """Iterate over a parameter's arguments; None leaves an optional one out."""
        if not parameter.required:
            yield None
        values = self.values(parameter, field, span)
        for value in islice(values, 1) if _of_numbers(parameter) else values:
            yield ast.Argument(value, None if parameter.required else parameter.name, span=span)

    def drawable(self, field: Node, call: ast.Call) -> bool:
        """Return False where a call draws in a style that cannot spend the axes of the field: most of them, found
        before the call is typed."""
        if field.type.content == "substrate" or not call.arguments:
            return True
        operation = self.registry.find("operations", call.name)
        first = call.arguments[0].value
        style = self.registry.styles.get(first.name) if isinstance(first, ast.Path) else None
        if operation is None or not operation.draws or style is None or call.arguments[0].name is not None:
            return True
        facet = next((a.value for a in call.arguments if a.name == "facet"), None)
        if facet is not None and not isinstance(facet, ast.Path):
            return True
        try:
            style.spend(field.type.panel(facet.name if facet is not None else None))
        except Fail:
            return False
        return True

    def filled(self, stage: ast.Call, field: Node) -> Iterator[ast.Call]:
        """Iterate over a stage with each of its arguments that is a hole filled. Raises CheckError E338 where nothing
        declares what could stand there."""
        parameters = self._parameters(stage)
        by_name = {parameter.name: parameter for parameter in parameters}
        position, choices = 0, []
        for argument in stage.arguments:
            parameter = by_name.get(argument.name or "")
            if argument.name is None:
                parameter = parameters[position] if position < len(parameters) else None
                position += 1
            if not (isinstance(argument.value, ast.Path) and argument.value.name == holes.HOLE):
                choices.append([argument])
                continue
            values = [] if parameter is None else list(self.values(parameter, field, argument.value.span))
            if not values and parameter is not None and not self.declares(parameter):
                message = f"what `{parameter.name}` of `{stage.name}` could be is not a list to choose from"
                raise at(argument.value.span, "E338", message, f"write it: {parameter.doc}")
            choices.append([ast.Argument(value, argument.name, span=argument.span) for value in values])
        for arguments in product(*choices):
            yield ast.Call(stage.name, arguments, span=stage.span, name_span=stage.name_span)

    def _parameters(self, stage: ast.Call) -> tuple[Parameter, ...]:
        operation = self.registry.find("operations", stage.name)
        if operation is None or not operation.draws:
            return operation.parameters if operation is not None else ()
        word = stage.arguments[0].value if stage.arguments else None
        style = self.registry.styles.get(word.name) if isinstance(word, ast.Path) else None
        return (*PRESENT, *(style.parameters if style is not None else ()))

    # --- arguments ---

    @staticmethod
    def declares(parameter: Parameter) -> bool:
        """Return whether anything says what could stand for a parameter."""
        kinds = ("flag", "axis", "target", "style", "method", "selection", "element", "input", "column")
        return bool(parameter.candidates or parameter.choices) or parameter.kind in (
            *kinds, *OF_ATOMS, *OF_DATASETS,
        )  # fmt: skip

    def values(self, parameter: Parameter, field: Node, span: Span) -> Iterator[ast.Expression]:
        """Iterate over what a parameter declares that it could be, for a stage after ``field``."""
        declared = tuple(value for value in parameter.candidates if value != ANY)
        if declared:
            yield from (_literal(value, span) for value in declared)
            return
        for word in self._words(parameter, field):
            yield ast.Path(word, span=span)
        if parameter.kind == "flag":
            yield from (ast.Constant(value, span=span) for value in (True, False))

    def _words(self, parameter: Parameter, field: Node) -> Iterable[str]:
        registry, kind = self.registry, parameter.kind
        if parameter.choices and kind != "target":
            return parameter.choices
        if kind == "axis":
            return field.type.names
        if kind == "target":
            return (OUTPUT, *self._bound(lambda node: node.type.content == "score"))
        if kind == "style":
            return list(registry.styles)
        if kind == "method":
            return list(registry.methods)
        if kind in OF_DATASETS:
            return self._bound(lambda node: node.type.content == "dataset")
        if kind == "selection":
            return self._bound(lambda node: node.type.content == "selection")
        if kind == "element":
            return self._bound(lambda node: node in self.resolver.drawn)
        if kind in OF_ATOMS:
            return self._bound(lambda node: node.type.content not in ("selection", "dataset", "score", "intervention"))
        if kind == "input":
            return [name for name, _ in self.resolver.files.called]
        return [name for name, _ in field.type.columns] if kind == "column" else ()

    def _bound(self, fits: Callable[[Node], bool]) -> list[str]:
        """Return the names that the text binds to such a node, in its order."""
        scopes = self.resolver.scopes
        pairs = ((name, binding.value) for scope in scopes for name, binding in scope.items())
        return list(dict.fromkeys(name for name, value in pairs if isinstance(value, Node) and fits(value)))


def _with_atom(head: ast.Expression, atom: str, span: Span) -> ast.Expression:
    """Return `head.atom`, as one path where it can be written so."""
    if isinstance(head, ast.Path):
        return ast.Path(f"{head.name}.{atom}", head.model, span=span)
    return ast.Attribute(head, atom, span=span)


def _of_numbers(parameter: Parameter) -> bool:
    return bool(parameter.candidates) and not isinstance(parameter.candidates[0], str)


def _needs_quotes(layer: str) -> bool:
    return layer_text(layer) != layer


def _literal(value: int | float | str, span: Span) -> ast.Expression:
    return ast.Path(value, span=span) if isinstance(value, str) else ast.Number(value, span=span)
