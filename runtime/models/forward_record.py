"""What one forward tells of a network: the result of every module, and the attention in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bbilang.compiler.ir.model_description import PartDescription
from bbilang.runtime.models.dataflow import Dataflow, Facts
from bbilang.runtime.models.heads import Args, Heads, of_torch
from bbilang.runtime.passes.module.results import first_tensor

PASS = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)  # identity in eval mode
PASS_NAMES = {"DropPath", "StochasticDepth"}  # likewise, of timm, transformers and torchvision
MOST_PREFIX = 16  # tokens before the patches: a class token, registers


def is_identity(module: nn.Module) -> bool:
    """Return whether a module returns what it is given, in eval mode."""
    return isinstance(module, PASS) or type(module).__name__ in PASS_NAMES


@dataclass(frozen=True)
class Result:
    """The result of one module: its shape with the input axis first, its facts, and the layers it was computed from."""

    shape: tuple[int, ...]
    facts: Facts
    inputs: frozenset[str]
    flops: int = 0
    bytes: int = 0
    heads: bool = False  # it is that of the heads of an attention
    own_flops: int = 0  # FLOPs from its module's beginning to its end

    def axes(self, input_size: tuple[int, int], reads: str = "image") -> tuple[str, ...]:
        """Name the axes after the first; () for results that are no layer, such as attention weights."""
        if self.heads:
            return ("token", "head", "channel")
        rank, channel = len(self.shape), self.facts.channel
        if self.shape[0] != 1 or rank not in (2, 3, 4):
            return ()
        if reads == "audio" and rank > 2:  # time is last, as in torchaudio, unless channels are known to be
            named = ("channel", "y", "frame") if rank == 4 else ("channel", "frame")
            return named if rank == 4 or channel != 2 else ("frame", "channel")
        if rank < 4:
            along = "x" if reads in ("signal", "sequence") else "token"
            return ("channel",) if rank == 2 else ("channel", along) if channel == 1 else (along, "channel")
        if channel in (1, None):
            return ("channel", "y", "x")
        y, x = self.shape[1:3]  # with the aspect ratio of the image, unlike heads and tokens of attention
        return ("y", "x", "channel") if channel == 3 and abs(y * input_size[1] - x * input_size[0]) < 1 else ()


@dataclass
class Record:
    """The record of one forward: path -> result, in the order in which modules finish (None where one ran twice)."""

    results: dict[str, Result | None] = field(default_factory=dict)
    sources: dict[str, frozenset[str]] = field(default_factory=dict)  # for every run of a module: `path`, `path#2` ...
    parts: tuple[PartDescription, ...] = ()  # of the network's result
    plain: bool = False  # the first tensor of the result is the vector of scores
    total: int = 0  # FLOPs
    bytes: int = 0
    runs: dict[str, int] = field(default_factory=dict)  # path -> number of runs
    passed: set[str] = field(default_factory=set)  # identity modules
    followed: bool = True  # everything that was computed is known: see `Dataflow`
    ends: frozenset[str] = frozenset()  # what the scores are computed from
    heads: dict[str, Heads] = field(default_factory=dict)  # by the path of their layer

    def put_heads(self, found: Heads, tokens: int, width: int, facts: Facts, costs: tuple[int, int]) -> None:
        """Record the heads that a projection receives. costs: FLOPs and bytes until then."""
        path, shape = found.path, (1, tokens, found.count, width // found.count)
        self.runs[path] = self.runs.get(path, 0) + 1
        self.sources[path] = facts.origins
        once = path not in self.results
        self.results[path] = Result(shape, facts, facts.origins, *costs, heads=True) if once else None
        self.heads[path] = found

    def known_heads(self) -> list[Heads]:
        """Return the heads that are read by one projection, which runs once."""
        calls = [one.call for one in self.heads.values() if one.call]
        return [
            one for path, one in self.heads.items() if self.results[path] is not None and calls.count(one.call) <= 1
        ]

    def grid(self, result: Result) -> tuple[int, ...]:
        """Return (y, x) of the patches behind tokens: the size of the last map before them with as many positions, not
        counting a class token and registers; () where there is no such map."""
        tokens = result.shape[1]
        grid: tuple[int, ...] = ()
        for other in self.results.values():
            if other is result:
                break
            if other is not None and len(other.shape) == 4 and other.facts.channel == 1:
                y, x = other.shape[2:]
                if 1 < y * x <= tokens <= y * x + MOST_PREFIX:
                    grid = (y, x)
        return grid


def attention_hooks(
    live: list[nn.Module], paths: Mapping[nn.Module, str], flow: Dataflow, record: Record,
    costs: Callable[[], tuple[int, int]],
) -> list[RemovableHandle]:  # fmt: skip
    """Return hooks that find attention: which module runs, and what it receives."""
    if any(isinstance(child, torch.jit.ScriptModule) for child in live):
        return []
    running = flow.heads.stack

    def enter(child: nn.Module, arguments: Args, named: dict[str, object]) -> tuple[Args, dict[str, object]] | None:
        running.append(paths.get(child, ""))
        if not arguments or is_identity(child) or any(True for _ in child.children()):
            return None
        found = flow.heads.received(arguments[0], running[-1])
        if found is None:
            return None
        tensor: Tensor = arguments[0]
        record.put_heads(found, tensor.shape[1], tensor.shape[2], flow.of(tensor), costs())
        handle = flow.handle(tensor)
        flow.put(handle, origins=frozenset({found.path}))
        return (handle, *arguments[1:]), named

    def leave(child: nn.Module, arguments: Args, result: object) -> None:
        running.pop()
        tensor, found = first_tensor(result), of_torch(child, paths.get(child, ""))
        if tensor is not None and found is not None and tensor.ndim == 3:
            tokens = tensor.shape[1 if cast("nn.MultiheadAttention", child).batch_first else 0]
            record.put_heads(found, tokens, tensor.shape[2], flow.of(tensor), costs())
            flow.put(tensor, origins=frozenset({found.path}))

    handles = [child.register_forward_pre_hook(enter, with_kwargs=True) for child in live]
    return [*handles, *(child.register_forward_hook(leave) for child in live)]
