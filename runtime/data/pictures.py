"""Decode pictures: EXIF orientation applied, metadata removed. Sizes are read from the header alone."""

from __future__ import annotations

import io
import warnings
from typing import BinaryIO

from PIL import Image

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.inputs.images import FORMATS, decode

ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)  # orientations of EXIF that exchange width and height


class Unreadable(Exception):
    """An example that cannot be read: its ``name`` and the ``reason``."""

    def __init__(self, name: str, reason: str):
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def picture_of(data: bytes, name: str) -> Image.Image:
    """Return a picture in RGB, with its EXIF orientation applied and no metadata. Raises Unreadable."""
    if not data:
        raise Unreadable(name, "an empty file")
    try:
        return stripped(decode(io.BytesIO(data), name))
    except BbiError as failure:
        raise Unreadable(name, failure.diagnostics[0].message.removeprefix(name).strip()) from failure


def stripped(picture: Image.Image) -> Image.Image:
    """Return the pixels alone: no EXIF (place, camera, thumbnail), comment or profile goes into what is saved."""
    clean = Image.new(picture.mode, picture.size)
    clean.paste(picture)
    return clean


def size_of(file: BinaryIO) -> tuple[int, int] | None:
    """Return (width, height) from the header, with the EXIF orientation applied; None where it is not a picture.
    Nothing is decoded."""
    Image.init()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])
            width, height = picture.size
            return (height, width) if _is_sideways(picture, file) else (width, height)
    except Exception:  # decoders raise anything, and the example is then counted as unreadable
        return None


def _is_sideways(picture: Image.Image, file: BinaryIO) -> bool:
    if picture.format == "TIFF":  # Pillow has exchanged them
        return False
    if picture.format == "PNG" and "exif" not in picture.info:  # EXIF may follow the pixels: Pillow would decode them
        file.seek(0)
        if b"eXIf" not in file.read():
            return False
    return picture.getexif().get(ORIENTATION) in SIDEWAYS
