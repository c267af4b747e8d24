"""The state that a run shares with the runs of its parts, of its measures, and of batches of examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.identity_map import IdentityMap
from bbilang.compiler.ir.program import Node, Rerun, Scan
from bbilang.runtime.events import Progress, RunListener

if TYPE_CHECKING:
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.execution.scanning import ScannedDataset
    from bbilang.runtime.passes import Passes
    from bbilang.runtime.trust.measure import Finding


class Shared:
    """The state that a run shares with the runs of its parts and of its measures."""

    def __init__(self, registry: Registry, listener: RunListener | None, cache: Cache | None = None):
        from bbilang.runtime.passes import Passes

        self.registry, self.listener, self.cache = registry, listener, cache
        self.root: Path | None = None  # the folder that files may not leave
        self.datasets: IdentityMap[Node, Dataset] = IdentityMap()
        self.scanned: IdentityMap[Scan, ScannedDataset] = IdentityMap()
        self.progress = Progress(listener)
        self.trust_passes: Passes = Passes()  # what the measures of `trust` run, apart
        self.trust_results: IdentityMap[Rerun, dict[str, Finding]] = IdentityMap()  # step -> measure -> its result
        self.group_targets: dict[str, Node] = {}  # digest -> a target whose atoms are groups
