"""`occlusion`: what the score loses when a sliding window is hidden."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbilang.compiler.contract import Fail, Method, Parameter
from bbilang.runtime.inputs.baselines import WORDS


class Occlusion(Method):
    """The score less the score with a window hidden, for every place of the window; a position's number is the mean
    over the windows that hide it.

    The window starts at the upper left corner and moves by `stride`; the last ones along each axis are cut off by the
    border, so that everything is hidden at least once where the stride is no longer than the window. Positions that no
    window hides get 0. This is how Captum's `Occlusion` (0.9) places and combines windows. At a hidden layer a window
    hides positions of that layer, all channels of them, and only the network above it runs; what is put there is what
    the layer makes of the baseline picture.
    """

    name = "occlusion"
    known_as = ("ablation", "lime", "feature_ablation", "sliding_window")
    axioms = ("sensitivity_a", "implementation_invariance", "linearity")
    reruns = True
    finds = "values"
    maps_only = True
    atoms = ("pixel", "spatial")
    parameters = (
        Parameter(
            "window", "integer", "side of the window; a seventh of the shorter side unless said (32 px of 224)", None,
            unit="positions", minimum=1, maximum=4096,
        ),
        Parameter(
            "stride", "integer", "step of the window; half of it unless said", None, unit="positions", minimum=1,
            maximum=4096,
        ),
        Parameter("baselines", "word", "the picture that shows in the window", "mean", choices=WORDS),
    )  # fmt: skip
    source = "Zeiler and Fergus 2014, section 4.1"

    def suits(self, parameters: Mapping[str, Any], size: tuple[int, int]) -> None:
        window, stride = window_of(parameters, size)
        if window > min(size):
            message = f"a window of {window} positions a side does not fit into {size[0]} x {size[1]}"
            raise Fail("E245", message, f"`window` is at most {min(size)} here")
        if stride > window:
            message = f"a stride of {stride} leaves gaps between windows of {window}"
            raise Fail("E245", message, f"`stride` is at most {window} here")

    def baseline(self, parameters: Mapping[str, Any]) -> str:
        return str(parameters["baselines"])

    def masks(self, parameters: Mapping[str, Any], size: tuple[int, int]) -> int:
        rows, columns = places(parameters, size)
        return len(rows) * len(columns)

    def mask(self, parameters: Mapping[str, Any], start: int, stop: int, size: tuple[int, int], seed: int) -> Any:
        import torch

        window, _ = window_of(parameters, size)
        rows, columns = places(parameters, size)
        found = torch.ones(stop - start, *size)
        for number in range(start, stop):
            y, x = rows[number // len(columns)], columns[number % len(columns)]
            found[number - start, y : y + window, x : x + window] = 0
        return found

    def credit(self, parameters: Mapping[str, Any], values: Any, own: Any) -> Any:
        return own - values

    def settle(self, parameters: Mapping[str, Any], total: Any, hidden: Any, mean: Any) -> Any:
        return total / hidden.clamp_min(1)


def window_of(parameters: Mapping[str, Any], size: tuple[int, int]) -> tuple[int, int]:
    """(side, step) of the window at a layer of this size (y, x)."""
    window = parameters["window"] or max(1, round(min(size) / 7))
    return int(window), int(parameters["stride"] or max(1, window // 2))


def places(parameters: Mapping[str, Any], size: tuple[int, int]) -> tuple[range, range]:
    """The rows and the columns where windows begin."""
    window, stride = window_of(parameters, size)
    counts = [1 + -(-max(side - window, 0) // stride) for side in size]
    return range(0, counts[0] * stride, stride), range(0, counts[1] * stride, stride)


METHODS = (Occlusion(),)
