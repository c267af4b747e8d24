"""The index of a .tar.gz in the cache: to list it again, nothing is unpacked. Standard library only."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from bbilang.runtime.cache.record import key_of
from bbilang.runtime.data.archives.tars import list_gzip
from bbilang.runtime.data.listing import ENDLESS, Listing, columns_of_names
from bbilang.runtime.data.store import SETTLED, Store

VERSION = 1


def list_gzip_once(path: Path, most: int, store: Store | None) -> Listing:
    """List a .tar.gz as `list_gzip` does, or take its complete index from the cache and put it there."""
    if store is None:
        return list_gzip(path, most)
    status = os.stat(path)
    key = key_of({"kind": "index", "version": VERSION, "path": str(path), "size": status.st_size,
                  "time": status.st_mtime_ns})  # fmt: skip
    known = store.get(key)
    if known is not None:
        names, sizes, offsets = json.loads(known[0])
        return Listing("gzip", path, path, names, sizes, offsets, columns_of_names(names, strip=True))
    listing = list_gzip(path, most)
    if most >= ENDLESS and status.st_mtime_ns < time.time_ns() - SETTLED:
        data = json.dumps([listing.names, listing.sizes, listing.stamps]).encode("ascii")
        store.put(key, data, {"kind": "dataset"})
    return listing
