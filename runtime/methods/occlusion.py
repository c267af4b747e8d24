"""`occlusion`: the drop of the score when a sliding window is hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Fail, Parameter, Parameters
from bbilang.runtime.attribution.kinds import PerturbationMethod
from bbilang.runtime.inputs.baselines import WORDS

if TYPE_CHECKING:
    from torch import Tensor


class Occlusion(PerturbationMethod):
    """The score minus the score with a window hidden, for every position of the window. The number of a position is the
    mean over the windows that hide it.

    The window starts in the upper left corner and moves by `stride`. The last windows along each axis are clipped at
    the border, so that every position is hidden at least once if the stride is no larger than the window. Positions
    that no window hides get 0. Captum's `Occlusion` (0.9) places and combines windows in the same way. At a hidden
    layer, a window replaces all channels of the layer's positions with the layer's activation for the baseline picture,
    and only the network above the layer runs.
    """

    name = "occlusion"
    known_as = ("ablation", "lime", "feature_ablation", "sliding_window")
    axioms = ("sensitivity_a", "implementation_invariance", "linearity")
    atoms = ("pixel", "spatial")
    parameters = (
        Parameter(
            "window", "integer", "side of the window; by default a seventh of the shorter side (32 px of 224)", None,
            unit="positions", minimum=1, maximum=4096,
        ),
        Parameter(
            "stride", "integer", "step of the window; half of it by default", None, unit="positions", minimum=1,
            maximum=4096,
        ),
        Parameter("baselines", "word", "the picture that shows in the window", "mean", choices=WORDS),
    )  # fmt: skip
    source = "Zeiler and Fergus 2014, section 4.1"

    def suits(self, parameters: Parameters, size: tuple[int, int]) -> None:
        window, stride = window_of(parameters, size)
        if window > min(size):
            message = f"a window of {window} positions a side does not fit into {size[0]} x {size[1]}"
            raise Fail("E245", message, f"`window` is at most {min(size)} here")
        if stride > window:
            message = f"a stride of {stride} leaves gaps between windows of {window}"
            raise Fail("E245", message, f"`stride` is at most {window} here")

    def baseline(self, parameters: Parameters) -> str:
        return str(parameters["baselines"])

    def masks(self, parameters: Parameters, size: tuple[int, int]) -> int:
        rows, columns = window_starts(parameters, size)
        return len(rows) * len(columns)

    def mask(self, parameters: Parameters, start: int, stop: int, size: tuple[int, int], seed: int) -> Tensor:
        import torch

        window, _ = window_of(parameters, size)
        rows, columns = window_starts(parameters, size)
        masks = torch.ones(stop - start, *size)
        for number in range(start, stop):
            y, x = rows[number // len(columns)], columns[number % len(columns)]
            masks[number - start, y : y + window, x : x + window] = 0
        return masks

    def credit(self, parameters: Parameters, values: Tensor, own: Tensor) -> Tensor:
        return own - values

    def settle(self, parameters: Parameters, total: Tensor, hidden: Tensor, mean: Tensor) -> Tensor:
        return total / hidden.clamp_min(1)


def window_of(parameters: Parameters, size: tuple[int, int]) -> tuple[int, int]:
    """Return (side, step) of the window at a layer of this size (y, x)."""
    window = parameters["window"] or max(1, round(min(size) / 7))
    return int(window), int(parameters["stride"] or max(1, window // 2))


def window_starts(parameters: Parameters, size: tuple[int, int]) -> tuple[range, range]:
    """Return the first rows and the first columns of the windows."""
    window, stride = window_of(parameters, size)
    counts = [1 + -(-max(side - window, 0) // stride) for side in size]
    return range(0, counts[0] * stride, stride), range(0, counts[1] * stride, stride)


METHODS = (Occlusion(),)
