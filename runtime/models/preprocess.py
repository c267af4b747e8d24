"""Preprocess pictures for a model: resize, crop, and the normalization that the adapter applies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bbilang.grammar.frozen import frozen
from bbilang.runtime.errors import error

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
LONGEST = 16  # a picture longer than this many times its shorter side is cut before it is resized


@frozen
class Preprocess:
    """The preprocessing of pictures, as in the model's training.

    ``resize``: pixels of the shorter side, or, where the picture is ``squashed`` to the crop's aspect ratio, of the
    longer side of the result; ``crop``: (y, x) in pixels, around the centre; ``mean`` and ``std``: per channel of RGB
    in [0, 1]. Raises BbiError E407 for values that make no picture.
    """

    resize: int
    crop: tuple[int, int]
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    squashed: bool = False

    def __post_init__(self) -> None:
        if not all(1 <= size <= 8192 for size in (self.resize, *self.crop)):
            raise error("E407", "preprocess: size and crop are pixels, from 1 to 8192")
        if max(self.crop) > self.resize:
            crop = " x ".join(str(side) for side in self.crop)
            text = f"preprocess: a crop of {crop} pixels does not fit in a shorter side of {self.resize}"
            raise error("E407", text, "set size at least as large as crop")
        if self.interpolation not in INTERPOLATIONS:
            raise error("E407", f"preprocess: interpolation is one of {', '.join(INTERPOLATIONS)}")
        if len(self.mean) != len(self.std) or not all(value > 0 for value in self.std):
            raise error("E407", "preprocess: mean and std have one number per channel, and std is positive")

    def override(
        self,
        size: int | None = None,
        crop: int | Sequence[int] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> Preprocess:
        """Apply `set preprocess(size=, crop=, mean=, std=)` to a copy; one number stands for all axes.

        A size below the crop reduces the crop, unless that is given too.
        """
        changes: dict[str, Any] = {}
        if size is not None:
            changes["resize"] = int(size)
            changes["crop"] = tuple(min(int(size), side) for side in self.crop)
        if crop is not None:
            changes["crop"] = _numbers("crop", crop, 2, int)
            changes.setdefault("resize", max(self.resize, *changes["crop"]))
            y, x = changes["crop"]
            if y != x and size in (None, max(y, x)):  # the whole picture, squashed to the crop's aspect ratio
                changes |= {"resize": max(y, x), "squashed": True}
        if mean is not None:
            changes["mean"] = _numbers("mean", mean, len(self.mean), float)
        if std is not None:
            changes["std"] = _numbers("std", std, len(self.std), float)
        return replace(self, **changes)

    def normalize(self, images: Tensor) -> Tensor:
        """Normalize (input, channel, y, x) in [0, 1] as in training. Differentiable."""
        import torch

        mean, std = (  # filled on the device: a CUDA graph cannot be recorded over a copy of the host's numbers
            torch.cat([torch.full((1, 1, 1), one, dtype=images.dtype, device=images.device) for one in values])
            for values in (self.mean, self.std)
        )
        return (images - mean) / std

    def display(self, picture: Image) -> np.ndarray:
        """Convert a PIL picture to uint8 (y, x, rgb): resized and cropped, as the page shows it.

        A picture of exactly the crop's size is not resized: it has been cropped before.
        """
        import numpy as np
        from PIL import Image

        picture = picture.convert("RGB") if self.squashed else _shorten(picture.convert("RGB"))
        crop_y, crop_x = self.crop
        if picture.size == (crop_x, crop_y):
            return np.array(picture)
        target, (left, top) = self._placed(picture.size)
        if target != picture.size:
            picture = picture.resize(target, getattr(Image.Resampling, self.interpolation.upper()))
        return np.array(picture.crop((left, top, left + crop_x, top + crop_y)))

    def boxed(self, box: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Map a box (left, top, right, bottom) in pixels of a picture of ``size`` (width, height) to pixels of the
        result of `display`, without clipping."""
        crop_y, crop_x = self.crop
        middle = (0, 0, *size) if self.squashed else _middle(size)
        whole = (middle[2] - middle[0], middle[3] - middle[1])
        if whole == (crop_x, crop_y):
            target, corner = whole, (0, 0)
        else:
            target, corner = self._placed(whole)
        left, top, right, bottom = (
            (value - middle[k % 2]) * target[k % 2] / whole[k % 2] - corner[k % 2] for k, value in enumerate(box)
        )
        return left, top, right, bottom

    def _placed(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the size (width, height) after resizing, and the upper left corner (x, y) of the crop."""
        width, height = size
        scale = self.resize / min(width, height)
        target = self._squashed() if self.squashed else (round(width * scale), round(height * scale))
        return target, (round((target[0] - self.crop[1]) / 2), round((target[1] - self.crop[0]) / 2))

    def _squashed(self) -> tuple[int, int]:
        y, x = (round(self.resize * side / max(self.crop)) for side in self.crop)
        return x, y

    def cut(self, size: tuple[int, int]) -> tuple[float, float]:
        """Return the shares of a picture of ``size`` (width, height) that are cropped away, along x and y."""
        left, top, right, bottom = self.boxed((0, 0, *size), size)
        crop_y, crop_x = self.crop
        seen = ((crop, end - start) for crop, start, end in ((crop_x, left, right), (crop_y, top, bottom)))
        across, down = (max(0.0, 1 - crop / whole) if whole else 0.0 for crop, whole in seen)
        return across, down


def _shorten(picture: Image) -> Image:
    """Cut out the middle of a strip: resized as a whole, one of 1 x 10,000 pixels would take gigabytes."""
    middle = _middle(picture.size)
    return picture if middle == (0, 0, *picture.size) else picture.crop(middle)


def _middle(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) of a picture that is resized: all of it, except for long strips."""
    width, height = size
    short = min(width, height)
    if max(width, height) <= LONGEST * short:
        return 0, 0, width, height
    left, top = max(0, (width - LONGEST * short) // 2), max(0, (height - LONGEST * short) // 2)
    return left, top, min(width, left + LONGEST * short), min(height, top + LONGEST * short)


def _numbers(name: str, value: float | Iterable[float], count: int, kind: type) -> tuple[object, ...]:
    values = (value,) * count if isinstance(value, int | float) else tuple(value)
    values = values * count if len(values) == 1 else values
    if len(values) != count:
        raise error("E407", f"preprocess: {name} is one number or {count}, not {len(values)}")
    return tuple(kind(v) for v in values)
