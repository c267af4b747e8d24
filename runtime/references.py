"""References of captions to atoms: `[ears](channel 447)`, `(position 6 6)`, `(group 2)`, `(block5c channel 3)`."""

from __future__ import annotations

import re

from bbilang.runtime.viewmodel import Atom

REFERENCE = re.compile(r"\[([^\[\]]+)\]\(([^()]+)\)")  # [words](channel 447) in a caption
COORDINATES = {"position": ("y", "x"), "neuron": ("y", "x", "channel"), "component": ("group",)}


def references(caption: str) -> list[str]:
    """What the references of a caption say, without their words."""
    return [match[2].strip() for match in REFERENCE.finditer(caption)]


def refers(reference: str, atom: Atom) -> bool:
    """True where a reference means this atom: by its key, its label, or its kind and numbers, with or without layer."""
    if reference in (atom.key, atom.label):
        return True
    words = reference.split()
    kind = next((i for i, word in enumerate(words) if not word.isdigit() and i + 1 < len(words)
                 and all(w.isdigit() for w in words[i + 1 :])), None)  # fmt: skip
    if kind is None:
        return False
    names, numbers = COORDINATES.get(words[kind], (words[kind],)), words[kind + 1 :]
    if len(names) != len(numbers):
        return False
    layer, *parts = re.split(r"[ ,]", atom.key)
    wanted = {f"{name}={int(number)}" for name, number in zip(names, numbers, strict=True)}
    return set(parts) == wanted and (kind == 0 or " ".join(words[:kind]) in (layer, layer.split("/")[0]))
