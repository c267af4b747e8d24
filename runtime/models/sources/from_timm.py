"""`timm:NAME`: the image classifiers and encoders of timm (Wightman, PyTorch Image Models), without their training."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from bbilang.runtime.models.adapter import suggestion
from bbilang.runtime.models.preprocess import INTERPOLATIONS, Preprocess
from bbilang.runtime.models.sources.source import Found, downloading, error, imported, version_of

if TYPE_CHECKING:
    from torch import nn

NAME = re.compile(r"[\w-]+(\.[\w-]+)?")  # `resnet50` or `resnet50.a1_in1k`; no addresses of files or of a hub


def key(name: str) -> tuple[str, ...]:
    """What a description depends on besides this file."""
    return (name, version_of("timm"))


def find(name: str) -> Found:
    """Raises BbiError E401 (no such model), E410 (timm is not installed)."""
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
    return Found(own, build, trained, words, preprocess_of(config), labels_of(config), f"timm {own}")


def preprocess_of(config: dict[str, Any]) -> Preprocess:
    """From a pretrained configuration, as timm's own evaluation does: resize by the crop's share, crop the centre."""
    y, x = config["input_size"][1:]
    size = math.floor(max(y, x) / config.get("crop_pct", 0.875))
    how = config.get("interpolation", "bicubic")
    mean, std = (tuple(float(v) for v in config[part]) for part in ("mean", "std"))
    squashed = config.get("crop_mode") == "squash" and y == x
    return Preprocess(size, (y, x), how if how in INTERPOLATIONS else "bicubic", mean, std, squashed)


def labels_of(config: dict[str, Any]) -> tuple[str, ...]:
    """The configuration's own; else, by the number of classes, those of the ImageNet subset that timm knows."""
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
