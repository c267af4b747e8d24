"""How a picture is parametrized while it is optimized: Fourier coefficients, decorrelated colour, sigmoid.

Sources: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, section "Preconditioning and
Parameterization"; Mordvintsev, Pezzotti, Schubert, Olah, "Differentiable Image Parameterizations", Distill 2018. The
numbers (scale, the factor 4, the colour matrix) are those of Lucid, so that pictures can be compared.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Square root of the correlation of R, G, B over ImageNet's pixels (columns: lightness, blue-yellow, green-magenta).
COLOUR_CORRELATION_ROOT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


def spectrum_shape(size: int) -> tuple[int, int, int, int]:
    """Shape of one picture's parameters: (channel 3, y, x of the real transform, real and imaginary part)."""
    return 3, size, size // 2 + 1, 2


PIVOT = 1 / 16  # cycles per pixel at which the decay does not change the scale


def frequency_scale(size: int, decay: float = 1.0) -> Tensor:
    """(y, x of the real transform): sqrt(w h) / f ** decay, f = max(frequency, 1 / max(w, h)) in cycles per pixel.

    With decay 1, Lucid's, every frequency of a natural picture, whose amplitude falls with 1/f, has the same say in a
    gradient step. A higher decay, pivoted at 16 pixels a cycle, gives coarse shapes more and fine noise less.
    """
    y = torch.fft.fftfreq(size)[:, None]
    x = torch.fft.rfftfreq(size)[None, :]
    frequency = torch.sqrt(y * y + x * x).clamp_min(1.0 / size)
    return size / frequency * (PIVOT / frequency) ** (decay - 1.0)


def colour_matrix() -> Tensor:
    """(rgb, decorrelated channel), the root above with its longest column scaled to length 1."""
    root = torch.tensor(COLOUR_CORRELATION_ROOT)
    return root / root.norm(dim=0).max()


def initial_spectrum(size: int, deviation: float, generator: torch.Generator) -> Tensor:
    """Normal noise of the deviation, shaped `spectrum_shape`, always drawn on the CPU."""
    return torch.randn(spectrum_shape(size), generator=generator) * deviation


class Fourier:
    """Parameters (batch, 3, y, x of the real transform, 2) -> pictures (batch, 3, y, x) in [0, 1]."""

    def __init__(self, size: int, decorrelate: bool = True, decay: float = 1.0, device: torch.device | str = "cpu"):
        self.size = size
        self.scale = (frequency_scale(size, decay) / 4.0).to(device)
        self.colour = colour_matrix().to(device) if decorrelate else None

    def __call__(self, spectrum: Tensor) -> Tensor:
        values = torch.fft.irfft2(torch.view_as_complex(spectrum) * self.scale, s=(self.size, self.size))
        if self.colour is not None:
            values = torch.einsum("rc,bcyx->bryx", self.colour, values)
        return torch.sigmoid(values)
