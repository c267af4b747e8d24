"""Describe and load the models of a source: timm, torchvision, transformers, the reader's own code."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from bbilang.compiler.ir.model_description import (
    HEADS,
    INPUT,
    OUTPUT,
    LayerDescription,
    ModelDescription,
    layer_name,
)
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.texts import read
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.models.describe import describe_module
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.models.sources.model_spec import ModelSource, ModelSpec
from bbilang.runtime.models.sources.short_names import short_names
from bbilang.runtime.models.sources.text_models import TextAdapter, TextModel
from bbilang.runtime.models.sources.tokens import Tokenizer, longest_of
from bbilang.runtime.models.weights.load import fit_file, fit_random

logger = logging.getLogger("bbilang.models")

TEXT_LENGTH = 16  # tokens, in a description before any text is given
KINDS = (
    ("conv", (nn.Conv1d, nn.Conv2d, nn.Conv3d)),
    ("norm", (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)),
    ("pool", (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)),
)
NO_TEXT = Preprocess(1, (1, 1))


def describe_source_model(
    source: ModelSource, name: str, size: tuple[int, int] | None, texts: tuple[str, ...] = ()
) -> ModelDescription:
    """Describe a model of a source; cached on disk by everything that the description depends on. ``size``: (y, x), or
    None for the model's own; ``texts``: the inputs of a model that reads text."""
    spec: ModelSpec | None = None
    if texts:
        spec = source.find(name)
        assert spec.words is not None, f"{name} reads no text"
        size = (1, longest_of(spec.words, [read(text)[1] for text in texts], name))
    dependencies = source.key(name)
    if dependencies is None:
        return _described(name, spec or source.find(name), size)
    folder = Path(__file__).parent
    files = sorted([*folder.glob("*.py"), *(folder.parent / f for f in ("describe.py", "dataflow.py", "heads.py"))])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    versions = [*dependencies, torch.__version__]
    key = key_of({"what": "description", "of": versions, "size": list(size) if size else None, "sources": digest})
    store = Cache()
    if (record := store.get(key)) is not None:
        return ModelDescription.from_json(json.loads(record[0]))
    description = _described(name, spec or source.find(name), size)
    store.put(key, json.dumps(description.to_json()).encode(), {"kind": "description"})
    return description


def load_source_model(
    source: ModelSource, name: str, weights: str | Path | None, device: torch.device, seed: int
) -> Adapter:
    """Load a model of a source with its pretrained weights (None), random ones or those of a file."""
    spec: ModelSpec = source.find(name)
    module = spec.trained() if weights is None else spec.build()
    words, random = spec.weights, spec.random
    if weights is not None:
        inner = module.model if isinstance(module, TextModel) else module
        random = weights == "random"
        words = fit_random(inner, seed) if random else fit_file(inner, Path(os.path.expanduser(weights))).words
    module.eval().requires_grad_(False).to(device)
    description = _of_module(name, spec, module, None)
    if spec.words is not None:
        return TextAdapter(description, module, NO_TEXT, words, spec.definition, random, words=spec.words)
    adapter = Adapter(description, module, spec.preprocess, words, spec.definition, random)
    return adapter.described_as(description)


def text_adapter(
    module: nn.Module, words: Tokenizer, labels: tuple[str, ...], output: str, name: str, scores: bool
) -> TextAdapter:
    """Make the adapter of a module that reads text, for `bbilang.adapt_text`. The module itself is used."""
    wrapped = module if isinstance(module, TextModel) else TextModel(module, scores)
    length = min(TEXT_LENGTH, words.longest)
    path = f"model.{output}" if output and wrapped is not module else output
    description = _renamed(describe_module(wrapped, (1, length), name, output=path, reads="text"), wrapped)
    description = replace(description, labels=_labels(labels, description.classes, name))
    kind = type(module)
    stated = f"those of the {kind.__name__} given"
    definition = f"{kind.__module__}.{kind.__qualname__}"
    return TextAdapter(description, wrapped, NO_TEXT, stated, definition, words=words)


def describe_text_module(module: nn.Module, size: tuple[int, int], name: str) -> ModelDescription:
    """Describe a `TextModel` of the registry for texts of ``size``, (1, token)."""
    return _renamed(describe_module(module, size, name, reads="text"), module)


def _described(name: str, spec: ModelSpec, size: tuple[int, int] | None) -> ModelDescription:
    """Describe by a forward on the meta device; on the CPU, with untrained weights, where the model cannot run
    there."""
    try:
        with torch.device("meta"):
            return _of_module(name, spec, spec.build(), size)
    except Exception as e:  # code that reads a value, which meta tensors do not have, raises anything
        logger.info(
            "%s does not run on the meta device, and is described on the CPU: %s: %s", name, type(e).__name__, e
        )
        return _of_module(name, spec, _built(name, spec), size)


def _built(name: str, spec: ModelSpec) -> nn.Module:
    try:
        return spec.build()
    except BbiError:
        raise
    except Exception as e:  # the constructor of a stranger's module raises anything
        raise error("E408", f"{name} cannot be built: {type(e).__name__}: {e}") from e


def _of_module(name: str, spec: ModelSpec, module: nn.Module, size: tuple[int, int] | None) -> ModelDescription:
    size = size or (spec.preprocess.crop if spec.words is None else (1, min(TEXT_LENGTH, spec.words.longest)))
    reads, channels = "image" if spec.words is None else "text", len(spec.preprocess.mean)
    description = describe_module(module, size, name, channels, title=spec.title, reads=reads)
    labels = spec.labels if len(spec.labels) == description.classes else ()
    return replace(_renamed(description, module), labels=labels)


def _labels(labels: tuple[str, ...], classes: int, name: str) -> tuple[str, ...]:
    if labels and len(labels) != classes:
        raise error("E408", f"{name} has {classes} classes, but there are {len(labels)} labels")
    return labels


def _renamed(description: ModelDescription, module: nn.Module) -> ModelDescription:
    """Give layers short names, with their paths as aliases, and a kind by the type of their module."""
    if isinstance(module, TextModel):  # the wrapper is ours: its name is no part of a layer's
        inner = short_names(module.model)
        own = {path: path for path, _ in module.named_modules() if path and not path.startswith("model.")}
        short = {**own, **{f"model.{path}": f"model.{path}" if name in own else name for path, name in inner.items()}}
    else:
        short = short_names(module)
    short = {path: layer_name(name) for path, name in short.items()}
    long = {name: path for path, name in description.heads.items() if name == f"{path}{HEADS}"}
    short |= {layer.module: f"{short[long[layer.name]]}{HEADS}" for layer in description.layers if layer.name in long}
    described = {layer.name: layer.module for layer in description.layers}
    modules = dict(module.named_modules())
    names = {short[layer.module] for layer in description.layers}

    def renamed(layer: LayerDescription) -> LayerDescription:
        inputs = tuple(short.get(described.get(name, name), name) for name in layer.inputs)
        name = short[layer.module]
        kind = layer.kind if layer.module not in modules else _kind(modules[layer.module], name, names)
        return replace(layer, name=name, inputs=inputs, kind=kind)

    layers = tuple(renamed(layer) for layer in description.layers)
    aliases = {alias: short[described[name]] for alias, name in description.aliases.items()}
    own_modules = [layer for layer in layers if layer.module in modules]
    aliases |= {x.module: x.name for x in own_modules if layer_name(x.module) == x.module != x.name}
    if isinstance(module, TextModel):  # full paths in the reader's own module
        whole = {layer.module.removeprefix("model."): layer.name for layer in own_modules if layer.module != "model"}
        taken = {*names, *aliases, INPUT, OUTPUT}
        aliases |= {path: name for path, name in whole.items() if path not in taken}
    absent = {name: why for path, why in description.absent.items() for name in (short.get(path, path), path)}
    known = {name: short[path] for name, path in described.items()}
    parts = tuple(replace(p, layers=tuple(known.get(name, name) for name in p.layers)) for p in description.parts)
    ends = tuple(known.get(name, name) for name in description.ends)
    heads = {path: short[described[name]] for path, name in description.heads.items()}
    for prefix in ("", "model.") if isinstance(module, TextModel) else ("",):
        own = {path.removeprefix(prefix): name for path, name in heads.items()}
        heads |= {name: layer for path, layer in heads.items() for name in (short.get(path, path),)} | own
    return replace(description, layers=layers, aliases=aliases, absent=absent, parts=parts, ends=ends, heads=heads)


def _kind(module: nn.Module, name: str, names: set[str]) -> str:
    parts = name.split(".")
    inside = any(".".join(parts[:depth]) in names for depth in range(1, len(parts)))
    known = next((kind for kind, types in KINDS if isinstance(module, types)), "")
    return "inner" if inside else known or ("block" if any(module.children()) else "")
