"""Captum, one call of its classes for each target: it attributes, at inputs, layers and neurons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.peers import define_missing_operators
from benchmarks.space.protocol import NotOffered, Numbers, Question, Tool, one

SPENT = {"channel": (2, 3), "position": (1,), "pixel": ()}
STEPS = 64


class Captum(Tool):
    name = "captum"
    package = "captum"

    def __init__(self) -> None:
        define_missing_operators()
        import captum.attr

        self.attr = captum.attr

    def activation(self, question: Question) -> Numbers:
        (layer,) = question.layers
        found = self.attr.LayerActivation(question.network, question.network.get_submodule(layer))
        return found.attribute(question.given)[0].detach().numpy()

    def attribution(self, question: Question) -> Mapping[str, Numbers]:
        rows: dict[str, list[Numbers]] = {layer: [] for layer in question.layers}
        for target in question.targets:
            if not isinstance(target, int):
                raise NotOffered  # of classes; a neuron's attribution is of inputs
            found = self._each(question, target)
            for layer, own in zip(question.layers, found, strict=True):
                rows[layer].append(own[0].detach().numpy())
        return {layer: np.stack(each).sum(SPENT[question.atoms]) for layer, each in rows.items()}

    def _each(self, question: Question, target: int) -> list[Any]:
        """One call for a list of layers."""
        if question.method == "lrp":
            return [self.attr.LRP(question.network).attribute(question.given.requires_grad_(), target=target)]
        parts = [question.network.get_submodule(layer) for layer in question.layers]
        if question.method == "linear":
            return self.attr.LayerGradientXActivation(question.network, parts).attribute(question.given, target=target)
        black = question.normalize(torch.zeros_like(question.picture)[None])
        method = self.attr.LayerIntegratedGradients(question.network, parts)
        return method.attribute(question.given, black, target=target, n_steps=STEPS)

    def occlusion(self, question: Question) -> Numbers:
        (target,), size = question.targets, question.size
        black = question.normalize(torch.zeros_like(question.picture)[None])
        method, window = self.attr.Occlusion(question.network), (3, size, size)
        found = method.attribute(question.given, window, window, black, target)
        return found[0, 0, ::size, ::size].detach().numpy()

    def ablation(self, question: Question) -> Numbers:
        layer, target = one(question)
        part = question.network.get_submodule(layer)
        method = self.attr.LayerFeatureAblation(question.network, part)
        shape = self.activation(question).shape
        channels = torch.arange(shape[0])[None, :, None, None].expand(1, *shape)
        found = method.attribute(question.given, 0, target, layer_mask=channels)  # the score minus the score without
        return -found[0, :, 0, 0].detach().numpy()
