"""Load weights into a module: from the tables of a checkpoint, or drawn from a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.models.weights.checkpoints import Checkpoint, Table, read_state
from bbilang.runtime.models.weights.match import ModuleState, Translate, choose, some

__all__ = ["LoadedWeights", "fit", "fit_file", "fit_random", "random_state", "read_state"]

ONES = ("weight", "running_var", "gamma", "scale")  # last parts of the names of scale vectors


@dataclass(frozen=True)
class LoadedWeights:
    """The weights taken from a file. ``how``: the table and the prefix removed, in words."""

    source: str
    count: int
    how: str
    left: tuple[str, ...]
    also: tuple[str, ...]

    @property
    def words(self) -> str:
        """ "w.pth: 296 tensors from `state_dict_ema`, prefix `module.` removed"."""
        words = f"{self.source}: {self.count} tensor{'' if self.count == 1 else 's'}{self.how}"
        words += f"; not {some(list(self.also))}, which would fit too" if self.also else ""
        return words + (f"; {len(self.left)} left out ({some(list(self.left))})" if self.left else "")


def fit_file(module: nn.Module, path: Path, translate: Translate | None = None) -> LoadedWeights:
    """Put the weights of a file into ``module``. ``translate``: names of a known port -> those of the module.
    Raises BbiError E403 (not readable), E404 (another model's), E405 (not finite), E444 (two that fit)."""
    return fit(module, read_state(path), path.name, translate)


def fit_random(module: nn.Module, seed: int) -> str:
    """Draw the weights of ``module`` from ``seed``; return a description in words."""
    fit(module, random_state(module, seed), "random weights")
    return f"random, seed {seed}"


def fit(
    module: nn.Module, state: Checkpoint | Mapping[str, Tensor], source: str, translate: Translate | None = None
) -> LoadedWeights:
    """Put ``state`` into ``module`` (which may be on the meta device), in the module's own number types; tied weights
    stay tied.

    Raises BbiError E404 where tensors are missing, unexpected or of another shape or kind, E405 where one is not
    finite, E444 where two tables of a file fit equally well.
    """
    checkpoint = state if isinstance(state, Checkpoint) else Checkpoint(source, (Table((), state),))
    chosen, others = choose(checkpoint, module, translate)
    expected = ModuleState(module)
    broken = [n for n, value in chosen.state.items() if not _finite(value) and not _masks(value, n, expected)]
    if broken:
        raise error("E405", f"{source} has values that are not finite numbers, in {some(broken)}",
                     "these weights come from a training run that diverged, or from a damaged file")  # fmt: skip
    ready: dict[str, Tensor] = {}
    for group in expected.groups:
        like = expected.tensors[group[0]]
        name = next((name for name in group if name in chosen.state), None)
        if name is None:
            value = torch.zeros_like(like, device="cpu") if like.is_meta else like
        else:
            value = chosen.state[name].to(like.dtype).contiguous()
            if value.is_floating_point() and name not in broken and _finite(chosen.state[name]) and not _finite(value):
                kind = str(like.dtype).removeprefix("torch.")
                raise error("E405", f"{source} has values in `{name}` that {kind}, the model's own type, cannot hold",
                             "make the model in float32")  # fmt: skip
        if isinstance(like, nn.Parameter):
            value = nn.Parameter(value.detach(), requires_grad=False)
        ready |= dict.fromkeys(group, value)
    module.load_state_dict(ready, assign=True)
    also = tuple(other.words.strip(" ,").removeprefix("from ").strip("`") or "the file itself" for other in others)
    return LoadedWeights(source, len(chosen.state), chosen.words, chosen.left, also)


def _finite(value: Tensor) -> bool:
    if not (value.is_floating_point() or value.is_complex()):
        return True
    return bool(torch.isfinite(value if value.element_size() > 1 else value.float()).all())


def _masks(value: Tensor, name: str, expected: ModuleState) -> bool:
    """Return whether infinities are those of the module itself, in a mask that it computes."""
    like = expected.tensors[name]
    return name in expected.buffers and not like.is_meta and torch.equal(value.to(like.dtype), like.detach().cpu())


def random_state(module: nn.Module, seed: int) -> dict[str, Tensor]:
    """Draw weights from ``seed``: kernels normal with deviation sqrt(2 / fan in) (He et al., 2015, eq. 10), so that
    activations keep their size; biases and means 0, scales and variances 1. Values that are computed, not trained, are
    kept: buffers (except running statistics, which belong to trained weights), integers, booleans. Tied weights are
    drawn once. Does not use torch's global generator. Raises BbiError E404 for a module whose weights are packed or
    whose buffers have no values."""
    expected = ModuleState(module)
    if expected.packed:
        raise error("E404", f"the model keeps `{expected.packed[0]}` in a packed form, which cannot be drawn",
                     "leave `--weights random` out")  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    statistics = _statistics(module)
    state = {}
    for group in expected.groups:
        name, like = group[0], expected.tensors[group[0]]
        last = name.rpartition(".")[2]
        if name in statistics or (isinstance(like, nn.Parameter) and like.ndim < 2 and like.is_floating_point()):
            state[name] = torch.full(like.shape, float(last.endswith(ONES)), dtype=like.dtype)
        elif isinstance(like, nn.Parameter) and (like.is_floating_point() or like.is_complex()):
            deviation = math.sqrt(2 / math.prod(like.shape[1:])) if like.numel() else 0.0
            exact = like.dtype if like.dtype in (torch.float64, torch.complex64, torch.complex128) else torch.float32
            state[name] = (torch.randn(like.shape, generator=generator, dtype=exact) * deviation).to(like.dtype)
        elif not like.is_meta:
            state[name] = like.detach().cpu().clone()
        elif not name.endswith("num_batches_tracked"):
            raise error("E404", f"`{name}` is computed by the model, which was built without values",
                         "give `--weights FILE`")  # fmt: skip
    return state


def _statistics(module: nn.Module) -> set[str]:
    """Return the names of running means and variances."""
    return {
        f"{path}.{name}" if path else name
        for path, child in module.named_modules()
        for name, _ in child.named_buffers(recurse=False)
        if name in ("running_mean", "running_var")
    }
