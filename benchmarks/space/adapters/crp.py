"""zennit-crp: relevance of concepts, which for it are channels of layers, and the pictures that they prefer."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.peers import define_missing_operators
from benchmarks.space.protocol import NotOffered, Numbers, Question, Tool

SPENT = {"channel": (2, 3), "position": (1,), "pixel": ()}


class Crp(Tool):
    name = "zennit-crp"
    package = "zennit-crp"

    def __init__(self) -> None:
        define_missing_operators()
        import crp.attribution  # noqa: F401

    def activation(self, question: Question) -> Numbers:
        return self._attributed(question, 0, None).activations[question.layers[0]][0].detach().numpy()

    def attribution(self, question: Question) -> Mapping[str, Numbers]:
        """Relevance by the rule epsilon; without a composite it gives gradients, which a user would multiply."""
        from zennit.composites import LayerMapComposite
        from zennit.rules import Epsilon
        from zennit.types import AvgPool, Convolution, Linear

        if question.method != "lrp" or not all(isinstance(target, int) for target in question.targets):
            raise NotOffered
        composite = LayerMapComposite([((Convolution, Linear, AvgPool), Epsilon(epsilon=1e-6))])
        rows: dict[str, list[Numbers]] = {layer: [] for layer in question.layers}
        for target in question.targets:
            found = self._attributed(question, int(target), composite)  # type: ignore[arg-type]
            for layer in question.layers:
                own = found.relevances[layer] if layer != "input" else found.heatmap[:, None]
                rows[layer].append(own[0].detach().numpy())
        return {layer: np.stack(each).sum(SPENT[question.atoms]) for layer, each in rows.items()}

    def _attributed(self, question: Question, target: int, composite: Any) -> Any:
        from crp.attribution import CondAttribution

        given = question.given.clone().requires_grad_()
        layers = [layer for layer in question.layers if layer != "input"]
        return CondAttribution(question.network)(given, [{"y": [target]}], composite, record_layer=layers)

    def examples(self, question: Question) -> NDArray[np.integer]:
        from crp.attribution import CondAttribution
        from crp.concepts import ChannelConcept
        from crp.visualization import FeatureVisualization

        assert question.pictures is not None
        (layer,) = question.layers
        with torch.no_grad():
            predicted = question.network(question.pictures).argmax(1).tolist()
        data = list(zip(question.pictures, predicted, strict=True))
        quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
        with tempfile.TemporaryDirectory() as folder, quiet[0], quiet[1]:
            tool = FeatureVisualization(
                CondAttribution(question.network), data, {layer: ChannelConcept()}, max_target="max", abs_norm=False,
                path=folder,
            )  # fmt: skip
            for part in (tool.RelMax, tool.ActMax, tool.RelStats, tool.ActStats):
                part.SAMPLE_SIZE = question.count
            tool.run(None, 0, len(data), batch_size=8)
            return np.load(f"{folder}/ActMax_max_unnormed/{layer}_data.npy").T
