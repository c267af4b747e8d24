"""`meaningful_perturbation`: the smallest blur that destroys the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Fail, Parameter, Parameters
from bbilang.runtime.attribution.kinds import LearnedMaskMethod
from bbilang.runtime.inputs.baselines import blurred

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.attribution.learned_masks import Task

BETA, RATE = 3, 0.1  # power of the total variation, learning rate of Adam
MASK_BLUR = 5.0 / 224  # standard deviation of the mask's own blur, of the shorter side


class MeaningfulPerturbation(LearnedMaskMethod):
    """The amount of blur at each position, 1 - m, for the mask m that minimizes score + `l1` |1 - m| + `tv` |grad m|^3
    (equations 5 and 6): the smallest blur that destroys the score.

    m has `cells` x `cells` cells, enlarged bilinearly and smoothed; where it is 0, the picture is blurred with a
    standard deviation of `blur`. Both norms are sums over cells. Adam takes `steps` steps at a learning rate of 0.1
    from a mask of ones; at each step the picture is shifted by a random offset of less than `jitter` pixels, drawn from
    the file's seed. The authors minimize the probability, `output[score=probability]`; a logit has no lower bound and
    needs a larger `l1`. All targets are learned in one batch. A sum or difference of classes is one score.
    """

    name = "meaningful_perturbation"
    known_as = ("mask", "fong_vedaldi")
    axioms = ("implementation_invariance",)
    input_only = True
    atoms = ("pixel",)
    unit, signed = "share of blur", False
    parameters = (
        Parameter("steps", "integer", "steps of the optimization", 500, minimum=1, maximum=100_000),
        Parameter("l1", "number", "weight of the masked area", 1e-4, unit="score per cell", minimum=0, maximum=1e6),
        Parameter("tv", "number", "weight of the mask's total variation", 1e-2, unit="score", minimum=0, maximum=1e6),
        Parameter("cells", "integer", "cells of the mask along each side", 28, minimum=2, maximum=512),
        Parameter("blur", "number", "standard deviation of the blur", 10.0, unit="px", minimum=0.1, maximum=1000),
        Parameter("jitter", "integer", "the picture is shifted by less than this", 4, unit="px", minimum=1,
                  maximum=64),
    )  # fmt: skip
    source = "Fong and Vedaldi 2017"

    def note(self, parameters: Parameters) -> str:
        return "a mask: 1 where the picture is blurred to destroy the score, 0 where it is kept"

    def additive(self, parameters: Parameters) -> bool:
        return False

    def suits(self, parameters: Parameters, size: tuple[int, int]) -> None:
        if parameters["cells"] > min(size):
            message = f"a mask of {parameters['cells']} cells a side does not fit {size[0]} x {size[1]} px"
            raise Fail("E245", message, f"`cells` is at most {min(size)} here")

    def steps(self, parameters: Parameters, size: tuple[int, int]) -> int:
        return int(parameters["steps"])

    def bytes_each(self, parameters: Parameters, size: tuple[int, int]) -> int:
        return 4 * size[0] * size[1] * 3 * 10

    def learn(self, parameters: Parameters, task: Task) -> Tensor:
        import torch

        steps, cells = int(parameters["steps"]), int(parameters["cells"])
        l1, tv = float(parameters["l1"]), float(parameters["tv"])
        hidden = blurred(task.pictures, float(parameters["blur"]))
        with torch.inference_mode(False), torch.enable_grad():
            mask = torch.ones(len(task.pictures), 1, cells, cells).to(task.pictures).requires_grad_()
            adam = torch.optim.Adam([mask], lr=RATE)
            for step in range(steps):
                large = enlarged(mask, task.size)
                y, x = jitter(task.seed, step, int(parameters["jitter"]))
                shown, blur = (torch.roll(p, (y, x), (2, 3)) for p in (task.pictures, hidden))
                pictures = blur + large * (shown - blur)
                gradient = task.gradient(pictures.detach())
                rows = (mask[:, :, 1:] - mask[:, :, :-1]).abs().pow(BETA).sum()
                columns = (mask[..., 1:] - mask[..., :-1]).abs().pow(BETA).sum()
                # The gradient of the score, row by row; no row's part of the sum depends on another's mask.
                loss = (pictures * gradient).sum() + l1 * (1 - mask).abs().sum() + tv * (rows + columns)
                adam.zero_grad()
                loss.backward()
                adam.step()
                with torch.no_grad():
                    mask.clamp_(0, 1)
                task.report_step(step + 1)
            return (1 - enlarged(mask.detach(), task.size))[:, 0]


def enlarged(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Upsample (row, 1, cell, cell) -> (row, 1, y, x) bilinearly, then smooth."""
    import torch

    large = torch.nn.functional.interpolate(mask, size, mode="bilinear", align_corners=False)
    return blurred(large, MASK_BLUR * min(size))


def jitter(seed: int, step: int, most: int) -> tuple[int, int]:
    """Return the shift (y, x) of the picture at a step."""
    import numpy as np

    random = np.random.Generator(np.random.Philox(key=[seed, step]))
    return int(random.integers(most)), int(random.integers(most))


METHODS = (MeaningfulPerturbation(),)
