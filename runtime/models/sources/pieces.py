"""What the pieces of a tokenizer stand for: the text of each, with the space before it; pieces of one character."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

VISIBLE = {" ": "␣", "\u00a0": "␣", "\u3000": "␣", "\n": "⏎", "\r": "⏎", "\t": "⇥"}
BROKEN = "\ufffd"  # what stands for bytes that are no character
MOST_BYTES = 4  # of a character in UTF-8


def shown(text: str) -> str:
    """Return a piece as it is shown: white space that is all of it becomes visible, an accent stands on a circle."""
    from unicodedata import combining

    if text and not text.strip():
        return "".join(VISIBLE.get(letter, "␣") for letter in text)
    bare = text.lstrip()
    return text.replace(bare, f"◌{bare}", 1) if bare and combining(bare[0]) else text


def numbered(text: str, part: int, of: int) -> str:
    """Return what one of several pieces of the same character is called: "🙂 2/3"."""
    return f"{text} {part}/{of}" if of > 1 else text


def words_of_spans(text: str, spans: Sequence[tuple[int, int]], names: Sequence[str]) -> list[str]:
    """Return the word of each token: the part of the text from ``spans``, with a space in front where the text has
    some; a special token, which covers nothing, is called by its name."""
    words, end, number, special = list[str](), 0, 0, False
    while number < len(spans):
        first, last = spans[number]
        if first >= last:
            words.append(f" {names[number]}" if words else names[number])
            number, special = number + 1, True
            continue
        after = number + 1
        while after < len(spans) and spans[after][0] < last < spans[after][1] + 1 and spans[after][0] >= first:
            last, after = max(last, spans[after][1]), after + 1
        piece = text[min(end, first) : last] if first >= end else text[first:last]
        space = " " if piece.strip() and (piece[:1].isspace() or special) and (words or piece[:1].isspace()) else ""
        word = shown(f"{space}{piece.strip()}" if piece.strip() else piece)
        words += [numbered(word, part + 1, after - number) for part in range(after - number)]
        number, end, special = after, last, False
    return words


def words_of_decoded(numbers: Sequence[int], decode: Callable[[list[int]], str]) -> list[str]:
    """Return the word of each token by decoding it; of a token that is only a part of a character, together with those
    after it."""
    words, at = list[str](), 0
    while at < len(numbers):
        text, count = decode([numbers[at]]), 1
        for longer in range(2, MOST_BYTES + 1):
            if BROKEN not in text or at + longer > len(numbers):
                break
            text, count = decode(list(numbers[at : at + longer])), longer
        if BROKEN in text:
            text, count = "", 1
        word = shown(text) if text else f"<{numbers[at]}>"
        words += [numbered(word, part + 1, count) for part in range(count)]
        at += count
    return words


@cache
def _bytes_of_letters() -> dict[str, int]:
    """Return the byte that each letter of a byte-level vocabulary stands for (Radford et al. 2019, GPT-2)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {chr(byte): byte for byte in plain}
    return letters | {chr(256 + number): byte for number, byte in enumerate(others)}


def text_of_bytes(name: str) -> str:
    """Return the text of a piece of a byte-level vocabulary; bytes that are no whole characters as ⟨F0 9F⟩."""
    letters = _bytes_of_letters()
    if any(letter not in letters for letter in name):  # a special token
        return name
    data = bytes(letters[letter] for letter in name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        space = " " if data[:1] == b" " else ""
        return f"{space}⟨{' '.join(f'{byte:02X}' for byte in data.lstrip(b' '))}⟩"
