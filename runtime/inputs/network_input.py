"""One input of a run: the values for the network and the image that a page shows; and what reads it for a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bbilang.grammar.frozen import frozen
from bbilang.runtime.sound.clip import Clip

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from bbilang.compiler.ir.model_description import ModelDescription


@frozen
class NetworkInput:
    """``image``: (channel, y, x) in [0, 1], or (token,) numbers of tokens, or the values of a signal or a vector; None
    where only what is shown was needed. ``shown``: uint8 (y, x, rgb). ``words``: one for each token of a text, empty
    for padding. ``size``: (width, height) of the picture before it was resized and cropped; (0, 0) where it was not.
    ``photo``: reads that picture again, uint8 (y, x, rgb). ``sound``: what is heard, as the network takes it; ``shown``
    is then its spectrogram. ``seconds``: the time of a frame in its video."""

    name: str
    image: Tensor | None
    shown: np.ndarray
    words: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    photo: Callable[[], np.ndarray] | None = field(default=None, compare=False, repr=False)
    sound: Clip | None = field(default=None, compare=False, repr=False)
    seconds: float | None = None


class ImageReader(Protocol):
    """What loading an input needs of a model: an adapter, or a model that is only known by its description."""

    @property
    def description(self) -> ModelDescription: ...

    def prepare(self, picture: Image, /) -> tuple[Tensor | None, np.ndarray]:
        """Convert a PIL image -> (image (channel, y, x) in [0, 1], or None if nothing runs; uint8 (y, x, rgb) to
        show)."""


class TextReader(Protocol):
    """What loading a text needs of a model."""

    def read(self, text: str, /) -> tuple[Tensor, tuple[str, ...]]:
        """Return (token ids (token,), one word for each)."""
