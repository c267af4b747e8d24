"""Pack many points for a page: quantized coordinates, columns, titles and thumbnails as one compressed block.

`runtime/page/js/points/payload.js` unpacks it. Coordinates are steps of 1/65,535 of their range. Numbers are exact to
float32 up to ``EXACT`` points, and steps of 1/65,534 of their range above; integers of a smaller range are exact.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbilang.grammar.frozen import frozen
from bbilang.runtime.view.model import PointColumn, PointSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

Thumbnail: TypeAlias = Callable[[int], "NDArray[np.uint8] | None"]  # number of a point -> (side, side, rgb)

EXACT = 200_000  # points whose numbers keep float32
MOST_THUMBNAILS = 2_000
MOST_BYTES = 10_800_000  # compressed: in base64, and with its script, the page has at most 15 MB
THUMBNAIL_BYTES = (
    200_000,
    3_500_000,
)  # of all thumbnails, where the rest leaves little room or much
ACROSS = 10  # thumbnails side by side on a sheet, and below each other
NO_SPRITE = 65535
STEPS = 65534  # the largest code of a number; 65535 is a missing one
TITLE_BYTES = 4_000_000  # compressed


@frozen
class Points:
    """Points with their columns, before they are packed.

    x, y: (point,); points without finite coordinates are left out and counted. columns: name -> (point,), of text,
    numbers or bool; "" and NaN are missing. ``thumbnail`` is asked for at most ``MOST_THUMBNAILS`` points. axes: titles
    of both axes, () for a map whose axes mean nothing. ticks: numbers stand along the axes. equal: both axes have the
    same scale. colour: the column that colours the points at first.
    """

    x: np.ndarray
    y: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    titles: Sequence[str] = ()
    thumbnail: Thumbnail | None = None
    side: int = 96  # pixels of a thumbnail
    axes: tuple[str, ...] = ()
    ticks: bool = False
    equal: bool = True
    colour: str = ""


def pack(points: Points) -> PointSet:
    """Pack points for a page. Raises ValueError for columns of another length."""
    x, y = (np.asarray(values, np.float64) for values in (points.x, points.y))
    for name, values in (("y", y), *points.columns.items(), *((("titles", points.titles),) if points.titles else ())):
        if len(values) != len(x):
            raise ValueError(f"`{name}` has {len(values)} values for {len(x)} points")
    kept = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    block = Block()
    ends = [_place(block, name, values[kept]) for name, values in (("x", x), ("y", y))]
    columns = tuple(
        _column(block, i, name, np.asarray(points.columns[name])[kept]) for i, name in enumerate(points.columns)
    )
    notes = []
    if len(kept) < len(x):
        notes.append(f"{_points(len(x) - len(kept), 'has', 'have')} no position and {_is(len(x) - len(kept))} left out")
    if len(kept) > EXACT and any(column.step for column in columns):
        notes.append("numbers of columns are rounded to 1/65,534 of their range")
    titles = _titles(block, points.titles, kept, notes)
    sheets = _sprites(block, points, kept, notes)
    coloured = {column.name for column in columns if column.kind != "text"}
    payload = gzip.compress(b"".join(block.parts), 6, mtime=0)
    return PointSet(len(kept), payload, tuple(block.sections), (ends[0], ends[1]), columns, titles, sheets,
                    points.side, tuple(map(int, kept)) if len(kept) < len(x) else (), points.axes, points.ticks,
                    points.equal, points.colour if points.colour in coloured else "", tuple(notes))  # fmt: skip


class Block:
    """Collects sections of a page's packed bytes; numbers of several bytes are split into planes of their bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.sections: list[tuple[str, str, int]] = []

    def numbers(self, name: str, kind: str, values: np.ndarray) -> None:
        array = np.ascontiguousarray(values, dtype=f"<{kind}")
        self.parts.append(array.view(np.uint8).reshape(len(array), array.itemsize).T.tobytes())
        self.sections.append((name, kind, len(array)))

    def bytes(self, name: str, data: bytes) -> None:
        self.parts.append(data)
        self.sections.append((name, "bytes", len(data)))


def _place(block: Block, name: str, values: np.ndarray) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    high = high if high > low else low + 1.0
    block.numbers(name, "u2", np.rint((values - low) / (high - low) * 65535))
    return low, high


def _column(block: Block, i: int, name: str, values: np.ndarray) -> PointColumn:
    """Pack one column: categories where there are few labels, text where there are many."""
    section = f"column{i}"
    if values.dtype == bool:
        block.numbers(section, "u1", values)
        return PointColumn(name, "category", ("no", "yes"))
    if values.dtype.kind in "iuf":
        return _numbers(block, section, name, values.astype(np.float64))
    words = np.array([_word(value) for value in values], dtype=object)
    labels = sorted(set(words.tolist()) - {""})
    if len(labels) > min(STEPS, max(50, len(values) // 2)):
        block.bytes(section, "\n".join(words.tolist()).encode())
        return PointColumn(name, "text")
    codes = {label: code for code, label in enumerate(labels)} | {"": 255 if len(labels) < 256 else 65535}
    block.numbers(section, "u1" if len(labels) < 256 else "u2", np.array([codes[word] for word in words], np.uint16))
    return PointColumn(name, "category", tuple(labels))


def _word(value: object) -> str:
    """Return a value as one line of text; "" for a missing one."""
    missing = value is None or (isinstance(value, float) and value != value)
    return "" if missing else " ".join(str(value).split())


def _numbers(block: Block, section: str, name: str, values: NDArray[np.float64]) -> PointColumn:
    values = np.where(np.isfinite(values), values, np.nan)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    quantiles = np.quantile(known, (0.01, 0.99)).tolist() if len(known) else [low, high]
    ends = (quantiles[0], quantiles[1]) if quantiles[1] > quantiles[0] else (low, high)
    signed = low < 0 < high
    if signed:
        most = max(-ends[0], ends[1], 0.0) or max(-low, high)
        ends = (-most, most)
    step: float | None = None
    if len(known) and high - low <= STEPS and (known == np.rint(known)).all():
        step = 1.0
    elif len(values) > EXACT:
        step = (high - low) / STEPS or 1.0
    if step is None:
        block.numbers(section, "f4", values)
    else:
        codes = np.where(np.isnan(values), NO_SPRITE, np.rint((np.nan_to_num(values, nan=low) - low) / step))
        block.numbers(section, "u2", codes)
    return PointColumn(name, "quantity", (), low, high, step, ends, signed)


def _titles(block: Block, titles: Sequence[str], kept: NDArray[np.intp], notes: list[str]) -> bool:
    if not titles:
        return False
    text = "\n".join(_word(titles[i]) for i in kept.tolist()).encode()
    if len(gzip.compress(text, 1)) > TITLE_BYTES:
        notes.append("names of points are left out: they would make the page too large")
        return False
    block.bytes("titles", text)
    return True


def _sprites(block: Block, points: Points, kept: NDArray[np.intp], notes: list[str]) -> int:
    """Pack thumbnails on WebP sheets, and each point's number among them. Returns the number of sheets."""
    if points.thumbnail is None or not len(kept):
        return 0
    each = ACROSS * ACROSS
    trial = _sheet(points, kept[_spread(len(kept), each)])
    room = MOST_BYTES - len(gzip.compress(b"".join(block.parts), 1)) if len(kept) > EXACT else MOST_BYTES
    room = min(max(room, THUMBNAIL_BYTES[0]), THUMBNAIL_BYTES[1])
    wanted = min(len(kept), MOST_THUMBNAILS, max(each, int(room / max(len(trial), 1) * each)))
    chosen = _spread(len(kept), wanted)
    sprites = np.full(len(kept), NO_SPRITE)
    sprites[chosen] = np.arange(len(chosen))
    block.numbers("sprites", "u2", sprites)
    starts = range(0, len(chosen), each)
    for number, start in enumerate(starts):
        block.bytes(f"sheet{number}", _sheet(points, kept[chosen[start : start + each]]))
    if len(chosen) < len(kept):
        notes.append(
            f"{len(chosen):,} of {len(kept):,} points have a thumbnail, evenly spread in the order of the data"
        )
    return len(starts)


def _sheet(points: Points, rows: NDArray[np.intp]) -> bytes:
    from bbilang.runtime.view.image_bytes import webp  # Pillow, which checking a text does without

    side = points.side
    sheet = np.full((-(-len(rows) // ACROSS) * side, ACROSS * side, 3), 128, np.uint8)
    assert points.thumbnail is not None
    for at, row in enumerate(rows.tolist()):
        picture = points.thumbnail(row)
        if picture is not None:
            top, left = at // ACROSS * side, at % ACROSS * side
            sheet[top : top + side, left : left + side] = picture
    return webp(sheet, quality=72)


def _spread(count: int, wanted: int) -> NDArray[np.intp]:
    """Return ``wanted`` of ``count`` numbers, evenly spread, the first and the last among them."""
    return np.unique(np.rint(np.linspace(0, count - 1, min(count, wanted))).astype(np.intp))


def _points(count: int, one: str, several: str) -> str:
    return f"{count:,} point {one}" if count == 1 else f"{count:,} points {several}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
