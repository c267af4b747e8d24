"""Names of baselines on a page."""

from __future__ import annotations

from bbilang.compiler.ir.model_description import NOT_PICTURES

PICTURES = {
    "zero": "a black picture",
    "mean": "a picture of the mean colour",
    "blur": "the blurred picture",
    "noise": "a picture of noise",
}


def zero_words(reads: str) -> str:
    """Describe the input at zero, which replaces a removed input."""
    known = {"text": "token 0 at every position", "audio": "silence"}
    return known.get(reads) or ("zeros" if reads in NOT_PICTURES else PICTURES["zero"])


def activation_for(word: str, layer: str, reads: str) -> str:
    """Describe a baseline by its word (runtime/inputs/baselines.py), at the input or as a layer's activation for it."""
    words = zero_words(reads) if word == "zero" else PICTURES.get(word, word)
    return words if layer == "input" else f"activation for {words}"
