"""The model of a program: a caller's module as an adapter, or the one that the text names, loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.check.preamble import DEFAULT_MODEL
from bbilang.compiler.ir.program import Program
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.arguments import size_of
from bbilang.runtime.inputs.load import is_values, listed
from bbilang.runtime.models.adapter import Adapter, device_named
from bbilang.runtime.models.registry import is_registered

if TYPE_CHECKING:
    from torch import nn

PREPROCESS = ("size", "crop", "mean", "std", "rate", "window", "hop")


def is_name(model: object) -> bool:
    """Return whether a model is given by its name, or not at all; else it is a caller's module or adapter."""
    return model is None or isinstance(model, str)


def adapter_of(model: object, input: object, input_size: object = None) -> Adapter:
    """Return an adapter of a caller's module for the tensor or the picture that comes with it. ``input_size``: (y, x)
    in pixels, if the model does not say. Raises BbiError E408, E423."""
    size = size_of(input_size)
    if isinstance(model, Adapter):
        return model if size in (None, model.description.input_size) else model.with_preprocess(crop=size)
    from bbilang.runtime.models.adapt import adapted, module_of

    module = module_of(model)
    first = next(iter(listed(input) or ()), None)
    shape = tuple(map(int, first.shape)) if first is not None and is_values(first) else None
    if isinstance(first, np.ndarray) and shape is not None and len(shape) == 3:
        shape = None if first.dtype == np.uint8 and shape[2] == 3 else _channel_first(shape, module)
    return adapted(model, size, shape=shape, picture=first is not None and shape is None)


def _channel_first(shape: tuple[int, ...], module: nn.Module) -> tuple[int, ...]:
    """Return the shape of an array (y, x, channel) as that of a tensor; unchanged if only its first axis has as many
    channels as the module takes."""
    from bbilang.runtime.models.input_probe import likely_form

    channels = likely_form(module, (1, 1)).channels
    return shape if shape[0] == channels != shape[2] else (shape[2], shape[0], shape[1])


def load_for(program: Program, model: object, input: object, device: str) -> Adapter:
    """Load the program's model onto a device, with the program's preprocessing and description. ``model``: a caller's
    module or adapter. Raises BbiError E408 if the program was made for a module that is not given, and the errors of
    `load`."""
    from bbilang.runtime.models.loading import load

    slot, description = program.models[0], program.description
    if not is_name(model):
        size = description.input_size if description is not None and description.reads == "image" else None
        adapter = adapter_of(model, input, size)
        if device != "auto":
            device_named(device)
            adapter.to(device)
    elif slot.name == "module" or (description is not None and not _has_name(slot.name)):
        message = f"this program was made for a module of the caller's, `{slot.name}`"
        raise error("E408", message, "pass it again: `execute(plan, model=module)`")
    else:
        adapter = load(slot.name or DEFAULT_MODEL, slot.weights, device, seed=program.setting("seed", 0))
    settings = ((key, program.setting(f"preprocess.{key}")) for key in PREPROCESS)
    changes = {key: value for key, value in settings if value is not None}
    if changes:
        adapter = adapter.with_preprocess(**changes)
    return adapter.described_as(description) if description is not None else adapter


def _has_name(name: str) -> bool:
    """Return whether a model can be loaded by its name, from the registry or another library."""
    from bbilang.runtime.models.sources.source import source_of

    return is_registered(name) or source_of(name) is not None
