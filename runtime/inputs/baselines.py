"""Baseline images, from which integration paths start and which replace masked regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.runtime.errors import error

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.passes.adapter import Adapter

WORDS = ("zero", "mean", "blur", "noise")


def picture(word: str, images: Tensor, adapter: Adapter, seed: int = 0) -> Tensor:
    """Make baseline images (input, 3, y, x) in [0, 1] of the shape of ``images``.

    zero: black (Sundararajan, Taly, Yan 2017). mean: the mean colour of the model's training images, where its
    normalization gives 0 (Captum's zero baseline for normalized inputs). blur: the image itself, blurred until no shape
    is visible (Fong and Vedaldi 2017; standard deviation an eighth of the width). noise: uniform in [0, 1], drawn from
    the seed alone: the same for every image, so that results do not depend on other inputs. For a text only zero, the
    token id 0 at every position; raises BbiError E531 for the others, and E515 for blur and noise of inputs other than
    images.
    """
    import torch

    if adapter.description.reads == "text" and word != "zero":
        message = f"the baseline `{word}` is a picture, and {adapter.description.name} reads text"
        raise error("E531", message, help="`baselines=zero` is token 0 at every position")
    reads = adapter.description.reads
    if reads in NOT_PICTURES and word in ("blur", "noise"):
        message = f"the baseline `{word}` is of pictures in [0, 1], and the model takes {reads}s"
        raise error("E515", message, help="use `zero`")
    match word:
        case "zero":
            return torch.zeros_like(images)
        case "mean":
            zero, one = (adapter.normalize(torch.full_like(images, value)) for value in (0.0, 1.0))
            return (-zero / (one - zero)).clamp(0, 1)
        case "blur":
            return blurred(images, images.shape[-1] / 8)
        case "noise":
            generator = torch.Generator().manual_seed(seed)
            return torch.rand(images.shape[1:], generator=generator).to(images).expand_as(images).clone()
    raise ValueError(word)


def blurred(images: Tensor, deviation: float) -> Tensor:
    """Apply a Gaussian blur with reflected borders; ``deviation`` in pixels."""
    import torch
    import torch.nn.functional as F

    for axis in (-2, -1):
        reach = min(int(3 * deviation), images.shape[axis] - 1)
        offsets = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
        kernel = torch.exp(-0.5 * (offsets / deviation) ** 2)
        kernel = (kernel / kernel.sum()).view(1, 1, -1, 1) if axis == -2 else (kernel / kernel.sum()).view(1, 1, 1, -1)
        pad = (0, 0, reach, reach) if axis == -2 else (reach, reach, 0, 0)
        count, channels = images.shape[:2]
        flat = F.pad(images.flatten(0, 1).unsqueeze(1), pad, mode="reflect")
        images = F.conv2d(flat, kernel).view(count, channels, *images.shape[2:])
    return images
