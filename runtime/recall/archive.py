"""Export and import cache records as one file, so that icons made on a GPU serve a laptop.

The file is a zip archive of records, each under its key and stored as it lies in the cache, with its checksum. What is
read back may come from anywhere: a name that is no key, a compressed or damaged entry, and a record that is neither an
icon nor numbers are refused one by one. Nothing is unpacked to a path of the file's choosing, unpickled or run. Pages
are never taken along, since a page holds scripts.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bbilang.grammar.files import opened
from bbilang.runtime.cache.disk import Cache, is_key, unpack
from bbilang.runtime.files import replacing
from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.recall.codec import DAMAGED, decode

KINDS = ("icon", "numbers")
MOST_HEAD = 32 << 20  # bytes of what is no array in a record of numbers
MOST_PIXELS = 4096  # a side
MOST_BYTES = 1 << 29  # of one record
MOST_NAMES = 32 << 20  # bytes of the list of entries: some 300,000
LARGEST = 1 << 40  # bytes of the file
END, END64, BEFORE_END = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
COMMENT = b"records of bbilang, 1"


@dataclass
class Taken:
    """What an import did: records that are new, records that were there already, and why others were refused."""

    new: Counter[str] = field(default_factory=Counter)
    there: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unwritten: int = 0


def export(cache: Cache, path: Path, keys: Iterable[str] | None = None, parents: bool = False) -> Counter[str]:
    """Write the icons and numbers among these records (by default, all) to ``path``, completely or not at all. Returns
    the number of each kind. Raises OSError."""
    count: Counter[str] = Counter()
    with replacing(path, parents) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = COMMENT
        for key in sorted(set(cache.keys() if keys is None else keys)):
            record = cache.raw(key)
            kind = _kind(key, record) if record is not None else None
            if record is not None and kind in KINDS:
                archive.writestr(zipfile.ZipInfo(key), record)  # with no time of its own: equal records, equal files
                count[kind] += 1
    return count


def _kind(key: str, record: bytes) -> str | None:
    unpacked = unpack(key, record)
    return None if unpacked is None else unpacked[1].get("kind")


def take(cache: Cache, path: Path) -> Taken:
    """Read what `export` wrote. Raises OSError, and ValueError for a file that is not such an archive."""
    taken = Taken()
    with opened(path, LARGEST) as file:
        _expected(file)
        try:
            archive = zipfile.ZipFile(file)
            entries = archive.infolist()
        except Exception as error:  # the reader of archives has errors of many kinds for damaged ones
            raise ValueError(str(error) or type(error).__name__) from error
        if sum(entry.compress_size for entry in entries) > os.fstat(file.fileno()).st_size:
            raise ValueError("its entries overlap")
        with archive, cache.holding():
            for entry in entries:
                _one(cache, archive, entry, taken)
    return taken


def _expected(file: BinaryIO) -> None:
    """Raise ValueError for entries that `export` does not write, or for too many of them, before any list is read."""
    size = file.seek(0, os.SEEK_END)
    last = BEFORE_END.size + END.size + len(COMMENT)
    file.seek(max(0, size - END64.size - last))
    tail = file.read()
    end = len(tail) - END.size - len(COMMENT)
    if end < 0 or tail[end : end + 4] != b"PK\5\6" or not tail.endswith(COMMENT):
        raise ValueError("it was not made by `bbi cache export`")
    listed = END.unpack_from(tail, end)[5]
    if end >= BEFORE_END.size + END64.size and tail[end - BEFORE_END.size :][:4] == b"PK\6\7":
        listed = max(listed, END64.unpack_from(tail, end - BEFORE_END.size - END64.size)[8])
    if listed > MOST_NAMES:
        raise ValueError("it lists too many entries")
    file.seek(0)


def _one(cache: Cache, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, taken: Taken) -> None:
    key = entry.filename
    if not is_key(key) or entry.orig_filename != key:
        taken.refused["a name that is no key"] += 1
        return
    if entry.compress_type != zipfile.ZIP_STORED or not entry.file_size == entry.compress_size <= MOST_BYTES:
        taken.refused["a compressed or too large entry"] += 1
        return
    try:
        record = archive.read(entry)
    except Exception:  # as above; counted, and told at the end
        taken.refused["a damaged entry"] += 1
        return
    unpacked = unpack(key, record)
    if unpacked is None:
        taken.refused["a wrong checksum"] += 1
        return
    kind, shared = unpacked[1].get("kind"), unpacked[1].get("shared")
    if kind not in KINDS or not isinstance(shared, str) or not is_key(shared) or not _sound(kind, *unpacked):
        taken.refused["neither an icon nor numbers"] += 1
        return
    if cache.raw(key) is not None:
        taken.there += 1
    elif cache.put_raw(key, record):
        taken.new[kind] += 1
    else:
        taken.unwritten += 1
        return
    if _pointer(cache, shared):
        cache.put(shared, key.encode(), {"kind": "pointer"})


def _pointer(cache: Cache, shared: str) -> bool:
    """Return whether a pointer may be stored under this key: it is empty or holds a pointer. What was computed here
    stays."""
    record = cache.raw(shared)
    return record is None or _kind(shared, record) == "pointer"


def _sound(kind: str, data: bytes, metadata: JsonObject) -> bool:
    """Return whether a record has the form of its kind."""
    if kind == "numbers":
        try:
            return len(data.partition(b"\n")[0]) <= MOST_HEAD and isinstance(decode(data), dict)
        except (*DAMAGED, MemoryError):
            return False
    from PIL import Image

    types = {"objective": int | float, "dead": bool, "reason": str, "made": dict}
    if not all(isinstance(metadata.get(name), type) for name, type in types.items()):
        return False
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if max(picture.size) > MOST_PIXELS or picture.mode != "RGB":
                return False
            picture.load()
    except Exception:  # every decoder has errors of its own
        return False
    return True
