"""One batch in the network that is being trained: activations and gradients with their graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bbilang.compiler.contract import Fail
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.runtime.errors import error
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.models.score_output import probabilities
from bbilang.runtime.passes.hooks import INPUT, tensor_of, with_tensor

NO_GRADIENT = "E505"


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
        zeros = torch.zeros_like(self.images[:1])
        if layer == INPUT:
            return zeros
        kept: dict[str, Tensor] = {}
        self._run(zeros, keep={layer: kept})
        return kept[layer]

    def gradient(self, target: Node, layer: str) -> Tensor:
        score = self._score(target, self.scores, self.labels)
        return self._gradient(score, self.activations[layer], layer)

    def gradients_at(self, target: Node, layer: str, visits: Tensor) -> Tensor:
        count = len(visits)
        flat = visits.flatten(0, 1)
        images = self.images.repeat(count, *[1] * (self.images.dim() - 1))
        if layer == INPUT:
            scores = self._run(flat)
        else:
            scores = self._run(images, replace={layer: flat})
        labels = None if self.labels is None else self.labels.repeat(count)
        return self._gradient(self._score(target, scores, labels), flat, layer).unflatten(0, (count, -1))

    def _gradient(self, score: Tensor, at: Tensor, layer: str) -> Tensor:
        """Return d score / d at with its graph. The examples of a batch are independent, so that their sum has the
        gradients of each; a batch norm in training mode couples them."""
        found = None
        if score.requires_grad:
            (found,) = torch.autograd.grad(score.sum(), at, create_graph=True, allow_unused=True)
        if found is None:
            raise error(NO_GRADIENT, f"the target does not depend on `{layer}`, or `detach` cuts the gradient off")
        return found

    def _score(self, target: Node, scores: Tensor, labels: Tensor | None) -> Tensor:
        """Return the target's score of each example, (example,)."""
        if target.op == "combine":
            left, right = (self._score(part, scores, labels) for part in target.inputs)
            return left + float(target["sign"]) * right
        kind, *rest = target["which"] if target.op == "output" else ("stack",)
        if kind == "predicted" and labels is None:
            raise error("E423", "`output` is the label of each example, and no labels were given", "call it with `y`")
        if kind not in ("predicted", "classes") or (kind == "classes" and len(rest[0]) > 1):
            raise Fail("E480", "a loss is of one score of each example, and this target is several classes",
                       "attribute to `output`, which is the label, or to one class")  # fmt: skip
        if target.type.unit == "probability":
            scores = probabilities(scores, self.adapter.description.scores)
        if kind == "classes":
            return scores[:, rest[0][0]]
        assert labels is not None
        return scores.gather(1, labels[:, None])[:, 0]

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
            scores = self.adapter.module(images)
        for layer, count in seen.items():
            if count != 1:
                code, words = ("E501", "runs several times") if count else ("E502", "does not run")
                raise error(code, f"`{layer}` {words} in one forward pass", "name a layer that runs once")
        if not isinstance(scores, Tensor) or scores.dim() != 2:
            raise error(
                "E423", "the network gives no scores (example, class)", "`bbilang.adapt(..., output=)` names them"
            )
        return scores

    @contextmanager
    def _hooks(self, keep: Mapping[str, dict[str, Tensor]], replace: Mapping[str, Tensor]) -> Iterator[dict[str, int]]:
        seen = dict.fromkeys((*keep, *replace), 0)

        def hook(layer: str) -> Callable[[nn.Module, Any, Any], Any]:
            def at(module: nn.Module, arguments: Any, result: Any) -> Any:
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
