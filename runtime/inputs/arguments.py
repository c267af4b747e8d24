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


def wrong(name: str, given: object, expected: str, help: str | None = None) -> NoReturn:
    """Raise BbiError E423: ``name`` is an argument, ``expected`` the kind that it takes."""
    raise error("E423", f"`{name}` is {kind_of(given)}, and takes {expected}", help=help)


def kind_of(given: object) -> str:
    """Describe a value in words: "a DataLoader", "an int", "the class ReLU", "None"."""
    if given is None:
        return "None"
    if isinstance(given, type):
        return f"the class {given.__name__}"
    name = type(given).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def flag(name: str, given: object) -> bool:
    """Accept True or False, also of numpy."""
    if isinstance(given, bool) or type(given).__name__ in ("bool_", "bool"):
        return bool(given)
    return wrong(name, given, "True or False")


def words(name: str, given: object) -> str:
    return given if isinstance(given, str) else wrong(name, given, "a str")


def file_name(name: str, given: object) -> str | None:
    """Accept the name of a file, a str or a path, or None."""
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, PathLike) and isinstance(path := fspath(given), str):
        return path
    return wrong(name, given, "a str or a path")


def device_name(given: object) -> str:
    """Accept ``auto``, ``cpu``, ``cuda:1`` ..., also as a torch.device."""
    if isinstance(given, str):
        return given
    if type(given).__module__.split(".")[0] == "torch" and type(given).__name__ == "device":
        return str(given)
    return wrong("device", given, "a str or a torch.device", "as in `device='cuda:1'`")


def listener(given: object) -> RunListener | None:
    """Accept a function of one event, or None."""
    if given is None or (callable(given) and not isinstance(given, type)):
        return cast("RunListener | None", given)
    return wrong("progress", given, "a function of one event, or None")


def settings_of(given: object) -> dict[str, object]:
    """Accept settings by name, as plain numbers, strings and lists of them."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        wrong("settings", given, "a dict", 'as in `settings={"featvis.steps": 64}`')
    for name in given:
        if not isinstance(name, str):
            wrong("settings", name, "names of settings", 'as in `settings={"featvis.steps": 64}`')
    return {name: _setting(f"settings[{name!r}]", value) for name, value in given.items()}


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


def size_of(given: object, name: str = "input_size") -> tuple[int, ...] | None:
    """Accept positive integers: (y, x) of images, one number for a square, (x,) of signals; or None."""
    if given is None:
        return None
    if isinstance(given, str):
        wrong(name, given, "whole numbers (y, x)", "as in `input_size=(32, 32)`")
    if hasattr(given, "__index__") and not getattr(given, "shape", ()):
        given = (given, given)
    try:
        size = tuple(side.__index__() for side in cast("Iterable[SupportsIndex]", given))
    except (TypeError, AttributeError):
        return wrong(name, given, "whole numbers (y, x)", "as in `input_size=(32, 32)`")
    if len(size) > 2 or not all(1 <= side <= 1 << 20 for side in size):
        what = f"`{name}` is {size}, and takes the (y, x) of a picture, or the (x,) of a signal"
        raise error("E423", what, help="channels and the number of inputs do not belong to it")
    return size


def count(name: str, given: object) -> int | None:
    """Accept a positive integer, or None."""
    if given is None:
        return None
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        wrong(name, given, "a whole number")
    if not 1 <= (number := given.__index__()) <= 1 << 20:
        raise error("E423", f"`{name}` is {number}, and takes a whole number from 1 on")
    return number


def names_of(given: object, name: str = "labels") -> tuple[str, ...]:
    """Accept names in order: a list, an array, numbers (converted to strings), a mapping from 0, 1, 2 ... to names
    (``config.id2label``), or a file with one name per line. None: no names."""
    if given is None:
        return ()
    if isinstance(given, PathLike):
        return _lines(given, name)
    takes = "a list of names, or a dict from number to name"
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        wrong(name, given, takes, f"as in `{name}=['cat', 'dog']`; a file with one name a line: `pathlib.Path(...)`")
    if isinstance(given, Mapping):
        return _numbered(given, name, takes)
    if hasattr(given, "tolist") and callable(given.tolist):
        given = given.tolist()
        if not isinstance(given, list):
            wrong(name, given, takes)
    names = []
    for number, value in enumerate(given):
        if number >= MOST_LABELS:
            raise error("E423", f"`{name}` has over {MOST_LABELS:,} names")
        names.append(_word(value, f"{name}[{number}]"))
    return tuple(names)


def _numbered(given: Mapping[Any, Any], name: str, takes: str) -> tuple[str, ...]:
    keys = [int(key) if isinstance(key, str) and key.isdecimal() else key for key in given]
    turned = (
        bool(keys) and all(isinstance(k, str) for k in keys) and all(hasattr(v, "__index__") for v in given.values())
    )
    if turned:  # name -> number, as label2id has it
        return _numbered({number.__index__(): word for word, number in given.items()}, name, takes)
    numbers = [key.__index__() if hasattr(key, "__index__") else None for key in keys]
    if sorted(n for n in numbers if n is not None) != list(range(len(keys))):
        what = f"`{name}` is a dict whose keys are not the numbers 0 to {max(len(keys) - 1, 0)}"
        raise error("E423", what, help=f"it takes {takes}, each number once")
    by_number = dict(zip(numbers, given.values(), strict=True))
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
