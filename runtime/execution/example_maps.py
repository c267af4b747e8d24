"""What is computed after a scan, and kept in the cache: maps of channels on a few examples, receptive fields."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from bbilang.runtime.cache.disk import key_of
from bbilang.runtime.errors import NotKept

if TYPE_CHECKING:
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.execution.scanning import ScanWork
    from bbilang.runtime.json_types import JsonObject

BATCH = 16  # pictures that run at once
FORMAT, ONLY = "arrays", "values"


def remembered(cache: Cache | None, what: JsonObject, compute: Callable[[], np.ndarray] | None) -> np.ndarray:
    """Return an array from the cache, or compute it and keep it there. Raises `NotKept` where nothing can compute
    it."""
    made = None if compute is None else lambda: {ONLY: compute()}
    return remembered_arrays(cache, what, made)[ONLY]


def remembered_arrays(
    cache: Cache | None, what: JsonObject, compute: Callable[[], Mapping[str, np.ndarray]] | None
) -> Mapping[str, np.ndarray]:
    """Return several arrays by their names, in the same way."""
    key = key_of({**what, "format": FORMAT})
    record = cache.get(key) if cache is not None else None
    if record is not None:
        try:
            with np.load(io.BytesIO(record[0]), allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (ValueError, EOFError, OSError, KeyError, BadZipFile):  # damaged: computed again
            pass
    if compute is None:
        raise NotKept
    made = compute()
    if cache is not None:
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **made)
        cache.put(key, file.getvalue(), {"kind": "numbers"})
    return made


def maps_of(work: ScanWork, dataset: Dataset, pairs: np.ndarray) -> np.ndarray:
    """Run the network on some examples, each once. pairs (pair, 2): the number of an example in the dataset and a
    channel. Returns (pair, y, x)."""
    import torch

    wanted: dict[int, list[int]] = {}
    for number, (example, _) in enumerate(pairs.tolist()):
        wanted.setdefault(example, []).append(number)
    maps: list[np.ndarray] = [np.zeros((0, 0))] * len(pairs)
    examples = list(wanted)
    for start in range(0, len(examples), BATCH):
        own = examples[start : start + BATCH]
        images = torch.from_numpy(np.stack([work.prepare(dataset.picture(example)) for example in own]))
        neurons = work.neurons(images)
        for example, values in zip(own, neurons, strict=True):
            for number in wanted[example]:
                maps[number] = values[pairs[number, 1]].astype(np.float32)
    return np.stack(maps)
