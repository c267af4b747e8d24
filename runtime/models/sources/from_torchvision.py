"""Load `torchvision:NAME`: the image classifiers of torchvision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bbilang.runtime.errors import error
from bbilang.runtime.models.adapter import suggestion
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.models.sources.libraries import downloading, imported, version_of
from bbilang.runtime.models.sources.model_spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn
    from torchvision.transforms._presets import ImageClassification

# Auxiliary classifiers are used in training only; initializing them takes a minute.
OPTIONS: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": False, "transform_input": True}
    for name in ("googlenet", "inception_v3")
}
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")

runs_own_code = False


def key(name: str) -> tuple[str, ...]:
    """Return everything that a description depends on besides this file."""
    return (name, version_of("torchvision"))


def find(name: str) -> ModelSpec:
    """Look up a classifier of torchvision. Raises BbiError E401 (no such classifier), E410 (torchvision is missing, or
    does not fit torch)."""
    own = name.removeprefix("torchvision:")
    imported("torchvision")
    from torchvision import models

    known = models.list_models(module=models)
    if own not in known:
        raise error("E401", f"torchvision has no image classifier `{own}`", suggestion(own, known).strip() or None)
    builder, weights = models.get_model_builder(own), models.get_model_weights(own).DEFAULT
    options = OPTIONS.get(own, {})

    def build() -> nn.Module:
        return builder(weights=None, **options)

    def trained() -> nn.Module:
        from bbilang.runtime.models.weights.load import fit

        with downloading(name):  # checked against the hash in the file name; loading runs no code
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        module = build()
        fit(module, {k: v for k, v in state.items() if not k.startswith(AUXILIARY)}, name)
        return module

    words = f"{weights.name} (torchvision {version_of('torchvision')})"
    labels = tuple(weights.meta.get("categories", ()))
    return ModelSpec(own, build, trained, words, preprocess_of(weights.transforms()), labels, f"torchvision {own}")


def preprocess_of(transforms: ImageClassification) -> Preprocess:
    """Read the preprocessing from the preset of the weights (resize, crop, mean and standard deviation)."""
    (resize,), (crop,) = transforms.resize_size, transforms.crop_size
    mean, std = tuple(transforms.mean), tuple(transforms.std)
    return Preprocess(max(resize, crop), (crop, crop), transforms.interpolation.value, mean, std)
