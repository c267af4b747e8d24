"""Golden files: cases with a title, a text and the expected output, readable in review.

=== title
the text
--- expected
what comes out
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    title: str
    text: str
    expected: str


# Some cases are about characters that editors change; they are written as pictures of themselves.
PICTURES = {"\r": "␍", "\t": "␉", "\u00a0": "⍽", "\u200b": "⍾"}


def _seen(text: str) -> str:
    for character, picture in PICTURES.items():
        text = text.replace(picture, character)
    return text


def _written(text: str) -> str:
    for character, picture in PICTURES.items():
        text = text.replace(character, picture)
    return text


def read(name: str) -> list[Case]:
    content = (HERE / name).read_bytes().decode("utf-8")
    cases = []
    for block in re.split(r"^=== ", content, flags=re.MULTILINE)[1:]:
        title, rest = block.split("\n", 1)
        text, _, expected = rest.partition("\n--- expected\n")
        cases.append(Case(title, _seen(text), _seen(expected).rstrip("\n")))
    return cases


def write(name: str, cases: list[Case]) -> None:
    blocks = []
    for case in cases:
        blocks.append(_written(f"=== {case.title}\n{case.text}\n--- expected\n{case.expected}\n"))
    (HERE / name).write_bytes("\n".join(blocks).encode())
