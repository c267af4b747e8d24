"""The state that a run shares with the runs of its parts, of its measures, and of batches of examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.identity_map import IdentityMap
from bbilang.compiler.ir.program import Node, Rerun, Scan
from bbilang.grammar.frozen import frozen
from bbilang.runtime.errors import error
from bbilang.runtime.events import Progress, RunListener

if TYPE_CHECKING:
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.data.given import Given
    from bbilang.runtime.execution.scanned_dataset import ScannedDataset
    from bbilang.runtime.fields.field import Field
    from bbilang.runtime.interventions.stand_ins import StandIn
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.passes import Passes
    from bbilang.runtime.scan.work import ShardWork
    from bbilang.runtime.trust.measure import Finding
    from bbilang.runtime.workers.task import Pool


@frozen
class ScanStore:
    """Where scans are kept. ``code``: a digest of what defines a caller's module, empty for models of the registry."""

    cache: Cache
    code: str = ""


@frozen
class Workers:
    """Processes that scan and make icons: ``pool``; ``recipe`` makes the work of a scan in one of them, from what the
    page found for it where it waits (`interventions.found.Found`); ``network`` the adapter."""

    pool: Pool
    recipe: Callable[..., ShardWork]
    network: Callable[[], Adapter]


@frozen
class Files:
    """The files that a run may read. ``root``: the folder that those of the text may not leave. ``data``: the datasets
    that the caller gives, by the names of the text. ``store``: where hashes and sizes of files are remembered."""

    root: Path | None = None
    data: Mapping[str, Given] = field(default_factory=dict)
    store: Cache | None = None
    opened: dict[str, Dataset] = field(default_factory=dict)  # by the digests of their nodes

    def dataset(self, node: Node, folder: Path) -> Dataset:
        """Open the dataset of a node, once. ``folder``: of the text. Raises BbiError."""
        from bbilang.runtime.data.dataset import open_dataset

        name = node.get("given")
        if name is None:
            if node.digest not in self.opened:
                self.opened[node.digest] = open_dataset(node["path"], folder, self.root, store=self.store)
            return self.opened[node.digest]
        if name not in self.data:
            help = f'as in `data={{"{name}": dataset}}`'
            raise error("E423", f"the program was checked with a dataset `{name}`, which `data` lacks now", help)
        if self.store is not None:
            self.data[name].dataset.remember(self.store)
        return self.data[name].dataset


class Shared:
    """The state that a run shares with the runs of its parts and of its measures. ``scans``: None where scans must not
    be kept, since what the network computes is not known by its weights, or is to be measured."""

    def __init__(
        self, registry: Registry, listener: RunListener | None, scans: ScanStore | None = None,
        files: Files | None = None, given: Mapping[str, Field] | None = None,
    ):  # fmt: skip
        self.registry, self.listener, self.scans = registry, listener, scans
        self.given = given or {}  # values of other models, by the digests of their nodes
        self.workers: Workers | None = None
        self.warnings: list[str] = []  # about the network, from the scans
        self.files = files or Files()
        self.datasets: IdentityMap[Node, Dataset] = IdentityMap()
        self.scanned: IdentityMap[Scan, ScannedDataset] = IdentityMap()
        self.stand_ins: dict[str, Mapping[str, StandIn]] = {}  # digest -> layer -> what atoms become
        self.stand_in_keys: dict[str, str] = {}  # digest of an intervention -> that digest
        self.again_ran = self.again_recalled = 0  # examples that kernels ran themselves (`Examined`), of all runs
        self.progress = Progress(listener)
        self.trust_results: IdentityMap[Rerun, dict[str, Finding]] = IdentityMap()  # step -> measure -> its result
        self.made_targets: dict[str, Node] = {}  # digest -> a target whose atoms are groups or directions

    @cached_property
    def scan_passes(self) -> Passes:
        """The passes of scans over the examples of datasets, counted apart."""
        from bbilang.runtime.passes import Passes

        return Passes()

    @property
    def examples(self) -> tuple[int, int]:
        """The number of examples that scans computed, and of those that were there from earlier ones."""
        scans = [self.scanned[scan].stored for scan in self.scanned]
        ran = sum(scan.ran for scan in scans)
        recalled = sum(len(scan.dataset) for scan in scans) - ran
        return ran + self.again_ran, recalled + self.again_recalled

    @cached_property
    def trust_passes(self) -> Passes:
        """The passes of the measures of `trust`, counted apart."""
        from bbilang.runtime.passes import Passes

        return Passes()
