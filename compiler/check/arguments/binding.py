"""Bind the arguments of a call to the parameters of an operation, a style or a setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bbilang.compiler.contract import Fail, Parameter, did_you_mean
from bbilang.grammar import ast
from bbilang.grammar.source import Span

SOME_LAYER = "some_layer"  # in a help text: replaced by the name of a layer of the model


class CheckError(Exception):
    """A `Fail` with its span, and related spans, each with a note."""

    def __init__(self, fail: Fail, span: Span, related: tuple[tuple[Span, str], ...] = ()):
        super().__init__(fail.message)
        self.fail, self.span, self.related = fail, span, related
        self.layers: tuple[str, ...] = ()  # of the pipe in which it was raised


def at(span: Span, code: str, message: str, help: str | None = None) -> CheckError:
    return CheckError(Fail(code, message, help), span)


class Poisoned(Exception):
    """Raised where an expression uses something that already failed and was reported."""


Read = Callable[[ast.Expression, Parameter], Any]


def bind(
    what: str, span: Span, arguments: Sequence[ast.Argument], parameters: Sequence[Parameter], read: Read
) -> tuple[dict[str, Any], dict[str, Span]]:
    """Bind arguments to parameters. Returns (values by name, spans of the arguments given by name).

    ``what`` names the callee in messages; ``read`` turns an argument into its value.

    Raises CheckError E211, E212, E216.
    """
    by_name = {p.name: p for p in parameters}
    values: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    position = 0
    for argument in arguments:
        if argument.name is None:
            if position >= len(parameters):
                takes = ", ".join(by_name) or "nothing"
                raise at(
                    argument.span,
                    "E216",
                    f"`{what}` takes no more than {_count(len(parameters))}",
                    f"it takes: {takes}",
                )
            parameter = parameters[position]
            position += 1
        elif argument.name not in by_name:
            takes = ", ".join(f"`{n}`" for n in by_name) or "no arguments"
            help = did_you_mean(argument.name, by_name, f"it takes {takes}")
            raise at(argument.span, "E211", f"`{what}` has no argument `{argument.name}`", help)
        else:
            parameter = by_name[argument.name]
        if parameter.name in values:
            raise at(argument.span, "E216", f"`{parameter.name}` of `{what}` is given twice")
        values[parameter.name] = read(argument.value, parameter)
        spans[parameter.name] = argument.span
    for parameter in parameters:
        if parameter.name not in values:
            if parameter.required:
                message = f"`{what}` needs `{parameter.name}`: {parameter.doc}"
                raise at(span, "E212", message)
            values[parameter.name] = parameter.default
    return values, spans


def written(name: str, arguments: Sequence[ast.Argument], parameters: Sequence[Parameter]) -> ast.Expression | None:
    """Return the expression that a call gives a parameter, by its name or its place; None where it gives none."""
    named = next((argument.value for argument in arguments if argument.name == name), None)
    places = zip(parameters, [argument.value for argument in arguments if argument.name is None], strict=False)
    return named or next((value for parameter, value in places if parameter.name == name), None)


def describe(value: ast.Expression) -> str:
    """Describe an expression in words, for messages."""
    match value:
        case ast.Number():
            return f"the number {value.value}"
        case ast.String():
            return "a text"
        case ast.Constant():
            return f"`{str(value.value).lower()}`"
        case ast.Path():
            return f"`{value.name}`"
        case ast.List():
            return "a list"
        case ast.Call():
            return f"`{value.name}(...)`"
        case ast.Pipe():
            return "a pipe"
        case ast.Index(value=ast.Path() as path):
            return f"`{path.name}[...]`"
        case _:
            return "this"


def literal(value: ast.Expression, parameter: Parameter) -> Any:
    """Read a number, flag, text or word within the parameter's range and choices.

    Raises CheckError E213, E214, E215.
    """
    kind, name = parameter.kind, parameter.name
    if isinstance(value, ast.Constant) and value.value is None and parameter.default is None:
        return None
    if kind in ("integer", "number"):
        if isinstance(value, ast.Path) and value.name in parameter.choices:
            return value.name
        if isinstance(value, ast.Constant) and value.value is None and "none" in parameter.choices:
            return "none"
        if not isinstance(value, ast.Number):
            words = "".join(f" or `{choice}`" for choice in parameter.choices)
            message = f"`{name}` is a {_kind(parameter)}{words}, and {describe(value)} is none"
            raise at(value.span, "E213", message, parameter.doc)
        number = value.value
        if kind == "integer" and number != int(number):
            raise at(value.span, "E213", f"`{name}` is a whole number, and {number} is none")
        _check_range(number, parameter, value.span)
        return int(number) if kind == "integer" else float(number)
    if kind == "numbers":  # as many as the model's input has channels
        numbers = numbers_of(value)
        if not numbers:
            raise at(value.span, "E213", f"`{name}` is one number, or three for red, green and blue", parameter.doc)
        return tuple(map(float, numbers))
    if kind in ("size", "channels"):
        return _whole_numbers(value, parameter)
    if kind == "flag":
        if not (isinstance(value, ast.Constant) and isinstance(value.value, bool)):
            message = f"`{name}` is `true` or `false`, and {describe(value)} is neither"
            raise at(value.span, "E213", message, parameter.doc)
        return value.value
    if kind == "text":
        if not isinstance(value, ast.String):
            message = f"`{name}` is a text in double quotes, and {describe(value)} is none"
            raise at(value.span, "E213", message, parameter.doc)
        return value.value
    word = value.name if isinstance(value, ast.Path) else None
    if isinstance(value, ast.Call) and not value.arguments:
        word = value.name
    if word in parameter.choices:
        return word
    listing = ", ".join(f"`{c}`" for c in parameter.choices)
    help = did_you_mean(word, parameter.choices, f"it can be {listing}") if word else f"it can be {listing}"
    raise at(value.span, "E215", f"`{name}` cannot be {describe(value)}", help)


def numbers_of(value: ast.Expression) -> list[int | float] | None:
    """Return the numbers of a list, or one number as a list; None for any other expression."""
    items = value.items if isinstance(value, ast.List) else (value,)
    numbers = [item.value for item in items if isinstance(item, ast.Number)]
    return numbers if len(numbers) == len(items) else None


def _whole_numbers(value: ast.Expression, parameter: Parameter) -> Any:
    """Read one whole number, or a list: (y, x) of a size, one or three channels."""
    items = value.items if isinstance(value, ast.List) else (value,)
    counts, what = ((1, 2), "(y, x)") if parameter.kind == "size" else ((1, 3), "channels as red, green and blue")
    whole = [i.value for i in items if isinstance(i, ast.Number) and i.value == int(i.value)]
    if len(whole) != len(items) or len(whole) not in counts:
        message = f"`{parameter.name}` is one whole number, or {counts[1]}: {what}"
        raise at(value.span, "E213", message, parameter.doc)
    for number in whole:
        _check_range(number, parameter, value.span)
    single = parameter.kind == "size" and not isinstance(value, ast.List)
    return int(whole[0]) if single else tuple(map(int, whole))


def _check_range(number: float, parameter: Parameter, span: Span) -> None:
    """Raise CheckError E214 for a number outside of the parameter's range."""
    low, high = parameter.minimum, parameter.maximum
    if (low is None or number >= low) and (high is None or number <= high):
        return
    unit = f" {parameter.unit}" if parameter.unit else ""
    bounds = f"{low:g} to {high:g}{unit}" if high is not None else f"at least {low:g}{unit}"
    raise at(span, "E214", f"`{parameter.name}` is {number}, and must be {bounds}", parameter.doc)


def _kind(parameter: Parameter) -> str:
    return "whole number" if parameter.kind == "integer" else "number"


def _count(number: int) -> str:
    return f"{number} argument{'' if number == 1 else 's'}" if number else "no argument"
