"""What workers make of a request by themselves: its network, and the work of its scans."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from bbilang.compiler.ir.program import Program
from bbilang.grammar.frozen import frozen
from bbilang.registry import registry

if TYPE_CHECKING:
    from bbilang.runtime.execution.scanning import ScanWork
    from bbilang.runtime.interventions.found import Found
    from bbilang.runtime.models.adapter import Adapter


Build: TypeAlias = "Callable[[], tuple[Program, Adapter]]"  # that a worker can unpickle


@frozen
class NetworkRecipe:
    """Loads a request's network in a worker, from the text and the names that the request holds: ``build``."""

    build: Build
    allowed: bool  # whether models may run code of their own

    def __call__(self) -> Adapter:
        return self.loaded()[1]

    def loaded(self) -> tuple[Program, Adapter]:
        """Return the program, too. A worker loads them once for the scans and the icons of a page."""
        from bbilang.runtime.models.sources.permission import code_allowed

        same = hashlib.sha256(pickle.dumps(self)).digest()
        if same not in _loaded:
            with code_allowed(self.allowed):
                _loaded.clear()
                _loaded[same] = self.build()
        return _loaded[same]


_loaded: dict[bytes, tuple[Program, Adapter]] = {}  # in a worker


@frozen
class ScanRecipe:
    """Makes the work of a request's scans in a worker; of a scan that waits, from what the page found for it."""

    network: NetworkRecipe

    def __call__(self, found: Found | None = None) -> ScanWork:
        from bbilang.runtime.execution.context import Run
        from bbilang.runtime.execution.scanning import ScanWork, union

        program, adapter = self.network.loaded()
        run = Run.of(program, registry(), adapter, ())
        if found is None:
            return ScanWork(run, union(program.scans))
        run.shared.stand_ins |= found.stand_ins
        return ScanWork(run, found.scan)
