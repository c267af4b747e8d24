"""The parser of bbi.lark from precomputed tables: `python -m bbilang.grammar.parse_tables` regenerates them.

Lark needs a sixth of a second to compute them, which every command would pay. They are valid for one version of Lark
and one text of the grammar; for any other they are computed when the parser is built, and the parser is the same.
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
    """What the tables are valid for: the version of Lark and a hash of the grammar."""
    return f"{lark.__version__} {hashlib.sha256(text.encode()).hexdigest()}"


def parser(builder: Any) -> Lark:
    """The parser with a builder's callbacks, from the generated tables where they are valid."""
    text = grammar()
    try:
        from bbilang.grammar import generated_tables as generated

        if stamp(text) == generated.STAMP:
            load: Any = Lark._load_from_dict  # Lark gives it no types
            return with_fast_rules(load(generated.DATA, generated.MEMO, transformer=builder))
    except (ImportError, AttributeError):
        pass
    return with_fast_rules(Lark(text, transformer=builder, **OPTIONS))


class _FastRule:
    """A rule of the parser's loop, compared by identity: the callback of every reduction is looked up in a table of
    rules, and Lark's own rules hash their names at every look-up."""

    __slots__ = ("expansion", "origin")

    def __init__(self, rule: Rule):
        self.expansion, self.origin = rule.expansion, rule.origin


def with_fast_rules(parser: Lark) -> Lark:
    """The same parser with faster rules; unchanged where the internals of this version of Lark differ."""
    inner = getattr(getattr(parser.parser, "parser", None), "parser", None)
    states = getattr(getattr(inner, "parse_table", None), "states", None)
    callbacks = getattr(inner, "callbacks", None)
    if inner is None or not isinstance(states, dict) or not isinstance(callbacks, dict):
        return parser
    quick = {rule: _FastRule(rule) for rule in callbacks if isinstance(rule, Rule)}
    for actions in states.values():
        for name, (action, what) in list(actions.items()):
            if isinstance(what, Rule):
                actions[name] = (action, quick[what])
    inner.callbacks = {quick.get(key, key): callback for key, callback in callbacks.items()}
    return parser


def main() -> None:
    text = grammar()
    data, memo = Lark(text, **OPTIONS).memo_serialize([TerminalDef, Rule])
    path = Path(__file__).parent / "generated_tables.py"
    head = '"""Made by `python -m bbilang.grammar.parse_tables` from bbi.lark; not for editing."""\n\n'
    head += "# ruff: noqa\n# fmt: off\n"
    path.write_text(f"{head}STAMP = {stamp(text)!r}\nDATA = {data!r}\nMEMO = {memo!r}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
