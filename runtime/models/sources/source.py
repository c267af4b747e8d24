"""Which source a model's name belongs to: `timm:NAME`, `torchvision:NAME`, `transformers:NAME`,
`package.module:factory`, `FILE.pt2`."""

from __future__ import annotations

import importlib
import re
from typing import cast

from bbilang.runtime.models.registry import MODELS, SAMPLES
from bbilang.runtime.models.sources.model_spec import EXPORTED, ModelSource

LIBRARIES = ("timm", "torchvision", "transformers")
FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def source_of(name: str) -> ModelSource | None:
    """Return the source of a model by its name; None for a model of our own registry, and for other words."""
    if name in SAMPLES or any(name == entry.name or name in entry.aliases for entry in MODELS.values()):
        return None
    prefix, colon, _ = name.partition(":")
    if colon and prefix in LIBRARIES:
        return cast(ModelSource, importlib.import_module(f"bbilang.runtime.models.sources.from_{prefix}"))
    if name.endswith(EXPORTED) or FACTORY.fullmatch(name):
        return cast(ModelSource, importlib.import_module("bbilang.runtime.models.sources.from_code"))
    return None
