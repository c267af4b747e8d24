"""Builds syntax tree nodes from the tokens of one logical line: the callbacks of Lark's LALR parser.

There is no parse tree in between, which would cost more than the parsing. Each method is named after a rule of bbi.lark
and gets its children in order. Errors that the grammar cannot express are collected in ``problems``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import lark

from bbilang.grammar import ast, codes
from bbilang.grammar.comparisons import COMPARE
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.holes import HOLE, REST
from bbilang.grammar.source import Span
from bbilang.grammar.statement_words import FORMS, STATEMENT_WORDS

if TYPE_CHECKING:

    class Token(lark.Token):
        """A token of the parser, which always has a position."""

        start_pos: int
        end_pos: int
else:
    Token = lark.Token

Children: TypeAlias = list[Any]  # the children of a rule; inside the class, `list` is a rule

VERSIONS: Final = (1,)
HOLES: Final = (HOLE, REST)

_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BAD_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\\u[0-9a-fA-F]{0,3}|\\.|[\x00-\x1f]")
_CONSTANTS: Final = {"true": True, "false": False, "none": None}


def token_span(token: Token) -> Span:
    return Span(token.start_pos, token.end_pos)


def spelling(path: ast.Path) -> str:
    return path.name if path.model is None else f"{path.model}:{path.name}"


def is_plain(path: ast.Path) -> bool:
    """Return whether a path was parsed without parentheses around it, so that its span has its length."""
    return path.span.end - path.span.start == len(spelling(path))


def leftmost(value: Any) -> Any:
    """Return the node at the start of a value's text, ignoring parentheses."""
    while True:
        match value:
            case ast.Pipe(head=inner) | ast.Binary(left=inner) | ast.Index(value=inner) | ast.Attribute(value=inner):
                value = inner
            case _:
                return value


class Builder:
    """The callbacks of one parser. ``problems`` is cleared before a line and read after it."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []

    def report(self, code: str, message: str, span: Span, help: str | None = None, *related: Any) -> None:
        self.problems.append(Diagnostic(code, message, span, help, related=related))

    # --- names, numbers, strings ---

    def name_text(self, token: Token) -> str:
        """Return a name without a dot or a model in front."""
        if HOLES[0] in token:
            help = "a hole stands for a layer, an atom, an operation or one of its arguments"
            self.report(codes.NOT_A_NAME, "a hole is no name", token_span(token), help)
        for mark, what in ((":", "the name of a model"), (".", "dots")):
            if mark in token:
                help = f"write `{token.replace(':', '_').replace('.', '_')}`"
                self.report(codes.NOT_A_NAME, f"a name has no {what} in it: `{token}`", token_span(token), help)
                break
        return str(token)

    def new_name(self, token: Token) -> ast.Name:
        """Return a name that the text introduces."""
        if token in STATEMENT_WORDS:
            self.report(
                codes.NOT_A_NAME,
                f"`{token}` begins a statement and cannot be a name",
                token_span(token),
                f"choose another, such as `my_{token}`",
            )
        return ast.Name(self.name_text(token), span=token_span(token))

    def number_from(self, token: Token, sign: str = "", start: int | None = None) -> ast.Number:
        """Parse a number with its ``sign``, whose offset is ``start``; what is no finite number is reported."""
        span = Span(token.start_pos if start is None else start, token.end_pos)
        if not _NUMBER.fullmatch(token):
            if re.fullmatch(r"[0-9]+(_[0-9]+)+", token):
                help = f"write `{token.replace('_', '')}`"
            elif _NUMBER.match(token):
                help = "a name begins with a letter; numbers are written like `8`, `0.5` or `1e-3`"
            else:
                help = None
            self.report(codes.NOT_A_NUMBER, f"`{token}` is not a number", span, help)
            return ast.Number(0, span=span)
        value: int | float
        if token.isdigit():
            # Longer ones are refused: Python does not convert integers of more than 4,300 digits.
            value = int(sign + token) if len(token) <= 300 else math.inf
        else:
            value = float(sign + token)
        if isinstance(value, float) and math.isinf(value):
            shown = token if len(token) < 20 else f"{token[:12]}..."
            self.report(codes.NOT_A_NUMBER, f"`{shown}` is too large for a number", span)
            value = 0
        return ast.Number(value, span=span)

    def string_from(self, token: Token) -> ast.String:
        """Return the contents of a quoted string, with its escapes replaced."""
        if "\\" not in token and token.isprintable():
            return ast.String(str(token)[1:-1], span=token_span(token))
        problems_before = len(self.problems)
        for part in _BAD_ESCAPE.finditer(token):
            self._check_escape(part[0], Span(token.start_pos + part.start(), token.start_pos + part.end()))
        value = json.loads(token) if len(self.problems) == problems_before else str(token)[1:-1]
        if any("\ud800" <= character <= "\udfff" for character in value):
            help = "write the character itself"
            self.report(codes.BAD_ESCAPE, "half of a surrogate pair is not a character", token_span(token), help)
        return ast.String(value, span=token_span(token))

    def _check_escape(self, part: str, span: Span) -> None:
        if len(part) == 6 or (len(part) == 2 and part[1] in '"\\/bfnrt'):
            return
        if part == "\t":
            self.report(codes.BAD_ESCAPE, "a string cannot hold a tab as it is", span, "write `\\t`, or a space")
        elif part[0] != "\\":
            message, help = "a string cannot hold a control character as it is", f"write `\\u{ord(part):04x}`"
            self.report(codes.BAD_ESCAPE, message, span, help)
        elif part.startswith("\\u"):
            help = 'four hexadecimal digits follow `\\u`, as in `"\\u00e9"`; a backslash itself is `\\\\`'
            self.report(codes.BAD_ESCAPE, f"`{part}` is not a whole escape", span, help)
        else:
            help = "a backslash itself is written `\\\\`; a path may have `/` on every system"
            self.report(codes.BAD_ESCAPE, f"`{part}` is not an escape that strings know", span, help)

    # --- values ---

    def path(self, children: Children) -> ast.Path:
        (token,) = children
        model, colon, name = str(token).rpartition(":")
        return ast.Path(name, model if colon else None, span=Span(token.start_pos, token.end_pos))

    def number(self, children: Children) -> ast.Number:
        return self.number_from(children[0])

    def negative_number(self, children: Children) -> ast.Number:
        minus, token = children
        return self.number_from(token, "-", minus.start_pos)

    def string(self, children: Children) -> ast.String:
        return self.string_from(children[0])

    def constant(self, children: Children) -> ast.Constant:
        return ast.Constant(_CONSTANTS[children[0]], span=token_span(children[0]))

    def group(self, children: Children) -> Any:
        """Return the value in parentheses: they make no node, and its span grows to cover them."""
        left, value, right = children
        fields = dict(value.__dict__, span=Span(left.start_pos, right.end_pos))
        node = object.__new__(type(value))
        node.__dict__.update(fields)
        return node

    def list(self, children: Children) -> ast.List:
        return ast.List(tuple(children[1:-1]), span=Span(children[0].start_pos, children[-1].end_pos))

    def range(self, children: Children) -> ast.Range:
        first, last = self.path([children[0]]), self.path([children[2]])
        return ast.Range(first, last, span=first.span | last.span)

    def argument(self, children: Children) -> ast.Argument:
        (value,) = children
        return ast.Argument(value, span=value.span)

    def named_argument(self, children: Children) -> ast.Argument:
        token, _, value = children
        return ast.Argument(value, self.name_text(token), span=Span(token.start_pos, value.span.end))

    def once_each(self, arguments: Sequence[ast.Argument]) -> tuple[ast.Argument, ...]:
        seen: dict[str, Span] = {}
        for argument in arguments:
            if argument.name is not None:
                span = Span(argument.span.start, argument.span.start + len(argument.name))
                if argument.name in seen:
                    message = f"the argument `{argument.name}` is given twice"
                    related = (seen[argument.name], "first here")
                    self.report(codes.NAMED_TWICE, message, span, "keep one of the two", related)
                seen.setdefault(argument.name, span)
        return tuple(arguments)

    def stage(self, children: Children) -> ast.Call:
        (token,) = children
        name = str(token) if token in HOLES else self.name_text(token)
        return ast.Call(name, span=token_span(token), name_span=token_span(token))

    def call(self, children: Children) -> ast.Call:
        token, right = children[0], children[-1]
        head, dot, last = token.rpartition(".")
        if last in HOLES:
            span = Span(token.start_pos + len(head) + len(dot), right.end_pos)
            help = "write `?` alone, or the operation and a `?` for its argument, as in `top(?)`"
            self.report(codes.HOLE_CALLED, "a hole takes no arguments: it stands for them, too", span, help)
        elif dot and ":" not in last:
            message, help = "the stages of a pipe are joined by `|`, not by dots", f"write `{head} | {last}(...)`"
            span = Span(token.start_pos + len(head), token.end_pos)
            self.report(codes.NOT_CALLABLE, message, span, help)
        return ast.Call(
            last if dot or last in HOLES else self.name_text(token),
            self.once_each(children[2:-1]),
            span=Span(token.start_pos, right.end_pos),
            name_span=token_span(token),
        )

    def index(self, children: Children) -> ast.Index:
        value, right = children[0], children[-1]
        return ast.Index(value, self.once_each(children[2:-1]), span=Span(value.span.start, right.end_pos))

    def attribute(self, children: Children) -> ast.Attribute:
        value, token = children
        if isinstance(value, ast.Path) and is_plain(value):
            message, help = "a path is written without spaces", f"write `{spelling(value)}{token}`"
            self.report(codes.UNEXPECTED, message, Span(value.span.start, token.end_pos), help)
        return ast.Attribute(value, str(token)[1:], span=Span(value.span.start, token.end_pos))

    def unary(self, children: Children) -> ast.Unary:
        token, operand = children
        return ast.Unary(str(token), operand, span=Span(token.start_pos, operand.span.end))

    def binary(self, children: Children) -> ast.Binary:
        left, token, right = children
        return ast.Binary(str(token), left, right, span=Span(left.span.start, right.span.end))

    def pipe(self, children: Children) -> ast.Pipe:
        return ast.Pipe(children[0], tuple(children[1:]), span=Span(children[0].span.start, children[-1].span.end))

    # --- statements (their spans are set by grammar/parse.py: the whole logical line) ---

    def version(self, children: Children) -> ast.Version:
        number = self.number_from(children[1])
        if number.value not in VERSIONS or isinstance(number.value, float):
            message = f"version {children[1]} of the language is not known"
            help = "this program reads `bbi 1`; a newer bbilang may read more"
            self.report(codes.UNKNOWN_VERSION, message, number.span, help)
        return ast.Version(int(number.value))

    def model(self, children: Children) -> ast.Model:
        items = children[1:]
        for item in items if len(items) > 1 else ():
            if item.alias is None:
                help = "write `model a = ..., b = ...`; layers are then `a:some_layer` and `b:some_layer`"
                self.report(codes.STATEMENT_FORM, "each of several models needs a name", item.span, help)
        return ast.Model(tuple(items))

    def named_model(self, alias: ast.Name | None, children: Children) -> ast.ModelItem:
        first, weights = children[0], None
        stages = tuple(child for child in children if isinstance(child, ast.Call))
        name = self.string_from(first) if first.type == "STRING" else self.path([first])
        if isinstance(name, ast.Path) and name.model is not None:
            help = f'write `"{first}"`'
            self.report(codes.STATEMENT_FORM, f"the model name `{first}` needs quotes", name.span, help)
        if len(children) - len(stages) == 3:
            weights = self.string_from(children[2])
        if stages and alias is None:
            help = f"write `model changed = {first} | {stages[0].name}(...)`"
            self.report(codes.STATEMENT_FORM, "a model that is derived from another needs a name", name.span, help)
        span = (alias or name).span | (stages[-1] if stages else weights or name).span
        return ast.ModelItem(name, alias, weights, stages, span=span)

    def model_item(self, children: Children) -> ast.ModelItem:
        return self.named_model(None, children)

    def model_alias(self, children: Children) -> ast.ModelItem:
        return self.named_model(self.new_name(children[0]), children[2:])

    def input(self, children: Children) -> ast.Input:
        items = children[1:]
        unnamed = [file for name, file in items if name is None]
        if unnamed and len(unnamed) < len(items):
            help = "write `input a = ..., b = ...`, or leave out all names"
            self.report(
                codes.STATEMENT_FORM, "some of these inputs have a name, and this has none", unnamed[0].span, help
            )
        names = tuple(name for name, _ in items if name is not None)
        return ast.Input(tuple(file for _, file in items), () if unnamed else names)

    def input_item(self, children: Children) -> tuple[ast.Name | None, ast.String]:
        return None, self.string_from(children[0])

    def input_alias(self, children: Children) -> tuple[ast.Name | None, ast.String]:
        return self.new_name(children[0]), self.string_from(children[2])

    def dataset(self, children: Children) -> ast.Dataset:
        name, value = self.new_name(children[1]), children[2]
        first = value.head if isinstance(value, ast.Pipe) else value
        if not (isinstance(first, ast.String) or (isinstance(value, ast.Pipe) and isinstance(first, ast.Path))):
            message = "a dataset is the name of its files, in quotes, or a part of another dataset"
            help = f"as in `{FORMS['dataset']}` or `dataset few = photos | sample(500)`"
            self.report(codes.STATEMENT_FORM, message, first.span, help)
        return ast.Dataset(name, value)

    def layer_in_quotes(self, children: Children) -> ast.Attribute:
        layer, token = children
        return ast.Attribute(layer, str(token)[1:], span=Span(layer.span.start, token.end_pos))

    def name(self, children: Children) -> ast.AtomName:
        atom, words = self.index(children[1:-1]), children[-1]
        return ast.AtomName(atom, self.string_from(words))

    def claim(self, children: Children) -> ast.Claim:
        return ast.Claim(self.string_from(children[1]), children[2])

    def compared_claim(self, children: Children) -> ast.Claim:
        """Build a claim whose comparison stands after the last stage, as if the pipe were in parentheses."""
        _, sentence, head, *stages, operator, bound = children
        return ast.Claim(self.string_from(sentence), self.binary([self.pipe([head, *stages]), operator, bound]))

    def set_arguments(self, children: Children) -> ast.Set:
        name = ast.Name(self.name_text(children[1]), span=token_span(children[1]))
        return ast.Set(name, self.once_each(children[3:-1]))

    def set_value(self, children: Children) -> ast.Set:
        return ast.Set(ast.Name(self.name_text(children[1]), span=token_span(children[1])), value=children[2])

    def use(self, children: Children) -> ast.Use:
        return ast.Use(self.string_from(children[1]))

    def parameter(self, children: Children) -> ast.Parameter:
        name = self.new_name(children[0])
        default = children[1] if len(children) > 1 else None
        return ast.Parameter(name.text, default, span=name.span | default.span if default else name.span)

    def define(self, children: Children) -> ast.Define:
        parameters, value = tuple(children[3:-2]), children[-1]
        seen: set[str] = set()
        for parameter in parameters:
            if parameter.name in seen:
                message = f"the parameter `{parameter.name}` is given twice"
                self.report(codes.NAMED_TWICE, message, parameter.span, "give each its own name")
            seen.add(parameter.name)
        return ast.Define(self.new_name(children[1]), parameters, value)

    def layout(self, children: Children) -> ast.Layout:
        return ast.Layout(children[1])

    def header(self, children: Children) -> ast.Interface:
        return ast.Interface(self.string_from(children[1]) if len(children) > 1 else None, ())

    def bind(self, children: Children) -> ast.Bind | ast.Output:
        token, value = children
        if token == "output" and isinstance(value, ast.String):
            return ast.Output(value)
        if token in ("input", "output"):
            message = f"`{token}` cannot be bound; it is what the model {'sees' if token == 'input' else 'answers'}"
            help = f"the statement is `{FORMS[token]}`; another name is free for a value of your own"
            self.report(codes.NOT_A_NAME, message, token_span(token), help)
            return ast.Bind(ast.Name(str(token), span=token_span(token)), value)
        return ast.Bind(self.new_name(token), value)

    def show(self, children: Children) -> ast.Show:
        (value,) = children
        first = leftmost(value)
        plain = isinstance(first, ast.Path) and is_plain(first) and first.span.start == value.span.start
        if plain and first.name in STATEMENT_WORDS - {"input", "output"} and first.model is None:
            message, help = f"`{first.name}` begins a statement", f"its form is `{FORMS[first.name]}`"
            self.report(codes.STATEMENT_FORM, message, first.span, help)
        elif comparison := compared_alone(value):
            self.report_comparison(comparison)
        return ast.Show(value)

    def report_comparison(self, value: ast.Binary) -> None:
        help = "a condition belongs into `filter(...)`"
        if value.operator == "==" and isinstance(value.left, ast.Path):
            help = f"to give something a name write a single `=`: `{value.left.name} = ...`; {help}"
        gap = Span(value.left.span.end, value.right.span.start)
        self.report(codes.EQUALS_OR_EQUAL, f"`{value.operator}` compares, and shows nothing", gap, help)


def compared_alone(value: ast.Expression) -> ast.Binary | None:
    """Return the comparison with which a value begins, unless it stands in parentheses."""
    head = value.head if isinstance(value, ast.Pipe) else value
    if isinstance(head, ast.Binary) and head.operator in COMPARE and value.span.start == head.left.span.start:
        return head
    return None
