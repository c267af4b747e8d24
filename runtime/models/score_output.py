"""Find the scores in a network's result, and determine which kind of scores they are."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bbilang.compiler.ir import score_kinds as kinds
from bbilang.compiler.ir.model_description import Box, ModelDescription, PartDescription
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.models.dataflow import LINEAR, Facts
from bbilang.runtime.passes.module.precision import input_type, remember_input_type
from bbilang.runtime.passes.module.results import Path, children_of, value_at

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WHOLE = "."  # the result itself, where it becomes one vector for each input
SCORES = re.compile(r"logit|score|prob|pred", re.IGNORECASE)
OTHERS = re.compile(r"embed|feature|hidden|pool|latent|represent|state|token|loss|aux|attention|box", re.IGNORECASE)
MOST = 64  # parts of a result that are examined
PROBABLE = {"softmax", "_softmax", "softmin", "gumbel_softmax", "sparsemax"}
BOUNDING = {  # functions that may bound values to [0, 1]
    "clamp", "clamp_", "clip", "clamp_min", "clamp_max", "hardtanh", "relu6", "minimum", "maximum", "exp", "rsub",
    "__rsub__",
}  # fmt: skip
BETWEEN = {"sigmoid", "sigmoid_", "expit", "hardsigmoid", "hardsigmoid_"}


@dataclass(frozen=True)
class Part:
    """One tensor of a result."""

    name: str
    path: Path
    tensor: Tensor


def parts(result: object) -> tuple[Part, ...]:
    """Return the floating-point tensors of a result, in order, each with its name: `logits`, `[1]`, `aux.scores`."""
    return tuple(_parts(result, "", ()))[:MOST]


def _parts(value: object, name: str, path: Path) -> Iterator[Part]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield Part(name or WHOLE, path, value)
        return
    for key, inner in (children_of(value) or {}).items():
        word = f"{name}[{key}]" if isinstance(key, int) else f"{name}.{key}" if name else str(key)
        yield from _parts(inner, word, (*path, key))


def is_listing(result: object) -> bool:
    """Return whether the result is a list of one record per input, as of detectors, so that no tensor has an input
    axis."""
    return isinstance(result, list | tuple) and bool(result) and all(isinstance(part, Mapping) for part in result)


def likely(names: Sequence[str]) -> list[str]:
    """Filter vectors that may be the scores by name: those named like scores, else those not named like anything
    else."""
    own = [name for name in names if name.split(".")[-1] == "logits"]
    called = own[:1] or [name for name in names if SCORES.search(name) and not OTHERS.search(name)]
    return called or [name for name in names if not OTHERS.search(name)]


def picked(result: object, name: str) -> Tensor:
    """Return the tensor of a result by the name that `parts` gives it. Raises BbiError E502 where it is missing."""
    for part in parts(result):
        if part.name == name:
            return part.tensor
    help = "its result has another form than when it was described"
    raise error("E502", f"the network gave no `{name}` this time", help=help)


def text_scores(result: object) -> Tensor:
    """Return the scores of a text model: (input, class), or (input, token, class) where there is no such vector.

    Raises TypeError, which becomes an error of the description, where several tensors may be the scores.
    """
    candidates = parts(result)
    for rank in (2, 3):
        names = likely([part.name for part in candidates if part.tensor.ndim == rank])
        if len(names) == 1:
            return picked(result, names[0])
        if names:
            raise TypeError(f"its result has several tensors that may be the scores: {', '.join(names)}")
    raise TypeError("its result has no scores (input, class)")


def described(
    result: object,
    again: Callable[[], object],
    facts: Callable[[Tensor], Facts],
    module: nn.Module,
    input_size: tuple[int, int] | None = None,
) -> tuple[PartDescription, ...]:
    """Describe the parts of a network's result for one input. ``again``: runs it on two inputs, which disambiguates the
    axis of results with fewer than two; ``facts``: the facts of a tensor; ``input_size``: (y, x) of a picture."""
    listing, descriptions = is_listing(result), []
    both = None
    for part in parts(result):
        shape, flat = tuple(part.tensor.shape), part.tensor.ndim < 2
        vector = not listing and shape[:1] == (1,) and len(shape) > 1 and math.prod(shape[2:]) == 1
        size = shape if flat or listing else shape[1:]
        if flat and not listing and part.tensor.numel():
            both = both if both is not None else parts(again())
            two = next((tuple(other.tensor.shape) for other in both if other.name == part.name), ())
            vector = two == (2,) * (part.tensor.numel() == 1) or two == (2, part.tensor.numel())
            size = (part.tensor.numel(),)
        known = facts(part.tensor)
        kind = kind_of(known.last, math.prod(size), module) if vector else ""
        over = not listing and len(shape) == 4 and shape[0] == 1 and covers(shape[2:], input_size)
        origins = tuple(sorted(known.origins))
        descriptions.append(PartDescription(part.name, size, origins, kind, vector, flat, over))
    return tuple(descriptions)


def covers(sides: Sequence[int], input_size: tuple[int, int] | None) -> bool:
    """Return whether (y, x) is the size of a map over a picture: of its aspect ratio, up to rounding."""
    if input_size is None:
        return False
    (y, x), (height, width) = sides, input_size
    return min(y, x) > 1 and abs(y * width - x * height) <= max(height, width)


def chosen(candidates: Sequence[PartDescription]) -> PartDescription | None:
    """Return the part that is the scores: the vector, or the map where there is none; None where there is neither, or
    several candidates."""
    vectors = [part.name for part in candidates if part.vector]
    names = likely(vectors or [part.name for part in candidates if part.map])
    return next(part for part in candidates if part.name == names[0]) if len(names) == 1 else None


class Scored(nn.Module):
    """Wraps a network whose scores are a part of its result: its result is the scores, (input, class).

    The scores of a map (input, class, y, x) are its means: ``weights`` (box, y, x) add up to 1 over positions, and
    score number box x classes + class is the mean of that class.

    It shares the network's modules under their names, so that hooks on layers act on the network itself. Hooks on the
    network as a whole do not run.
    """

    def __init__(self, network: nn.Module, name: str, path: Path, rank: int, weights: Tensor | None = None):
        for held in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
            self.__dict__[held] = network.__dict__[held]
        for hooks in (key for key in network.__dict__ if key.endswith("hooks") or "hooks_" in key):
            self.__dict__[hooks] = type(network.__dict__[hooks])()
        self.__dict__["_is_full_backward_hook"] = None
        self.__dict__["network"], self.__dict__["scored"] = network, (name, path, rank)
        # (box, class=1, y, x), stored as it is used: the graph of the network refers to it by its name
        self.__dict__["weights"] = None if weights is None else weights.unsqueeze(1)

    @property
    def training(self) -> bool:  # type: ignore[override]  # an attribute of nn.Module; here the network's
        return self.__dict__["network"].training

    @training.setter
    def training(self, value: bool) -> None:
        self.__dict__["network"].training = value

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["network"], name)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Scored:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if (weights := self.__dict__["weights"]) is not None:
            self.__dict__["weights"] = fn(weights)
        return self

    def forward(self, images: Tensor) -> Tensor:
        _, path, rank = self.__dict__["scored"]
        values = value_at(self.__dict__["network"].forward(images), path)
        if (weights := self.__dict__["weights"]) is not None:
            means = (values.unsqueeze(1) * weights).sum((3, 4))  # (input, box, class), by operations that
            return means.flatten(1)  # relevance passes through as through a mean
        if rank == 0:  # (input,), or (class,) of one input
            return values.reshape(images.shape[0], -1)
        return values if rank == 1 else values.flatten(1)


def own(network: nn.Module) -> nn.Module:
    """Unwrap a `Scored` network."""
    return network.__dict__["network"] if isinstance(network, Scored) else network


def scored(network: nn.Module, description: ModelDescription) -> nn.Module:
    """Return the network itself where its result is the vector of scores, else a `Scored` wrapper of it."""
    inner = own(network)
    if not description.part:
        return inner
    part = next(part for part in description.parts if part.name == description.part)
    if isinstance(network, Scored) and network.__dict__["scored"][0] == part.name and not part.map:
        return network
    weights = None
    if part.map:
        like = next(inner.parameters(), torch.empty(0))
        weights = box_weights(part.shape[1:], description.input_size, description.boxes).to(like)
    wrapper = Scored(inner, part.name, path_named(part.name), 0 if part.flat else len(part.shape), weights)
    remember_input_type(wrapper, input_type(inner))
    return wrapper


def box_weights(sides: tuple[int, ...], input_size: tuple[int, int], boxes: Sequence[Box]) -> Tensor:
    """Return the weights (1 + box, y, x) with which a map of (y, x) = ``sides`` gives its mean over the picture, and
    over each box of the picture after it is enlarged bilinearly to ``input_size`` (as segmenters do, centres of pixels
    aligned); a map that is larger than the picture is averaged in its cells."""
    small = sides[0] <= input_size[0] and sides[1] <= input_size[1]
    enlarged = [
        _enlarging(few, many, "linear" if small else "area") for few, many in zip(sides, input_size, strict=True)
    ]
    shares = [tuple(torch.full((side,), 1 / side, dtype=torch.float64) for side in sides)]
    shares += [(enlarged[0][:, y0:y1].mean(1), enlarged[1][:, x0:x1].mean(1)) for y0, x0, y1, x1 in boxes]
    return torch.stack([rows[:, None] * columns for rows, columns in shares])


def _enlarging(few: int, many: int, mode: str) -> Tensor:
    """Return what each of ``few`` cells along a side gives each of ``many`` pixels, (cell, pixel) in float64."""
    return nn.functional.interpolate(torch.eye(few, dtype=torch.float64)[None], size=many, mode=mode)[0]


def path_named(name: str) -> Path:
    """Parse the name of a part to its path."""
    if name == WHOLE:
        return ()
    pieces = re.findall(r"\[(\d+)\]|([^.\[\]]+)", name)
    return tuple(int(number) if number else word for number, word in pieces)


def kind_of(last: str, classes: int, module: nn.Module | None = None) -> str:
    """Determine the kind of scores of a vector: from the network's configuration, else from the function before it."""
    config = getattr(getattr(module, "model", module), "config", None) or getattr(module, "config", None)
    problem = getattr(config, "problem_type", None)
    if problem == "regression":
        return kinds.VALUE
    if last in BETWEEN:
        return kinds.INDEPENDENT
    if problem == "multi_label_classification":
        return kinds.SIGMOID
    if classes == 1:
        return kinds.VALUE
    if last in PROBABLE:
        return kinds.PROBABILITIES
    return kinds.LOGITS if last in LINEAR else kinds.UNKNOWN if last in BOUNDING else kinds.UNLESS


def kind_of_rows(scores: object, kind: str) -> str:
    """Determine the kind of scores (input, class) from their values, where the description does not know it.

    Inputs are examined one by one; raises BbiError E532 where they differ, or contradict the stated kind.
    """
    values = torch.as_tensor(scores).double()
    between = (values >= 0).all(1) & (values <= 1 + 1e-4).all(1)
    sums = between & ((values.sum(1) - 1).abs() < 1e-3)
    if kind == kinds.PROBABILITIES and not bool(sums.all()):
        raise _differ("the scores of some input are no probabilities: not from 0 to 1, or not adding up to 1")
    if kind not in (kinds.UNKNOWN, kinds.UNLESS, kinds.UNDECIDED):
        return kind
    if kind == kinds.UNDECIDED:
        row_kinds = [kinds.INDEPENDENT if row else kinds.SIGMOID for row in between.tolist()]
    else:
        rows = zip(sums.tolist(), between.tolist(), strict=True)
        beside = kinds.LOGITS if kind == kinds.UNLESS else kinds.INDEPENDENT
        row_kinds = [kinds.PROBABILITIES if s else beside if b else kinds.LOGITS for s, b in rows]
    if len(set(row_kinds)) > 1:
        other = next(kind for kind in row_kinds if kind != row_kinds[0])
        raise _differ(f"of some inputs the scores look like {row_kinds[0]}, of others like {other}")
    return row_kinds[0]


def _differ(message: str) -> BbiError:
    help = "say what they are: `set scores(kind=logits)`, `probabilities`, `independent` or `value`"
    return error("E532", message, help=help)


def probabilities(scores: Tensor, kind: str) -> Tensor:
    """Convert scores (..., class) to probabilities. Raises BbiError E533 for values, which have none."""
    match kind:
        case kinds.LOGITS:
            return scores.softmax(-1)
        case kinds.SIGMOID:
            return scores.sigmoid()
        case kinds.PROBABILITIES | kinds.INDEPENDENT:
            return scores
    help = "attribute to the score itself, `output[0]`; or say what it is: `set scores(kind=independent)`"
    raise error("E533", "a value has no probability", help=help)


def probability_slope(scores: Tensor, number: int, kind: str) -> Tensor:
    """Return d probability / d scores (class,) of one class."""
    hot = torch.zeros_like(scores)
    hot[number] = 1
    return probability_vjp(scores, hot, kind)


def probability_vjp(scores: Tensor, cotangent: Tensor, kind: str) -> Tensor:
    """Pull a cotangent (..., class) of the probabilities back to the scores."""
    own = probabilities(scores, kind)
    if kind == kinds.LOGITS:
        return own * (cotangent - (own * cotangent).sum(-1, keepdim=True))
    return own * (1 - own) * cotangent if kind == kinds.SIGMOID else cotangent


def shown(scores: object, kind: str) -> NDArray[np.float32]:
    """Return the numbers that a page shows for scores, (input, class): probabilities, or the values themselves."""
    values = torch.as_tensor(scores)
    return (values if kind == kinds.VALUE else probabilities(values.double(), kind)).float().numpy()
