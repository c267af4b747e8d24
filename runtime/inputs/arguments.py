"""Validate arguments of the Python API; an error names the argument.

Imports neither torch nor numpy: values are recognized by the name of their type and their methods.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex, cast

from bbilang.grammar.files import read_text
from bbilang.runtime.errors import error

if TYPE_CHECKING:
    from bbilang.runtime.events import RunListener

MOST_LABELS = 1_000_000
MOST_BYTES = 4 << 20  # of a file of names


def wrong(name: str, value: object, expected: str, help: str | None = None) -> NoReturn:
    """Raise BbiError E423: ``name`` is an argument, ``expected`` the kind that it takes."""
    raise error("E423", f"`{name}` is {kind_of(value)}, and takes {expected}", help=help)


def kind_of(value: object) -> str:
    """Describe a value in words: "a DataLoader", "an int", "the class ReLU", "None"."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def flag(name: str, value: object) -> bool:
    """Accept True or False, also of numpy."""
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return bool(value)
    return wrong(name, value, "True or False")


def words(name: str, value: object) -> str:
    return value if isinstance(value, str) else wrong(name, value, "a str")


def file_name(name: str, value: object) -> str | None:
    """Accept the name of a file, a str or a path, or None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, PathLike) and isinstance(path := fspath(value), str):
        return path
    return wrong(name, value, "a str or a path")


def device_name(value: object) -> str:
    """Accept ``auto``, ``cpu``, ``cuda:1`` ..., also as a torch.device."""
    if isinstance(value, str):
        return value
    if type(value).__module__.split(".")[0] == "torch" and type(value).__name__ == "device":
        return str(value)
    return wrong("device", value, "a str or a torch.device", "as in `device='cuda:1'`")


def listener(value: object) -> RunListener | None:
    """Accept a function of one event, or None; False is None."""
    if value is False:
        return None
    if value is None or (callable(value) and not isinstance(value, type)):
        return cast("RunListener | None", value)
    return wrong("progress", value, "a function of one event, or None")


def settings_of(settings: object) -> dict[str, object]:
    """Accept settings by name, as plain numbers, strings and lists of them."""
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        wrong("settings", settings, "a dict", 'as in `settings={"featvis.steps": 64}`')
    for name in settings:
        if not isinstance(name, str):
            wrong("settings", name, "names of settings", 'as in `settings={"featvis.steps": 64}`')
    return {name: _setting(f"settings[{name!r}]", value) for name, value in settings.items()}


def _setting(name: str, value: object) -> object:
    if hasattr(value, "tolist") and hasattr(value, "dtype"):  # numbers of numpy and torch
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_setting(name, item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise error("E423", f"`{name}` is {value}, and takes finite numbers")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, PathLike) and isinstance(path := fspath(value), str):
        return path
    return wrong(name, value, "a number, a word, a flag or a list of them")


def size_of(value: object, name: str = "input_size") -> tuple[int, ...] | None:
    """Accept positive integers: (y, x) of images, one number for a square, (x,) of signals; or None."""
    if value is None:
        return None
    if isinstance(value, str):
        wrong(name, value, "whole numbers (y, x)", "as in `input_size=(32, 32)`")
    if hasattr(value, "__index__") and not getattr(value, "shape", ()):
        value = (value, value)
    try:
        size = tuple(side.__index__() for side in cast("Iterable[SupportsIndex]", value))
    except (TypeError, AttributeError):
        return wrong(name, value, "whole numbers (y, x)", "as in `input_size=(32, 32)`")
    if len(size) > 2 or not all(1 <= side <= 1 << 20 for side in size):
        what = f"`{name}` is {size}, and takes the (y, x) of a picture, or the (x,) of a signal"
        raise error("E423", what, help="channels and the number of inputs do not belong to it")
    return size


def count(name: str, value: object) -> int | None:
    """Accept a positive integer, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        wrong(name, value, "a whole number")
    if not 1 <= (number := value.__index__()) <= 1 << 20:
        raise error("E423", f"`{name}` is {number}, and takes a whole number from 1 on")
    return number


def names_of(value: object, name: str = "labels") -> tuple[str, ...]:
    """Accept names in order: a list, an array, numbers (converted to strings), a mapping from 0, 1, 2 ... to names
    (``config.id2label``), or a file with one name per line. None: no names."""
    if value is None:
        return ()
    if isinstance(value, PathLike):
        return _lines(value, name)
    takes = "a list of names, or a dict from number to name"
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        wrong(name, value, takes, f"as in `{name}=['cat', 'dog']`; a file with one name a line: `pathlib.Path(...)`")
    if isinstance(value, Mapping):
        return _numbered(value, name, takes)
    if hasattr(value, "tolist") and callable(value.tolist):
        value = value.tolist()
        if not isinstance(value, list):
            wrong(name, value, takes)
    names = []
    for number, item in enumerate(value):
        if number >= MOST_LABELS:
            raise error("E423", f"`{name}` has over {MOST_LABELS:,} names")
        names.append(_word(item, f"{name}[{number}]"))
    return tuple(names)


def _numbered(names: Mapping[Any, Any], name: str, takes: str) -> tuple[str, ...]:
    keys = [int(key) if isinstance(key, str) and key.isdecimal() else key for key in names]
    turned = (
        bool(keys) and all(isinstance(k, str) for k in keys) and all(hasattr(v, "__index__") for v in names.values())
    )
    if turned:  # name -> number, as label2id has it
        return _numbered({number.__index__(): word for word, number in names.items()}, name, takes)
    numbers = [key.__index__() if hasattr(key, "__index__") else None for key in keys]
    if sorted(n for n in numbers if n is not None) != list(range(len(keys))):
        what = f"`{name}` is a dict whose keys are not the numbers 0 to {max(len(keys) - 1, 0)}"
        raise error("E423", what, help=f"it takes {takes}, each number once")
    by_number = dict(zip(numbers, names.values(), strict=True))
    return tuple(_word(by_number[number], f"{name}[{number}]") for number in range(len(keys)))


def _word(value: object, name: str) -> str:
    if hasattr(value, "item") and hasattr(value, "dtype"):
        try:
            value = value.item()
        except (ValueError, RuntimeError):
            wrong(name, value, "a name")
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return str(value)
    return wrong(name, value, "a name")


def _lines(path: PathLike[str], name: str) -> tuple[str, ...]:
    try:
        lines = read_text(Path(path), MOST_BYTES).splitlines()
    except (OSError, UnicodeDecodeError) as e:
        what = f"the {name} in {path} cannot be read"
        raise error("E422", what, help="a text file in UTF-8 with one name a line") from e
    return tuple(line.strip() for line in lines if line.strip())
