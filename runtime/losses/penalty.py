"""`Penalty`: a pipe as one differentiable number, and what a second opinion says of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from bbilang.compiler.contract import Fail, Registry, TensorField
from bbilang.compiler.ir.program import Node, walk
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.source import Source, Span
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.arguments import wrong
from bbilang.runtime.losses.batch import TrainingBatch
from bbilang.runtime.losses.opinion import SecondOpinion, exchanged
from bbilang.runtime.losses.regions import Region, mask_of
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.passes.module.precision import input_type

ONCE_ONLY = ("not implemented", "differentiate twice", "does not require grad")  # in torch's messages
Stage: TypeAlias = "tuple[Node | Region | None, Span]"  # None: a `norm` over everything that is left


class Penalty:
    """A pipe as a loss: call it on a batch.

    It costs one forward and one backward pass more for each batch, and with `integrated_gradients` a forward and a
    backward of ``n_steps`` times the batch; the loss's own backward runs through all of these.
    """

    def __init__(self, adapter: Adapter, stages: Sequence[Stage], source: Source, registry: Registry):
        self.text = source.text
        self._adapter, self._stages, self._source, self._registry = adapter, tuple(stages), source, registry
        self._try()

    def __repr__(self) -> str:
        return f"<penalty: {self.text}>"

    @property
    def regions(self) -> tuple[Region, ...]:
        """The stages that need boxes."""
        return tuple(stage for stage, _ in self._stages if isinstance(stage, Region))

    def __call__(self, x: Tensor, y: Tensor | None = None, *, boxes: Tensor | None = None) -> Tensor:
        """Return the penalty of a batch, a scalar with its graph: the mean over the examples.

        x: (example, *input axes), as the network takes it. y: (example,), the classes that `output` stands for. boxes:
        for `outside(boxes)` and `inside(boxes)`, a bool mask (example, y, x), or boxes in pixels, (example, 4) or
        (example, box, 4), each y0, x0, y1, x1. Within `torch.no_grad()` the result has no graph. Raises BbiError E423
        for arguments of the wrong shape, E480 where the network has no second derivative, E503 where the penalty is
        not finite, E505 where the target does not depend on the layer.
        """
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():
            value = self._whole(x, y, boxes)
        if not bool(torch.isfinite(value)):
            raise error(
                "E503", "the penalty is not finite", "some weights or inputs are NaN or infinite, or sums overflow"
            )
        return value if wanted else value.detach()

    def second_opinion(self, x: Tensor, y: Tensor, *, boxes: Tensor) -> SecondOpinion:
        """Return whether the network stopped to use what the penalty is about, or only its method sees nothing there.

        The penalized pixels of each picture are exchanged for those of another class's picture, which needs no gradient
        and is no part of the loss. x, y, boxes: as in a call. Raises BbiError E423 for a penalty without a region, for
        a batch of one class.
        """
        if len(self.regions) != 1 or x.dim() != 4:
            wrong("x", x, "a batch of pictures, for a penalty with one `outside(boxes)` or `inside(boxes)`")
        inside = self.regions[0].inside
        with torch.no_grad():
            mask = mask_of(boxes, x)
            region = mask if inside else 1 - mask
            effect = exchanged(self._scores, x, y, region)
        with torch.enable_grad():
            own, every = (float(self._whole(x, y, boxes, drop=drop).detach()) for drop in (False, True))
        return SecondOpinion(own / every if every else 0.0, effect.region, effect.everything, self.text)

    def _scores(self, x: Tensor) -> Tensor:
        scores: Tensor = self._adapter.module(x)
        return scores

    def _whole(self, x: Tensor, y: Tensor | None, boxes: Tensor | None, drop: bool = False) -> Tensor:
        """Return the penalty; with ``drop`` without its region, so of all pixels."""
        self._check(x, y, boxes)
        batch = TrainingBatch(self._adapter, x, y, self._layers)
        value: TensorField | None = None
        for stage, span in self._stages:
            try:
                if isinstance(stage, Node):
                    value = self._registry.operations[stage.op].differentiable(stage, value, batch, self._registry)
                elif isinstance(stage, Region):
                    assert value is not None and boxes is not None
                    value = value if drop else stage.apply(value, mask_of(boxes, batch.images))
                else:
                    assert value is not None
                    value = TensorField((), torch.linalg.vector_norm(value.data.flatten(1), dim=1))
            except Fail as fail:
                raise BbiError(Diagnostic(fail.code, fail.message, span, fail.help), self._source) from None
        assert value is not None
        return value.data.mean()

    @property
    def _layers(self) -> tuple[str, ...]:
        """The layers whose activations the pipe reads."""
        nodes = [node for stage, _ in self._stages if isinstance(stage, Node) for node in walk(stage)]
        return tuple(dict.fromkeys(layer for node in nodes if node.op == "substrate" for layer in node.type.layers))

    def _check(self, x: Tensor, y: Tensor | None, boxes: Tensor | None) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            wrong("x", x, "a batch of floating-point numbers, (example, *input axes), as the network takes it")
        if y is not None and (not isinstance(y, Tensor) or y.is_floating_point() or tuple(y.shape) != (len(x),)):
            wrong("y", y, "the class of each example, integers (example,)")
        if self.regions and boxes is None:
            raise error("E423", "`boxes` is missing", "the text names them: call it with `boxes=`")
        if boxes is not None and not self.regions:
            raise error("E423", "`boxes` were given, and the text has no `outside(boxes)` or `inside(boxes)`")

    def _try(self) -> None:
        """Compute the penalty of one example, in eval mode, so that what no batch could compute is refused before the
        training begins."""
        adapter = self._adapter
        size = adapter.description.input.shape
        kind = input_type(adapter.module)
        x = torch.linspace(0, 1, math.prod(size), device=adapter.device, dtype=kind).view(1, *size)
        boxes = torch.ones(1, *size[-2:], dtype=torch.bool, device=adapter.device) if self.regions else None
        with torch.enable_grad(), adapter.evaluating():
            value = self._whole(x, torch.zeros(1, dtype=torch.long, device=adapter.device), boxes)
            self._check_slopes(value)

    def _check_slopes(self, value: Tensor) -> None:
        """Raise BbiError E480 where the penalty has no derivative by any parameter."""
        parameters = [p for p in self._adapter.module.parameters() if p.requires_grad]
        if not parameters:
            return
        help = "a network of ReLU, GELU, convolutions, linear layers, pooling and attention has one"
        before = [p.grad for p in parameters]
        for p in parameters:
            p.grad = None
        try:
            value.backward()  # not `autograd.grad`, which passes over operations that are differentiable once
            reached = any(p.grad is not None for p in parameters)
        except RuntimeError as cause:
            if not any(words in str(cause) for words in ONCE_ONLY):
                raise
            raise error("E480", f"the network has no second derivative: {str(cause).splitlines()[0]}", help) from cause
        finally:
            for p, grad in zip(parameters, before, strict=True):
                p.grad = grad
        if not reached:
            raise error("E480", "the penalty does not depend on any parameter that is trained", "take another layer")
