"""Texts as tokens: what a page needs of a tokenizer. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bbilang.runtime.errors import error


class Tokenizer(Protocol):
    """What a page needs of a tokenizer: the ids of a text's tokens, and a word for each as it occurs in the text."""

    @property
    def longest(self) -> int:
        """The most tokens that the model reads."""

    def read(self, text: str) -> tuple[list[int], list[str]]: ...


def tokens(words: Tokenizer, text: str, name: str) -> tuple[list[int], list[str]]:
    """Tokenize a text: (ids, what each token shows). Raises BbiError E418 for no token, or for more than the model
    reads."""
    numbers, shown = words.read(text)
    if not numbers:
        raise error("E418", f"a text without a token is no input of {name}", 'as in `input "text:The film was good."`')
    if len(numbers) > words.longest:
        message = f"a text of {len(numbers)} tokens is longer than {name} reads: {words.longest}"
        raise error("E418", message, "leave out a part of it")
    return numbers, shown


def longest_of(words: Tokenizer, texts: Sequence[str], name: str) -> int:
    return max(len(tokens(words, text, name)[0]) for text in texts)
