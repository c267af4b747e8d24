"""Operators and characters of other languages and word processors that are not part of the language.

Each with a message and, where the meaning is clear, a replacement of the same length.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# operator -> (message, help, replacement or None)
OPERATORS: Final[dict[str, tuple[str, str, str | None]]] = {
    "||": ("`||` is not an operator", "a pipe is a single `|`; an alternative is the word `or`", "| "),
    "|>": ("`|>` is not an operator", "a pipe is `|`", "| "),
    "&&": ("`&&` is not an operator", "write the word `and`", None),
    "&": ("`&` is not an operator", "write the word `and`", None),
    "===": ("`===` is not an operator", "to compare write `==`", "== "),
    "!==": ("`!==` is not an operator", "to compare write `!=`", "!= "),
    "=<": ("`=<` is not an operator", "write `<=`", "<="),
    "=>": ("`=>` is not an operator", "write `>=` to compare, `->` for the attribution of atoms to a target", None),
    "<>": ("`<>` is not an operator", "write `!=`", "!="),
    ":=": ("`:=` is not an operator", "a name is given with `=`", " ="),
    "**": ("`**` is not an operator", "the operators of numbers are `+ - * /`", None),
    "//": ("`//` begins no comment", "a comment begins with `#`", None),
    "≤": ("`≤` is not an operator", "write `<=`", None),
    "≥": ("`≥` is not an operator", "write `>=`", None),
    "≠": ("`≠` is not an operator", "write `!=`", None),
    "→": ("`→` is not an operator", "write `->`", None),
    "×": ("`×` is not an operator", "write `*`", "*"),
    "−": ("`−` is not a minus sign of the language", "write `-`", "-"),
    "–": ("`–` is a dash", "write `-`", "-"),
    "—": ("`—` is a dash", "write `-`", "-"),
    "…": ("`…` is not an operator", "a range of layers is written with two dots: `[first..last]`", None),
}  # fmt: skip

# character -> (help, replacement or None)
CHARACTERS: Final[dict[str, tuple[str, str | None]]] = {
    "!": ("write the word `not`, or `!=` to compare", None),
    "%": ("write a share as a number, such as `0.1`", None),
    "$": ("a name is written as it is", " "),
    "@": ("quote names of models and files that have other characters", None),
    "\\": ("a line that begins with `|` or is inside brackets continues without it", None),
    "^": ("the operators of numbers are `+ - * /`", None),
    "~": ("write the word `not`, or a path in quotes", None),
    "｜": ("write `|`", "|"),
    "¦": ("write `|`", "|"),
    "（": ("write `(`", None),
    "）": ("write `)`", None),
    "，": ("write `,`", ","),
    "；": ("drop it", None),
    "：": ("write `:`", None),
    "＝": ("write `=`", "="),
    "。": ("write `.`", None),
    "·": ("write `*` for a product, `.` in a path", None),
}  # fmt: skip


def describe(character: str) -> tuple[str, str | None]:
    """Return (message, help) for a character outside of the language."""
    help = CHARACTERS.get(character, (None, None))[0]
    if character.isprintable():
        return f"the character `{character}` has no meaning here", help
    name = unicodedata.name(character, "control character").lower()
    if character == "\r":
        return "a carriage return without a line feed ends no line", "save the file with LF or CRLF line ends"
    if character.isspace():
        return f"an invisible character (U+{ord(character):04X}, {name})", "write an ordinary space"
    return f"an invisible character (U+{ord(character):04X}, {name})", "delete it"
