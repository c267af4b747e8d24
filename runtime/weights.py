"""Files of weights: safetensors, or PyTorch state dicts read without running anything in them."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bbilang.grammar.diagnostic import BbiError, Diagnostic

WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which training scripts put the weights
PREFIX = "module."  # of DataParallel


def read_state(path: Path) -> dict[str, Tensor]:
    """Name -> tensor, on the CPU. Raises BbiError E403 for a file that is missing, damaged, or holds other things."""
    try:
        if not path.is_file():
            raise _error("E403", f"there is no weights file {path}")
        data = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    except BbiError:
        raise
    except Exception as e:  # every reader has errors of its own for damaged files
        message = f"{path.name} cannot be read as weights: it is damaged, cut short, or not such a file"
        raise _error("E403", message, "save it with safetensors, or torch.save(model.state_dict(), file)") from e
    for key in WRAPPERS:
        if isinstance(data, Mapping) and isinstance(data.get(key), Mapping):
            data = data[key]
    if not isinstance(data, Mapping) or not data:
        raise _error("E403", f"{path.name} holds no table of names and tensors", "save model.state_dict()")
    for name, value in data.items():
        if not isinstance(name, str) or not isinstance(value, Tensor) or value.layout != torch.strided:
            raise _error("E403", f"{path.name} holds `{name}`, which is not a tensor", "save model.state_dict()")
    if all(name.startswith(PREFIX) for name in data):
        data = {name.removeprefix(PREFIX): value for name, value in data.items()}
    return dict(data)


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path, device="cpu")


def _pickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickle protocols; what cannot be read is an error
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        if "Unsupported" in str(e):  # a class, function or instruction outside torch's list for tensors
            message = f"{path.name} holds Python objects besides tensors, which are not loaded since that can run code"
            raise _error("E403", message, "save model.state_dict() alone, or use safetensors") from e
        raise


def fit(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Put ``state`` into ``module`` (which may be on the meta device), in the module's own number types.

    Raises BbiError E404 where tensors are missing, unexpected or of another shape, E405 where one is not finite.
    """
    wanted = module.state_dict()
    counters = {name for name in wanted if name.endswith(".num_batches_tracked")}
    missing = [name for name in wanted if name not in state and name not in counters]
    unexpected = [name for name in state if name not in wanted]
    shapes = [name for name in wanted if name in state and wanted[name].shape != state[name].shape]
    absent = {"missing": missing, "unexpected": unexpected}
    faults = [f"{len(names)} {word} ({_some(names)})" for word, names in absent.items() if names]
    faults += [f"`{n}` is {_shape(state[n])}, not {_shape(wanted[n])}" for n in shapes[:3]]
    faults += [f"{len(shapes) - 3} other shapes differ"] if len(shapes) > 3 else []
    if faults:
        message = f"{source} does not fit this model: {'; '.join(faults)}"
        raise _error("E404", message, "are these the weights of another model?")
    broken = [n for n, value in state.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if broken:
        raise _error("E405", f"{source} has values that are not finite numbers, in {_some(broken)}",
                     "these weights come from a training run that diverged, or from a damaged file")  # fmt: skip
    ready = {name: state[name].to(like.dtype).contiguous() if name in state else torch.zeros((), dtype=like.dtype)
             for name, like in wanted.items()}  # fmt: skip
    module.load_state_dict(ready, assign=True)


def random_state(module: nn.Module, seed: int) -> dict[str, Tensor]:
    """Weights drawn from ``seed`` alone: kernels normal with deviation sqrt(2 / fan in) (He et al., 2015, eq. 10), so
    that activations keep their size; biases and means 0, scales and variances 1. Leaves torch's own generator alone."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, like in module.state_dict().items():
        if like.ndim > 1:
            deviation = math.sqrt(2 / math.prod(like.shape[1:]))
            state[name] = torch.randn(like.shape, generator=generator, dtype=like.dtype) * deviation
        elif name.endswith((".weight", ".running_var")):
            state[name] = torch.ones(like.shape, dtype=like.dtype)
        else:
            state[name] = torch.zeros(like.shape, dtype=like.dtype)
    return state


def _some(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:2]) + (", ..." if len(names) > 2 else "")


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(size) for size in tensor.shape) or "a single number"


def _error(code: str, message: str, help: str | None = None) -> BbiError:
    return BbiError(Diagnostic(code, message, help=help))
