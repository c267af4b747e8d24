"""Rows of many examples, in memory or in one file for each tensor: the memory that they take is bounded."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from bbilang.runtime.errors import error

IN_MEMORY = 1 << 28  # bytes of all tensors together; more go into files
MOST = 1 << 34  # bytes of files


class Rows:
    """Tensors whose first axis is the example, filled piece by piece, in order. A context: it removes its files."""

    def __init__(self, count: int, in_memory: int = IN_MEMORY, most: int = MOST):
        self.count, self.in_memory, self.most = count, in_memory, most
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._arrays: list[np.ndarray] = []
        self._types: list[torch.dtype] = []

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all rows: others may follow, of other shapes."""
        self._arrays, self._types = [], []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def in_files(self) -> bool:
        return self._folder is not None

    def put(self, start: int, rows: Sequence[Tensor]) -> None:
        """Store rows (example, ...) of every tensor, of examples number ``start`` and the following. Raises BbiError
        E556 where all examples together would take too much."""
        if not self._arrays:
            self._make(rows)
        for array, own in zip(self._arrays, rows, strict=True):
            array[start : start + len(own)] = own.detach().cpu().view(_plain(own.dtype)).numpy()

    def get(self, numbers: np.ndarray) -> list[Tensor]:
        """Return the rows of some examples, of every tensor."""
        made = (torch.from_numpy(np.asarray(array[numbers])) for array in self._arrays)
        return [value.view(kind) for value, kind in zip(made, self._types, strict=True)]

    def _make(self, rows: Sequence[Tensor]) -> None:
        size = self.count * sum(own[0].numel() * own.element_size() for own in rows)
        if size > self.most:
            message = f"what {self.count:,} examples give at the layer takes {size / 2**30:.0f} GiB"
            raise error("E556", message, f"take fewer: `| sample({max(1, int(self.count * self.most / size)):,})`")
        self._types = [own.dtype for own in rows]
        if size > self.in_memory:
            self._folder = tempfile.TemporaryDirectory(prefix="bbilang-")
        for number, own in enumerate(rows):
            shape, kind = (self.count, *own.shape[1:]), torch.empty(0, dtype=_plain(own.dtype)).numpy().dtype
            if self._folder is None:
                self._arrays.append(np.zeros(shape, kind))
            else:
                name = f"{self._folder.name}/{number}"
                self._arrays.append(np.memmap(name, kind, "w+", shape=shape))


def _plain(kind: torch.dtype) -> torch.dtype:
    """Return a type that numpy has, for bytes: bfloat16 is kept as int16."""
    return torch.int16 if kind == torch.bfloat16 else kind
