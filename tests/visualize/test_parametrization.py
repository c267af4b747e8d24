"""The parametrization against a twin that adds up waves one by one."""

import numpy as np
import pytest
import torch
from closeness import close_to

from bbilang.runtime.featvis.parametrization import Fourier, frequency_scale, initial_spectrum, spectrum_shape


def slow_picture(spectrum, size, decay):
    """One picture (3, size, size) by the sum over all frequencies; the other half is the complex conjugate."""
    values = np.zeros((3, size, size))
    index = np.arange(size)
    for v in range(size):
        for u in range(size // 2 + 1):
            fy, fx = (v if v <= (size - 1) // 2 else v - size) / size, u / size
            f = max(np.hypot(fy, fx), 1 / size)
            scale = size / f * ((1 / 16) / f) ** (decay - 1) / 4
            twice = 1 if u == 0 or 2 * u == size else 2  # these columns hold their own conjugates
            phase = 2 * np.pi * (fy * index[:, None] + fx * index[None, :])
            for c in range(3):
                real, imaginary = spectrum[c, v, u]
                values[c] += twice * scale * (real * np.cos(phase) - imaginary * np.sin(phase)) / size**2
    root = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
    colour = root / max(np.linalg.norm(root[:, c]) for c in range(3))
    rgb = np.zeros_like(values)
    for channel in range(3):
        for part in range(3):
            rgb[channel] += colour[channel, part] * values[part]
    return 1 / (1 + np.exp(-rgb))


@pytest.mark.parametrize(("size", "decay"), [(6, 1.0), (7, 1.0), (8, 1.5)])
def test_pictures_equal_the_sum_of_waves(size, decay):
    spectrum = initial_spectrum(size, 1.0, torch.Generator().manual_seed(3))[None] * 0.3
    got = Fourier(size, decay=decay)(spectrum)[0].numpy()
    close_to(got, slow_picture(spectrum[0].numpy(), size, decay))


def test_first_pictures_are_nearly_grey_and_reproducible():
    first = [initial_spectrum(32, 0.01, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])
    assert first[0].shape == spectrum_shape(32)
    picture = Fourier(32)(first[0][None])
    assert (picture - 0.5).abs().max() < 0.1


def test_scale_at_decay_one_is_lucids():
    scale = frequency_scale(128)
    assert scale[0, 0] == 128 * 128
    close_to(scale[0, 64].item(), 256)
    close_to(scale[3, 4].item(), 128 / (5 / 128))


def test_without_decorrelation_the_channels_are_the_colours():
    spectrum = torch.zeros(1, *spectrum_shape(8))
    spectrum[0, 1, 0, 1, 0] = 1.0
    picture = Fourier(8, decorrelate=False)(spectrum)
    assert (picture[:, [0, 2]] == 0.5).all() and picture[:, 1].std() > 0
