"""Determine how a module behaves: whether rows of a batch depend on each other, whether it is deterministic, whether it
has custom derivatives.

Two cheap probes on the first input of a run show it (`probes.py`): the input twice, alone; and, where rows will run
together, the input between two others in one batch. The results are remembered until the module changes (`memo.py`),
and stored on disk for other processes (`probe_store.py`). A module whose rows depend on each other, or that takes one
row only, runs one row at a time.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor, nn

from bbilang.runtime.passes.adapter import Adapter, original_of
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.module.memo import memo_of
from bbilang.runtime.passes.module.probe_store import ProbeStore
from bbilang.runtime.passes.module.probes import probe_repetition, probe_rows, seeded

if TYPE_CHECKING:
    from bbilang.runtime.cache.disk import Cache

KEY, ROWS = "behaviour", "rows were probed"  # keys in a module's memo
OURS = ("bbilang", "torch")
RANDOM = (
    "the network is random even when it is evaluated: every number is for one draw of its randomness, seed {seed}; "
    "another seed gives others (`set seed(1)`)"
)


@dataclass(frozen=True)
class Behaviour:
    """How a module behaves. ``row_by_row``: rows run one at a time. ``random``: its result differs each time, unless
    seeded with ``seed``. ``opaque``: it has a custom autograd function, or gradients are off in a part of it, so that
    only autograd knows its derivative."""

    row_by_row: bool = False
    random: bool = False
    opaque: bool = False
    seed: int = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        return (RANDOM.format(seed=self.seed),) if self.random else ()


DEFAULT = Behaviour()


def behaviour_of(adapter: Adapter) -> Behaviour:
    """Return the result of `probe`; the default behaviour of a module that was not probed."""
    behaviour: Behaviour = memo_of(_module(adapter)).get(KEY, DEFAULT)
    return behaviour


def copy_behaviour(adapter: Adapter, original: Adapter) -> None:
    """Give a copy with other weights the behaviour of its original, so that it is not probed."""
    memo = memo_of(_module(original))
    memo_of(_module(adapter)).update({key: memo[key] for key in (KEY, ROWS) if key in memo})


def probe(
    adapter: Adapter,
    images: Tensor,
    together: bool,
    seed: int | None = None,
    counter: Passes | None = None,
    cache: Cache | None = None,
) -> Behaviour:
    """Probe the module on the first of ``images`` (input, ...), unless that was done, in this process or, with a
    ``cache``, in another. ``together``: several rows will be in one batch. A module that fails gets the default
    behaviour: its error shows in the pass itself.

    Raises BbiError E520 where the same input gives a different result each time although every source of randomness is
    seeded: no number would mean anything.
    """
    memo = memo_of(_module(adapter))
    counter = counter if counter is not None else Passes()
    behaviour: Behaviour | None = memo.get(KEY)
    seed = seed if seed is not None else behaviour.seed if behaviour else 0
    one = images[:1].detach()
    store = ProbeStore(cache, adapter, one)
    if behaviour is None and not is_built_in(adapter):
        behaviour = _probed_repetition(adapter, one, seed, counter, store)
    behaviour = memo[KEY] = replace(behaviour or DEFAULT, seed=seed)
    if together and ROWS not in memo and not behaviour.row_by_row and not is_built_in(adapter):
        memo[ROWS] = True
        behaviour = memo[KEY] = replace(behaviour, row_by_row=_probed_rows(adapter, one, counter, store))
    return behaviour


def _probed_repetition(
    adapter: Adapter, one: Tensor, seed: int, counter: Passes, store: ProbeStore
) -> Behaviour | None:
    result = store.repetition()
    if result is None and (result := probe_repetition(adapter, one, seed, counter)) is not None:
        store.keep_repetition(result)
    return None if result is None else Behaviour(row_by_row=result.random, random=result.random, opaque=result.opaque)


def _probed_rows(adapter: Adapter, one: Tensor, counter: Passes, store: ProbeStore) -> bool:
    depend = store.rows()
    if depend is None and (depend := probe_rows(adapter, one, counter)) is not None:
        store.keep_rows(depend)
    return bool(depend)


def deterministic(behaviour: Behaviour) -> AbstractContextManager[None]:
    """Return the context that a module runs in: a random one draws the same numbers each time."""
    return seeded(behaviour.seed) if behaviour.random else nullcontext()


def _module(adapter: Adapter) -> nn.Module:
    return original_of(adapter).module


def is_built_in(adapter: Adapter) -> bool:
    """Return whether a network's code ships with this package, unchanged, so that its behaviour is tested."""
    module = _module(adapter)
    if not str(getattr(adapter, "definition", "")).startswith("bbilang.runtime.models."):
        return False
    return all(
        type(m).__module__.split(".")[0] in OURS
        and "forward" not in vars(m)
        and not (m._forward_hooks or m._forward_pre_hooks)
        for m in module.modules()
    )
