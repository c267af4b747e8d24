"""Read `boxes="cat.json"`: bounding boxes of a page's pictures, from JSON in COCO or VOC format."""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeAlias

from bbilang.compiler.contract import Fail
from bbilang.grammar.files import beside, inside, read_bytes, short
from bbilang.grammar.frozen import frozen

LARGEST = 32 * 1024 * 1024
MOST = 10_000  # boxes of one page
SHOWN = 6  # names that a message lists
UNNAMED = re.compile(r"picture \d+")
SAMPLE = "sample:"  # of a picture that comes with a package
HELP = (
    'as COCO writes it, {"images": [{"id", "file_name"}], "annotations": [{"image_id", "category_id", "bbox": '
    '[x, y, width, height]}], "categories": [{"id", "name"}]}, or a list of {"name", "bndbox": {"xmin", "ymin", '
    '"xmax", "ymax"}}'
)
Row = tuple[int, str, int, int, float, float, float, float]


class KnownColumn(Protocol):
    """A column of a dataset. ``values``: its different words, where they are few; None for numbers and for many."""

    @property
    def values(self) -> tuple[str, ...] | None: ...


class KnownFiles(Protocol):
    """What is known of a dataset without reading its examples. ``count``: of the examples, estimated where not
    ``exact``. ``labels``: label -> its examples, "" for none. ``digest``: changes with the files."""

    @property
    def count(self) -> int: ...
    @property
    def exact(self) -> bool: ...
    @property
    def labels(self) -> Mapping[str, int]: ...
    @property
    def columns(self) -> Mapping[str, KnownColumn]: ...
    @property
    def digest(self) -> str: ...


Peek: TypeAlias = Callable[[str, Path, "Path | None"], "KnownFiles | None"]


@frozen
class FileContext:
    """The folder that file names are relative to, the one that they may not leave, the page's pictures by name, what
    finds the pictures of a name, what knows the files of a dataset, and the numbers of inputs that the text names."""

    folder: Path = Path()
    root: Path | None = None
    inputs: tuple[str, ...] = ()
    expand: Callable[[str], Sequence[str]] = lambda name: (name,)
    peek: Peek = lambda path, folder, root: None
    called: tuple[tuple[str, int], ...] = ()


def read(name: str, context: FileContext) -> tuple[Row, ...]:
    """Read every box of the page's pictures: (number of the picture, category, width and height of the picture or 0,
    left, top, right, bottom), in pixels of the original picture. Raises `Fail` E246."""
    data = _json(name, context)
    try:
        rows = _coco(data, name, context) if isinstance(data, dict) else _voc(data, name, context)
    except (TypeError, KeyError, AttributeError) as error:
        raise Fail("E246", f'"{name}" is no file of boxes', HELP, "boxes") from error
    if len(rows) > MOST:
        _fail(f'"{name}" has {len(rows):,} boxes for the pictures of this page, and {MOST:,} are the most')
    return tuple(rows)


def _json(name: str, context: FileContext) -> Any:
    try:
        path = beside(context.folder, name).resolve()
        if not inside(path, context.root):
            _fail(f'"{name}" lies outside of the folder given with `--root`')
        raw = read_bytes(path, LARGEST)
    except FileNotFoundError:
        _fail(f'there is no file "{short(name)}"', "names are relative to the folder of the text")
    except OSError as error:
        larger = "keep the pictures of the page, and leave the others out"
        help = larger if error.errno == errno.EFBIG else "names are relative to the folder of the text"
        _fail(f'"{short(name)}" cannot be read: {error.strerror or error}', help)
    try:
        return json.loads(raw, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise Fail("E246", f'"{name}" is not JSON that can be read: {str(error)[:80]}', HELP, "boxes") from error


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _coco(data: dict[str, Any], name: str, context: FileContext) -> list[Row]:
    categories = {one["id"]: _text(one["name"], name) for one in data["categories"]}
    files = {one["id"]: _base(_text(one["file_name"], name)) for one in data["images"]}
    sizes = {one["id"]: _size(one, name) for one in data["images"]}
    numbers = _pictures(files, name, context)
    rows: list[Row] = []
    for one in data["annotations"]:
        for number in numbers.get(one["image_id"], ()):
            if one["category_id"] not in categories:
                _fail(f'"{name}": a box has the category {str(one["category_id"])[:40]}, which is not among categories')
            x, y, width, height = _four(one["bbox"], name)
            corners = (x, y, x + width, y + height)
            rows.append((number, categories[one["category_id"]], *sizes[one["image_id"]], *_corners(corners, name)))
    return rows


def _voc(data: list[Any], name: str, context: FileContext) -> list[Row]:
    if not isinstance(data, list):
        raise TypeError
    named = [_base(_text(one["filename"], name)) if "filename" in one else None for one in data]
    if None in named and len(context.inputs) > 1:
        _fail(f'"{name}" does not name the picture of its boxes', 'give each box a "filename"')
    files = {file: file for file in named if file is not None}
    numbers = _pictures(files, name, context) if files else {}
    rows: list[Row] = []
    for one, file in zip(data, named, strict=True):
        for number in numbers.get(file, ()) if file is not None else (0,):
            box = one["bndbox"]
            left, top, right, bottom = _four([box[key] for key in ("xmin", "ymin", "xmax", "ymax")], name)
            rows.append((number, _text(one["name"], name), 0, 0, *_corners((left - 1, top - 1, right, bottom), name)))
    return rows


def _pictures(files: dict[Any, str], name: str, context: FileContext) -> dict[Any, list[int]]:
    """Map each picture of the file to the page's pictures of that name, or to the only one on both sides."""
    unnamed = [bool(UNNAMED.fullmatch(input_name)) for input_name in context.inputs]
    if len(files) == len(context.inputs) == 1 and unnamed[0]:
        return {key: [0] for key in files}
    matches: dict[Any, list[int]] = {}
    for number, input_name in enumerate(context.inputs):
        same = [key for key, file in files.items() if _same(file, input_name)]
        if len(same) > 1:
            _fail(f'"{name}" has {len(same)} pictures of the name `{_base(input_name)}`', "leave the others out")
        for key in same:
            matches.setdefault(key, []).append(number)
    if not matches and not any(unnamed):
        input_names, known = listed([_base(input_name) for input_name in context.inputs]), listed(list(files.values()))
        _fail(f'"{name}" has no picture {input_names}', f"it has {known}; pictures are matched by file name")
    return matches


def _same(file: str, input_name: str) -> bool:
    if input_name.startswith(SAMPLE):
        return input_name.removeprefix(SAMPLE) in (file, file.rpartition(".")[0])
    return file == _base(input_name)


def _base(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def listed(names: Sequence[str]) -> str:
    """List names for a message: `a.jpg`, `b.jpg` and 3 more."""
    known = list(dict.fromkeys(names))
    words = ", ".join(f"`{one[:60]}`" for one in known[:SHOWN])
    return (words or "none") + (f" and {len(known) - SHOWN} more" if len(known) > SHOWN else "")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        _fail(f'"{name}": a name is a text, and {str(value)[:40]} is none')
    return value


def _size(one: dict[str, Any], name: str) -> tuple[int, int]:
    """Return (width, height) of a picture; (0, 0) where the file does not have it."""
    if "width" not in one and "height" not in one:
        return 0, 0
    width, height = one["width"], one["height"]
    if not all(type(side) is int and 0 < side < 1_000_000 for side in (width, height)):
        _fail(f'"{name}": the width and the height of a picture are whole numbers above 0')
    return width, height


def _four(values: Any, name: str) -> tuple[float, float, float, float]:
    known = isinstance(values, list) and len(values) == 4
    if not known or not all(type(v) in (int, float) and abs(v) < 1e9 and math.isfinite(v) for v in values):
        _fail(f'"{name}": a box is four numbers, and {str(values)[:60]} is none')
    return float(values[0]), float(values[1]), float(values[2]), float(values[3])


def _corners(box: tuple[float, float, float, float], name: str) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        _fail(f'"{name}": a box of {right - left:g} x {bottom - top:g} pixels has no inside')
    return box


def _fail(message: str, help: str = HELP) -> NoReturn:
    raise Fail("E246", message, help, "boxes")
