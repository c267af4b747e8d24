"""The evidence that a text discourages: what some atoms of a layer contribute to a score, for each example."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir import score_kinds as kinds
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node, walk
from bbilang.runtime.fields.atoms import axes_of_atoms, masks_over
from bbilang.runtime.losses.batch import CENTRED, scores_of
from bbilang.runtime.mending.above import Ran

SMALLEST = 1e-12


class Evidence:
    """An attribution `atoms -> target` at one layer. ``node``: of the operation `attribute`, whose atoms are all of the
    layer or one of them. ``kind``: of the network's scores."""

    def __init__(self, node: Node, registry: Registry, kind: str):
        self.node, self.registry, self.kind = node, registry, kind
        (self.layer,) = node.type.layers
        self.target: Node = node["to"]
        self.picked = next((one for one in walk(node) if one.op == "pick_atom"), None)

    @property
    def centres(self) -> bool:
        """Return whether a constant that is added to all scores changes the target's: a score alone, of logits."""
        alone = all(one.op != "combine" for one in walk(self.target))
        return alone and self.target.type.unit != "probability" and self.kind == kinds.LOGITS

    def of(self, batch: Ran, node: Node | None = None) -> Tensor:
        """Return the contributions (example, number), with their graph: of the atoms, to each class of the target."""
        node = node or self.node
        field = self.registry.operations[node.op].differentiable(node, None, batch, self.registry)
        dims, values = list(field.dims), field.data
        for axis, index in self._index.items():
            values = values.select(1 + dims.index(axis), index)
            dims.remove(axis)
        return values.flatten(1) if values.dim() > 1 else values[:, None]

    def share(self, batch: Ran, labels: Tensor, turn: int | None = None) -> Tensor:
        """Return what the training makes small, a number with its graph: the mean square of the contributions to the
        target, as a share of the variance of the target's score over the batch. Without the variance a network could
        make all of its scores smaller instead.

        Where only differences of scores matter, contributions to the target minus the mean of all scores count too:
        else it could change its other classes instead. ``turn``: the number of a batch, which has only one of the two,
        twice; they alternate, since each is a gradient of its own.
        """
        every = [self.node, self._beside_others] if self.centres else [self.node]
        nodes = every if turn is None else [every[turn % len(every)]]
        squares = torch.stack([self.of(batch, node).square().sum(1).mean() for node in nodes])
        scores = self.scores(batch.scores, labels)
        return len(every) * squares.mean() / (scores.var(0, correction=0).sum() + SMALLEST)

    @cached_property
    def _beside_others(self) -> Node:
        target = Node(CENTRED, (self.target,), (), self.target.type)
        parameters = tuple((name, target if name == "to" else value) for name, value in self.node.parameters)
        return replace(self.node, parameters=parameters)

    def scores(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the target's scores (example, target); minus the mean of all classes where only differences matter."""
        if self.centres:
            scores = scores - scores.mean(1, keepdim=True)
        return scores_of(self.target, scores, labels, self.kind)

    def mask(self, layer: LayerDescription, like: Tensor) -> Tensor:
        """Return 1 at the atoms, 0 elsewhere; it broadcasts over (example, *layer axes)."""
        atom = self.node.type.atom
        if self.picked is None:
            return like.new_ones(())
        keep = axes_of_atoms(atom, layer)
        own = layer.as_map if atom == "spatial" else layer
        mask = like.new_zeros(1, *(own.sizes[axis] for axis in keep))
        mask[(0, *(self._index[axis] for axis in keep))] = 1
        return masks_over(mask.flatten(1), layer, atom)

    @cached_property
    def _index(self) -> dict[str, int]:
        """Axis -> the number of the one atom along it; empty where all atoms are meant."""
        if self.picked is None:
            return {}
        axes = [axis.name for axis in self.picked.inputs[0].type.axes if axis.name not in ("input", "layer")]
        return dict(zip(axes, self.picked["index"], strict=True))
