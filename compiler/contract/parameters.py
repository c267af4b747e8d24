"""A parameter of an operation, style or method, and `Fail`, how a type rule refuses its arguments."""

from __future__ import annotations

from typing import Any

from bbilang.grammar.frozen import frozen


class Fail(Exception):
    """A type rule refuses its arguments. The checker adds the span and the source.

    ``argument`` names the argument at fault; None means the operation as a whole.
    """

    def __init__(self, code: str, message: str, help: str | None = None, argument: str | None = None):
        super().__init__(message)
        self.code, self.message, self.help, self.argument = code, message, help, argument


REQUIRED = object()
ANY = "*"  # among `Parameter.candidates`: all that the kind offers


@frozen
class Parameter:
    """One parameter. ``kind`` directs how its argument is read:

    integer, number, flag, text: literals, with ``minimum`` and ``maximum`` in ``unit``.
    word: one of ``choices``. axis: the name of an axis of the field. ranking: a word of ``choices`` or a class.
    target: what can be attributed to. field: a pipe. atoms: an element, field or substrate. element: the name of one.
    selection, condition, style, method, dataset: one of these. numbers: one, or three for the colours; numbers*: any
    number of them. contents: `activation`, `gradient(t)`, `attribute(t)`. compatible: groups of a later layer.
    measures: words of ``choices``. linked: atoms or a selection. fit: a field or a layer. layer: a layer. layers: one
    layer or a list, as the channels of each. quoted: a word, in quotes or without. input: the name of one. picture: the
    name of a picture beside the text, with the digest of its content. pages: names of other texts, or a list of them.
    """

    name: str
    kind: str
    doc: str
    default: Any = REQUIRED
    choices: tuple[str, ...] = ()
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    slides: bool = False  # whether a `slider(...)` may set it
    candidates: tuple[int | float | str, ...] = ()  # what a hole could be, where the kind does not say it (`ANY`: all
    # that it offers); the first is what a hole for the whole operation has
    of: str = ""  # of a column: the argument whose examples have it; empty: the field's own

    @property
    def required(self) -> bool:
        return self.default is REQUIRED
