"""`package.module:factory` and `file.pt2`: models that run the reader's own code, which takes `--allow-code`.

A file of torch.export is a program: reading one unpickles what it holds and evaluates its symbolic shapes, so that it
can run anything (torch.export.load: "Never load data from an untrusted source"). Nothing here makes that safe.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang.grammar.files import opened, path_of, short
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.models.sources.source import EXPORTED, Found, error, require_permission

if TYPE_CHECKING:
    from torch import nn


def key(name: str) -> None:
    """Code may change from one call to the next: no description of it is kept."""
    require_permission(name)
    return None


def find(name: str) -> Found:
    """Raises BbiError E409 (not allowed), E401 (not there), E408 (it gives no module, or fails)."""
    require_permission(name)
    return _exported(name) if name.endswith(EXPORTED) else _made(name)


def _made(name: str) -> Found:
    """What a factory without arguments gives: a torch.nn.Module, or an adapter (`bbilang.adapt`) with preprocessing."""
    from bbilang.runtime.models.adapter import Adapter

    path, _, attribute = name.partition(":")
    made = _called(name, path, attribute)
    if isinstance(made, Adapter):
        description = made.description
        return Found(description.title, lambda: made.module, lambda: made.module, made.weights, made.preprocess,
                     description.labels, made.definition, getattr(made, "words", None), made.random)  # fmt: skip
    if not hasattr(made, "named_modules"):
        raise error("E408", f"`{name}` gives a {type(made).__name__}, not a torch.nn.Module")
    return _found(attribute, lambda: made, f"those that `{name}` gives", name)


def _called(name: str, path: str, attribute: str) -> Any:
    folder = str(Path.cwd())
    if folder not in sys.path:  # as `python -m` does
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(path)
    except ImportError as e:
        raise error("E401", f"`{path}` cannot be imported: {e}", "is it in this folder, or installed?") from e
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise error("E401", f"`{path}` has no function `{attribute}`")
    try:
        return factory()
    except Exception as e:
        raise error("E408", f"`{name}()` failed: {type(e).__name__}: {e}", "it is called without arguments") from e


def _exported(name: str) -> Found:
    """A program of torch.export, with its modules as they were before."""
    import torch

    try:
        path = path_of(name)
        with opened(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except FileNotFoundError as e:
        raise error("E401", f"there is no file {short(name)}") from e
    except OSError as e:
        raise error("E401", f"{short(name)} cannot be read: {e.strerror or e}") from e
    try:
        program = torch.export.load(path)
        made = torch.export.unflatten(program)
        example = next(v for v in (program.example_inputs or ((), {}))[0] if isinstance(v, torch.Tensor))
    except Exception as e:
        lines = str(e).strip().splitlines()
        raise error("E403", f"{path.name} is no program of torch.export: {lines[0] if lines else e}") from e
    size = tuple(example.shape[-2:])
    return _found(path.stem, lambda: made, path.name, f"{path.name} {digest}", size, example.shape[1])


def _found(
    title: str, build: Callable[[], nn.Module], words: str, definition: str, size: tuple[int, ...] = (224, 224),
    channels: int = 3,
) -> Found:  # fmt: skip
    y, x = size
    preprocess = Preprocess(max(y, x), (y, x), mean=(0.0,) * channels, std=(1.0,) * channels)
    return Found(title, build, build, words, preprocess, (), definition)
