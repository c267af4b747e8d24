"""What a page found for the pipes of a scan, for the workers that compute its shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import STAND_IN, Scan, walk
from bbilang.runtime.fields.atoms import numpy_of
from bbilang.runtime.interventions.stand_ins import StandIn

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run


class Found:
    """A scan whose pipes hold what was found, with what stands in the place of their atoms. It is pickled when a shard
    is missing, and tensors are made only then."""

    def __init__(self, scan: Scan, stand_ins: Mapping[str, Mapping[str, StandIn]]):
        self.scan, self.stand_ins = scan, stand_ins

    @classmethod
    def of(cls, scan: Scan, run: Run) -> Found:
        """Take what a resolved scan needs out of the run that found it."""
        keys = {node[STAND_IN] for node in walk(*scan.fields) if isinstance(node.get(STAND_IN), str)}
        return cls(scan, {key: run.shared.stand_ins[key] for key in keys})

    def __getstate__(self) -> dict[str, object]:
        arrays = {key: {layer: (numpy_of(own.values()), own.natural) for layer, own in layers.items()}
                  for key, layers in self.stand_ins.items()}  # fmt: skip
        return {"scan": replace(self.scan, serves=()), "arrays": arrays}

    def __setstate__(self, state: dict[str, object]) -> None:
        arrays = state["arrays"]
        assert isinstance(arrays, dict) and isinstance(state["scan"], Scan)
        self.scan = state["scan"]
        self.stand_ins = {key: {layer: StandIn(partial(_tensor, values), natural)
                                for layer, (values, natural) in layers.items()}
                          for key, layers in arrays.items()}  # fmt: skip


def _tensor(values: np.ndarray) -> Tensor:
    import torch

    return torch.from_numpy(values)
