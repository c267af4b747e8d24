"""The examples of a dataset for what is computed of them besides the numbers of pipes: in batches, or as a scan whose
results are cached in shards."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bbilang.compiler.ir.program import Node, Scan, source_dataset
from bbilang.runtime.cache.disk import key_of
from bbilang.runtime.data.labels import classes_of
from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.errors import NotKept
from bbilang.runtime.execution.example_maps import remembered_arrays
from bbilang.runtime.execution.preparation import Preparation
from bbilang.runtime.execution.scanning import ScanIdentity
from bbilang.runtime.scan.digests import digests
from bbilang.runtime.scan.reading import Prefetcher, threads
from bbilang.runtime.scan.scan import scan
from bbilang.runtime.scan.scanned import Scanned
from bbilang.runtime.scan.shards import content_of, ranges

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run

PART = "examined"
Arrays = Mapping[str, np.ndarray]
OfBatch = Callable[["Tensor", "Tensor"], Arrays]
"""images (example, channel, y, x) in [0, 1] and the classes of their labels (example,), -1 for none -> name of an array
-> (example, ...)."""


class Examined:
    """The examples of one dataset of a run (`compiler.contract.run.Examples`)."""

    def __init__(self, run: Run, node: Node):
        if not run.has_network:
            raise NotKept
        self.memo: dict[str, Any] = {}
        self.run, self.numbers = run, np.sort(run.value(node).coords["example"].data)
        self.dataset = run.dataset(source_dataset(node)).subset(self.numbers)
        scans = run.shared.scans
        self._cache = scans.cache if scans is not None else None
        bare = Scan(node, (), (), False, ())
        code = scans.code if scans is not None else ""
        self._network = ScanIdentity(run.program, bare, run.registry, run.adapter, code).network

    @cached_property
    def labels(self) -> np.ndarray:
        """The class of each example's label, (example,); -1 where it is no class of the network."""
        words = self.dataset.labels
        return classes_of([""] * len(self.dataset) if words is None else words, self.run.adapter.description)

    @cached_property
    def identity(self) -> str:
        """A digest of the examples' contents and labels."""
        own = digests(self.dataset, tuple(ranges(len(self.dataset)))) if self._cache is not None else ()
        each = [one for part in own for one in part]
        return key_of({"examples": content_of(each), "labels": self.labels.tolist()})

    def batches(self, size: int, words: str = "", returns: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all readable examples in batches: images (example, channel, y, x) in [0, 1], and labels (example,).
        ``words``: what they are read for, for the progress and the count of passes; ``returns``: the network is run
        back from them, too."""
        import torch

        most = 2 * size + threads()
        preparation = Preparation.of(self.run.adapter)
        with Prefetcher(self.dataset, preparation, range(len(self.dataset)), most, threads()) as prefetcher:
            images: list[np.ndarray] = []
            labels: list[int] = []
            for number in range(len(self.dataset)):
                image = prefetcher.take()
                if not isinstance(image, Unreadable):
                    images.append(image)
                    labels.append(int(self.labels[number]))
                if images and (len(images) == size or number == len(self.dataset) - 1):
                    yield torch.from_numpy(np.stack(images)).float() / 255, torch.tensor(labels)
                    if words:
                        self._count(len(images), returns)
                        self.run.report_progress(words, number + 1, len(self.dataset))
                    images, labels = [], []

    def kept(self, what: Mapping[str, object], compute: Callable[[], Arrays]) -> Arrays:
        """Return arrays that depend on all examples and the network, from the cache where they are there."""
        named = {"what": dict(what), "network": self._network, "of": self.identity}
        return remembered_arrays(self._cache, named, compute)

    def each(self, what: Mapping[str, object], compute: OfBatch, returns: bool = False) -> Scanned:
        """Compute something of each example, as a scan: in shards that the cache keeps, here or in workers."""
        named = key_of({"what": dict(what), "labels": self.labels.tolist(), "scan": self._network})
        work = ExaminingWork(self._network, {PART: named}, Preparation.of(self.run.adapter), compute, self.labels)
        shared = self.run.shared
        found = scan(self.dataset, work, self._cache, listener=shared.listener,
                     pool=shared.workers.pool if shared.workers is not None else None)  # fmt: skip
        if found.fresh:
            self.dataset.keep()
        self._count(found.ran, returns)
        shared.again_recalled += len(found.dataset) - found.ran
        return found

    def _count(self, examples: int, returns: bool) -> None:
        """Count a run of the network on so many examples."""
        shared = self.run.shared
        shared.again_ran += examples
        shared.scan_passes.forward(examples)
        if returns:
            shared.scan_passes.backward(examples)


@dataclass(frozen=True)
class ExaminingWork:
    """A computation on examples and their labels, as the work of a scan (`runtime.scan.work.ShardWork`)."""

    network: str
    parts: Mapping[str, str]
    prepare: Preparation
    compute: OfBatch
    labels: np.ndarray

    def batch(
        self, images: Tensor, wanted: Collection[str], numbers: Sequence[int] = ()
    ) -> Mapping[str, Mapping[str, np.ndarray]]:
        """Compute what ``compute`` says of each example. ``numbers``: of the examples, for their labels; an image
        without a number has the label -1."""
        import torch

        own = torch.full((len(images),), -1, dtype=torch.long)
        own[: len(numbers)] = torch.from_numpy(self.labels[list(numbers)])
        return {PART: self.compute(images.float() / 255, own)}
