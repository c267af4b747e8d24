"""Thumbnails: small squares of pictures, many in one WebP file (a sprite), without any metadata."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable

from PIL import Image, ImageOps

LARGEST = 4096  # pixels of a sprite's side: what the graphics of a phone take
QUALITY = 72
BLANK = (128, 128, 128)


def thumbnail(picture: Image.Image, size: int) -> Image.Image:
    """Return the largest square in the middle of a picture in RGB, size x size."""
    return ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)


def sprites(pictures: Iterable[Image.Image | None], size: int | None, most: int = 400) -> list[tuple[bytes, int, int]]:
    """Return (WebP, columns, rows) of as many sprites as hold all pictures.

    A sprite has at most ``most`` thumbnails of ``size`` x ``size`` pixels, and 4,096 pixels a side. All but the last
    are full: with c cells in the first one, thumbnail k is cell k % c of sprite k // c, row by row. None is a grey
    square. size: None gives no sprite and looks at no picture (`set thumbnails(none)`). A picture is held only while
    it is drawn. The same pictures give the same bytes."""
    if size is None:
        return []
    if not 1 <= size <= LARGEST or most < 1:
        raise ValueError(f"a thumbnail has 1 to {LARGEST} pixels a side, and a sprite at least one thumbnail")
    columns = max(1, min(math.isqrt(most), LARGEST // size))
    cells = columns * max(1, min(most // columns, LARGEST // size))
    finished = []
    drawn: list[Image.Image] = []
    for picture in pictures:
        drawn.append(Image.new("RGB", (size, size), BLANK) if picture is None else thumbnail(picture, size))
        if len(drawn) == cells:
            finished.append(_sprite(drawn, columns, size))
            drawn = []
    if drawn:
        finished.append(_sprite(drawn, columns if finished else min(columns, math.isqrt(len(drawn) - 1) + 1), size))
    return finished


def _sprite(drawn: list[Image.Image], columns: int, size: int) -> tuple[bytes, int, int]:
    rows = math.ceil(len(drawn) / columns)
    sheet = Image.new("RGB", (columns * size, rows * size), BLANK)
    for cell, picture in enumerate(drawn):
        sheet.paste(picture, (cell % columns * size, cell // columns * size))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=QUALITY, method=4)
    return file.getvalue(), columns, rows
