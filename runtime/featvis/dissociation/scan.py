"""One forward over all photographs: each layer's mean activations, and how much each photograph excites a unit."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bbilang.compiler.ir.program import OUTPUT
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.versions import code_digest, version_of
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.ascent import channel_axis
from bbilang.runtime.featvis.dissociation.photographs import LEAST, Photographs
from bbilang.runtime.featvis.losses import by_position
from bbilang.runtime.inputs.load import picture_of
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.passes.fallback import log

BATCH = 8  # photographs in one forward


@dataclass(frozen=True)
class Scan:
    """The responses of layers to photographs. ``means``: layer -> (photograph, channel), each channel's mean over
    positions; NaN where a photograph cannot be read."""

    photographs: Photographs
    means: dict[str, np.ndarray]

    def mean(self, layer: str) -> np.ndarray:
        """Return the mean over photographs and positions, (channel,)."""
        average: np.ndarray = np.nanmean(self.means[layer], axis=0)
        return average

    def strongest(self, layer: str, direction: np.ndarray, count: int) -> list[int]:
        """Return the numbers of the photographs with the largest mean response along a direction (channel,), largest
        first."""
        values = np.nan_to_num(self.means[layer] @ direction, nan=-np.inf)
        return [int(number) for number in np.argsort(-values, kind="stable")[:count]]


def scan(
    adapter: Adapter,
    model: str,
    photographs: Photographs,
    layers: Sequence[str],
    cache: Cache | None,
    counter: passes.Passes,
    step: Callable[[int, int], None] | None = None,
) -> Scan:
    """Return the means of some layers, from the cache or from one forward per photograph. ``model``: its key.
    ``step(done, all)`` is called after each batch. Raises BbiError E447 where too few photographs can be read, E501 to
    E504."""
    means: dict[str, np.ndarray] = {}
    for layer in layers:
        cached = _recalled(cache, _key(model, photographs, layer)) if cache is not None else None
        if cached is not None and len(cached) == len(photographs.files):
            means[layer] = cached
    missing = [layer for layer in layers if layer not in means]
    if missing:
        means |= _scanned(adapter, photographs, missing, counter, step)
    if cache is not None:
        for layer in missing:
            stream = io.BytesIO()
            np.save(stream, means[layer], allow_pickle=False)
            cache.put(_key(model, photographs, layer), stream.getvalue(), {"kind": "photographs"})
    return Scan(photographs, means)


def _key(model: str, photographs: Photographs, layer: str) -> str:
    of = {"what": "photographs", "model": model, "digest": photographs.digest, "layer": layer, "code": code_digest()}
    return key_of({**of, "torch": version_of("torch")})


def _recalled(cache: Cache, key: str) -> np.ndarray | None:
    record = cache.get(key)
    if record is None:
        return None
    try:
        values: np.ndarray = np.load(io.BytesIO(record[0]), allow_pickle=False)
        return values
    except (ValueError, OSError, EOFError):
        cache.drop(key)
        return None


def _scanned(
    adapter: Adapter,
    photographs: Photographs,
    layers: Sequence[str],
    counter: passes.Passes,
    step: Callable[[int, int], None] | None,
) -> dict[str, np.ndarray]:
    count = len(photographs.files)
    rows: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    readable: list[int] = []
    for start in range(0, count, BATCH):
        images, numbers = [], []
        for number in range(start, min(start + BATCH, count)):
            image = image_of(adapter, photographs.files[number])
            if image is not None:
                images.append(image)
                numbers.append(number)
        if images:
            inner, scores = [layer for layer in layers if layer != OUTPUT], OUTPUT in layers
            captured = passes.forward(adapter, torch.stack(images).to(adapter.device), inner, scores, counter=counter)
            for layer in layers:
                result = captured.scores if layer == OUTPUT else captured[layer]
                assert result is not None
                rows[layer].append(channel_means(result, channel_axis(adapter, layer)).float().cpu().numpy())
            readable += numbers
        if step is not None:
            step(min(start + BATCH, count), count)
    if len(readable) < LEAST:
        text = f"{len(readable)} of the {count} pictures of {photographs.name} can be read"
        raise error("E447", text, f"at least {LEAST} photographs are needed")
    means = {}
    for layer in layers:
        known = np.concatenate(rows[layer])
        means[layer] = np.full((count, known.shape[1]), np.nan, np.float32)
        means[layer][readable] = known
    return means


def image_of(adapter: Adapter, file: str) -> Tensor | None:
    """Read an image (3, y, x) in [0, 1], as the network sees it; return None for an unreadable file, which is
    logged."""
    try:
        return picture_of(file, file, adapter).image
    except BbiError as e:
        log.warning("left out: %s", e.diagnostics[0].message)
        return None


def channel_means(activation: Tensor, axis: int) -> Tensor:
    """Return the mean over positions (row, channel) of an activation (row, *layer shape)."""
    return by_position(activation, axis).mean(2)
