"""Sentences about dreams: what was done to the photo."""

from __future__ import annotations

from bbilang.runtime.view.answers.pieces import sentence
from bbilang.runtime.view.answers.shown import Shown
from bbilang.runtime.view.model import Answer


def raised(shown: Shown, guide: str) -> Answer:
    """Say what dreams add to their photo. ``guide``: the name of the picture that guides them, empty for none."""
    pictures = shown.drawing.results.pictures
    photo, layers = pictures[0].name if len(pictures) == 1 else "the photo", shown.type.layers
    if guide:
        where = "each layer" if len(layers) > 1 else layers[0]
        return sentence(
            f"{photo}, changed so that {where} responds more strongly along features that it finds in {guide}"
        )
    subject = "each layer responds" if len(layers) > 1 else f"{layers[0]} responds"
    return sentence(f"{photo}, changed so that {subject} more strongly to all that it detects in it")
