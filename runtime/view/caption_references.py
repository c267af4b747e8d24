"""Match the references in captions to the atoms of a page."""

from __future__ import annotations

import re

from bbilang.compiler.check.captions import COORDINATES
from bbilang.runtime.view.model import Atom


def refers(reference: str, atom: Atom) -> bool:
    """Return whether a reference means this atom: by its key, its label, or its kind and numbers, with or without
    layer."""
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
    coordinates = {f"{name}={int(number)}" for name, number in zip(names, numbers, strict=True)}
    return set(parts) == coordinates and (kind == 0 or " ".join(words[:kind]) in (layer, layer.split("/")[0]))
