"""Writes the shipped descriptions: `python -m bbilang.runtime.models.ship_descriptions`; a test compares them."""

from __future__ import annotations

import importlib
import json
from typing import Any

import torch

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.runtime.models.describe import describe_module
from bbilang.runtime.models.registry import MODELS, MODELS_FOLDER, ModelEntry


def described(entry: ModelEntry, size: tuple[int, int], labels: tuple[str, ...] = ()) -> ModelDescription:
    """A model of the registry at an input size (y, x), from its definition on the meta device: no weights are read."""
    definition = importlib.import_module(entry.definition)
    with torch.device("meta"):
        module = definition.build()
    return describe_module(
        module, size, entry.name, title=entry.title, labels=labels,
        names=definition.layer_names(), aliases=definition.aliases(), kinds=definition.kinds(),
    )  # fmt: skip


def shipped(entry: ModelEntry) -> dict[str, Any]:
    """The JSON of one model at its own input size; ``labels`` is the name of a file."""
    definition = importlib.import_module(entry.definition)
    return described(entry, definition.PREPROCESS.crop).to_json() | {"labels": definition.LABELS}


def text(entry: ModelEntry) -> str:
    """One layer a line."""
    data = shipped(entry)
    layers = ",\n".join("    " + json.dumps(layer) for layer in data.pop("layers"))
    rest = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
    return f'{{\n{rest},\n  "layers": [\n{layers}\n  ]\n}}\n'


if __name__ == "__main__":
    for model in MODELS.values():
        (MODELS_FOLDER / f"{model.name}.json").write_text(text(model), encoding="utf-8")
