"""Describe a model by its name: from the shipped JSON, from the disk cache, or from its definition."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.models.registry import ModelEntry, entry_of
from bbilang.runtime.models.sources.source import source_of


def describe(name: str, crop: int | tuple[int, int] | None = None, texts: Sequence[str] = ()) -> ModelDescription:
    """Describe a model by its name. Models of the registry have a shipped JSON, which takes no torch.

    ``crop``: pixels of a square, or (y, x). Another crop than the JSON's is described from the definition, on the meta
    device, and cached on disk; so is a model of another library.
    ``texts``: the inputs of a model that reads text or takes sounds, as `input` names them: the longest gives the
    number of tokens, or of frames, of ``crop`` samples each.
    Raises E401, E409, E410, E419; E408 for a crop that the model does not take, E418 for an invalid text.
    """
    if (source := source_of(name)) is not None:
        from bbilang.runtime.models.sources.wrap import describe_source_model

        return describe_source_model(source, name, (crop, crop) if isinstance(crop, int) else crop, tuple(texts))
    entry = entry_of(name)
    if entry.description.reads == "audio":
        return _of_sounds(entry, crop, texts)
    if entry.words and texts:
        from bbilang.runtime.inputs.texts import read
        from bbilang.runtime.models.sources.tokens import longest_of

        length = longest_of(entry.tokenizer, [read(text)[1] for text in texts], entry.name)
        known = entry.description
        return known if known.input_size == (1, length) else _at_size(entry, (1, length))
    size = entry.description.input_size if crop is None else (crop, crop) if isinstance(crop, int) else tuple(crop)
    return entry.description if size == entry.description.input_size else _at_size(entry, size)


@cache
def _at_size(entry: ModelEntry, size: tuple[int, int]) -> ModelDescription:
    """Describe at another input size; cached on disk by the source files that determine the description."""
    folder = Path(__file__).parent
    definitions = sorted(entry.folder.glob("*.py"))
    own = (folder / "describe.py", folder / "dataflow.py")
    sources = (Path(inspect.getfile(ModelDescription)), *own, *definitions)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    key = key_of({"what": "description", "model": entry.name, "size": size, "sources": digest})
    store = Cache()
    if (record := store.get(key)) is not None:
        return ModelDescription.from_json(json.loads(record[0]))
    description = describe_definition(entry, size, entry.description.labels)
    store.put(key, json.dumps(description.to_json()).encode(), {"kind": "description"})
    return description


def describe_definition(entry: ModelEntry, size: tuple[int, int], labels: tuple[str, ...] = ()) -> ModelDescription:
    """Describe a model of the registry at an input size (y, x) from its definition on the meta device, without
    weights."""
    import torch

    definition = importlib.import_module(entry.definition)
    with torch.device("meta"):
        module = definition.build()
    if entry.words:
        from bbilang.runtime.models.sources.wrap import describe_text_module

        return replace(describe_text_module(module, size, entry.name), title=entry.title, labels=labels)
    from bbilang.runtime.models.adapter import describe_module

    rate = getattr(definition, "RATE", 0)  # of a model that takes sounds
    description = describe_module(
        module, size, entry.name, 1 if rate else 3, title=entry.title, labels=labels, names=definition.layer_names(),
        aliases=definition.aliases(), kinds=definition.kinds(), reads="audio" if rate else "image",
    )  # fmt: skip
    return replace(description, rate=rate, window=getattr(definition, "WINDOW", 0))


def _of_sounds(entry: ModelEntry, crop: int | tuple[int, int] | None, sounds: Sequence[str]) -> ModelDescription:
    """Describe a model for the longest of some sounds. ``crop``: samples of a frame, or with the number of frames."""
    from bbilang.runtime.sound.clip import frames_of
    from bbilang.runtime.sound.files import seconds_of
    from bbilang.runtime.sound.names import is_sound

    known = entry.description
    hop = known.input_size[0] if crop is None else crop if isinstance(crop, int) else crop[0]
    seconds = max((seconds_of(sound) for sound in sounds if is_sound(sound)), default=known.seconds)
    frames = crop[1] if isinstance(crop, tuple) else frames_of(seconds, known.rate, hop)
    return known if known.input_size == (hop, frames) else _at_size(entry, (hop, frames))
