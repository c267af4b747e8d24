"""What datasets ask of the cache (`runtime/cache/disk.py`)."""

from __future__ import annotations

from typing import Protocol

from bbilang.runtime.json_types import JsonObject

SETTLED = 2_000_000_000  # ns: a file that was written later may be written again without a change of its time


class Store(Protocol):
    """Records by keys; nothing raises where a disk fails."""

    def get(self, key: str) -> tuple[bytes, JsonObject] | None: ...
    def put(self, key: str, data: bytes, metadata: JsonObject | None = None) -> bool: ...
