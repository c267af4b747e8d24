"""Format a syntax tree as canonical text: `format_file`.

A node is written on one line where it fits and holds no comment; otherwise a pipe gets one stage per line and a bracket
one item per line. Comments are written in their order, each at the first slot at or after its own position: before a
statement, before a stage, before an item, before a closing bracket, or at the end of the line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from bbilang.grammar import ast, codes
from bbilang.grammar.build import leftmost
from bbilang.grammar.comparisons import COMPARE
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.scan import MAX_DEPTH
from bbilang.grammar.source import NOWHERE
from bbilang.grammar.statement_words import STATEMENT_WORDS
from bbilang.grammar.walk import first_too_deep

WIDTH: Final = 100
INDENT: Final = 4

_LEVELS: Final[dict[str, int]] = {
    "or": 1, "and": 2, **dict.fromkeys(COMPARE, 4), "->": 5, "+": 6, "-": 6, "*": 7, "/": 7,
}  # fmt: skip
_PIPE, _HEAD, _NOT, _MINUS, _POSTFIX = 0, 1, 3, 8, 9
_BLANK = re.compile(r"\n[ \t\r]*\n")


def format_file(file: ast.File) -> str:
    """Return the text of a file, ending in a line end.

    ``parse(format_file(file)) == file`` for every tree that text can spell, and formatting again changes nothing.
    Nodes need neither spans nor a source. Raises BbiError (E102) for a tree that is too deep to be read back.
    """
    if (node := first_too_deep(file, MAX_DEPTH + 3)) is not None:
        span = None if node.span is NOWHERE else node.span
        raise BbiError(Diagnostic(codes.TOO_DEEP, f"the tree is nested deeper than {MAX_DEPTH}", span), file.source)
    return Writer(file).file()


def format_expression(node: ast.Expression | ast.Argument) -> str:
    """Return the text of a value on one line, for messages."""
    return _flat(node, _PIPE)


def format_stage(stage: ast.Call) -> str:
    """Return the text of a stage of a pipe on one line."""
    return _flat_stage(stage)


# --- on one line ----------------------------------------------------------------------------------------------------


def _level(node: ast.Node) -> int:
    """Return how tightly a node's text binds; below the level that its context requires, it gets parentheses."""
    match node:
        case ast.Pipe():
            return _PIPE
        case ast.Binary():
            return _LEVELS[node.operator]
        case ast.Unary():
            return _MINUS if node.operator == "-" else _NOT
        case ast.Number():
            return _MINUS
        case _:
            return _POSTFIX


def _operand_levels(node: ast.Binary) -> tuple[int, int]:
    own = _LEVELS[node.operator]
    return (own + 1 if node.operator in COMPARE else own), own + 1


def _operand_level(node: ast.Unary) -> int:
    """Return the level that an operand requires: `--x` is one minus after the other; `-(3)` is not the number -3."""
    if node.operator == "not":
        return _NOT
    return _MINUS if isinstance(node.operand, ast.Unary) else _POSTFIX


def _attribute_level(node: ast.Attribute) -> int:
    """Return the level that `.channel` requires: `(mixed4d).channel` keeps its parentheses; without them it is one
    path."""
    return _POSTFIX + isinstance(node.value, ast.Path | ast.Constant)


def _flat(node: Any, level: int) -> str:
    if _level(node) < level and not isinstance(node, ast.Argument | ast.Parameter):
        return f"({_flat(node, _PIPE)})"
    match node:
        case ast.Number(value=value):
            return repr(value)
        case ast.String(value=value):
            return json.dumps(value, ensure_ascii=False)
        case ast.Constant(value=value):
            return {True: "true", False: "false", None: "none"}[value]
        case ast.Path(name=name, model=model):
            return name if model is None else f"{model}:{name}"
        case ast.Attribute(value=value, name=name):
            return f"{_flat(value, _attribute_level(node))}.{name}"
        case ast.Argument(value=value, name=name):
            return f"{name}={_flat(value, _PIPE)}" if name is not None else _flat(value, _PIPE)
        case ast.Parameter(name=name, default=default):
            return name if default is None else f"{name}={_flat(default, _PIPE)}"
        case ast.Index(value=value, arguments=arguments):
            return f"{_flat(value, _POSTFIX)}[{_flat_items(arguments)}]"
        case ast.Call(name=name, arguments=arguments):
            return f"{name}({_flat_items(arguments)})"
        case ast.Pipe(head=head, stages=stages):
            return " | ".join([_flat(head, _HEAD), *map(_flat_stage, stages)])
        case ast.Range(first=first, last=last):
            return f"{_flat(first, _POSTFIX)}..{_flat(last, _POSTFIX)}"
        case ast.List(items=items):
            return f"[{_flat_items(items)}]"
        case ast.Binary(operator=operator, left=left, right=right):
            left_level, right_level = _operand_levels(node)
            return f"{_flat(left, left_level)} {operator} {_flat(right, right_level)}"
        case ast.Unary(operator=operator, operand=operand):
            return f"{operator}{' ' * (operator == 'not')}{_flat(operand, _operand_level(node))}"
    raise TypeError(f"not a node of an expression: {type(node).__name__}")


def _flat_stage(stage: ast.Call) -> str:
    """Format a stage on one line. `link()` and `link` are the same, and stay as written."""
    written = stage.span is not NOWHERE and stage.span.end > stage.name_span.end
    return _flat(stage, _PIPE) if stage.arguments or written else stage.name


def _flat_items(items: Iterable[Any]) -> str:
    return ", ".join(_flat(item, _PIPE) for item in items)


def _model_item(item: ast.ModelItem) -> str:
    alias = f"{item.alias.text} = " if item.alias else ""
    weights = f" from {_flat(item.weights, _PIPE)}" if item.weights else ""
    return " | ".join([f"{alias}{_flat(item.name, _PIPE)}{weights}", *map(_flat_stage, item.stages)])


# --- over several lines, with comments ------------------------------------------------------------------------------


class Writer:
    """Writes a file. Statements come one after the other, and with them the comments of `tree.comments`."""

    def __init__(self, tree: ast.File):
        self.tree = tree
        self.comments = sorted(tree.comments, key=lambda comment: comment.span.start)
        self.next = 0  # number of the first comment that is not written yet
        self.lines: list[str] = []
        self.last_end: int | None = None  # where in the source ended what was written last; None at a block's start
        self.last_was_block = False

    def file(self) -> str:
        self.block(self.tree.statements, 0, float("inf"))
        return "".join(f"{line}\n" for line in self.lines)

    # --- comments ---

    def waiting(self, until: float) -> bool:
        return self.next < len(self.comments) and self.comments[self.next].span.start < until

    def take(self) -> ast.Comment:
        self.next += 1
        return self.comments[self.next - 1]

    def holds_comment(self, node: ast.Node) -> bool:
        return node.span is not NOWHERE and self.waiting(node.span.end)

    def comments_inside(self, until: float, pad: str) -> str:
        """Return the comments before a slot: the first may end the line that is being written, the others get their
        own."""
        text, on_line = "", True
        while self.waiting(until):
            comment = self.take()
            text += f"  {comment.text}" if on_line and not comment.alone else f"\n{pad}{comment.text}"
            on_line = False
        return text

    # --- statements ---

    def block(self, statements: Sequence[ast.Statement], indent: int, end: float) -> None:
        """Write statements and the comments between them, up to the offset ``end``."""
        self.last_end, self.last_was_block = None, False
        starts = [s.span.start if s.span is not NOWHERE else None for s in statements]
        for number, statement in enumerate(statements):
            start = starts[number]
            if start is not None:
                self.comments_alone(start, indent)
            following = next((s for s in starts[number + 1 :] if s is not None), end)
            self.statement(statement, indent, min(following, end))
        self.comments_alone(end, indent)

    def comments_alone(self, until: float, indent: int) -> None:
        """Write the comments that have a line of their own, up to an offset."""
        while self.waiting(until):
            comment = self.take()
            self.gap(comment.span.start, False)
            self.lines.append(" " * indent + comment.text)
            self.last_end, self.last_was_block = comment.span.end, False

    def gap(self, start: int | None, is_block: bool) -> None:
        """Write a blank line where the source has some, or around a block that no source was read for."""
        if self.last_end is None:
            return
        if self.tree.source is None or start is None or self.last_end < 0:
            blank = is_block or self.last_was_block
        else:
            blank = _BLANK.search(self.tree.source.text, self.last_end, max(start, self.last_end)) is not None
        if blank:
            self.lines.append("")

    def statement(self, statement: ast.Statement, indent: int, following: float) -> None:
        """Write one statement with the comments inside it and the one at the end of its last line."""
        known = statement.span is not NOWHERE
        pad, tail = " " * indent, ""
        if is_block := isinstance(statement, ast.Interface):
            self.gap(statement.span.start if known else None, True)
            self.interface(statement, indent)
        else:
            first = self.next
            text = pad + self.statement_text(statement, indent)
            if known and self.next == first:  # comments in parentheses that are not written: no slot took them
                while self.waiting(statement.span.end) and self.comments[self.next].alone:
                    comment = self.take()
                    self.gap(statement.span.start, False)
                    self.lines.append(pad + comment.text)
                    self.last_end = statement.span.start
            self.gap(statement.span.start if known else None, False)
            tail = self.comments_inside(statement.span.end, pad) if known else ""
            self.lines.extend((text + tail).split("\n"))
        self.last_end, self.last_was_block = (statement.span.end if known else -1), is_block
        if known and self.waiting(following) and not self.comments[self.next].alone:
            comment = self.take()
            if tail:
                self.lines.append(pad + comment.text)
            else:
                self.lines[-1] += f"  {comment.text}"
            self.last_end = comment.span.end

    def interface(self, statement: ast.Interface, indent: int) -> None:
        """Write an interface: its title, its statements, and the comments in it."""
        pad = " " * indent
        title = f" {_flat(statement.title, _PIPE)}" if statement.title else ""
        head = f"{pad}interface{title} {{"
        known = statement.span is not NOWHERE
        first = next((s.span.start for s in statement.statements if s.span is not NOWHERE), None)
        end = statement.span.end if known else float("-inf")
        until = min(end, first if first is not None else end)
        if self.waiting(until) and not self.comments[self.next].alone:
            head += f"  {self.take().text}"
        self.lines.append(head)
        self.block(statement.statements, indent + INDENT, end)
        self.lines.append(f"{pad}}}")

    def statement_text(self, statement: ast.Statement, indent: int) -> str:
        """Return the text of a statement that is not an interface, without its indent."""
        match statement:
            case ast.Version(number=number):
                return f"bbi {number}"
            case ast.Model(items=items):
                return self.models(items)
            case ast.Input(files=files, names=()):
                return f"input {_flat_items(files)}"
            case ast.Input(files=files, names=names):
                pairs = zip(names, files, strict=True)
                return f"input {', '.join(f'{name.text} = {_flat(file, _PIPE)}' for name, file in pairs)}"
            case ast.Dataset(name=name, value=value):
                return self.after(f"dataset {name.text} = ", value, indent)
            case ast.AtomName(atom=atom, name=name):
                return f"name {_flat(atom, _PIPE)} {_flat(name, _PIPE)}"
            case ast.Claim(sentence=sentence, value=ast.Binary(left=ast.Pipe() as pipe) as test) if _is_bounded(test):
                head = self.after(f"claim {_flat(sentence, _PIPE)} = ", pipe, indent)
                return f"{head} {test.operator} {_flat(test.right, _PIPE)}"
            case ast.Claim(sentence=sentence, value=value):
                return self.after(f"claim {_flat(sentence, _PIPE)} = ", value, indent)
            case ast.Output(path=path):
                return f"output = {_flat(path, _PIPE)}"
            case ast.Use(path=path):
                return f"use {_flat(path, _PIPE)}"
            case ast.Set(name=name, arguments=arguments, value=None):
                return self.bracket(f"set {name.text}", "()", statement, arguments, indent, indent)
            case ast.Set(name=name, value=ast.Node() as value):
                return self.after(f"set {name.text} ", value, indent)
            case ast.Define(name=name, parameters=parameters, value=value):
                one_line = f"{(head := f'def {name.text}')}({_flat_items(parameters)})"
                if len(one_line) > WIDTH - INDENT or (value.span is not NOWHERE and self.waiting(value.span.start)):
                    one_line = self.bracket(head, "()", statement, parameters, indent, indent, value.span.start)
                return self.after(f"{one_line} = ", value, indent)
            case ast.Bind(name=name, value=value):
                return self.after(f"{name.text} = ", value, indent)
            case ast.Layout(value=value):
                return self.after("layout ", value, indent)
            case ast.Show(value=value):
                return self.show(value, indent)
        raise TypeError(f"not a statement: {type(statement).__name__}")

    def models(self, items: Sequence[ast.ModelItem]) -> str:
        """Write models on one line; where that is too long, or holds comments, each change on a line of its own."""
        text = f"model {', '.join(map(_model_item, items))}"
        if len(text) <= WIDTH and not any(self.holds_comment(item) for item in items):
            return text
        return f"model {', '.join(_model_item(replace(i, stages=())) + self.stages(i.stages, INDENT) for i in items)}"

    def after(self, head: str, value: ast.Node, indent: int) -> str:
        column = indent + len(head) - (head.rfind("\n") + 1)
        return head + self.node(value, column, indent, _PIPE)

    def show(self, value: ast.Expression, indent: int) -> str:
        """Format a shown pipe, with parentheses around what would otherwise read as another statement."""
        first = leftmost(value)
        words = STATEMENT_WORDS - {"input", "output"}
        word = isinstance(first, ast.Path) and first.model is None and first.name in words
        head = value.head if isinstance(value, ast.Pipe) else value
        comparison = isinstance(head, ast.Binary) and head.operator in COMPARE
        if comparison or (word and _flat(value, _PIPE).startswith(first.name)):
            return f"({self.node(value, indent + 1, indent, _PIPE)})"
        return self.node(value, indent, indent, _PIPE)

    # --- values ---

    def node(self, node: Any, column: int, indent: int, level: int, suffix: int = 0) -> str:
        """Format a node that begins in a column; its further lines are indented from ``indent``. ``suffix`` is room to
        leave."""
        if not self.holds_comment(node):
            text = _flat_stage(node) if level < _PIPE else _flat(node, level)
            if column + len(text) + suffix <= WIDTH:
                return text
        if _level(node) < level:
            return f"({self.node(node, column + 1, indent, _PIPE, suffix + 1)})"
        match node:
            case ast.Pipe():
                return self.pipe(node, column, indent)
            case ast.Call(name=name, arguments=arguments):
                if level < _PIPE and not arguments and not self.holds_comment(node):
                    return _flat_stage(node)
                return self.bracket(name, "()", node, arguments, column, indent, suffix=suffix)
            case ast.List(items=items):
                return self.bracket("", "[]", node, items, column, indent, suffix=suffix)
            case ast.Index(value=value, arguments=arguments):
                head = self.node(value, column, indent, _POSTFIX)
                return self.bracket(head, "[]", node, arguments, column, indent, suffix=suffix)
            case ast.Attribute(value=value, name=name):
                return f"{self.node(value, column, indent, _attribute_level(node), suffix + len(name) + 1)}.{name}"
            case ast.Argument(value=value, name=name):
                head = "" if name is None else f"{name}="
                return head + self.node(value, column + len(head), indent, _PIPE, suffix)
            case ast.Parameter(name=name, default=ast.Node() as default):
                return f"{name}={self.node(default, column + len(name) + 1, indent, _PIPE, suffix)}"
            case ast.Binary(operator=operator, left=left, right=right):
                left_level, right_level = _operand_levels(node)
                head = f"{self.node(left, column, indent, left_level)} {operator} "
                last = head.rfind("\n") + 1
                return head + self.node(right, len(head) - last + column * (not last), indent, right_level, suffix)
            case ast.Unary(operator=operator, operand=operand):
                head = operator + " " * (operator == "not")
                return head + self.node(operand, column + len(head), indent, _operand_level(node), suffix)
        return _flat(node, level)

    def pipe(self, node: ast.Pipe, column: int, indent: int) -> str:
        """Write a pipe with each stage on a line of its own."""
        return self.node(node.head, column, indent, _HEAD) + self.stages(node.stages, indent + INDENT)

    def stages(self, stages: Sequence[ast.Call], inner: int) -> str:
        """Write each stage on a line of its own, with the comments before it."""
        pad, text = " " * inner, ""
        for stage in stages:
            if stage.span is not NOWHERE:
                text += self.comments_inside(stage.span.start, pad)
            text += f"\n{pad}| {self.node(stage, inner + 2, inner, _PIPE - 1)}"
        return text

    def bracket(
        self, head: str, brackets: str, node: ast.Node, items: Sequence[Any], column: int, indent: int,
        end: int | None = None, suffix: int = 0,
    ) -> str:  # fmt: skip
        """Format items in brackets, one per line where a comment or the width requires it."""
        end = (node.span.end if node.span is not NOWHERE else 0) if end is None else end
        if not self.waiting(end):
            text = f"{head}{brackets[0]}{_flat_items(items)}{brackets[1]}"
            if not items or ("\n" not in text and column + len(text) + suffix <= WIDTH):
                return text
        inner = indent + INDENT
        pad = " " * inner
        text = head + brackets[0]
        for item in items:
            if item.span is not NOWHERE:
                text += self.comments_inside(item.span.start, pad)
            text += f"\n{pad}{self.node(item, inner, inner, _PIPE, 1)},"
        return f"{text}{self.comments_inside(end, pad)}\n{' ' * indent}{brackets[1]}"


def _is_bounded(test: ast.Binary) -> bool:
    """Return whether a claim's comparison is written after the last stage of its pipe, without parentheses."""
    return test.operator in COMPARE and isinstance(test.right, ast.Number)
