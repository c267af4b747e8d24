"""Sounds of a page: encoded once, with words for a reader who does not hear them."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.sound.encode import encoded, normalized, sixteen_bits
from bbilang.runtime.sound.spectrogram import words_of
from bbilang.runtime.view.model import Sound


def playable(samples: np.ndarray, rate: int) -> Sound:
    """Return (channel, time) as a sound for a page, as loud as the others."""
    return played(sixteen_bits(normalized(samples)), rate)


def played(samples: np.ndarray, rate: int) -> Sound:
    """Return int16 (channel, time) as a sound for a page."""
    data, mime = encoded(samples, rate)
    return Sound(data, mime, samples.shape[1] / rate, words_of(samples, rate))
