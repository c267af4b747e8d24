"""The parse tables of bbi.lark, made ahead: `python -m bbilang.grammar.tables` after a change of the grammar.

Lark takes a sixth of a second to make them, which every command would pay. They hold for one version of Lark and one
text of the grammar; where either is another, the tables are made on the spot, and the parser is the same.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import lark
from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "contextual",
    "start": ["statement", "header"],
    "propagate_positions": False,
    "maybe_placeholders": False,
}


def grammar() -> str:
    return files("bbilang.grammar").joinpath("bbi.lark").read_text(encoding="utf-8")


def stamp(text: str) -> str:
    """What the tables hold for: the version of Lark and the text of the grammar."""
    return f"{lark.__version__} {hashlib.sha256(text.encode()).hexdigest()}"


def parser(builder: Any) -> Lark:
    """The parser with a builder's callbacks; from the tables where they hold."""
    text = grammar()
    try:
        from bbilang.grammar import table

        if stamp(text) == table.STAMP:
            load: Any = Lark._load_from_dict  # Lark gives it no types
            return quickened(load(table.DATA, table.MEMO, transformer=builder))
    except (ImportError, AttributeError):
        pass
    return quickened(Lark(text, transformer=builder, **OPTIONS))


class _Rule:
    """What the parser's loop asks of a rule. Compared by identity, where Lark's own hash their names anew each time:
    the callback of every reduction is found in a table of rules."""

    __slots__ = ("expansion", "origin")

    def __init__(self, rule: Rule):
        self.expansion, self.origin = rule.expansion, rule.origin


def quickened(parser: Lark) -> Lark:
    """The same parser with its rules in their quick form; unchanged where Lark's insides are not as known."""
    inner = getattr(getattr(parser.parser, "parser", None), "parser", None)
    states = getattr(getattr(inner, "parse_table", None), "states", None)
    callbacks = getattr(inner, "callbacks", None)
    if inner is None or not isinstance(states, dict) or not isinstance(callbacks, dict):
        return parser
    quick = {rule: _Rule(rule) for rule in callbacks if isinstance(rule, Rule)}
    for actions in states.values():
        for name, (action, what) in list(actions.items()):
            if isinstance(what, Rule):
                actions[name] = (action, quick[what])
    inner.callbacks = {quick.get(key, key): callback for key, callback in callbacks.items()}
    return parser


def main() -> None:
    text = grammar()
    data, memo = Lark(text, **OPTIONS).memo_serialize([TerminalDef, Rule])
    path = Path(__file__).parent / "table.py"
    head = (
        '"""Made by `python -m bbilang.grammar.tables` from bbi.lark; not for editing."""\n\n# ruff: noqa\n# fmt: off\n'
    )
    path.write_text(f"{head}STAMP = {stamp(text)!r}\nDATA = {data!r}\nMEMO = {memo!r}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
