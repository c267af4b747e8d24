"""The byte format of a cache record: a line with its checksum, a line of JSON, and its data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from bbilang.runtime.json_types import JsonObject

FORMAT = 1
MOST_HEAD = 4 << 20  # bytes of metadata


def canonical(description: object) -> bytes:
    """Return the canonical JSON of a description made of mappings with string keys, lists, tuples, strings and
    numbers."""
    return json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def key_of(description: Mapping[str, object]) -> str:
    """Return the key of a description, 64 hexadecimal digits; the cache's format version is part of the hash. Raises
    TypeError, ValueError on other types."""
    return hashlib.sha256(canonical({"format": FORMAT, "of": description})).hexdigest()


def is_key(word: str) -> bool:
    """Return whether it is a sha256 in hexadecimal digits."""
    return len(word) == 64 and set(word) <= set("0123456789abcdef")


def _checksum(key: str, head: bytes, data: bytes) -> str:
    """Return a checksum over key, metadata and bytes, each with its length: a record renamed to another key is damaged
    too."""
    digest = hashlib.sha256(f"{key} {len(head)} {len(data)}\n".encode())
    digest.update(head)
    digest.update(data)
    return digest.hexdigest()


def pack(key: str, data: bytes, metadata: JsonObject) -> bytes:
    head = canonical(metadata)
    return b"bbilang %d %s\n%s\n%s" % (FORMAT, _checksum(key, head, data).encode(), head, data)


def unpack(key: str, record: bytes) -> tuple[bytes, JsonObject] | None:
    """Return (bytes, metadata) of a complete record; None if its checksum does not match the key and the bytes."""
    first, _, rest = record.partition(b"\n")
    head, separator, data = rest.partition(b"\n")
    if (
        not separator
        or len(head) > MOST_HEAD
        or first != b"bbilang %d %s" % (FORMAT, _checksum(key, head, data).encode())
    ):
        return None
    try:
        metadata = json.loads(head)
    except (ValueError, RecursionError):  # nobody wrote this here
        return None
    return (data, metadata) if isinstance(metadata, dict) else None
