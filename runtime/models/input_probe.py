"""Infer the input of a module: image, signal, sequence or vector, its channels and its size.

The evidence is the first layer with weights and the configuration that timm, torchvision and transformers attach to a
model; where that is not enough, sizes are tried. A trial is one forward of zeros, and most fail at the first layer that
does not fit.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from bbilang.runtime.errors import error

logger = logging.getLogger("bbilang.models")

USUAL = 224
COMMON = (32, 28, 64, 96, 128, 48, 160, 192, 16, 8, 112, 256, 240, 227, 299, 384, 320, 288, 512, 448)  # then others
NEAR = 24  # pixels around an inferred size
MOST_TRIES = 64
RANKS = {"image": 3, "signal": 2, "sequence": 2, "vector": 1, "text": 1}


@dataclass(frozen=True)
class InputForm:
    """``reads``: as in a description. ``size``: (y, x) of an image, (1, x), or (1, 1) of a vector. ``sure``: whether
    the caller stated it, so that no other is tried."""

    reads: str
    channels: int
    size: tuple[int, int]
    sure: bool = False


def likely_form(
    module: nn.Module,
    size: tuple[int, ...] | None = None,
    channels: int | None = None,
    shape: Sequence[int] | None = None,
    picture: bool = False,
) -> InputForm:
    """Return the most likely form without running the module. ``size``: as `adapt` takes it. ``shape``: of a tensor
    that will be given, with or without an input axis. ``picture``: whether an image will be given. Raises BbiError E408
    for a module that takes volumes, E418 for an invalid shape."""
    first = first_layer(module)
    if isinstance(first, nn.Conv3d | nn.ConvTranspose3d):
        help = "give one slice or frame of it as (channel, y, x), to a module that takes that"
        raise error("E408", "the model takes volumes (channel, z, y, x), and inputs have up to three axes", help)
    if shape is not None and size is None:
        return _of_shape(tuple(shape), first, channels)
    if size is not None and len(size) == 1 and isinstance(first, nn.Linear) and size[0] == first.in_features:
        size = ()  # the size of a vector, not the length of a sequence
    if size is not None:
        reads = {2: "image", 1: "sequence" if _last(first) else "signal", 0: "vector"}[len(size)]
        whole = size if len(size) == 2 else (1, *size) if size else (1, 1)
        return InputForm(reads, channels or _channels(module, first, reads), (whole[0], whole[1]), True)
    if isinstance(first, nn.Conv1d | nn.ConvTranspose1d | nn.RNNBase):
        what = "sequences (x, channel)" if _last(first) else "signals (channel, x)"
        raise error(
            "E408", f"the model takes {what}, and their length is not known", "say it: `adapt(module, input_size=(x,))`"
        )
    if isinstance(first, nn.Linear) and not picture and channels is None:
        if not any(isinstance(child, nn.Flatten | nn.Conv2d) for child in module.modules()):
            return InputForm("vector", first.in_features, (1, 1))
    config = configured(module)
    known = config[1:] if config else (USUAL, USUAL)
    return InputForm("image", channels or (config and config[0]) or _channels(module, first, "image"), known)


def other_forms(module: nn.Module, failed: InputForm) -> Iterator[InputForm]:
    """Yield further forms to try after ``failed``, the likely ones first."""
    first = first_layer(module)
    if failed.sure:
        if (
            failed.reads == "image" and failed.channels != 3
        ):  # pixels may be folded into channels before the first layer
            yield InputForm("image", 3, failed.size, True)
        return
    if failed.reads != "image":
        failed = InputForm("image", 3, (USUAL, USUAL))
        yield failed
    sizes = list(_inferred_sides(module, failed))
    if isinstance(first, nn.Linear):
        for channels in (1, 3):
            side = math.isqrt(first.in_features // channels)
            if side * side * channels == first.in_features and side > 1:
                yield InputForm("image", channels, (side, side))
        yield InputForm("vector", first.in_features, (1, 1))
    for size in dict.fromkeys((*sizes, *COMMON)):
        yield InputForm("image", failed.channels, (size, size))


def first_layer(module: nn.Module) -> nn.Module | None:
    """Return the first module whose weights determine its input, in the order of `modules()`."""
    kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.RNNBase, nn.Embedding)
    return next((child for child in module.modules() if isinstance(child, kinds)), None)


def configured(module: nn.Module) -> tuple[int, int, int] | None:
    """Return (channel, y, x) as the model's library recorded it: timm's ``pretrained_cfg``, transformers' ``config``,
    torchvision's ``image_size``; None where it did not."""
    for child in module.modules():
        own = getattr(child, "pretrained_cfg", None) or getattr(child, "default_cfg", None)
        if isinstance(own, dict) and len(size := tuple(own.get("input_size") or ())) == 3:
            stem = getattr(getattr(child, "patch_embed", None), "img_size", None)  # the size that it was built for
            y, x = stem if isinstance(stem, tuple) and len(stem) == 2 else size[1:]
            return int(getattr(child, "in_chans", size[0]) or size[0]), int(y), int(x)
        for holder in (getattr(child, "config", None), child):
            side = getattr(holder, "image_size", None)
            side = (side, side) if isinstance(side, int) else side
            if isinstance(side, tuple | list) and len(side) == 2 and all(isinstance(s, int) for s in side):
                channels = getattr(holder, "num_channels", None)
                first = first_layer(module)
                return channels if isinstance(channels, int) else _channels(module, first, "image"), side[0], side[1]
    return None


def _of_shape(shape: tuple[int, ...], first: nn.Module | None, channels: int | None) -> InputForm:
    """Return the form of a tensor of that shape; an extra leading axis is that of the inputs."""
    along = isinstance(first, nn.Conv1d | nn.ConvTranspose1d | nn.RNNBase)
    if len(shape) == 4 or (len(shape) == 3 and along):
        shape = shape[1:]
    elif len(shape) == 2 and isinstance(first, nn.Linear) and shape[1] == first.in_features:
        shape = shape[1:]
    if not 1 <= len(shape) <= 3 or 0 in shape:
        what = f"a tensor of shape {shape} is no input"
        raise error("E418", what, help="inputs are (channel, y, x), (channel, x) or (channel,)")
    if len(shape) == 3:
        return InputForm("image", shape[0], (shape[1], shape[2]), True)
    if len(shape) == 1:
        return InputForm("vector", shape[0], (1, 1), True)
    if isinstance(first, nn.modules.conv._ConvNd) and not along:
        what = f"a tensor of shape {shape} has no axis of channels, and the model takes pictures"
        raise error("E418", what, help=f"give (1, {shape[0]}, {shape[1]}): `tensor[None]`")
    if _last(first):
        return InputForm("sequence", shape[1], (1, shape[0]), True)
    return InputForm("signal", shape[0], (1, shape[1]), True)


def _last(first: nn.Module | None) -> bool:
    """Return whether the first layer has its channels last, as recurrent and linear layers do."""
    return isinstance(first, nn.RNNBase | nn.Linear | nn.Embedding)


def _channels(module: nn.Module, first: nn.Module | None, reads: str) -> int:
    if reads == "image":
        first = next((child for child in module.modules() if isinstance(child, nn.Conv2d)), None)
        return first.in_channels if first is not None else 3
    if isinstance(first, nn.Linear):
        return first.in_features
    if isinstance(first, nn.RNNBase):
        return first.input_size
    return first.in_channels if isinstance(first, nn.modules.conv._ConvNd) else 1


class _Unfit(Exception):
    """An input form does not fit the module."""


def _inferred_sides(module: nn.Module, failed: InputForm) -> Iterator[int]:
    """Yield sides of a square that would fit the first linear layer that failed: its features grow with the area."""
    linear = [child for child in module.modules() if isinstance(child, nn.Linear)]
    widths: list[tuple[int, int]] = []

    def compare_features(child: nn.Linear, arguments: tuple[object, ...]) -> None:
        tensor = arguments[0] if arguments else None
        if isinstance(tensor, torch.Tensor) and tensor.dim() and tensor.shape[-1] != child.in_features:
            widths.append((int(tensor.shape[-1]), child.in_features))
            raise _Unfit

    modes = {child: child.training for child in module.modules()}
    handles = []
    try:
        for child in modes:
            child.training = False
        handles = [child.register_forward_pre_hook(compare_features) for child in linear]
        weight = next(module.parameters(), torch.empty(0))
        with torch.no_grad():
            module(torch.zeros(1, failed.channels, *failed.size, device=weight.device, dtype=weight.dtype))
    except Exception as e:  # models raise anything; the hook may have seen enough before
        logger.debug("a trial at %s failed: %s: %s", failed.size, type(e).__name__, e)
    finally:
        for handle in handles:
            handle.remove()
        for child, training in modes.items():
            child.training = training
    for have, want in widths:
        side = max(1, round(failed.size[0] * math.sqrt(want / have)))
        near = range(max(1, side - NEAR), side + NEAR + 1)
        yield from sorted((s for s in COMMON if s in near), key=lambda s: abs(s - side))
        yield from sorted(near, key=lambda s: abs(s - side))
