"""One batch in the network that is being trained: activations and gradients with their graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bbilang.compiler.contract import Fail
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.runtime.errors import error
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.models.score_output import probabilities
from bbilang.runtime.passes.autograd import grad
from bbilang.runtime.passes.hooks import INPUT, tensor_of, with_tensor

NO_GRADIENT = "E505"
CENTRED = "centred"  # a target of a penalty alone: its input, of scores from which the mean of all classes is taken


class TrainingBatch:
    """A batch of examples in the caller's module, in whatever mode it is.

    images: (example, *input axes), as the module takes them. labels: (example,), the classes that `output` stands for.
    The module runs once for the activations of ``layers``, and again where a method visits other activations.
    """

    def __init__(self, adapter: Adapter, images: Tensor, labels: Tensor | None, layers: Sequence[str]):
        self.adapter, self.labels = adapter, labels
        self.images = images if images.requires_grad else images.detach().requires_grad_(True)
        self.activations: dict[str, Tensor] = {}
        self.runs = 0
        self.scores = self._run(self.images, keep={name: self.activations for name in layers if name != INPUT})
        if INPUT in layers:
            self.activations[INPUT] = self.images

    def layer(self, name: str) -> LayerDescription:
        description = self.adapter.description
        return description.input if name == INPUT else description.by_name[name]

    def activation(self, layer: str) -> Tensor:
        return self.activations[layer]

    def activation_of_zeros(self, layer: str) -> Tensor:
        """Run the network on an input of zeros."""
        zeros = torch.zeros_like(self.images[:1])
        if layer == INPUT:
            return zeros
        kept: dict[str, Tensor] = {}
        self._run(zeros, keep={layer: kept})
        return kept[layer]

    def gradient(self, target: Node, layer: str) -> Tensor:
        scores = self._scores_of(target, self.scores, self.labels)
        return self._gradients(scores, self.activations[layer], layer)

    def gradients_at(self, target: Node, layer: str, visits: Tensor) -> Tensor:
        """Run the network above the layer on all visits of all examples at once."""
        count = len(visits)
        flat = visits.flatten(0, 1)
        images = self.images.repeat(count, *[1] * (self.images.dim() - 1))
        if layer == INPUT:
            scores = self._run(flat)
        else:
            scores = self._run(images, replace={layer: flat})
        labels = None if self.labels is None else self.labels.repeat(count)
        return self._gradients(self._scores_of(target, scores, labels), flat, layer).unflatten(1, (count, -1))

    def scores_at(self, layer: str, activations: Tensor) -> Tensor:
        """Return the scores (example, class) where a layer has other activations."""
        if layer == INPUT:
            return self._run(activations)
        return self._run(self.images, replace={layer: activations})

    def _gradients(self, scores: Tensor, at: Tensor, layer: str) -> Tensor:
        return gradients_of(scores, at, layer)

    def _scores_of(self, target: Node, scores: Tensor, labels: Tensor | None) -> Tensor:
        return scores_of(target, scores, labels, self.adapter.description.scores)

    def _run(
        self,
        images: Tensor,
        keep: Mapping[str, dict[str, Tensor]] | None = None,
        replace: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Run the module and return its scores (example, class). ``keep``: where activations of layers are put;
        ``replace``: activations of layers instead of their own."""
        self.runs += 1
        with self._hooks(keep or {}, replace or {}) as seen:
            scores = self._forward(images)
        for layer, count in seen.items():
            if count != 1:
                code, words = ("E501", "runs several times") if count else ("E502", "does not run")
                raise error(code, f"`{layer}` {words} in one forward pass", "name a layer that runs once")
        if not isinstance(scores, Tensor) or scores.dim() != 2:
            raise error(
                "E423", "the network gives no scores (example, class)", "`bbilang.adapt(..., output=)` names them"
            )
        return scores

    def _forward(self, images: Tensor) -> object:
        return self.adapter.module(images)

    @contextmanager
    def _hooks(self, keep: Mapping[str, dict[str, Tensor]], replace: Mapping[str, Tensor]) -> Iterator[dict[str, int]]:
        seen = dict.fromkeys((*keep, *replace), 0)

        def hook(layer: str) -> Callable[[nn.Module, object, object], object]:
            def at(module: nn.Module, arguments: object, result: object) -> object:
                seen[layer] += 1
                if layer in replace:
                    return with_tensor(result, replace[layer], layer)
                value = tensor_of(result, layer)
                keep[layer][layer] = value
                # A copy goes on: an in-place operation after the layer would change what was kept.
                return with_tensor(result, value.clone(), layer)

            return at

        handles = [self.adapter.module_of(layer).register_forward_hook(hook(layer)) for layer in seen]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()


def gradients_of(scores: Tensor, at: Tensor, layer: str) -> Tensor:
    """Return d scores / d at, (target, example, *layer axes), with their graph. scores: (example, target). The examples
    of a batch are independent, so that their sum has the gradients of each; a batch norm in training mode couples them.
    Raises BbiError E505 where a target does not depend on the layer."""
    gradients = []
    for score in scores.unbind(1):
        own = None
        if score.requires_grad:
            (own,) = grad(score.sum(), at, create_graph=True, allow_unused=True)
        if own is None:
            message = f"the target does not depend on `{layer}`, or `detach` cuts the gradient off"
            raise error(NO_GRADIENT, message)
        gradients.append(own)
    return torch.stack(gradients)


def scores_of(target: Node, scores: Tensor, labels: Tensor | None, kind: str) -> Tensor:
    """Return the scores of a target, (example, target), from those of all classes. kind: of scores. Raises `Fail` E480
    for classes that are chosen anew for each example."""
    if target.op == CENTRED:
        return scores_of(target.inputs[0], scores - scores.mean(1, keepdim=True), labels, kind)
    if target.op == "combine":
        left, right = (scores_of(part, scores, labels, kind) for part in target.inputs)
        return left + float(target["sign"]) * right
    if target.op == "stack":
        return torch.cat([scores_of(part, scores, labels, kind) for part in target.inputs], 1)
    if target.type.unit == "probability":
        scores = probabilities(scores, kind)
    match target["which"] if target.op == "output" else ("",):
        case ("all",):
            return scores
        case ("classes", numbers):
            return scores[:, list(numbers)]
        case ("predicted",) if labels is not None:
            return scores.gather(1, labels[:, None])
        case ("predicted",):
            help = "call it with `y`"
            raise error("E423", "`output` is the label of each example, and no labels were given", help)
    raise Fail("E480", "a penalty is of the label, of named classes or of all, and this target is another",
               "attribute to `output`, which is the label, or to `output.class`")  # fmt: skip
