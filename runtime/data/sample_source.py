"""Pictures that are drawn when they are read."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import BinaryIO

import numpy as np
from PIL import Image

from bbilang.runtime.samples import drawing, marks_drawing
from bbilang.runtime.samples.marks import marks
from bbilang.runtime.samples.shapes import SEGMENTS, shapes


class DrawnSource(ABC):
    """Pictures that are drawn, by their numbers."""

    @abstractmethod
    def load(self, number: int) -> tuple[Image.Image, str]:
        """Return a picture and its digest."""

    @abstractmethod
    def digest(self, number: int) -> str:
        """Return what identifies a picture's content, without drawing it."""

    def read(self, number: int) -> bytes:
        """Return the picture as PNG."""
        file = io.BytesIO()
        self.load(number)[0].save(file, "PNG")
        return file.getvalue()

    def header(self, number: int) -> BinaryIO:
        return io.BytesIO(self.read(number))

    def stamp(self, number: int) -> tuple[str, int, int] | None:
        return None  # a digest costs less than to look it up

    def unchanged(self, number: int) -> bool:
        return True


class ShapesSource(DrawnSource):
    """The pictures of `sample:shapes`."""

    segment_names = SEGMENTS

    def load(self, number: int) -> tuple[Image.Image, str]:
        shape = shapes()[number]
        return drawing.picture(shape), drawing.digest(shape)

    def digest(self, number: int) -> str:
        return drawing.digest(shapes()[number])

    def segments(self, number: int) -> np.ndarray:
        return drawing.segments(shapes()[number])


class MarksSource(DrawnSource):
    """The pictures of `sample:marks`."""

    def load(self, number: int) -> tuple[Image.Image, str]:
        mark = marks()[number]
        return marks_drawing.picture(mark), marks_drawing.digest(mark)

    def digest(self, number: int) -> str:
        return marks_drawing.digest(marks()[number])


SAMPLES: dict[str, type[DrawnSource]] = {"shapes": ShapesSource, "marks": MarksSource}
