"""`extremal_perturbation`: the mask of a fixed area that keeps the most of the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Fail, Parameter, Parameters
from bbilang.runtime.attribution.kinds import LearnedMaskMethod

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.attribution.learned_masks import Task


LEVELS, BLUR = 8, 20.0  # of the pyramid: how many, and the standard deviation of the most blurred one, in pixels
RATE, MOMENTUM = 0.01, 0.9
WEIGHT, GROWTH = 300.0, 1.0035  # of the constraint on the area: at the start, and from step to step
COLDNESS = 20.0  # of the smooth maximum


class ExtremalPerturbation(LearnedMaskMethod):
    """The smooth mask that keeps the share `area` of the picture and maximizes the score (equation 2): 1 where the
    picture is kept, 0 where it is blurred.

    As TorchRay's `extremal_perturbation` (preservation, blur): the mask is a smooth maximum of bumps of radius `sigma`
    on a grid of `step` pixels; it selects from a pyramid of eight blurs of up to 20 px; a penalty pulls its sorted
    values towards those of a mask of exactly that area, with a weight that grows from 300 by 0.35 % at each of `steps`
    steps of gradient ascent with momentum. The area includes a margin of `sigma` around the picture. The picture is
    mirrored at every second step (`jitter`). All targets are learned in one batch. A sum or difference of classes is
    one score.
    """

    name = "extremal_perturbation"
    known_as = ("extremal_mask",)
    axioms = ("implementation_invariance",)
    input_only = True
    atoms = ("pixel",)
    unit, signed = "share kept", False
    parameters = (
        Parameter("area", "number", "share of the picture that is kept", 0.1, minimum=0.001, maximum=1),
        Parameter("steps", "integer", "steps of the optimization", 800, minimum=1, maximum=100_000),
        Parameter("step", "integer", "spacing of the mask's bumps", 7, unit="px", minimum=1, maximum=256),
        Parameter("sigma", "number", "radius of a bump", 21.0, unit="px", minimum=1, maximum=512),
        Parameter("jitter", "flag", "mirror the picture at every second step", True),
    )
    source = "Fong, Patrick, Vedaldi 2019; TorchRay"

    def note(self, parameters: Parameters) -> str:
        area = float(parameters["area"])
        return f"a mask of {area:.3g} of the area: 1 where the picture is kept, 0 where it is blurred"

    def additive(self, parameters: Parameters) -> bool:
        return False

    def suits(self, parameters: Parameters, size: tuple[int, int]) -> None:
        if parameters["step"] > min(size):
            message = f"bumps {parameters['step']} px apart do not fit {size[0]} x {size[1]} px"
            raise Fail("E245", message, f"`step` is at most {min(size)} here")

    def steps(self, parameters: Parameters, size: tuple[int, int]) -> int:
        return int(parameters["steps"])

    def bytes_each(self, parameters: Parameters, size: tuple[int, int]) -> int:
        bumps = Bumps(size, int(parameters["step"]), float(parameters["sigma"]))
        y, x = bumps.out
        return 4 * (6 * bumps.around**2 * y * x + (LEVELS + 10) * 3 * size[0] * size[1])

    def learn(self, parameters: Parameters, task: Task) -> Tensor:
        import torch

        bumps = Bumps(task.size, int(parameters["step"]), float(parameters["sigma"]))
        with torch.inference_mode(False), torch.enable_grad():
            levels = pyramid(task.pictures, task.mean)
            weights = bumps.weights.to(task.pictures)
            heights = torch.ones(len(task.pictures), 1, *bumps.grid).to(task.pictures).requires_grad_()
            total = bumps.out[0] * bumps.out[1]
            sorted_mask = torch.ones(total).to(task.pictures)
            sorted_mask[: int(total * (1 - float(parameters["area"])))] = 0
            ascent = torch.optim.SGD([heights], lr=RATE, momentum=MOMENTUM, dampening=MOMENTUM)
            weight, shown = WEIGHT, None
            for step in range(int(parameters["steps"])):
                shown, mask = bumps.mask(heights, weights)
                pictures = chosen(levels, shown)
                if parameters["jitter"] and step % 2 == 0:
                    pictures = pictures.flip(3)
                gradient = task.gradient(pictures.detach())
                # Many values are equal at the start: a stable order makes a row's mask its own in any company.
                away = (mask.flatten(1).sort(dim=1, stable=True)[0] - sorted_mask).pow(2).mean(1)
                loss = weight * away.sum() - (pictures * gradient).sum()
                ascent.zero_grad()
                loss.backward()
                ascent.step()
                with torch.no_grad():
                    heights.clamp_(0, 1)
                weight *= GROWTH
                task.report_step(step + 1)
            assert shown is not None
            return shown.detach()[:, 0]


@dataclass(frozen=True)
class Bumps:
    """Masks as a smooth maximum of bumps (equations 6 and 7). ``size`` (y, x) in pixels.

    The mask has a margin of sigma around the picture, so that a bump at the border is as good as any other. Where sigma
    is a multiple of the step, the geometry is TorchRay's; else its margin would be too narrow by up to a step.
    """

    size: tuple[int, int]
    step: int
    sigma: float

    @property
    def grid(self) -> tuple[int, int]:
        """Bumps along y and x."""
        return -(-self.size[0] // self.step), -(-self.size[1] // self.step)

    @property
    def radius(self) -> int:
        return 1 + _ceil(self.sigma / self.step)

    @property
    def padding(self) -> int:
        return self.radius + _ceil(self.sigma / self.step)

    @property
    def around(self) -> int:
        """Bumps along each side that a pixel sees."""
        return 2 * self.radius + 1

    @property
    def cells(self) -> tuple[int, int]:
        y, x = (side + 2 * self.padding - 2 * self.radius for side in self.grid)
        return y, x

    @property
    def out(self) -> tuple[int, int]:
        """(y, x) of the mask with its margin."""
        y, x = (self.step * side - self.step + 1 for side in self.cells)
        return y, x

    @property
    def weights(self) -> Tensor:
        """(1, bump, y, x): how much each bump that a pixel sees weighs there."""
        import torch

        squares = []
        for side in self.out:
            u = torch.arange(side)
            bump = (u // self.step)[None] + torch.arange(self.around)[:, None] - self.padding
            squares.append((u - (self.sigma + self.step * bump)) ** 2)  # (bump, pixel)
        y, x = squares
        distance = (y[:, None, :, None] + x[None, :, None, :]).float().sqrt()
        return torch.exp(-2 * (distance / self.sigma - 0.5).clamp_min(0) ** 2).flatten(0, 1)[None]

    def mask(self, heights: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return masks (row, 1, y, x) of the picture, and with the margin, from heights (row, 1, *grid) in [0, 1].
        weights: those of the bumps, on the device.

        In the order of TorchRay's operations, bit by bit: many values of the first masks differ by rounding alone, and
        which of them count as small decides where the mask begins to shrink.
        """
        import torch.nn.functional as F

        seen = F.unfold(heights, (self.around, self.around), padding=(self.padding, self.padding))
        seen = seen.unflatten(2, self.cells)
        y, x = self.out
        seen = seen.repeat_interleave(self.step, 2)[:, :, :y].repeat_interleave(self.step, 3)[..., :x]
        seen = seen * weights
        mask = (seen * F.softmax(COLDNESS * seen, 1)).sum(1, keepdim=True).clamp(0, 1)
        margin = round(self.sigma)
        return mask[:, :, margin : margin + self.size[0], margin : margin + self.size[1]], mask


def _ceil(number: float) -> int:
    return -int(-number // 1)


def pyramid(pictures: Tensor, mean: Tensor) -> Tensor:
    """Return (row, level, 3, y, x), from the most blurred picture to the picture itself, padded with the mean
    colour."""
    import torch

    levels = []
    for level in range(LEVELS):
        deviation = BLUR * (1 - level / (LEVELS - 1))
        levels.append(_blurred(pictures - mean, deviation) + mean if deviation else pictures)
    return torch.stack(levels, 1)


def _blurred(images: Tensor, deviation: float) -> Tensor:
    """Blur with a Gaussian up to four standard deviations; zeros beyond the border."""
    import torch
    import torch.nn.functional as F

    reach = _ceil(4 * deviation)
    offsets = torch.arange(-reach, reach + 1).to(images)
    kernel = torch.exp(-0.5 * (offsets / deviation) ** 2)
    kernel = kernel / kernel.sum()
    flat = images.flatten(0, 1).unsqueeze(1)
    flat = F.conv2d(flat, kernel.view(1, 1, -1, 1), padding=(reach, 0))
    return F.conv2d(flat, kernel.view(1, 1, 1, -1), padding=(0, reach)).view(images.shape)


def chosen(levels: Tensor, mask: Tensor) -> Tensor:
    """Interpolate pictures (row, 3, y, x) linearly between the two levels (row, level, 3, y, x) that a mask (row, 1, y,
    x) selects."""
    import torch

    position = mask * (LEVELS - 1)
    low = position.detach().floor()
    share = position - low
    index = low.long().unsqueeze(1).expand(-1, 1, levels.shape[2], -1, -1)
    below = torch.gather(levels, 1, index)[:, 0]
    above = torch.gather(levels, 1, (index + 1).clamp_max(LEVELS - 1))[:, 0]
    return (1 - share) * below + share * above


METHODS = (ExtremalPerturbation(),)
