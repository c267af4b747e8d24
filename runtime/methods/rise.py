"""`rise`: the mean of random masks, each weighted by the score of the masked picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Fail, Parameter, Parameters
from bbilang.runtime.attribution.kinds import PerturbationMethod
from bbilang.runtime.inputs.baselines import WORDS

if TYPE_CHECKING:
    from torch import Tensor


class Rise(PerturbationMethod):
    """The expected score of a randomly masked picture, given that a position is kept: the mean over masks of score x
    mask, divided by `p` (equation 6).

    A mask is a grid of `cells` x `cells` cells, each kept with probability `p`, enlarged bilinearly to one cell more
    than the picture along each side and cut out at a random offset of less than a cell. Mask number i depends only on
    the file's seed and i. One run of the network per mask serves every class. The authors take probabilities,
    `output[score=probability]`, and multiply normalized pictures by the mask, which shows the mean colour where it is 0
    (`baselines=mean`). At a hidden layer the mask keeps positions of that layer. Its error falls as 1 / sqrt(masks).

    `center=true` first subtracts the mean score from each score: a position that makes no difference then has 0, and
    the sampling error is smaller. The order of the positions does not change, apart from that error.
    """

    name = "rise"
    title = "RISE"
    known_as = ("kernel_shap", "random_masks")
    axioms = ("implementation_invariance", "linearity")
    keeps = True
    atoms = ("pixel", "spatial")
    parameters = (
        Parameter("n_masks", "integer", "how many masks", 4000, minimum=1, maximum=1_000_000),
        Parameter("cells", "integer", "cells along each side of a mask", 7, minimum=1, maximum=64),
        Parameter("p", "number", "share of the cells that are kept", 0.5, minimum=0.01, maximum=0.99),
        Parameter("baselines", "word", "the picture that shows where a mask is 0", "mean", choices=WORDS),
        Parameter("center", "flag", "first subtract the mean score of all masked pictures from each score", False),
    )
    source = "Petsiuk, Das, Saenko 2018"

    def suits(self, parameters: Parameters, size: tuple[int, int]) -> None:
        if parameters["cells"] > min(size):
            message = f"masks of {parameters['cells']} cells a side do not fit {size[0]} x {size[1]} positions"
            raise Fail("E245", message, f"`cells` is at most {min(size)} here")

    def note(self, parameters: Parameters) -> str:
        if parameters["center"]:
            return "the mean score of masked pictures that keep a position, less that of all"
        return "the mean score of masked pictures that keep a position; `rise(center=true)` shows what it adds"

    def baseline(self, parameters: Parameters) -> str:
        return str(parameters["baselines"])

    def masks(self, parameters: Parameters, size: tuple[int, int]) -> int:
        return int(parameters["n_masks"])

    def mask(self, parameters: Parameters, start: int, stop: int, size: tuple[int, int], seed: int) -> Tensor:
        import numpy as np
        import torch

        cells, p = int(parameters["cells"]), float(parameters["p"])
        cell = [-(-side // cells) for side in size]
        grids, offsets = np.empty((stop - start, 1, cells, cells), np.float32), []
        for number in range(start, stop):
            random = np.random.Generator(np.random.Philox(key=[seed, number]))
            grids[number - start, 0] = random.random((cells, cells)) < p
            offsets.append((int(random.integers(cell[0])), int(random.integers(cell[1]))))
        larger = [(cells + 1) * side for side in cell]
        smooth = torch.nn.functional.interpolate(torch.from_numpy(grids), larger, mode="bilinear", align_corners=False)
        cut = [m[0, y : y + size[0], x : x + size[1]] for m, (y, x) in zip(smooth, offsets, strict=True)]
        return torch.stack(cut)

    def credit(self, parameters: Parameters, values: Tensor, own: Tensor) -> Tensor:
        return values

    def settle(self, parameters: Parameters, total: Tensor, hidden: Tensor, mean: Tensor) -> Tensor:
        count, p = int(parameters["n_masks"]), float(parameters["p"])
        if parameters["center"]:
            total = total - mean[..., None, None] * (count - hidden)
        return total / (count * p)


METHODS = (Rise(),)
