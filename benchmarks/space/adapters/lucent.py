"""torch-lucent with its defaults and its own step count: it makes pictures of channels and directions."""

from __future__ import annotations

import copy

import numpy as np
import torch

from benchmarks.peers import define_missing_operators
from benchmarks.space.protocol import Direction, Numbers, Question, Tool, Unit

STEPS = 512


class Lucent(Tool):
    name = "torch-lucent"
    package = "torch-lucent"

    def __init__(self) -> None:
        define_missing_operators()
        import lucent.optvis.render  # noqa: F401

    def icons(self, question: Question) -> Numbers:
        return np.stack([self._icon(question, unit) for unit in question.units])

    def _icon(self, question: Question, unit: Unit | Direction) -> Numbers:
        """One after the other: its objectives add up, and a batch is of one picture each with `batch=`."""
        from lucent.optvis import objectives, param, render, transform

        torch.manual_seed(question.seed)
        np.random.seed(question.seed)
        layer = unit.layer.replace(".", "_")
        if isinstance(unit, Unit):
            objective = objectives.channel(layer, unit.channel)
        else:
            objective = objectives.direction(layer, torch.tensor(unit.vector))
        shown = render.render_vis(
            copy.deepcopy(question.network), objective, lambda: param.image(question.size),
            transforms=[*transform.standard_transforms, question.normalize], thresholds=(STEPS,), preprocess=False,
            progress=False, show_image=False,
        )  # fmt: skip
        return np.asarray(shown[0][0])
