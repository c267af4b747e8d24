"""Choose the table of a checkpoint that fits a module, and the prefix of names to remove or add."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.models.weights.checkpoints import Checkpoint, Table

# Averaged weights first, since they are the ones that training scripts evaluate; a teacher before its student.
AVERAGED = (
    "state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "module_ema", "net_ema", "params_ema",
    "averaged_model", "swa_model",
)  # fmt: skip
TEACHER, STUDENT = "teacher", "student"
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
PREFIXES = ("module", "model", "net", "network", "_orig_mod", "backbone", "encoder")
Translate = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class ModuleState:
    """The names and tensors of a module's state. ``optional``: those that a file may leave out."""

    module: nn.Module

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        return {n: v for n, v in self.module.state_dict(keep_vars=True).items() if isinstance(v, Tensor)}

    @cached_property
    def packed(self) -> list[str]:
        """Names of entries that are no plain tensors, such as packed weights of quantized layers."""
        items = self.module.state_dict().items()
        return [n for n, v in items if not isinstance(v, Tensor) or v.is_quantized or v.layout != torch.strided]

    @cached_property
    def buffers(self) -> set[str]:
        return {name for name, _ in self.module.named_buffers()}

    @cached_property
    def optional(self) -> set[str]:
        """Counters, and integer tables that the module computes itself."""
        return {n for n, v in self.tensors.items() if n.endswith(".num_batches_tracked") or (
            n in self.buffers and not v.is_meta and not v.is_floating_point() and not v.is_complex())}  # fmt: skip

    @cached_property
    def groups(self) -> list[list[str]]:
        """The names of each tensor; tied weights have several."""
        groups: dict[int, list[str]] = {}
        for name, value in self.tensors.items():
            groups.setdefault(id(value), []).append(name)
        return list(groups.values())


@dataclass(frozen=True)
class Choice:
    """A table with a prefix removed or added, and its differences from the module's state."""

    table: Table
    prefix: str
    added: str
    state: Mapping[str, Tensor] = field(repr=False)
    left: tuple[str, ...]
    faults: tuple[str, ...]
    count: int  # number of names with a fault

    @property
    def words(self) -> str:
        """ " from `state_dict_ema`, prefix `module.` removed", or nothing."""
        words = f" from `{'.'.join(self.table.where)}`" if self.table.where else ""
        words += f", prefix `{self.prefix}` removed" if self.prefix else ""
        return words + (f", prefix `{self.added}` added" if self.added else "")

    @property
    def rank(self) -> tuple[int, ...]:
        """Smaller is preferred: averaged, teacher, plain, student; then known keys in their order, short prefixes."""
        pieces = self.prefix.split(".")[:-1]
        parts = {*self.table.where, *pieces}
        kind = 0 if parts & set(AVERAGED) else 1 if TEACHER in parts else 3 if STUDENT in parts else 2
        known = (*AVERAGED, TEACHER, *CONTAINERS, STUDENT)
        keys = [known.index(key) if key in known else len(known) for key in self.table.where]
        order = [PREFIXES.index(piece) if piece in PREFIXES else len(PREFIXES) for piece in pieces]
        return (kind, len(keys), *keys, len(order), *order)


def choose(checkpoint: Checkpoint, module: nn.Module, translate: Translate | None) -> tuple[Choice, list[Choice]]:
    """Return (the table that fits, others that would fit). Raises BbiError E404 where none does, E444 where two fit
    equally well."""
    expected = ModuleState(module)
    if expected.packed:
        message = f"{checkpoint.name} cannot be loaded: the model keeps `{expected.packed[0]}` in a packed form"
        raise error("E404", message, "load the weights in your own function, and quantize after that")
    choices = [choice for table in checkpoint.tables for choice in _choices(table, expected, translate)]
    fits = sorted((choice for choice in choices if not choice.faults), key=lambda choice: choice.rank)
    if not fits:
        best = min(choices, key=lambda choice: (choice.count, choice.rank))
        details = best.words.removeprefix(",").strip()
        message = (
            f"{checkpoint.name} does not fit this model: {f'{details}: ' if details else ''}{'; '.join(best.faults)}"
        )
        raise error("E404", message, "are these the weights of another model?")
    first, *others = fits
    for other in others:
        if other.rank == first.rank and not _equal(first.state, other.state):
            which = " and ".join(f"`{'.'.join(c.table.where)}{'.' if c.table.where and c.prefix else ''}{c.prefix}`"
                                 for c in (first, other))  # fmt: skip
            message = f"{checkpoint.name} holds two sets of weights that fit this model: {which}"
            raise error("E444", message, "save the one that you mean alone")
    return first, others


def _choices(table: Table, expected: ModuleState, translate: Translate | None) -> list[Choice]:
    needed = sum(any(name not in expected.optional for name in group) for group in expected.groups)
    counts: Counter[str] = Counter()
    for name in table.tensors:
        pieces = name.split(".")
        counts.update(".".join(pieces[:depth]) + "." for depth in range(1, len(pieces)))
    prefixes = ["", *(prefix for prefix, count in counts.items() if count >= max(math.ceil(needed / 2), 1))]
    heads = {name.partition(".")[0] for name in expected.tensors if "." in name}
    common = {name for name in expected.tensors if "." not in name} or len(heads) != 1
    additions = [""] if common else ["", f"{heads.pop()}."]
    return [_compared(table, prefix, added, expected, translate) for prefix in prefixes for added in additions]


def _compared(table: Table, prefix: str, added: str, expected: ModuleState, translate: Translate | None) -> Choice:
    inside = {n.removeprefix(prefix): value for n, value in table.tensors.items() if n.startswith(prefix)}
    left = [name for name in table.tensors if not name.startswith(prefix)] + [*table.others]
    state = dict(translate(inside) if translate is not None else inside)
    state = {added + name: value for name, value in state.items()} if added else state
    missing = [group[0] for group in expected.groups
               if not any(name in state or name in expected.optional for name in group)]  # fmt: skip
    extra = [name for name in state if name not in expected.tensors]
    unexpected = [name for name in extra if state[name].is_floating_point() or state[name].is_complex()]
    # Integer tables that the module does not have are left out.
    left += [prefix + name for name in extra if name not in unexpected]
    shared = {name: value for name, value in state.items() if name in expected.tensors}
    unlike = [fault for name, value in shared.items() if (fault := _unlike(name, value, expected.tensors[name]))]
    unlike += _untied(shared, expected)
    absent = {"missing": missing, "unexpected": unexpected}
    faults = [f"{len(names)} {word} ({some(names)})" for word, names in absent.items() if names]
    faults += unlike[:3] + ([f"{len(unlike) - 3} other tensors differ"] if len(unlike) > 3 else [])
    count = len(missing) + len(unexpected) + len(unlike)
    return Choice(table, prefix, added, shared, tuple(left), tuple(faults), count)


def _unlike(name: str, value: Tensor, like: Tensor) -> str:
    if value.shape != like.shape:
        return f"`{name}` is {_shape(value)}, not {_shape(like)}"
    if value.is_complex() and not like.is_complex():
        return f"`{name}` is complex, and the model's is real"
    if like.is_floating_point() and not value.is_floating_point():
        return f"`{name}` holds integers ({_dtype(value)}), and the model's are fractions"
    if not (like.is_floating_point() or like.is_complex()) and value.dtype != like.dtype:
        whole = value.to(like.dtype)
        if value.is_complex() or not torch.equal(whole.to(value.dtype), value):
            return f"`{name}` is {_dtype(value)}, and the model's is {_dtype(like)}"
    return ""


def _untied(state: Mapping[str, Tensor], expected: ModuleState) -> list[str]:
    faults = []
    for group in expected.groups:
        loaded = [name for name in group if name in state]
        if any(not same(state[loaded[0]], state[name]) for name in loaded[1:]):
            faults.append(f"`{loaded[0]}` and `{loaded[-1]}` are one tensor in the model, and differ here")
    return faults


def _equal(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)


def same(left: Tensor, right: Tensor) -> bool:
    return left is right or (left.dtype == right.dtype and left.shape == right.shape and torch.equal(left, right))


def some(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:2]) + (", ..." if len(names) > 2 else "")


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(size) for size in tensor.shape) or "a single number"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
