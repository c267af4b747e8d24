"""A network made ready for many passes: a copy with batch norms folded into their convolutions, channels last.

Numbers change in their last digits only; the plan without the optimizer runs the network as it came. Made once a model
and remembered as long as the model lives; used only where a picture's scores, or a layer's activations, come out equal.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bbilang.runtime import passes
from bbilang.runtime.fold import TOLERANCE, _fold_pair

_known: weakref.WeakKeyDictionary[nn.Module, dict[Any, QuickAdapter | None]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class QuickAdapter:
    """An adapter over a folded copy, whose pictures come channels last; its layers go by the original's names."""

    original: Any
    module: nn.Module

    @property
    def description(self) -> Any:
        return self.original.description

    @property
    def device(self) -> Any:
        return self.original.device

    def normalize(self, images: Tensor) -> Tensor:
        normalized = self.original.normalize(images)
        return normalized.contiguous(memory_format=torch.channels_last) if normalized.dim() == 4 else normalized

    def module_of(self, layer: str) -> nn.Module:
        wanted = self.original.module_of(layer)
        path = next(name for name, module in self.original.module.named_modules() if module is wanted)
        return self.module.get_submodule(path)


def quick(adapter: Any, layers: Collection[str], images: Tensor, counter: passes.Passes | None = None) -> Any:
    """The adapter over a folded copy, or the adapter itself where nothing can be folded or the copy is not equal.

    layers: whose results must stay what they are. images: (input, 3, y, x) in [0, 1]; one of them is the proof.
    """
    state = tuple((t.data_ptr(), t._version) for t in adapter.module.state_dict().values())
    known = _known.setdefault(adapter.module, {})
    kept = frozenset(layer for layer in layers if layer != passes.INPUT)
    key = (kept, state)
    if key not in known:
        for old in [k for k in known if k[1] != state]:
            del known[old]  # the weights have changed since
        known[key] = _made(adapter, kept, images, counter)
    found = known[key]
    return adapter if found is None else found


def _made(adapter: Any, layers: Collection[str], images: Tensor, counter: passes.Passes | None) -> Any:
    traced = passes.trace(adapter, images, counter)
    protected = {adapter.module_of(layer) for layer in layers}
    names = {m: name for name, m in adapter.module.named_modules()}
    inside = {names[m] for m in protected}
    pairs = [
        (convolution, norm)
        for convolution, norm in traced.pairs
        if traced.runs[convolution] == traced.runs[norm] == 1 and convolution not in inside
    ]
    if not pairs or not adapter.description.classes:
        return None
    try:
        module = copy.deepcopy(adapter.module)
        for convolution, norm in pairs:
            _fold_pair(module, convolution, norm)
        module = module.to(memory_format=torch.channels_last)
        copied = QuickAdapter(adapter, module)
        own = counter or passes.Passes()
        one = images[:1]
        want = passes.forward(adapter, one, [*layers], counter=passes.Passes())
        have = passes.forward(copied, one, [*layers], counter=passes.Passes())
        own.probes += 2
    except Exception as error:
        if passes.is_out_of_memory(error):
            raise
        return None  # not every module can be copied; the original is right, only slower
    results = [(want.scores, have.scores), *((want[layer], have[layer]) for layer in layers)]
    equal = all(
        a.shape == b.shape and bool((a - b).abs().max() <= TOLERANCE * a.abs().max().clamp_min(1e-3))
        for a, b in results
    )
    return copied if equal else None
