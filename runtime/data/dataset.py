"""A dataset: examples in a fixed order, with columns, whose pictures are read when they are asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bbilang.runtime.data.conditions import Condition, columns_of, evaluate
from bbilang.runtime.data.facts import Facts
from bbilang.runtime.data.fingerprints import Fingerprint
from bbilang.runtime.data.listing import Column, Options
from bbilang.runtime.data.peek import Peek, list_examples, summary
from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.data.resolve import fail
from bbilang.runtime.data.sampling import sampled
from bbilang.runtime.data.source import Segmented, Source, as_text, source_of
from bbilang.runtime.data.store import Store

SIZES = ("width", "height")
DENSE = 1 << 22  # characters of a column that may be padded to its longest word
SHOWN = 3  # unreadable files that a message names


class Columns(Mapping[str, np.ndarray]):
    """Column -> (example,), words or float64; `width` and `height` are read from the headers when they are asked for
    first."""

    def __init__(self, known: Mapping[str, np.ndarray], sizes: Callable[[], np.ndarray]):
        self._known, self._sizes = dict(known), sizes
        self._names = (*self._known, *(name for name in SIZES if name not in self._known))

    @property
    def costly(self) -> tuple[str, ...]:
        """The columns that are read from the files themselves."""
        return tuple(name for name in SIZES if name not in self._known)

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self._known:
            return self._known[name]
        if name in SIZES:
            return self._sizes()[SIZES.index(name)]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Shared:
    """What a dataset and its subsets have in common: the source, and what is known of its examples."""

    def __init__(self, source: Source, columns: Mapping[str, np.ndarray]):
        self.source, self.columns = source, columns
        self.facts = Facts(source, len(next(iter(columns.values()))))


class Dataset:
    """Examples 0 to n - 1. ``columns``: `file`, `label` where there are labels, `split`, a table's own, `width` and
    `height`. ``closed``: (folder, reason) of folders that cannot be listed.

    Pictures are read from any thread. A dataset can be pickled: it then reads the same files."""

    def __init__(
        self,
        name: str,
        source: Source,
        columns: Mapping[str, np.ndarray],
        rows: np.ndarray | None = None,
        closed: Sequence[tuple[str, str]] = (),
    ):
        self.name, self.closed = name, tuple(closed)
        self._shared = _Shared(source, columns)
        self.rows = np.arange(len(next(iter(columns.values())))) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> Columns:
        known = {name: values[self.rows] for name, values in self._shared.columns.items()}
        return Columns(known, self._sizes)

    def _sizes(self) -> np.ndarray:
        sizes = np.array([self._shared.facts.size(int(row)) for row in self.rows], np.float64).reshape(-1, 2).T
        self.keep()
        return sizes

    @property
    def files(self) -> np.ndarray:
        return self._shared.columns["file"][self.rows]

    @property
    def labels(self) -> np.ndarray | None:
        """Return the labels (example,), "" for none; None where no example has one."""
        return self._column("label")

    @property
    def split(self) -> np.ndarray | None:
        """Return the split (example,) of each example, as "train"; None where there is none."""
        return self._column("split")

    def _column(self, name: str) -> np.ndarray | None:
        values = self._shared.columns.get(name)
        return None if values is None else values[self.rows]

    def read(self, i: int) -> bytes:
        """Return the bytes of a file. Raises Unreadable."""
        return self._shared.source.read(int(self.rows[i]))

    def picture(self, i: int) -> Image.Image:
        """Return a picture in RGB, with its EXIF orientation applied, without metadata. Raises Unreadable."""
        row = int(self.rows[i])
        picture, digest = self._shared.source.load(row)
        self._shared.facts.note_digest(row, digest)
        self._shared.facts.note_size(row, picture.size)
        self._shared.facts.note_fingerprint(row, picture)  # an eighth of the time of decoding, and no decoding later
        return picture

    def digest(self, i: int) -> str:
        """Return the SHA-256 of an example's content, computed once. Raises Unreadable."""
        return self._shared.facts.digest(int(self.rows[i]))

    def fingerprint(self, i: int) -> Fingerprint:
        """Return what near-duplicates have in common (`fingerprints`), computed once. Raises Unreadable."""
        return self._shared.facts.fingerprint(int(self.rows[i]))

    def known_digest(self, i: int) -> str | None:
        """Return the digest of an example that was computed before: nothing is read."""
        return self._shared.facts.known_digest(int(self.rows[i]))

    def known(self, i: int) -> tuple[str | None, Fingerprint | None]:
        """Return the digest and the fingerprint of an example that were computed before: nothing is read."""
        return self._shared.facts.known(int(self.rows[i]))

    @property
    def segment_names(self) -> tuple[str, ...]:
        """Return the names of the segments that are labelled in the pictures; none where none are."""
        source = self._shared.source
        return source.segment_names if isinstance(source, Segmented) else ()

    def segments(self, i: int) -> np.ndarray:
        """Return where each segment is in a picture (segment, y, x), bool; none (0, 0, 0) where none are labelled."""
        source = self._shared.source
        return source.segments(int(self.rows[i])) if isinstance(source, Segmented) else np.zeros((0, 0, 0), bool)

    def remember(self, store: Store) -> None:
        """Take digests, sizes and fingerprints from the cache where the files have not changed, for all subsets."""
        self._shared.facts.remember(store)

    def keep(self) -> None:
        """Write digests, sizes and fingerprints that are new into the cache of `remember`; what asks for those of all
        examples (a condition on sizes, duplicates) does it itself."""
        self._shared.facts.keep()

    def subset(self, rows: Sequence[int] | np.ndarray) -> Dataset:
        """Return the examples of these numbers, in this order. They share what is known of them."""
        chosen = np.asarray(rows)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        part = Dataset.__new__(Dataset)
        part.name, part.closed, part._shared = self.name, self.closed, self._shared
        part.rows = self.rows[chosen]
        return part

    def sample(self, n: int, seed: int = 0) -> Dataset:
        """Return n examples chosen by their names: the same ones whatever the order of the files, and nearly the same
        when files are added. Order is kept; all where n is larger."""
        return self.subset(sampled([str(name) for name in self.files], n, seed))

    def filter(self, condition: Condition, more: Mapping[str, np.ndarray] | None = None) -> Filtered:
        """Return the examples where a condition holds; those where it is undefined are left out and counted. ``more``:
        further columns (example,), as `predicted`. Raises BbiError E451 where none is left, E457, E458."""
        columns = {**self.columns_for(condition), **(more or {})}
        mask, undefined = evaluate(condition, columns)
        if not mask.any():
            left = f"; it is undefined for {int(undefined.sum()):,}" if undefined.any() else ""
            fail("E451", f"no example of {self.name} meets the condition{left}", "loosen the condition")
        return Filtered(self.subset(mask), int(undefined.sum()))

    def columns_for(self, condition: Condition) -> dict[str, np.ndarray]:
        """Return the columns; of `width` and `height`, which cost reading all headers, those that are asked for."""
        columns, wanted = self.columns, columns_of(condition)
        cheap = set(self._shared.columns)
        return {name: columns[name] if name in cheap or name in wanted else _NOTHING for name in columns}


_NOTHING = np.empty(0)


@dataclass(frozen=True)
class Filtered:
    """``undefined``: examples that were left out because a value in the condition is missing."""

    dataset: Dataset
    undefined: int


def open_dataset(
    name: str,
    folder: str | os.PathLike[str] = ".",
    root: Path | None = None,
    *,
    file: str | None = None,
    label: str | None = None,
    split: str | None = None,
    store: Store | None = None,
) -> Dataset:
    """Open a folder, a table or an archive, relative names starting in ``folder``. ``file``, ``label``, ``split``:
    columns of a table, where they do not have the usual names. ``store``: the cache, which the dataset then remembers.
    Raises BbiError E450 to E457 and E459."""
    listing = list_examples(name, folder, root, Options(file, label, split), store=store)
    columns = {"file": as_array([as_text(name) for name in listing.names])}
    columns |= {column: as_array(values) for column, values in listing.columns.items()}
    dataset = Dataset(listing.source.name, source_of(listing, root), columns, closed=listing.closed)
    if store is not None:
        dataset.remember(store)
    return dataset


def peek_of(dataset: Dataset) -> Peek:
    """Return what `peek` says of a dataset that Python gave. Its digest is that of all contents, which are read."""
    digest = hashlib.sha256()
    columns = {name: dataset.columns[name].tolist() for name in dataset.columns if name not in SIZES}
    digest.update(repr(columns).encode("utf-8", "surrogateescape"))
    for number in range(len(dataset)):
        try:
            digest.update(dataset.digest(number).encode())
        except Unreadable as failure:
            digest.update(f"unreadable {failure.name}".encode("utf-8", "surrogateescape"))
    return summary("sequence", columns, len(dataset), True, digest.hexdigest())


def as_array(values: Column | Sequence[str]) -> np.ndarray:
    """Return numbers as float64, words as an array of words: of objects where a few long ones would make it large."""
    if values and isinstance(values[0], float):
        return np.array(values, np.float64)
    words = [str(value) for value in values]
    longest, total = max(map(len, words), default=0), sum(map(len, words))
    sparse = longest * len(words) > max(DENSE, 8 * total)
    return np.array(words, np.object_ if sparse else np.str_)


def require_readable(dataset: Dataset, unreadable: Sequence[Unreadable]) -> None:
    """Raise BbiError E452 where none of the examples can be read."""
    if len(unreadable) >= len(dataset):
        message = f"none of the {len(dataset):,} examples of {dataset.name} can be read"
        fail("E452", message, list_unreadable(unreadable))


def list_unreadable(unreadable: Sequence[Unreadable]) -> str:
    """Name the first unreadable files with their reasons: "a.jpg: an empty file; and 2 more"."""
    shown = "; ".join(str(each) for each in unreadable[:SHOWN])
    return f"{shown}; and {len(unreadable) - SHOWN:,} more" if len(unreadable) > SHOWN else shown
