"""The words that statements begin with, and the form of each, for messages."""

from __future__ import annotations

from typing import Final

STATEMENT_WORDS: Final = frozenset(
    {"bbi", "model", "input", "dataset", "name", "claim", "output", "set", "use", "def", "interface", "layout"}
)
RESERVED_WORDS: Final = frozenset({"and", "or", "not", "true", "false", "none"})


def is_free_name(word: str) -> bool:
    """Return whether a text may give this name: letters, digits and underscores, and no word of the language."""
    return word.isidentifier() and word not in STATEMENT_WORDS | RESERVED_WORDS


FORMS: Final[dict[str, str]] = {
    "bbi": "bbi 1",
    "model": 'model inceptionv1`, `model inceptionv1 from "weights.pt"` or `model a = ..., b = ...',
    "input": 'input "photo.jpeg"',
    "dataset": 'dataset photos = "folder/"',
    "name": 'name block5c.expand.channel[447] "stripes"',
    "claim": 'claim "The cat rests on the stripes" = stripes | ablate(zero) | effect(output) < -0.5',
    "output": 'output = "head.logits"',
    "set": "set seed 7` or `set featvis(size=96)",
    "use": 'use "other.bbi"',
    "def": "def evidence(layer, k=8) = layer.channel | top(k)",
    "interface": 'interface "title" { ... }',
    "layout": "layout row(photo, blocks)",
}
