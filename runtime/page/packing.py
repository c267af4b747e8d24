"""A page's data without duplicates: frames share equal lists, small maps share sheets."""

from __future__ import annotations

import gzip
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.view.image_bytes import palette_of, palette_png
from bbilang.runtime.view.model import Picture

# What a frame holds, in this order: as in vega/specification.py.
KEYS = (
    "label",
    "atoms",
    "pictures",
    "values",
    "series",
    "notes",
    "sizes",
    "colours",
    "series_atoms",
    "series_colours",
    "series_pictures",
    "words",
    "partners",
    "spots",
    "remark",
    "budget",
    "coarse",
    "flow",
)
MOST_PIXELS = 64 * 64  # of a map that goes on a sheet
FEWEST = 8  # maps for a sheet
ACROSS = 32  # maps side by side


class Lists:
    """Deduplicated values; a frame refers to its values by number."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self._numbers: dict[str, int] = {}

    def numbers(self, frame: Mapping[str, object]) -> list[int]:
        return [self.number(frame[key]) for key in KEYS if key in frame]

    def number(self, value: object) -> int:
        """Return the index of a value among the distinct ones."""
        text = repr(value)
        if text not in self._numbers:
            self._numbers[text] = len(self.values)
            self.values.append(value)
        return self._numbers[text]


def sheeted(pictures: Sequence[Picture]) -> tuple[list[str | list[int]], list[JsonObject]]:
    """Put small maps with equal palettes on shared sheets.

    Returns (pictures, sheets): each picture as its address, or as [sheet, position] where it lies on a sheet; a sheet
    has its address, the ``size`` [wide, high] of its maps and how many lie ``across``.
    """
    alike: dict[tuple, list[tuple[int, np.ndarray]]] = defaultdict(list)
    for number, picture in enumerate(pictures):
        if picture.mime == "image/png" and picture.width * picture.height <= MOST_PIXELS:
            parts = palette_of(picture.data)
            if parts is not None:
                alike[(parts[0].shape, *parts[1:])].append((number, parts[0]))
    addresses: list[str | list[int]] = [""] * len(pictures)
    sheets: list[JsonObject] = []
    for ((deep, wide), palette, opacity), maps in alike.items():
        if len(maps) < FEWEST:
            continue
        across = min(ACROSS, len(maps))
        sheet = np.zeros((-(-len(maps) // across) * deep, across * wide), np.uint8)
        for position, (number, index) in enumerate(maps):
            top, left = position // across * deep, position % across * wide
            sheet[top : top + deep, left : left + wide] = index
            addresses[number] = [len(sheets), position]
        data = palette_png(sheet, palette, opacity, level=9)
        sheets.append({"uri": _uri("image/png", data), "size": [wide, deep], "across": across})
    for number, picture in enumerate(pictures):
        if addresses[number] == "":
            addresses[number] = _uri(picture.mime, picture.data)
    return addresses, sheets


def sounds_of(pictures: Sequence[Picture]) -> JsonObject:
    """Return the sounds of a page, each once as (address, seconds, words), and of each picture the number of its
    sound; nothing for a page without any."""
    numbers: dict[bytes, int] = {}
    sounds: list[tuple[str, float, str]] = []
    heard: dict[str, int] = {}
    for number, picture in enumerate(pictures):
        if (sound := picture.sound) is not None:
            if sound.data not in numbers:
                numbers[sound.data] = len(sounds)
                sounds.append((_uri(sound.mime, sound.data), round(sound.seconds, 4), sound.words))
            heard[str(number)] = numbers[sound.data]
    return {"sounds": sounds, "heard": heard} if sounds else {}


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{b64encode(data).decode()}"


def packed(text: str) -> str:
    """Compress a text for the page's `unpacked`: gzip in base64, the same bytes each time."""
    return b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def unpacked(text: str) -> str:
    return gzip.decompress(b64decode(text)).decode()
