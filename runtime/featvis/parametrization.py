"""Parametrizations of a picture that is optimized: Fourier coefficients, decorrelated colour, sigmoid.

Sources: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, section "Preconditioning and
Parameterization"; Mordvintsev, Pezzotti, Schubert, Olah, "Differentiable Image Parameterizations", Distill 2018. The
numbers (scale, the factor 4, the colour matrix) are those of Lucid, so that pictures can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bbilang.runtime.errors import error

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Recipe

# Square root of the correlation of R, G, B over ImageNet's pixels (columns: lightness, blue-yellow, green-magenta).
COLOUR_CORRELATION_ROOT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


def spectrum_shape(size: int) -> tuple[int, int, int, int]:
    """Return the shape of one picture's parameters: (channel 3, y, x of the real transform, real and imaginary
    part)."""
    return 3, size, size // 2 + 1, 2


PIVOT = 1 / 16  # cycles per pixel at which the decay does not change the scale


def frequency_scale(size: int, decay: float = 1.0) -> Tensor:
    """Return sqrt(w h) / f ** decay, over (y, x of the real transform), where f = max(frequency, 1 / max(w, h)) in
    cycles per pixel.

    With decay 1, Lucid's, every frequency of a natural picture, whose amplitude falls with 1/f, has the same weight in
    a gradient step. A higher decay, pivoted at 16 pixels a cycle, gives coarse shapes more and fine noise less.
    """
    y = torch.fft.fftfreq(size)[:, None]
    x = torch.fft.rfftfreq(size)[None, :]
    frequency = torch.sqrt(y * y + x * x).clamp_min(1.0 / size)
    return size / frequency * (PIVOT / frequency) ** (decay - 1.0)


def colour_matrix() -> Tensor:
    """Return (rgb, decorrelated channel), the root above with its longest column scaled to length 1."""
    root = torch.tensor(COLOUR_CORRELATION_ROOT)
    return root / root.norm(dim=0).max()


def initial_spectrum(size: int, deviation: float, generator: torch.Generator) -> Tensor:
    """Draw normal noise with the given standard deviation, of shape `spectrum_shape`, always on the CPU."""
    return torch.randn(spectrum_shape(size), generator=generator) * deviation


class Fourier:
    """Fourier coefficients: parameters (batch, 3, y, x of the real transform, 2) -> pictures (batch, 3, y, x) in [0,
    1].

    With ``transparent`` a fourth channel of parameters gives the fourth channel of the picture, alpha.
    """

    stride = 1.0  # Adam's rate is made for these parameters
    natural = False  # whether every picture has the amplitudes of a photograph

    def __init__(
        self,
        size: int,
        decorrelate: bool = True,
        decay: float = 1.0,
        device: torch.device | str = "cpu",
        deviation: float = 0.01,
        transparent: bool = False,
    ):
        self.size, self.deviation, self.transparent = size, deviation, transparent
        self.scale = (frequency_scale(size, decay) / 4.0).to(device)
        self.colour = colour_matrix().to(device) if decorrelate else None
        self.shape = (4 if transparent else 3, *spectrum_shape(size)[1:])

    def initial(self, generator: torch.Generator) -> Tensor:
        """Return the initial parameters of one picture."""
        spectrum = initial_spectrum(self.size, self.deviation, generator)
        if not self.transparent:
            return spectrum
        return torch.cat([spectrum, initial_spectrum(self.size, self.deviation, generator)[:1]])

    def inverse(self, picture: Tensor) -> Tensor:
        """Return the parameters of a picture (3, size, size) in [0, 1]; values near black or white are moved slightly
        inwards, since a sigmoid never reaches them."""
        values = torch.logit(picture.clamp(0.01, 0.99))
        if self.colour is not None:
            values = torch.einsum("cr,ryx->cyx", torch.linalg.inv(self.colour.cpu()).to(values), values)
        spectrum = torch.view_as_real(torch.fft.rfft2(values) / self.scale)
        return torch.cat([spectrum, torch.zeros_like(spectrum[:1])]) if self.transparent else spectrum

    def __call__(self, spectrum: Tensor) -> Tensor:
        values = torch.fft.irfft2(torch.view_as_complex(spectrum) * self.scale, s=(self.size, self.size))
        if self.colour is None:
            return torch.sigmoid(values)
        coloured = torch.einsum("rc,bcyx->bryx", self.colour, values[:, :3])
        return torch.sigmoid(torch.cat([coloured, values[:, 3:]], 1) if self.transparent else coloured)


# Mean amplitude of the decorrelated channels of 800 photographs of ImageNet, measured by `benchmarks/magnitudes.py`:
# A / f ** B, f in cycles per picture, fitted at 224 px from 1 to 90. (A, B) of lightness, blue-yellow, green-magenta.
MAGNITUDES = ((0.4559, 1.193), (0.4125, 1.236), (0.3705, 1.14))


class Maco:
    """Optimized phases; the magnitude of every frequency stays that of an average photograph.

    Fel, Boissin, Boutin, Picard, Novello, Colin, Linsley, Rousseau, Cadene, Gardes, Serre, "Unlocking Feature
    Visualization for Deeper Networks with MAgnitude Constrained Optimization", NeurIPS 2023, equation 3. There the
    magnitudes are the average over ImageNet; here a power law fitted to our own measurement of 800 photographs.
    Parameters (batch, 3, y, x of the real transform) in radians -> pictures (batch, 3, y, x) in [0, 1].
    """

    stride = 10.0  # times Adam's rate: phases have a period of 6.3, coefficients have none
    transparent = False
    natural = True

    def __init__(self, size: int, decorrelate: bool = True, device: torch.device | str = "cpu"):
        self.size, self.shape = size, spectrum_shape(size)[:3]
        y, x = torch.fft.fftfreq(size)[:, None] * size, torch.fft.rfftfreq(size)[None, :] * size
        frequency = torch.sqrt(y * y + x * x).clamp_min(1.0)
        rows = [amplitude / frequency**power for amplitude, power in MAGNITUDES]
        self.magnitude = (torch.stack(rows) * size * size).to(device)
        self.magnitude[:, 0, 0] = 0.0
        self.colour = colour_matrix().to(device) if decorrelate else torch.eye(3, device=device)

    def initial(self, generator: torch.Generator) -> Tensor:
        """Return uniformly random phases of one picture."""
        return (torch.rand(self.shape, generator=generator) * 2 - 1) * torch.pi

    def inverse(self, picture: Tensor) -> Tensor:
        """Return the phases of a picture (3, size, size); its magnitudes are lost."""
        values = torch.logit(picture.clamp(0.01, 0.99))
        values = torch.einsum("cr,ryx->cyx", torch.linalg.inv(self.colour.cpu()).to(values), values)
        return torch.angle(torch.fft.rfft2(values))

    def __call__(self, phase: Tensor) -> Tensor:
        values = torch.fft.irfft2(torch.polar(self.magnitude.expand_as(phase), phase), s=(self.size, self.size))
        return torch.sigmoid(torch.einsum("rc,bcyx->bryx", self.colour, values))


class Grey:
    """Another parametrization's pictures (batch, 3, y, x, perhaps with alpha) without colour: the mean over
    channels."""

    def __init__(self, inner: Fourier | Maco):
        self.inner = inner
        self.size, self.shape, self.stride, self.transparent = inner.size, inner.shape, inner.stride, inner.transparent
        self.natural = inner.natural

    def initial(self, generator: torch.Generator) -> Tensor:
        return self.inner.initial(generator)

    def inverse(self, picture: Tensor) -> Tensor:
        return self.inner.inverse(picture)

    def __call__(self, parameters: Tensor) -> Tensor:
        pictures = self.inner(parameters)
        light = pictures[:, :3].mean(1, keepdim=True).expand(-1, 3, -1, -1)
        return torch.cat([light, pictures[:, 3:]], 1)


def parametrization(recipe: Recipe, device: torch.device | str, grey: bool = False) -> Fourier | Maco | Grey:
    """Return the parametrization of a recipe, `fourier` or `maco`. ``grey``: without colours, for networks of one
    channel. Raises BbiError E510 for another, and for a transparent "maco"."""
    coloured = _parametrization(recipe, device)
    return Grey(coloured) if grey else coloured


def _parametrization(recipe: Recipe, device: torch.device | str) -> Fourier | Maco:
    if recipe.parametrization == "fourier":
        decay, deviation = recipe.decay, recipe.deviation
        return Fourier(recipe.size, recipe.decorrelate, decay, device, deviation, recipe.transparency)
    if recipe.parametrization != "maco" or recipe.transparency:
        text = f"there is no parametrization `{recipe.parametrization}`" + " with transparency" * recipe.transparency
        raise error("E510", text, "use `fourier`, or `maco` without transparency")
    return Maco(recipe.size, recipe.decorrelate, device)
