"""A page's data without what is said twice: frames that share their lists, small maps on shared sheets."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from bbilang.runtime.viewmodel import Picture

# What a frame holds, in this order: as in vega.py.
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
    "flow",
)
MOST_PIXELS = 64 * 64  # of a map that goes on a sheet
FEWEST = 8  # maps for a sheet
ACROSS = 32  # maps side by side


class Lists:
    """Values of which equal ones are kept once; a frame is the numbers of its own."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[str, int] = {}

    def numbers(self, frame: Mapping[str, Any]) -> list[int]:
        return [self._number(frame[key]) for key in KEYS if key in frame]

    def _number(self, value: Any) -> int:
        text = json.dumps(value, separators=(",", ":"))
        if text not in self._numbers:
            self._numbers[text] = len(self.values)
            self.values.append(value)
        return self._numbers[text]


def sheeted(pictures: Sequence[Picture]) -> tuple[list[str | list[int]], list[dict[str, Any]]]:
    """(pictures, sheets): each picture as its address, or as [sheet, place] where it is one of many small maps with one
    palette; a sheet has its address, the ``size`` [wide, high] of its maps and how many lie ``across``."""
    alike: dict[tuple, list[tuple[int, Image.Image]]] = defaultdict(list)
    for number, picture in enumerate(pictures):
        if picture.mime == "image/png" and picture.width * picture.height <= MOST_PIXELS:
            image = Image.open(io.BytesIO(picture.data))
            if image.mode == "P":
                palette = tuple(image.getpalette() or ())
                clear = image.info.get("transparency")
                alike[(image.size, palette, clear)].append((number, image))
    found: list[str | list[int]] = [_uri(p.mime, p.data) if p.data else "" for p in pictures]
    sheets: list[dict[str, Any]] = []
    for (size, palette, clear), maps in alike.items():
        if len(maps) < FEWEST:
            continue
        across = min(ACROSS, len(maps))
        sheet = Image.new("P", (across * size[0], -(-len(maps) // across) * size[1]))
        sheet.putpalette(list(palette))
        for place, (number, image) in enumerate(maps):
            sheet.paste(image, (place % across * size[0], place // across * size[1]))
            found[number] = [len(sheets), place]
        file = io.BytesIO()
        sheet.save(file, "PNG", optimize=True, **({} if clear is None else {"transparency": clear}))
        sheets.append({"uri": _uri("image/png", file.getvalue()), "size": list(size), "across": across})
    return found, sheets


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{b64encode(data).decode()}"
