"""The backward of one operation: relevance passes through, or is redistributed among its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from bbilang.runtime.passes.autograd import grad
from bbilang.runtime.relevance.calls import PartialCall


@dataclass(frozen=True)
class Piece:
    """``call`` of ``inputs``: one linear map by which relevance is shared; ``sign``: its sign in the sum of its
    group."""

    inputs: tuple[Tensor, ...]
    call: Callable[..., Tensor]
    sign: float = 1.0


@dataclass(frozen=True)
class Group:
    """Pieces with one denominator, z = sum of sign x piece: relevance R becomes

        coefficient x sum over pieces of sign x input * transposed piece (gate * R / (z + epsilon sign(z))).

    With ``epsilon`` 0 it is R / z, and 0 where z is.
    """

    pieces: tuple[Piece, ...]
    coefficient: float = 1.0
    gate: Tensor | None = None
    epsilon: float = 1e-6


class Step:
    """One operation. ``value`` returns its result, ``prepare`` computes what its backward needs, once; ``back`` maps
    relevance of the result's shape to relevance of each source's shape."""

    def value(self, *sources: Tensor) -> Tensor:
        raise NotImplementedError

    def prepare(self) -> None:
        pass

    def back(self, relevance: Tensor) -> Sequence[Tensor | None]:
        raise NotImplementedError


class _Context(Protocol):
    """The context that autograd passes from forward to backward."""

    step: Step


class _Redistribute(torch.autograd.Function):
    """A step of the network whose backward distributes relevance to its sources."""

    @staticmethod
    def forward(context: _Context, step: Step, *sources: Tensor) -> Tensor:
        context.step = step
        result = step.value(*sources)
        pointers = {source.untyped_storage().data_ptr() for source in sources}
        if result.untyped_storage().data_ptr() in pointers:
            return result.clone()
        # a linear layer on tokens returns a view, which no in-place operation may overwrite
        return torch.ops.aten._unsafe_view(result, result.shape) if result._is_view() else result  # type: ignore[no-any-return]

    @staticmethod
    def backward(context: _Context, relevance: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        return (None, *context.step.back(relevance))


def applied(step: Step, *sources: Tensor) -> Tensor:
    """Return the operation's result, attached to the graph, with ``step`` as its backward."""
    return _Redistribute.apply(step, *sources)  # type: ignore[no-any-return]


NODE = "_RedistributeBackward"  # autograd's name of such a node


class PassThrough(Step):
    """A step that passes relevance through unchanged: activations and other elementwise maps."""

    def __init__(self, call: Callable[[Tensor], Tensor]):
        self.call: Callable[[Tensor], Tensor] | None = call

    def value(self, *sources: Tensor) -> Tensor:
        call, self.call = self.call, None  # the backward needs neither it nor the tensors that it holds
        assert call is not None
        return call(*sources)

    def back(self, relevance: Tensor) -> Sequence[Tensor | None]:
        return (relevance,)


# (leaves, result, factor) of each piece: relevance times factor goes back through result to leaves
Prepared = list[tuple[tuple[Tensor, ...], Tensor, Tensor]]


class Redistribution(Step):
    """A step that redistributes relevance by groups of pieces, made from the sources when the backward begins."""

    def __init__(self, call: Callable[..., Tensor], sources: Sequence[Tensor], overwritten: bool = False):
        self.call = call
        self.sources = tuple(s.detach().clone() if overwritten else s.detach() for s in sources)
        self.versions = [s._version for s in self.sources]
        self.prepared: Prepared | None = None

    def value(self, *sources: Tensor) -> Tensor:
        return self.call(*sources)

    def groups(self) -> list[Group]:
        raise NotImplementedError

    def prepare(self) -> None:
        if self.prepared is None:
            self.prepared = self._prepared(self.groups())

    def _prepared(self, groups: Sequence[Group]) -> Prepared:
        """Compute what the backward needs from the groups."""
        changed = isinstance(self.call, PartialCall) and not self.call.unchanged
        if changed or any(s._version != v for s, v in zip(self.sources, self.versions, strict=True)):
            raise NotImplementedError("its input was changed in place afterwards")
        prepared: Prepared = []
        with torch.enable_grad():
            for group in groups:
                leaves = [tuple(x.detach().requires_grad_() for x in piece.inputs) for piece in group.pieces]
                results = [piece.call(*own) for piece, own in zip(group.pieces, leaves, strict=True)]
                with torch.no_grad():
                    z: Any = sum(piece.sign * r for piece, r in zip(group.pieces, results, strict=True))
                    factor = group.coefficient * inverse(z, group.epsilon)
                    factor = factor if group.gate is None else factor * group.gate
                for piece, own, result in zip(group.pieces, leaves, results, strict=True):
                    prepared.append((own, result, factor if piece.sign == 1 else piece.sign * factor))
        return prepared

    def back(self, relevance: Tensor) -> Sequence[Tensor | None]:
        self.prepare()
        assert self.prepared is not None
        return self._pull(self.prepared, relevance)

    def _pull(self, prepared: Prepared, relevance: Tensor) -> Sequence[Tensor]:
        leaves = [leaf for own, _, _ in prepared for leaf in own]
        results = [result for _, result, _ in prepared]
        cotangents = [relevance * factor for _, _, factor in prepared]
        gradients = grad(results, leaves, cotangents, retain_graph=True)
        shares = [leaf.detach() * gradient for leaf, gradient in zip(leaves, gradients, strict=True)]
        width = len(self.sources)
        return [sum(shares[at::width][1:], shares[at]) for at in range(width)]


def inverse(z: Tensor, epsilon: float) -> Tensor:
    """Return 1 / (z + epsilon sign(z)), the sign of 0 being 1; without epsilon 0 where z is 0."""
    if epsilon == 0:
        return torch.where(z == 0, torch.zeros_like(z), 1 / torch.where(z == 0, torch.ones_like(z), z))
    return 1 / torch.where(z >= 0, z + epsilon, z - epsilon)


class Proportional(Redistribution):
    """A step that redistributes relevance in proportion to what each source adds to the result: sums, means, average
    pools and other linear maps without weights. ``positive``: to its positive part (excitation backprop)."""

    def __init__(
        self,
        call: Callable[..., Tensor],
        sources: Sequence[Tensor],
        epsilon: float,
        positive: bool = False,
        overwritten: bool = False,
    ):
        super().__init__(call, sources, overwritten)
        self.epsilon, self.positive = epsilon, positive

    def groups(self) -> list[Group]:
        inputs = tuple(s.clamp_min(0) for s in self.sources) if self.positive else self.sources
        return [Group((Piece(inputs, self.call),), epsilon=self.epsilon)]
