"""Load `timm:NAME`: the image classifiers and encoders of timm (Wightman, PyTorch Image Models)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from bbilang.runtime.errors import error
from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.models.adapter import suggestion
from bbilang.runtime.models.preprocess import INTERPOLATIONS, Preprocess
from bbilang.runtime.models.sources.libraries import downloading, imported, version_of
from bbilang.runtime.models.sources.model_spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

NAME = re.compile(r"[\w-]+(\.[\w-]+)?")  # `resnet50` or `resnet50.a1_in1k`; not the path of a file or of a hub

runs_own_code = False


def key(name: str) -> tuple[str, ...]:
    """Return everything that a description depends on besides this file."""
    return (name, version_of("timm"))


def find(name: str) -> ModelSpec:
    """Look up a model of timm. Raises BbiError E401 (no such model), E410 (timm is not installed)."""
    own = name.removeprefix("timm:")
    timm = imported("timm")
    if not NAME.fullmatch(own) or not timm.is_model(own):
        raise error("E401", f"timm has no model `{own}`", suggestion(own, timm.list_models()).strip() or None)
    config = timm.get_pretrained_cfg(own).to_dict()

    def build(pretrained: bool = False) -> nn.Module:
        return timm.create_model(own, pretrained=pretrained)

    def trained() -> nn.Module:
        if not timm.is_model_pretrained(own):
            raise error("E402", f"timm has no weights for `{own}`", "pass `--weights FILE` or `--weights random`")
        with downloading(name):
            return build(True)

    words = f"{config.get('tag') or 'pretrained'} (timm {version_of('timm')})"
    return ModelSpec(own, build, trained, words, preprocess_of(config), labels_of(config), f"timm {own}")


def preprocess_of(config: JsonObject) -> Preprocess:
    """Read the preprocessing from a pretrained configuration, as timm's evaluation does: resize, crop the centre."""
    y, x = config["input_size"][1:]
    size = math.floor(max(y, x) / config.get("crop_pct", 0.875))
    interpolation = config.get("interpolation", "bicubic")
    mean, std = (tuple(float(v) for v in config[part]) for part in ("mean", "std"))
    squashed = config.get("crop_mode") == "squash" and y == x
    return Preprocess(
        size, (y, x), interpolation if interpolation in INTERPOLATIONS else "bicubic", mean, std, squashed
    )


def labels_of(config: JsonObject) -> tuple[str, ...]:
    """Return the labels of the configuration; else, by the number of classes, those of a subset of ImageNet."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    names = config.get("label_descriptions") or config.get("label_names")
    if isinstance(names, dict):
        names = [names[label] for label in config.get("label_names") or sorted(names)]
    if names:
        return tuple(map(str, names))
    if config.get("num_classes") == 1000:
        from bbilang.runtime.models.registry import MODELS_FOLDER

        return tuple((MODELS_FOLDER / "imagenet.txt").read_text(encoding="utf-8").splitlines())
    subset = infer_imagenet_subset(config)
    return tuple(ImageNetInfo(subset).label_descriptions()) if subset else ()
