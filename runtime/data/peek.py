"""What the checker asks of a dataset: how many examples, which labels and columns. Standard library only, and fast."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bbilang.runtime.data.archives.index import list_gzip_once
from bbilang.runtime.data.archives.tars import list_tar
from bbilang.runtime.data.archives.zips import list_zip
from bbilang.runtime.data.folders import list_folder
from bbilang.runtime.data.listing import ENDLESS, Column, Listing, Options
from bbilang.runtime.data.resolve import Kind, resolve
from bbilang.runtime.data.rows import MOST_BYTES
from bbilang.runtime.data.samples import is_sample, list_sample
from bbilang.runtime.data.store import Store
from bbilang.runtime.data.tables import known, list_table

MOST_VALUES = 1000  # of a column that are listed
LOOKED_AT = {"table": 4 << 20, "tar": 1 << 30, "gzip": 8 << 20}  # bytes of a file: about a second's work


@dataclass(frozen=True)
class PeekColumn:
    """``kind``: of its values. ``values``: of words, the different ones, sorted, where they are at most 1,000 and all
    were looked at; "" (missing) is none."""

    kind: Literal["words", "numbers"]
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Peek:
    """``count``: of the examples, estimated where not ``exact``. ``labels``: label -> its examples, "" for those
    without one; empty where there are no labels. ``digest``: changes with names, sizes, times and columns."""

    kind: str
    count: int
    exact: bool
    labels: Mapping[str, int]
    columns: Mapping[str, PeekColumn]
    digest: str


def list_examples(
    name: str,
    folder: str | os.PathLike[str],
    root: Path | None,
    options: Options,
    quick: bool = False,
    store: Store | None = None,
) -> Listing:
    """List the examples of a dataset; of a large table or archive, where ``quick``, the first ones. ``store``: the
    cache, which remembers the index of a .tar.gz.

    Raises BbiError E450 to E457 and E459; `docs/datasets.md` says what is refused."""
    if is_sample(name):
        return list_sample(name, options)
    path, kind = resolve(name, folder, root)
    most = LOOKED_AT.get(kind, ENDLESS) if quick else ENDLESS
    if kind == "folder":
        listing = list_folder(path, root)
    elif kind == "table":
        return list_table(path, root, options, min(most, MOST_BYTES))
    else:
        listing = _archive(path, kind, most, store)
    for wanted in (options.file, options.label, options.split):
        if wanted is not None and wanted != "file":
            known(wanted, listing.columns, path.name)
    if options.split is None:
        return listing
    return replace(listing, columns={**listing.columns, "split": listing.columns[options.split]})


def peek(
    name: str,
    folder: str | os.PathLike[str] = ".",
    root: Path | None = None,
    *,
    file: str | None = None,
    label: str | None = None,
    split: str | None = None,
    store: Store | None = None,
) -> Peek:
    """Look at a dataset without opening a picture. ``file``, ``label``, ``split``: columns of a table (`Options`).
    ``store``: the cache, where an earlier run left the index of a .tar.gz. Raises BbiError E450 to E457 and E459."""
    listing = list_examples(name, folder, root, Options(file, label, split), quick=True, store=store)
    return summary(listing.kind, listing.columns, listing.count, listing.exact, listing.digest())


def summary(kind: str, table: Mapping[str, Column], count: int, exact: bool, digest: str) -> Peek:
    """Return what is said of examples with these columns, of which there are more where not ``exact``."""
    labels = Counter(str(value) for value in table.get("label", ()))
    columns = {"file": PeekColumn("words")}
    columns |= {column: _column(values, exact) for column, values in table.items() if column != "file"}
    for size in ("width", "height"):
        columns.setdefault(size, PeekColumn("numbers"))
    return Peek(kind, count, exact, dict(sorted(labels.items())), columns, digest)


def _archive(path: Path, kind: Kind, most: int, store: Store | None) -> Listing:
    if kind == "zip":
        return list_zip(path)
    return list_tar(path, most) if kind == "tar" else list_gzip_once(path, most, store)


def _column(values: Column, exact: bool) -> PeekColumn:
    if values and isinstance(values[0], float):
        return PeekColumn("numbers")
    different = {str(value) for value in values} - {""}
    return PeekColumn("words", tuple(sorted(different)) if exact and len(different) <= MOST_VALUES else None)
