"""Content-addressed disk cache: results that any page computed before are read instead of computed again.

A key is the sha256 of a canonical JSON description of everything that the result depends on. A record is one file: a
line of JSON (checksum, sizes, metadata) and bytes. Files are written under a temporary name and renamed, so that a
reader sees a whole record or none and several processes may share a folder. Nothing is ever unpickled. Plain files were
chosen over a database (diskcache) because a damaged record then costs that record, and a full disk costs nothing. The
limit is stored in the folder (settings.json). Records that a running page needs are held (`holds`) and not removed.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import path_of
from bbilang.runtime.cache.leases import Hold, held
from bbilang.runtime.cache.record import FORMAT, MOST_HEAD, canonical, is_key, key_of, pack, unpack
from bbilang.runtime.files import NEW, replacing
from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.locks import alone

__all__ = ["DEFAULT_LIMIT", "Cache", "canonical", "is_key", "key_of", "unpack"]

DEFAULT_LIMIT = 1 << 30
SETTINGS = "settings.json"
_STALE_SECONDS = 3600.0


def default_folder() -> Path:
    """Return the folder of the cache: BBI_CACHE_DIR if set, else the user's cache folder. Raises BbiError E432 if
    BBI_CACHE_DIR cannot be a folder."""
    said = os.environ.get("BBI_CACHE_DIR")
    if not said:
        import platformdirs

        return Path(platformdirs.user_cache_dir("bbilang"))
    try:
        return path_of(said)
    except OSError as error:
        message = f"BBI_CACHE_DIR names no folder: {error.strerror}"
        raise BbiError(Diagnostic("E432", message, help="leave it out for the usual folder")) from error


class Cache:
    """Records under a folder (BBI_CACHE_DIR, else the user's cache folder), at most ``limit`` bytes in all: the
    folder's own setting, else 1 GiB.

    If the folder cannot be written or the disk is full, it warns once, and continues to read without storing. A damaged
    record is detected by its checksum, removed and counted. The least recently read records are evicted first.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, limit: int | None = None):
        self.folder = default_folder() if folder is None else path_of(folder)
        self.limit = self._recorded_limit() if limit is None else limit
        self.writable = True
        self.hits = self.misses = self.damaged = 0
        self._bytes: int | None = None  # of the records, as far as this process knows; None before the first count
        self._new = 0  # bytes put since they were counted: other processes put some too
        self._hold: Hold | None = None

    def _recorded_limit(self) -> int:
        try:
            limit = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))["limit"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return DEFAULT_LIMIT
        return limit if isinstance(limit, int) and limit >= 0 else DEFAULT_LIMIT

    def set_limit(self, limit: int) -> int:
        """Set the size limit in bytes for all processes and apply it; return the number of records removed. Raises
        OSError if the folder cannot be written."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(self.folder / SETTINGS, sync=False, private=True) as file:
            file.write(canonical({"limit": limit}))
        self.limit = limit
        records = self._records()
        return self._shrink(limit) if sum(size for _, size, _ in records) > limit else 0

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Protect records that are read or stored inside from eviction, by this or another process, until the end. The
        limit may be exceeded meanwhile; it is enforced again afterwards."""
        if self._hold is not None:  # held already, for longer
            yield
            return
        self._hold = Hold(self.folder / "holds")
        try:
            yield
        finally:
            self._hold.release()
            self._hold = None
            if self._bytes is not None and self._bytes > self.limit:
                self._shrink()

    def _path(self, key: str) -> Path:
        if not is_key(key):
            raise ValueError(f"a cache key is a sha256 in hexadecimal digits, not {key!r}")
        return self.folder / "records" / key[:2] / key

    def get(self, key: str) -> tuple[bytes, JsonObject] | None:
        """Return the bytes and the metadata of a record, or None."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            self.misses += 1
            return None
        record = unpack(key, data)
        if record is None:
            self.damaged += 1
            self.misses += 1
            _remove(path)
            return None
        self.hits += 1
        if self._hold is not None:
            self._hold.add(key)
        try:
            os.utime(path)
        except FileNotFoundError:  # removed between reading and holding
            self.put_raw(key, data)
        except OSError:  # read-only folder: the order of removal is then that of writing
            pass
        return record

    def metadata(self, key: str) -> JsonObject | None:
        """Return the metadata of a record alone, or None. Those of a record with its number of ``bytes`` among them
        are refused where it is cut short; its checksum is not computed, so that its size does not matter. `piece` reads
        its bytes."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                metadata, at = _beginning(file)
                whole = metadata.get("bytes") in (None, os.fstat(file.fileno()).st_size - at)
        except ValueError:
            whole = False
        except OSError:
            self.misses += 1
            return None
        if not whole:
            self.damaged += 1
            self.misses += 1
            _remove(path)
            return None
        if self._hold is not None:
            self._hold.add(key)
        try:
            os.utime(path)
        except FileNotFoundError:  # removed between reading and holding
            self.misses += 1
            return None
        except OSError:  # as in `get`
            pass
        self.hits += 1
        return metadata

    def piece(self, key: str, at: int, count: int) -> bytes | None:
        """Return so many bytes of a record, the first of them ``at``, or None. The caller compares a checksum."""
        try:
            with self._path(key).open("rb") as file:
                _, start = _beginning(file)
                file.seek(start + at)
                return file.read(count)
        except (OSError, ValueError):
            return None

    def imported(self, shared: str) -> tuple[bytes, JsonObject] | None:
        """Return the record from another machine that a machine-independent key refers to, or None."""
        pointer = self.get(shared)
        if pointer is None or not is_key(pointer[0].decode("ascii", "replace")):
            return None
        return self.get(pointer[0].decode())

    def put(self, key: str, data: bytes, metadata: JsonObject | None = None) -> bool:
        """Store a record and return whether it was stored. Disk errors never raise."""
        return self.put_raw(key, pack(key, data, dict(metadata or {})))

    def put_raw(self, key: str, record: bytes) -> bool:
        """Store a complete record from `raw`, which the caller has validated with `unpack`."""
        path = self._path(key)
        if not self.writable or len(record) > self.limit:
            return False
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with replacing(path, sync=False, private=True) as file:
                file.write(record)
                if self._hold is not None:
                    self._hold.add(key)  # before others can see it
        except OSError as e:
            self.writable = False
            warnings.warn(f"the cache {self.folder} is not written any more: {e}", RuntimeWarning, stacklevel=2)
            return False
        self._new += len(record)
        if self._bytes is None or self._new > self.limit // 16:
            self._bytes, self._new = self._scan_bytes(), 0
        else:
            self._bytes += len(record)
        if self._bytes > self.limit:
            self._shrink()
        return True

    def drop(self, key: str) -> None:
        """Drop a record that is intact but cannot be decoded."""
        self.damaged += 1
        _remove(self._path(key))

    def held(self) -> frozenset[str]:
        """Return the keys that were read or stored inside `holding` so far."""
        return frozenset() if self._hold is None else frozenset(self._hold.keys)

    def keys(self) -> list[str]:
        """Return the keys of all records, least recently used first."""
        return [path.name for _, _, path in self._records()]

    def raw(self, key: str) -> bytes | None:
        """Return the bytes of a record's file, for another cache's `put_raw`; None if it is absent or damaged."""
        try:
            record = self._path(key).read_bytes()
        except OSError:
            return None
        return record if unpack(key, record) is not None else None

    def _records(self) -> list[tuple[float, int, Path]]:
        """Return (time of last use, bytes, path) of every record, oldest first; remove stale unfinished files."""
        records = []
        for path in (self.folder / "records").glob("*/*"):
            try:
                status = path.stat()
            except OSError:  # another process removed it meanwhile
                continue
            if path.name.startswith(NEW):
                if time.time() - status.st_mtime > _STALE_SECONDS:
                    _remove(path)
            elif len(path.name) == 64:
                records.append((status.st_mtime, status.st_size, path))
        return sorted(records)

    def _scan_bytes(self) -> int:
        return sum(size for _, size, _ in self._records())

    def _shrink(self, target: float | None = None) -> int:
        """Remove the oldest records that nobody holds until at most ``target`` bytes remain, and return their number.
        The default is nine tenths of the limit, so that not every new record triggers a scan."""
        target = self.limit * 0.9 if target is None else target
        records, holds = self._records(), self.folder / "holds"
        total, removed = sum(size for _, size, _ in records), 0
        with alone(holds):
            leased = held(holds)
            for _, size, path in records:
                if total <= target:
                    break
                if path.name not in leased:
                    removed += _remove(path)
                    total -= size
        self._bytes, self._new = total, 0
        return removed

    def stats(self) -> JsonObject:
        """Return folder, number and bytes of records, limit in bytes, and this process's hits, misses and damaged
        records."""
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

    def kinds(self) -> dict[str, tuple[int, int]]:
        """Return kind of record ("icon", "element", "page" ...) -> (number, bytes)."""
        count: Counter[str] = Counter()
        room: Counter[str] = Counter()
        for _, size, path in self._records():
            try:
                with path.open("rb") as file:
                    file.readline(200)
                    kind = json.loads(file.readline(1 << 20)).get("kind", "other")
            except (OSError, ValueError, AttributeError, RecursionError):
                kind = "damaged"
            count[str(kind)] += 1
            room[str(kind)] += size
        return {kind: (number, room[kind]) for kind, number in sorted(count.items())}

    def clear(self) -> int:
        """Remove every record and return their number. Other files in the folder are not touched."""
        records = self._records()
        self._bytes = None
        return sum(_remove(path) for _, _, path in records)


def _beginning(file: IO[bytes]) -> tuple[JsonObject, int]:
    """Read the first two lines of a record: return its metadata and where its bytes begin. Raises ValueError."""
    first = file.readline(200)
    head = file.readline(MOST_HEAD)
    if not first.startswith(b"bbilang %d " % FORMAT) or not head.endswith(b"\n"):
        raise ValueError("no record")
    try:
        metadata = json.loads(head)
    except RecursionError as error:  # nobody wrote this here
        raise ValueError("no record") from error
    if not isinstance(metadata, dict):
        raise ValueError("no record")
    return metadata, file.tell()


def _remove(path: Path) -> bool:
    try:
        path.unlink()
        return True
    except OSError:
        return False
