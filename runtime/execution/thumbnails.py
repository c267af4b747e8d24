"""Thumbnails of the examples that an element shows: small pictures in the results, never the files themselves."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from bbilang.compiler.check.settings import default
from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.field import SHADE, Field, Named

if TYPE_CHECKING:
    from PIL.Image import Image

    from bbilang.runtime.execution.context import Run

MOST = 2000  # thumbnails of an element
QUALITY = 80
DIM = 0.4  # of the brightness, where a map is zero
CUT = ("cut.top", "cut.bottom", "cut.left", "cut.right")  # coordinates of what is shown of an example, in pixels


class Thumbnails(TypedDict):
    """``index``: over the axes of the examples, numbers of thumbnails, -1 for none. ``data``: the bytes of all of them,
    WebP; ``ends`` (thumbnail,): where each ends. ``sizes`` (thumbnail, 2): width and height."""

    index: Named
    data: np.ndarray
    ends: np.ndarray
    sizes: np.ndarray


def thumbnail(thumbnails: Thumbnails, number: int) -> tuple[bytes, int, int]:
    """Return the bytes, width and height of one thumbnail."""
    start = int(thumbnails["ends"][number - 1]) if number else 0
    width, height = thumbnails["sizes"][number].tolist()
    return thumbnails["data"][start : int(thumbnails["ends"][number])].tobytes(), width, height


def thumbnails_of(field: Field, source: Node, run: Run) -> Thumbnails | None:
    """Make the thumbnails of a field of examples, as the network sees them. None where the text wants none, or there
    are too many of them to be seen."""
    from bbilang.runtime.data.pictures import Unreadable

    size = run.program.setting("thumbnails.size", default("thumbnails.size"))
    rows = field.coords["example"]
    cuts = [field.coords[name] for name in CUT if name in field.coords]
    table = np.stack([np.broadcast_to(array.spread(rows.dims), rows.data.shape).ravel() for array in (rows, *cuts)], 1)
    shade = field.coords.get(SHADE)
    if shade is not None:  # each picture is dimmed by a map of its own
        table = np.concatenate([table, np.arange(len(table))[:, None]], 1)
    different, which = np.unique(table, axis=0, return_inverse=True)
    if size == "none" or len(different) > MOST:
        return None
    dataset, preprocess = run.dataset(source), run.adapter.preprocess
    pieces: list[bytes] = []
    sizes: list[tuple[int, int]] = []
    numbers = np.full(len(different), -1)
    shares = None if shade is None else shade.data.reshape(-1, *shade.data.shape[-2:])
    for number, (row, *cut) in enumerate(different.tolist()):
        if row < 0:
            continue
        try:
            picture = dataset.picture(row)
        except Unreadable:  # it was changed after the scan
            continue
        shown = preprocess.display(picture)
        if shares is not None:
            shown = _dimmed(shown, shares[cut[-1]])
        elif cut:  # of the picture as the network sees it
            top, bottom, left, right = cut
            shown = shown[top:bottom, left:right]
        small = _small(shown, int(size))
        numbers[number] = len(pieces)
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=QUALITY, method=4)
        pieces.append(buffer.getvalue())
        sizes.append(small.size)
    index = numbers[which.reshape(rows.data.shape)]
    return {
        "index": Named(rows.dims, index),
        "data": np.frombuffer(b"".join(pieces), np.uint8),
        "ends": np.cumsum([len(piece) for piece in pieces], dtype=np.int64),
        "sizes": np.array(sizes, np.int64).reshape(-1, 2),
    }


def _dimmed(pixels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return a picture (y, x, rgb) that is grey and dark where a map (y, x) of shares is low."""
    from PIL import Image

    y, x = pixels.shape[:2]
    map = Image.fromarray(shares.astype(np.float32)).resize((x, y), Image.Resampling.BILINEAR)
    share = np.asarray(map).clip(0, 1)[..., None]
    grey = DIM * pixels.mean(-1, keepdims=True)
    return np.rint(share * pixels + (1 - share) * grey).astype(np.uint8)


def _small(pixels: np.ndarray, size: int) -> Image:
    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    return picture
