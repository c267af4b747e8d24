"""Disk cache keyed by content: what was computed before, by any page, is read and not computed again.

A key is the sha256 of a canonical JSON description of everything that the result depends on. A record is one file:
a line of JSON (checksum, sizes, metadata) and bytes. Files are written beside their place and renamed into it, so that
a reader sees a whole record or none and several processes may share a folder. Nothing is ever unpickled. Plain files
were chosen over a database (diskcache) because a damaged record then costs that record, and a full disk costs nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = 1
DEFAULT_LIMIT = 1 << 30
_STALE_SECONDS = 3600.0


def canonical(description: Any) -> bytes:
    """The one JSON text of a description made of mappings with string keys, lists, tuples, strings and numbers."""
    return json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def key_of(description: Mapping[str, Any]) -> str:
    """64 hexadecimal digits; the cache's own format version takes part. Raises TypeError, ValueError on other types."""
    return hashlib.sha256(canonical({"format": FORMAT, "of": description})).hexdigest()


class Cache:
    """Records under a folder (BBI_CACHE_DIR, else the user's cache folder), at most ``limit`` bytes in all.

    A folder that cannot be written or a full disk gives one warning; reading goes on, and nothing is stored. A damaged
    record is noticed by its checksum, dropped and counted. Records least recently read go first.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, limit: int = DEFAULT_LIMIT):
        if folder is None:
            folder = os.environ.get("BBI_CACHE_DIR")
        if folder is None:
            import platformdirs

            folder = platformdirs.user_cache_dir("bbilang")
        self.folder = Path(folder).expanduser()
        self.limit = limit
        self.writable = True
        self.hits = self.misses = self.damaged = 0
        self._bytes: int | None = None  # of the records, as far as this process knows; None before the first count

    def _path(self, key: str) -> Path:
        if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
            raise ValueError(f"a cache key is a sha256 in hexadecimal digits, not {key!r}")
        return self.folder / "records" / key[:2] / key

    def get(self, key: str) -> tuple[bytes, dict[str, Any]] | None:
        """The bytes and the metadata of a record, or None."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            self.misses += 1
            return None
        record = _unpack(key, data)
        if record is None:
            self.damaged += 1
            self.misses += 1
            _remove(path)
            return None
        self.hits += 1
        try:
            os.utime(path)
        except OSError:  # read-only folder: the order of removal is then that of writing
            pass
        return record

    def put(self, key: str, data: bytes, metadata: Mapping[str, Any] | None = None) -> bool:
        """Store a record; True if it is stored. Never raises for what the disk does."""
        path, record = self._path(key), _pack(key, data, dict(metadata or {}))
        if not self.writable or len(record) > self.limit:
            return False
        temporary = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(record)
            os.replace(temporary, path)
        except OSError as e:
            self.writable = False
            warnings.warn(f"the cache {self.folder} is not written any more: {e}", RuntimeWarning, stacklevel=2)
            return False
        except BaseException:
            if temporary:
                _remove(Path(temporary))
            raise
        finally:
            if not self.writable and temporary:
                _remove(Path(temporary))
        self._bytes = self._scan_bytes() if self._bytes is None else self._bytes + len(record)
        if self._bytes > self.limit:
            self._shrink()
        return True

    def _records(self) -> list[tuple[float, int, Path]]:
        """(time of last use, bytes, path) of every record, oldest first; unfinished files left long ago are removed."""
        found = []
        for path in (self.folder / "records").glob("*/*"):
            try:
                status = path.stat()
            except OSError:  # another process removed it meanwhile
                continue
            if path.name.startswith(".new-"):
                if time.time() - status.st_mtime > _STALE_SECONDS:
                    _remove(path)
            else:
                found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _scan_bytes(self) -> int:
        return sum(size for _, size, _ in self._records())

    def _shrink(self) -> None:
        """Remove the oldest records down to nine tenths of the limit, so that not every new one counts them all."""
        records = self._records()
        total = sum(size for _, size, _ in records)
        for _, size, path in records:
            if total <= self.limit * 0.9:
                break
            _remove(path)
            total -= size
        self._bytes = total

    def stats(self) -> dict[str, Any]:
        """Folder, number and bytes of records, limit in bytes, and this process's hits, misses and damaged records."""
        records = self._records()
        return {
            "folder": str(self.folder),
            "records": len(records),
            "bytes": sum(size for _, size, _ in records),
            "limit": self.limit,
            "hits": self.hits,
            "misses": self.misses,
            "damaged": self.damaged,
            "writable": self.writable,
        }

    def clear(self) -> int:
        """Remove every record; gives the number removed. Other files in the folder stay."""
        records = self._records()
        self._bytes = None
        return sum(_remove(path) for _, _, path in records)


def _remove(path: Path) -> bool:
    try:
        path.unlink()
        return True
    except OSError:
        return False


def _checksum(key: str, head: bytes, data: bytes) -> str:
    """Over key, metadata and bytes, each with its length: a record renamed to another key is damaged too."""
    digest = hashlib.sha256(f"{key} {len(head)} {len(data)}\n".encode())
    digest.update(head)
    digest.update(data)
    return digest.hexdigest()


def _pack(key: str, data: bytes, metadata: dict[str, Any]) -> bytes:
    head = canonical(metadata)
    return b"bbilang %d %s\n%s\n%s" % (FORMAT, _checksum(key, head, data).encode(), head, data)


def _unpack(key: str, record: bytes) -> tuple[bytes, dict[str, Any]] | None:
    first, _, rest = record.partition(b"\n")
    head, separator, data = rest.partition(b"\n")
    if not separator or first != b"bbilang %d %s" % (FORMAT, _checksum(key, head, data).encode()):
        return None
    return data, json.loads(head)
