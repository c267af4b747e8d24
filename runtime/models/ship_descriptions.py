"""Write shipped descriptions: `python -m bbilang.runtime.models.ship_descriptions [MODEL ...]`, by default the built-in
ones; a test compares them."""

from __future__ import annotations

import importlib
import json
import sys
from types import ModuleType

from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.models.descriptions import describe_definition
from bbilang.runtime.models.registry import MODELS, SAMPLES, ModelEntry, entry_of


def shipped_json(entry: ModelEntry) -> JsonObject:
    """Return the JSON of one model at its own input size; ``labels`` is the name of a file."""
    definition = importlib.import_module(entry.definition)
    return describe_definition(entry, shipped_size(definition)).to_json() | {"labels": definition.LABELS}


def shipped_size(definition: ModuleType) -> tuple[int, int]:
    """Return the input size that a model's description is shipped with."""
    if hasattr(definition, "VOCABULARY"):
        return 1, 17  # the text of specs/where_does_each_head_look.bbi, with its start
    return (definition.HOP, definition.FRAMES) if hasattr(definition, "HOP") else definition.PREPROCESS.crop


def text(entry: ModelEntry) -> str:
    """Format the JSON with one layer per line."""
    data = shipped_json(entry)
    layers = ",\n".join("    " + json.dumps(layer) for layer in data.pop("layers"))
    rest = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
    return f'{{\n{rest},\n  "layers": [\n{layers}\n  ]\n}}\n'


if __name__ == "__main__":
    for name in sys.argv[1:] or (*MODELS, *SAMPLES):
        model = entry_of(name)
        model.shipped.write_text(text(model), encoding="utf-8")
