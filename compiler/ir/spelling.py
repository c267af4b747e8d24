"""Write names as .bbi text, quoted where they would be parsed as something else."""

from __future__ import annotations

import json
import re

PLAIN = re.compile(r"[^\W\d]\w*(\.\w+)*")
ATOMS = {"neuron", "spatial", "channel", "token", "frame", "group", "whole", "pixel", "class", "example"}
WORDS = {"bbi", "model", "input", "dataset", "name", "claim", "output", "set", "use", "def", "interface", "layout"}


def name_text(name: str) -> str:
    """Write a model's name."""
    return name if PLAIN.fullmatch(name) else quoted(name)


def layer_text(layer: str) -> str:
    """Write a layer's name."""
    words = layer.split(".")
    plain = PLAIN.fullmatch(layer) and words[-1] not in ATOMS and words[0] not in WORDS
    return layer if plain else quoted(layer)


def quoted(words: str) -> str:
    """Quote a text."""
    return json.dumps(words, ensure_ascii=False)
