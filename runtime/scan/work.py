"""What a scan reads and what it computes: examples, and the work on a batch of them. Imports no torch and no numpy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor


class Examples(Protocol):
    """What a scan needs of a dataset, see `data.dataset.Dataset`. It is called by several threads at once."""

    @property
    def name(self) -> str: ...

    @property
    def files(self) -> Sequence[str] | np.ndarray:
        """The names of the examples."""

    def __len__(self) -> int: ...

    def known_digest(self, number: int, /) -> str | None:
        """Return the digest of an example if nothing has to be read for it."""

    def digest(self, number: int, /) -> str:
        """Return a hash of the content of an example, also of one that cannot be decoded. Raises Unreadable."""

    def picture(self, number: int, /) -> Image:
        """Decode an example. Raises Unreadable."""


class Identity(Protocol):
    """What a scan gives, without the means to compute it: enough to answer from the cache.

    ``network``: identity of what all parts share (weights, preprocessing, device), by which the batch size is
    remembered that was fastest. ``parts``: name of a part, such as a layer -> identity of everything that its numbers
    depend on besides the examples and the batch size. A part is stored by itself, so that another one costs itself
    only.
    """

    @property
    def network(self) -> str: ...

    @property
    def parts(self) -> Mapping[str, str]: ...


class ShardWork(Identity, Protocol):
    """The work of a scan. Numbers of an example must depend on the batch size only, not on what else is in the
    batch."""

    def prepare(self, picture: Image, /) -> np.ndarray:
        """Convert a picture to (channel, y, x), all of one shape and type. Runs in the threads that decode."""

    def batch(
        self, images: Tensor, wanted: Collection[str], numbers: Sequence[int] = (), /
    ) -> Mapping[str, Mapping[str, np.ndarray]]:
        """Compute part -> name of an array -> (example, ...) for (example, channel, y, x). ``numbers``: of the examples
        in the dataset, fewer where the batch is filled up with zeros; none in a trial. Values that are not finite are
        no error here: the scan counts them."""
