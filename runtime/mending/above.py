"""The network above a layer for examples that were run below it once, with weights that change.

Where torch.fx can trace the network, only what crosses the layer is kept of each example, and only the graph above it
runs. Elsewhere, and for pixels, the pictures are kept and the whole network runs.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.runtime.losses.batch import TrainingBatch, gradients_of, scores_of
from bbilang.runtime.mending.stored import Rows
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.passes.boundary import Cut, expand_rows
from bbilang.runtime.passes.fallback import NotTraceable
from bbilang.runtime.passes.forward import forward
from bbilang.runtime.passes.fx_graph import GraphSection, NodeTable
from bbilang.runtime.passes.hooks import INPUT
from bbilang.runtime.passes.module.behaviour import behaviour_of
from bbilang.runtime.passes.module.grouped_convolutions import TwiceDifferentiable
from bbilang.runtime.passes.module.results import map_leaves, tensors
from bbilang.runtime.passes.replay_above import OUTPUT, nearly_equal


class Ran(Protocol):
    """A batch of examples that the network has run on (`compiler.contract.Batch`), and its scores (example, class)."""

    scores: Tensor

    def layer(self, name: str) -> LayerDescription: ...

    def activation(self, layer: str) -> Tensor: ...

    def activation_of_zeros(self, layer: str) -> Tensor: ...

    def gradient(self, target: Node, layer: str) -> Tensor: ...

    def gradients_at(self, target: Node, layer: str, visits: Tensor) -> Tensor: ...

    def scores_at(self, layer: str, activations: Tensor) -> Tensor:
        """Return the scores (example, class) where a layer has other activations."""


class Examples(Protocol):
    """Stored examples. ``way``: "above" where only the network above the layer runs, else "whole"."""

    way: str

    def add(self, start: int, images: Tensor) -> None:
        """Keep pictures (example, *input axes) in [0, 1], number ``start`` and the following."""

    def batch(self, numbers: np.ndarray, labels: Tensor) -> Ran:
        """Run examples through the network as its weights are now. labels: their classes (example,)."""

    def activations(self, numbers: np.ndarray) -> Tensor:
        """Return (example, *layer axes); what is trained does not change it."""


class Cached:
    """Keeps the values that cross a layer, and runs the graph above it."""

    way = "above"

    def __init__(self, adapter: Adapter, layer: str, rows: Rows):
        if layer == INPUT or behaviour_of(adapter).row_by_row:
            raise NotTraceable("the whole network runs")
        self.adapter, self.layer, self.rows = adapter, layer, rows
        self.section: GraphSection | None = None
        self.twice = TwiceDifferentiable()
        self._frame: NodeTable = {}
        self._inputs = 0
        zeros = torch.zeros(1, *adapter.description.input.shape, device=adapter.device)
        self.of_zeros = self._cut(zeros).result

    def _cut(self, images: Tensor) -> Cut:
        return forward(self.adapter, images, [self.layer], want_output=False, cuts=[self.layer]).cuts[self.layer]

    def add(self, start: int, images: Tensor) -> None:
        """Run pictures below the layer, and keep what crosses it. Raises NotTraceable where the network has no graph
        that reproduces it."""
        captured = forward(self.adapter, images, [self.layer], want_output=self.section is None, cuts=[self.layer])
        cut = captured.cuts[self.layer]
        if not isinstance(cut.result, Tensor):
            raise NotTraceable("the layer gives more than one tensor")
        section = GraphSection(self.adapter, cut, [OUTPUT])
        if self.section is None:
            self.section, self._frame, self._inputs = section, section.border, len(images)
            with torch.no_grad(), section.ready():
                again = section(cut.result, None)
            assert captured.scores is not None
            if not nearly_equal(again, {OUTPUT: captured.scores}):
                raise NotTraceable("the graph gives other scores")
        crossing = [x for node in self._frame for x in tensors(section.border[node]) if len(x) == len(images)]
        self.rows.put(start, [cut.result, *crossing])

    def activations(self, numbers: np.ndarray) -> Tensor:
        return self.rows.get(numbers)[0].to(self.adapter.device)

    def batch(self, numbers: np.ndarray, labels: Tensor) -> AboveBatch:
        own, *crossing = (x.to(self.adapter.device) for x in self.rows.get(numbers))
        left, inputs = iter(crossing), self._inputs

        def stored(value: object) -> object:
            return next(left) if isinstance(value, Tensor) and len(value) == inputs else value

        border: NodeTable = {node: map_leaves(value, stored) for node, value in self._frame.items()}
        return AboveBatch(self, own, border, labels)

    def run(self, activations: Tensor, border: NodeTable, rows: Tensor | None, count: int) -> Tensor:
        """Run the graph above the layer: (row, *layer axes) -> scores (row, class). rows: the number of each row's
        example among ``count``."""
        section = self.section
        assert section is not None
        values: NodeTable = {node: expand_rows(value, rows, count) for node, value in border.items()}
        values[section.layer] = activations
        with section.ready(), self.twice:
            return section.finished(values)[OUTPUT]


class AboveBatch:
    """Examples at a layer, and the scores of the network above it."""

    def __init__(self, source: Cached, activation: Tensor, border: NodeTable, labels: Tensor):
        self.source, self.border, self.labels = source, border, labels
        self._activation = activation.requires_grad_(True)
        self.scores = source.run(self._activation, border, None, len(activation))

    def layer(self, name: str) -> LayerDescription:
        return self.source.adapter.description.by_name[name]

    def activation(self, layer: str) -> Tensor:
        return self._activation

    def activation_of_zeros(self, layer: str) -> Tensor:
        return self.source.of_zeros

    def gradient(self, target: Node, layer: str) -> Tensor:
        with self.source.twice.without_weights():
            return gradients_of(self._of(target, self.scores, self.labels), self._activation, layer)

    def gradients_at(self, target: Node, layer: str, visits: Tensor) -> Tensor:
        """Return d target / d activation at ``visits`` (visit, example, *layer axes): (target, visit, example, ...)."""
        count, examples = visits.shape[:2]
        flat = visits.flatten(0, 1)
        rows = torch.arange(examples, device=flat.device).repeat(count)
        scores = self.source.run(flat, self.border, rows, examples)
        with self.source.twice.without_weights():
            gradients = gradients_of(self._of(target, scores, self.labels.repeat(count)), flat, layer)
        return gradients.unflatten(1, (count, -1))

    def scores_at(self, layer: str, activations: Tensor) -> Tensor:
        return self.source.run(activations, self.border, None, len(activations))

    def _of(self, target: Node, scores: Tensor, labels: Tensor) -> Tensor:
        return scores_of(target, scores, labels, self.source.adapter.description.scores)


class Whole:
    """Keeps the pictures, and runs the whole network."""

    way = "whole"

    def __init__(self, adapter: Adapter, layer: str, rows: Rows):
        self.adapter, self.layer, self.rows = adapter, layer, rows

    def add(self, start: int, images: Tensor) -> None:
        self.rows.put(start, [images])

    def activations(self, numbers: np.ndarray) -> Tensor:
        with torch.no_grad():
            return PixelBatch(self.adapter, self._images(numbers), None, [self.layer]).activation(self.layer).detach()

    def batch(self, numbers: np.ndarray, labels: Tensor) -> PixelBatch:
        return PixelBatch(self.adapter, self._images(numbers), labels, [self.layer])

    def _images(self, numbers: np.ndarray) -> Tensor:
        return self.rows.get(numbers)[0].to(self.adapter.device)


class PixelBatch(TrainingBatch):
    """A batch of pictures in [0, 1], which are normalized on the way, so that gradients are those of pixels."""

    twice = TwiceDifferentiable()

    def _forward(self, images: Tensor) -> object:
        with self.twice:
            return self.adapter.module(self.adapter.normalize(images))

    def _gradients(self, scores: Tensor, at: Tensor, layer: str) -> Tensor:
        with self.twice.without_weights():
            return gradients_of(scores, at, layer)
