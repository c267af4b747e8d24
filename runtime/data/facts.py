"""What is known of each example without opening it again: the hash of its content, its size, its fingerprint.

Facts are kept in the cache by what identifies a file without reading it (path, bytes, time of the last change), 256
examples a record, so that a second question about 10,000 pictures opens none.
"""

from __future__ import annotations

import hashlib
import os
import time

import numpy as np
from PIL.Image import Image

from bbilang.runtime.cache.record import key_of
from bbilang.runtime.data.fingerprints import Fingerprint, fingerprint
from bbilang.runtime.data.pictures import Unreadable, size_of
from bbilang.runtime.data.source import Source
from bbilang.runtime.data.store import SETTLED, Store

CHUNK = 256  # examples a record
VERSION = 2
DIGEST, SIZE, FINGERPRINT = 1, 2, 4  # bits of `known`
FACT = np.dtype(
    [("known", "u1"), ("digest", "u1", 32), ("size", "<f4", 2), ("bits", "<u8"), ("colours", "u1", 48)]
)  # fmt: skip


class Facts:
    """Facts of the examples of a source, by their numbers; each is computed when it is first needed."""

    def __init__(self, source: Source, count: int):
        self.source = source
        self._facts = np.zeros(count, FACT)
        self._store: Store | None = None
        self._loaded: set[int] = set()
        self._changed: set[int] = set()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_store": None}

    def remember(self, store: Store) -> None:
        """Read facts from a cache from now on, and write them there with `keep`."""
        if store is not self._store:
            self._store = store
            self._loaded.clear()

    def keep(self) -> None:
        """Write what is new to the cache, without the files that were written in the last two seconds."""
        if self._store is None:
            return
        settled = time.time_ns() - SETTLED
        for chunk in sorted(self._changed):
            if (key := self._key(chunk)) is None:
                continue
            rows = range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(self._facts)))
            facts = self._facts[rows.start : rows.stop].copy()
            facts["known"][[not self._settled(row, settled) for row in rows]] = 0
            facts["known"][np.isnan(facts["size"]).any(axis=1)] &= ~np.uint8(SIZE)  # it may be readable later
            self._store.put(key, facts.tobytes(), {"kind": "dataset"})
        self._changed.clear()

    def digest(self, row: int) -> str:
        """Return the SHA-256 of the content. Raises Unreadable."""
        if not self._knows(row, DIGEST):
            self.note_digest(row, self.source.digest(row))
        return self._facts["digest"][row].tobytes().hex()

    def note_digest(self, row: int, digest: str) -> None:
        """Store the hash that was computed while the content was read for another purpose."""
        self._facts["digest"][row] = np.frombuffer(bytes.fromhex(digest), np.uint8)
        self._now_known(row, DIGEST)

    def size(self, row: int) -> tuple[float, float]:
        """Return (width, height) from the header; NaN for an example that cannot be read."""
        if not self._knows(row, SIZE):
            try:
                with self.source.header(row) as file:
                    size = size_of(file)
            except Unreadable:
                size = None
            self.note_size(row, size or (np.nan, np.nan))
        width, height = self._facts["size"][row]
        return float(width), float(height)

    def note_size(self, row: int, size: tuple[float, float]) -> None:
        self._facts["size"][row] = size
        self._now_known(row, SIZE)

    def fingerprint(self, row: int) -> Fingerprint:
        """Return the fingerprint by which near-duplicates are found; the picture is decoded. Raises Unreadable."""
        if not self._knows(row, FINGERPRINT):
            picture, digest = self.source.load(row)
            self.note_digest(row, digest)
            self.note_fingerprint(row, picture)
        return int(self._facts["bits"][row]), self._facts["colours"][row].copy()

    def note_fingerprint(self, row: int, picture: Image) -> None:
        """Store the fingerprint of a picture that was decoded for another purpose, unless it is known."""
        if not self._knows(row, FINGERPRINT):
            self._facts["bits"][row], self._facts["colours"][row] = fingerprint(picture)
            self._now_known(row, FINGERPRINT)

    def known_digest(self, row: int) -> str | None:
        """Return the digest as far as it is known: nothing is read."""
        return self.digest(row) if self._knows(row, DIGEST) else None

    def known(self, row: int) -> tuple[str | None, Fingerprint | None]:
        """Return the digest and the fingerprint as far as they are known: nothing is read."""
        return self.known_digest(row), self.fingerprint(row) if self._knows(row, FINGERPRINT) else None

    def _knows(self, row: int, fact: int) -> bool:
        if not self._facts["known"][row] & fact and self._store is not None and row // CHUNK not in self._loaded:
            self._load(self._store, row // CHUNK)
        return bool(self._facts["known"][row] & fact)

    def _now_known(self, row: int, fact: int) -> None:
        self._facts["known"][row] |= fact
        self._changed.add(row // CHUNK)

    def _load(self, store: Store, chunk: int) -> None:
        self._loaded.add(chunk)
        key = self._key(chunk)
        record = None if key is None else store.get(key)
        facts = self._facts[chunk * CHUNK : (chunk + 1) * CHUNK]
        if record is not None and len(record[0]) == facts.nbytes:
            stored = np.frombuffer(record[0], FACT)
            unknown = facts["known"] == 0
            facts[unknown] = stored[unknown]

    def _key(self, chunk: int) -> str | None:
        """Return the key of a record; None where an example can only be identified by reading it."""
        stamps = [self.source.stamp(row) for row in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(self._facts)))]
        if any(stamp is None for stamp in stamps):
            return None
        digest = hashlib.sha256()
        for path, size, changed in filter(None, stamps):
            digest.update(b"%s\0%d\0%d\0" % (os.fsencode(path), size, changed))
        return key_of({"kind": "dataset", "version": VERSION, "files": digest.hexdigest()})

    def _settled(self, row: int, before: int) -> bool:
        stamp = self.source.stamp(row)
        return stamp is not None and stamp[2] < before and self.source.unchanged(row)
