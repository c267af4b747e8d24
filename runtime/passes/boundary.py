"""The results that a forward records at a cut, for the network above it to read.

While the network runs, every module that has completed is recorded, and the records of its submodules are dropped. What
is recorded when the layer completes is all that is needed to run the rest: with those results in place of their
modules, the model's own code can run above the layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bbilang.runtime.passes.module.memo import memo_of
from bbilang.runtime.passes.module.results import is_transparent, map_leaves, tensors

# Instead of a result: the module changes its arguments in place or hides its tensors, so it runs again.
RERUN = object()


@dataclass
class Record:
    """The ``call``-th run of the module at ``path`` and its result, detached; or `RERUN`."""

    path: str
    call: int
    result: Any
    versions: list[tuple[Tensor, int]]  # of the result's tensors: shows whether they are changed in place


@dataclass(frozen=True)
class Cut:
    """A layer, the images it was run on, its ``result`` and the records below it, each (path, call, result).

    ``mutated``: paths of modules whose result the model changes in place later, so that a rerun gets a copy.
    """

    layer: str
    path: str
    images: Tensor  # (input, 3, y, x) in [0, 1]
    result: Any
    records: tuple[tuple[str, int, Any], ...] = ()
    mutated: frozenset[str] = frozenset()


MUTATED = "mutated"


class Recorder:
    """Hooks for one forward. `register` them before any other; call `replaced` with any result that another hook
    substitutes."""

    def __init__(self, module: nn.Module, layers: Mapping[str, nn.Module]):
        self.module = module
        self.names = {m: name for name, m in module.named_modules()}
        self.layers = {self.names[m]: layer for layer, m in layers.items()}
        self.memo = memo_of(module)
        self.mutated: frozenset[str] | None = self.memo.get(MUTATED)
        self.records: list[Record] = []
        self.stack: list[tuple[int, list[tuple[Tensor, int]]]] = []
        self.calls: dict[str, int] = {}
        self.at_layer: dict[str, tuple[list[Record], Record]] = {}

    def register(self) -> list[RemovableHandle]:
        """Register the hooks and return their handles."""
        handles: list[RemovableHandle] = []
        for m in self.names:
            handles.append(m.register_forward_pre_hook(self.before, prepend=True, with_kwargs=True))
            handles.append(m.register_forward_hook(self.after, with_kwargs=True))
        return handles

    def before(self, module: nn.Module, arguments: tuple[object, ...], named: Mapping[str, object]) -> None:
        self.stack.append((len(self.records), versions([arguments, dict(named)])))

    def after(
        self, module: nn.Module, arguments: tuple[object, ...], named: Mapping[str, object], result: object
    ) -> None:
        """Record the result of a module's call; one that changed its arguments in place has to run again."""
        start, before = self.stack.pop()
        path = self.names[module]
        call = self.calls.get(path, 0)
        self.calls[path] = call + 1
        changed = any(x._version != version for x, version in before) or not is_transparent(result)
        record = Record(path, call, RERUN, [])
        if not changed or path in self.layers:
            record = self._record(path, call, result)
        if path in self.layers:
            self.at_layer[path] = (self.records[:start], record)
        if changed:
            self.records.append(Record(path, call, RERUN, []))
        else:
            self.records[start:] = [record]

    def _record(self, path: str, call: int, result: object) -> Record:
        copy = self.mutated is None or path in self.mutated

        def keep(value: object) -> object:
            if not isinstance(value, Tensor):
                return value
            return value.detach().clone() if copy else value.detach()

        return Record(path, call, map_leaves(result, keep), versions(result))

    def replaced(self, module: nn.Module, result: object) -> None:
        """Record that another hook has just replaced the module's result by this one."""
        path = self.names[module]
        fresh = self._record(path, self.calls[path] - 1, result)
        if path in self.at_layer:
            self.at_layer[path] = (self.at_layer[path][0], fresh)
        if self.records and self.records[-1].path == path and self.records[-1].result is not RERUN:
            self.records[-1] = fresh

    def cuts(self, images: Tensor) -> dict[str, Cut] | None:
        """Return layer -> Cut; None where the model changed a result in place for the first time: run the forward
        again."""
        everything = [r for below, own in self.at_layer.values() for r in (*below, own)]
        changed = frozenset(r.path for r in everything if any(x._version != v for x, v in r.versions))
        known = self.mutated
        mutated = self.memo[MUTATED] = (known or frozenset()) | changed
        if known is not None and changed - known:
            return None
        return {
            self.layers[path]: Cut(
                self.layers[path], path, images, own.result, tuple((r.path, r.call, r.result) for r in below), mutated
            )
            for path, (below, own) in self.at_layer.items()
        }


def versions(tree: object) -> list[tuple[Tensor, int]]:
    """Return every tensor in a tree with its version, the number of times it was changed in place."""
    return [(x, x._version) for x in tensors(tree) if not x.is_inference()]


def expand_rows(tree: object, rows: Tensor | None, inputs: int, copy: bool = False) -> Any:
    """Expand every tensor of ``inputs`` rows in a tree to ``rows`` (row,): a view where there is one input."""

    def expand(value: object) -> object:
        if not isinstance(value, Tensor):
            return value
        if rows is not None and value.dim() and len(value) == inputs:
            if inputs > 1:
                return value.index_select(0, rows.to(value.device))
            value = value.expand(len(rows), *value.shape[1:])
        return value.clone() if copy else value

    return map_leaves(tree, expand)
