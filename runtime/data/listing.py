"""The examples of a dataset before any picture is opened: names, sizes and columns. Standard library only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bbilang.runtime.data.resolve import Kind, fail

Column = list[str] | list[float]  # of words ("" is missing) or of numbers (NaN is missing)

SPLITS = frozenset("train training val valid validation dev test testing holdout".split())
ENDLESS = 1 << 62


@dataclass(frozen=True)
class Options:
    """The columns of a table that hold the names of the files, the labels and the split; None: those of the usual
    names."""

    file: str | None = None
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Listing:
    """``names``: relative to the source, with slashes. ``sizes``: bytes. ``stamps``: time of the last change in ns, or
    the offset in an archive. ``base``: the folder of the names, or the archive. ``closed``: (folder, reason) of folders
    that cannot be listed. ``count`` is estimated where not ``exact``: then only the first examples were looked at."""

    kind: Kind
    source: Path
    base: Path
    names: Sequence[str]
    sizes: Sequence[int]
    stamps: Sequence[int]
    columns: Mapping[str, Column] = field(default_factory=dict)
    closed: Sequence[tuple[str, str]] = ()
    count: int = -1
    exact: bool = True

    def __post_init__(self) -> None:
        if self.count < 0:
            object.__setattr__(self, "count", len(self.names))

    def digest(self) -> str:
        """Return a hash that changes when a file is added, removed, renamed or written, or a column changes."""
        digest = hashlib.sha256(f"{self.kind}\0{self.count}\0".encode())
        if self.kind not in ("folder", "sample"):  # a folder's time changes with hidden files too
            status = os.stat(self.source)
            digest.update(f"{status.st_size}\0{status.st_mtime_ns}\0".encode())
        for name, size, stamp in zip(self.names, self.sizes, self.stamps, strict=True):
            digest.update(b"%s\0%d\0%d\0" % (os.fsencode(name), size, stamp))
        for name, values in self.columns.items():
            digest.update(f"{name}\0{values!r}".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def columns_of_names(names: Sequence[str], strip: bool = False) -> dict[str, Column]:
    """Return the columns `label` and `split` that the folders of the names give: the label is the folder, with its
    parents (`dogs/terrier`). Where all the outermost folders are called `train`, `test` and the like, they are the
    split. strip: leave out outermost folders that hold everything, as archives have them."""
    folders = [name.rpartition("/")[0] for name in names]
    while strip and folders and folders[0] and len({each.partition("/")[0] for each in folders}) == 1:
        folders = [each.partition("/")[2] for each in folders]
    columns: dict[str, Column] = {}
    outermost = {folder.partition("/")[0] for folder in folders}
    if len(outermost) > 1 and {each.lower() for each in outermost} <= SPLITS:
        columns["split"] = [folder.partition("/")[0] for folder in folders]
        folders = [folder.partition("/")[2] for folder in folders]
    if any(folders):
        columns = {"label": folders, **columns}
    return columns


def not_empty(listing: Listing, what: str) -> Listing:
    """Raise BbiError E451 for a dataset without an example."""
    if not listing.names:
        reasons = "; ".join(f"{name} cannot be listed: {reason}" for name, reason in listing.closed[:3])
        fail("E451", f"{what} has no pictures", reasons or None)
    return listing
