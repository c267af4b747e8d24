"""How a module conducts itself, which no description says: whether rows of a batch depend on each other, whether the
same input gives the same twice, whether it has derivatives of its own making.

Two cheap probes on a run's own first input find it: the input twice, one row each; and, where rows are to be run
together, the input between two others in one batch. What they found is remembered as long as the module stays what it
is (`remember`). A module whose rows depend on each other, or that takes one row only, runs one row at a time.
"""

from __future__ import annotations

import random as python_random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode

from bbilang.runtime.device.memory import is_out_of_memory
from bbilang.runtime.errors import error
from bbilang.runtime.passes.adapter import Adapter, original_of
from bbilang.runtime.passes.counters import Passes
from bbilang.runtime.passes.hooks import frozen_module
from bbilang.runtime.passes.module.memo import memo_of
from bbilang.runtime.passes.module.results import tensors

AGREE = 1e-4  # of the largest: how far two runs on the same input may be apart
KEY, ROWS = "conduct", "conduct of rows"
OURS = ("bbilang", "torch")
OTHER = 52_061_993  # a seed that nobody gives for pictures of their own
RANDOM = (
    "the network is random even when it is evaluated: every number is for one draw of its randomness, seed {seed}; "
    "another seed gives others (`set seed(1)`)"
)


@dataclass(frozen=True)
class Behaviour:
    """``row_by_row``: rows are run one at a time. ``random``: another result each time, unless seeded with ``seed``.
    ``opaque``: a custom autograd function is in it, or gradients are off in a part of it, so that only autograd knows
    its derivative."""

    row_by_row: bool = False
    random: bool = False
    opaque: bool = False
    seed: int = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        return (RANDOM.format(seed=self.seed),) if self.random else ()


USUAL = Behaviour()


def behaviour_of(adapter: Adapter) -> Behaviour:
    """What `probe` has found; the usual where nobody looked."""
    return memo_of(_module(adapter)).get(KEY, USUAL)


def copy_behaviour(adapter: Adapter, original: Any) -> None:
    """A copy with other weights conducts itself as its original does: it is not looked at."""
    known = memo_of(_module(original))
    memo_of(_module(adapter)).update({key: known[key] for key in (KEY, ROWS) if key in known})


def probe(
    adapter: Adapter, images: Tensor, together: bool, seed: int | None = None, counter: Passes | None = None
) -> Behaviour:
    """Probe the module on the first of ``images`` (input, ...), unless that was done. ``together``: several rows are
    going to be in one batch. A module that fails is taken to be usual: its error shows in the pass itself.

    Raises BbiError E520 where the same input gives another result each time although every source of randomness is
    seeded: no number would mean anything.
    """
    learnt = memo_of(_module(adapter))
    counter = counter if counter is not None else Passes()
    found: Behaviour | None = learnt.get(KEY)
    seed = seed if seed is not None else found.seed if found else 0
    one = images[:1].detach()
    if found is None and not _known(adapter):
        found = _twice(adapter, one, seed, counter)
    found = learnt[KEY] = replace(found or USUAL, seed=seed)
    if together and ROWS not in learnt and not found.row_by_row and not _known(adapter):
        learnt[ROWS] = True
        found = learnt[KEY] = replace(found, row_by_row=_mixed(adapter, one, counter))
    return found


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Every draw inside starts from the seed, or goes on from where it is; outside nothing is drawn."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    plain, numpys = python_random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        try:
            if seed is not None:
                torch.manual_seed(seed)
                python_random.seed(seed)
                np.random.seed(seed % 2**32)
            yield
        finally:
            python_random.setstate(plain)
            np.random.set_state(numpys)


def deterministic(behaviour: Behaviour) -> Any:
    """The context that a module runs in: one that is random draws the same each time."""
    return _seeded(behaviour.seed) if behaviour.random else nullcontext()


def _module(adapter: Adapter) -> nn.Module:
    """A folded copy conducts itself as its original."""
    return original_of(adapter).module


def _known(adapter: Adapter) -> bool:
    """A network whose code ships with this package, as it was built: tests have looked at it."""
    module = _module(adapter)
    if not str(getattr(adapter, "definition", "")).startswith("bbilang.runtime.models."):
        return False
    return all(
        type(m).__module__.split(".")[0] in OURS
        and "forward" not in vars(m)
        and not (m._forward_hooks or m._forward_pre_hooks)
        for m in module.modules()
    )


def _twice(adapter: Adapter, one: Tensor, seed: int, counter: Passes) -> Behaviour | None:
    """The same input, twice. None where the module does not run."""
    try:
        counter.probes += 2
        with _seeded(None):
            with _Off() as off:
                first = _run(adapter, one, grad=True)
            second = _run(adapter, one)
        opaque = _custom(first) or off.seen
        if _agree(first, second):
            return Behaviour(opaque=opaque)
        counter.probes += 2
        runs = []
        for _ in range(2):
            with _seeded(seed):
                runs.append(_run(adapter, one))
    except Exception:  # what it is shows in the pass itself
        return None
    if _agree(*runs):
        return Behaviour(row_by_row=True, random=True, opaque=opaque)
    raise error(
        "E520",
        "the network gives another result each time that it is run on the same input",
        "it keeps a state between calls, or is random in a way that no seed governs: reset it in its forward",
    )


def _mixed(adapter: Adapter, one: Tensor, counter: Passes) -> bool:
    """Whether a row's result depends on its company, or there can be no company at all.

    The row stands twice between two equal others: whatever is sorted, averaged or taken from a neighbour, from the
    first or from the last row moves one of the two.
    """
    if getattr(adapter.description, "reads", "image") == "text":
        other = one.flip(1)
        other = torch.where(other == one, one[:, :1].expand_as(one), other)
    else:
        noise = torch.rand(one.shape, generator=torch.Generator().manual_seed(OTHER)).to(one)
        other = 0.6 * noise  # darker, too: statistics of noise are those of noise
    counter.probes += 2
    try:
        alone = _run(adapter, one)
    except Exception:  # as in `_twice`
        return False
    try:
        company = _run(adapter, torch.cat([other, one, one, other]))
    except Exception as e:
        return not is_out_of_memory(e)
    return not _agree([x.expand(2, *x.shape[1:]) if len(x) == 1 else x for x in alone],
                      [x[1:3] if len(x) == 4 else x for x in company])  # fmt: skip


def _run(adapter: Adapter, images: Tensor, grad: bool = False) -> list[Tensor]:
    """Every tensor with an axis of rows that the module gives."""
    module = adapter.module
    with torch.inference_mode(False), frozen_module(module), torch.set_grad_enabled(grad):
        pixels = images.clone().to(adapter.device)
        learning = []
        if grad:
            pixels.requires_grad_(pixels.is_floating_point())
            learning = [p for p in module.parameters() if p.is_leaf and p.is_floating_point() and not p.is_inference()]
        try:
            for p in learning:
                p.requires_grad_(True)
            found = module(adapter.normalize(pixels))
        finally:
            for p in learning:
                p.requires_grad_(False)
    return [x for x in tensors(found) if x.dim()]


def _agree(first: list[Tensor], second: list[Tensor]) -> bool:
    if [x.shape for x in first] != [x.shape for x in second]:
        return False
    return all(_alike(a.detach(), b.detach()) for a, b in zip(first, second, strict=True))


def _alike(a: Tensor, b: Tensor) -> bool:
    if not (a.is_floating_point() or a.is_complex()):
        return torch.equal(a, b)
    part = max(AGREE, 8 * torch.finfo(a.dtype).eps)
    a, b = (x.to(torch.complex128 if x.is_complex() else torch.float64) for x in (a, b))
    equal = (a == b) | (torch.isnan(a) & torch.isnan(b))
    a, b = a[~equal], b[~equal]
    return not a.numel() or bool((a - b).abs().max() <= part * torch.maximum(a.abs(), b.abs()).max())


class _Off(TorchFunctionMode):
    """Notices calls on what has a gradient while gradients are off, which forward mode would not know of."""

    seen = False

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if not torch.is_grad_enabled() and any(x.requires_grad for x in tensors([*args, *(kwargs or {}).values()])):
            self.seen = True
        return func(*args, **(kwargs or {}))


def _custom(found: list[Tensor]) -> bool:
    """Whether a custom autograd function stands in a graph."""
    todo: list[Any] = [x.grad_fn for x in found]
    seen = set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        if isinstance(node, BackwardCFunction) or type(node).__name__ == "CppFunction":
            return True
        seen.add(node)
        todo += [after for after, _ in node.next_functions]
    return False
