"""Results of probes on disk, so that another process does not probe the same module again.

A key is made of everything that a result depends on: the module's code, attributes, hooks and tensors, the input's
shape and dtype, the device, torch and this package. Where one of them cannot be determined nothing is read or stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bbilang.runtime.cache.record import key_of
from bbilang.runtime.cache.versions import code_digest, version_of
from bbilang.runtime.passes.adapter import original_of
from bbilang.runtime.passes.module.digest import code_of
from bbilang.runtime.passes.module.probes import Repetition

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.passes.adapter import Adapter


class ProbeStore:
    """The records of one module and one shape of input in a cache; ``cache`` None: there are none."""

    def __init__(self, cache: Cache | None, adapter: Adapter, example: Tensor):
        self.cache, self.adapter, self.example = cache, original_of(adapter), example
        self._identity: dict[str, object] | None = None
        self._known = cache is None  # whether the identity was looked up

    def repetition(self) -> Repetition | None:
        """Return the result of `probe_repetition`; None where it is not stored."""
        record = self._get("repetition", ("random", "opaque"))
        return None if record is None else Repetition(record["random"], record["opaque"])

    def keep_repetition(self, result: Repetition) -> None:
        self._put("repetition", {"random": result.random, "opaque": result.opaque})

    def rows(self) -> bool | None:
        """Return the result of `probe_rows`; None where it is not stored."""
        record = self._get("rows", ("depend",))
        return None if record is None else record["depend"]

    def keep_rows(self, depend: bool) -> None:
        self._put("rows", {"depend": depend})

    def _get(self, probe: str, names: tuple[str, ...]) -> dict[str, bool] | None:
        key = self._key(probe)
        record = self.cache.get(key) if self.cache is not None and key is not None else None
        if record is None:
            return None
        flags = {name: record[1][name] for name in names if isinstance(record[1].get(name), bool)}
        return flags if len(flags) == len(names) else None

    def _put(self, probe: str, flags: Mapping[str, bool]) -> None:
        key = self._key(probe)
        if self.cache is not None and key is not None:
            self.cache.put(key, b"", {"kind": "probe", **flags})

    def _key(self, probe: str) -> str | None:
        if not self._known:
            self._identity, self._known = self._identified(), True
        return None if self._identity is None else key_of({**self._identity, "probe": probe})

    def _identified(self) -> dict[str, object] | None:
        """Return the identity; None where the module's code, attributes or tensors cannot be determined: its
        fingerprint then differs each time."""
        adapter = self.adapter
        fingerprint = getattr(adapter, "fingerprint", None) if getattr(adapter, "knowable", False) else None
        code = code_of(adapter.module)
        if code is None or fingerprint is None:
            return None
        return {
            "what": "probe",
            "module": fingerprint,
            "code": code,
            "shape": list(self.example.shape),
            "dtype": str(self.example.dtype),
            "device": adapter.device.type,
            "torch": version_of("torch"),
            "bbilang": code_digest(),
        }
