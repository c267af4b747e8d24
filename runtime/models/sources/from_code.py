"""Load `package.module:factory` and `file.pt2`: models that run the reader's own code, which takes `--allow-code`.

A file of torch.export is a program: loading it unpickles its contents and evaluates its symbolic shapes, so it can run
anything (torch.export.load: "Never load data from an untrusted source"). Nothing here makes that safe.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bbilang.grammar.files import opened, path_of, short
from bbilang.runtime.errors import error
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.models.sources.model_spec import EXPORTED, ModelSpec
from bbilang.runtime.models.sources.permission import require_permission

if TYPE_CHECKING:
    from torch import nn

runs_own_code = True


def key(name: str) -> None:
    """Return None: code may change between calls, so its descriptions are not cached. Raises E409."""
    require_permission(name)


def find(name: str) -> ModelSpec:
    """Load the file or call the factory. Raises BbiError E409 (not allowed), E401 (does not exist), E408 (does not
    return a module, or fails)."""
    require_permission(name)
    return _load_exported(name) if name.endswith(EXPORTED) else _call_factory(name)


def _call_factory(name: str) -> ModelSpec:
    """Call a factory without arguments: it returns a torch.nn.Module, or an adapter (`bbilang.adapt`)."""
    from bbilang.runtime.models.adapter import Adapter

    path, _, attribute = name.partition(":")
    made = _result_of(name, path, attribute)
    if isinstance(made, Adapter):
        description = made.description
        return ModelSpec(description.title, lambda: made.module, lambda: made.module, made.weights, made.preprocess,
                     description.labels, made.definition, getattr(made, "words", None), made.random)  # fmt: skip
    if not hasattr(made, "named_modules"):
        raise error("E408", f"`{name}` gives a {type(made).__name__}, not a torch.nn.Module")
    module = cast("nn.Module", made)
    return _spec(attribute, lambda: module, f"those that `{name}` gives", name)


def _result_of(name: str, path: str, attribute: str) -> object:
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
    except Exception as e:  # the user's own function raises anything
        raise error("E408", f"`{name}()` failed: {type(e).__name__}: {e}", "it is called without arguments") from e


def _load_exported(name: str) -> ModelSpec:
    """Load a program of torch.export, unflattened into its original modules."""
    import torch

    try:
        path = path_of(name)
        with opened(path) as file:
            digest = hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()[:16]
    except FileNotFoundError as e:
        raise error("E401", f"there is no file {short(name)}") from e
    except OSError as e:
        raise error("E401", f"{short(name)} cannot be read: {e.strerror or e}") from e
    try:
        program = torch.export.load(path)
        made = torch.export.unflatten(program)
        example = next(v for v in (program.example_inputs or ((), {}))[0] if isinstance(v, torch.Tensor))
    except Exception as e:  # torch.export has no error of its own for a file that is not one of its programs
        lines = str(e).strip().splitlines()
        raise error("E403", f"{path.name} is no program of torch.export: {lines[0] if lines else e}") from e
    size = tuple(example.shape[-2:])
    return _spec(path.stem, lambda: made, path.name, f"{path.name} {digest}", size, example.shape[1])


def _spec(
    title: str, build: Callable[[], nn.Module], words: str, definition: str, size: tuple[int, ...] = (224, 224),
    channels: int = 3,
) -> ModelSpec:  # fmt: skip
    y, x = size
    preprocess = Preprocess(max(y, x), (y, x), mean=(0.0,) * channels, std=(1.0,) * channels)
    return ModelSpec(title, build, build, words, preprocess, (), definition)
