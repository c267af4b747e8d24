"""The inputs that a command line or a notebook's cell gives: names of files, or `NAME=FILE` for a name of the text."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

from bbilang.given_models import NAMED
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.statement_words import is_free_name

Given: TypeAlias = "tuple[object, ...] | dict[str, object] | None"


def inputs_of(words: Sequence[str] | None, meant: Callable[[str], object] = str) -> Given:
    """Read the values of `--input`. ``meant``: what a word stands for. A file whose own name is such a word is a file.
    Raises BbiError E440 where some have names and others none, and for a name that comes twice."""
    if not words:
        return None
    split = [NAMED.fullmatch(word) for word in words]
    split = [None if match and os.path.exists(match[0]) else match for match in split]  # False for what is no name
    named = {match[1]: meant(match[2]) for match in split if match and is_free_name(match[1])}
    if not named:
        return tuple(meant(word) for word in words)
    if len(named) < len(words):
        help = "as in `--input cat=a.jpg --input dog=b.jpg`"
        raise BbiError(Diagnostic("E440", "each --input has a name of its own, or none has one", help=help))
    return named
