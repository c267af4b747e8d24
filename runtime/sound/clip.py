"""A sound as numbers, and what is done to it before a network hears it: resampling, and cutting into frames."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bbilang.grammar.frozen import frozen
from bbilang.runtime.errors import error

LOWEST, HIGHEST = 1_000, 768_000  # samples per second
MOST_SECONDS = 600


@frozen
class Clip:
    """``samples``: float32 (channel, time), full scale from -1 to 1. ``rate``: samples per second."""

    name: str
    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / self.rate


def checked(clip: Clip) -> Clip:
    """Return the clip itself. Raises BbiError E425 for no samples, E426 for a rate that cannot be resampled, E427 for
    samples that are no finite numbers, E428 for more than ten minutes."""
    if not clip.samples.size:
        raise error("E425", f"{clip.name} has no samples", "give a sound that lasts longer than nothing")
    if not (LOWEST <= clip.rate <= HIGHEST and clip.rate == int(clip.rate)):
        help = f"sounds have a whole number of samples per second, {LOWEST:,} to {HIGHEST:,}"
        raise error("E426", f"{clip.name} has {clip.rate:,} samples per second, which cannot be resampled", help)
    if not np.isfinite(clip.samples).all():
        raise error("E427", f"{clip.name} has samples that are no finite numbers", "look for NaN and infinity")
    if clip.seconds > MOST_SECONDS:
        what = f"{clip.name} lasts {clip.seconds:,.0f} s, and a sound has at most {MOST_SECONDS}"
        raise error("E428", what, "cut out the part that matters")
    return clip


def as_heard(clip: Clip, rate: int, channels: int) -> Clip:
    """Return the clip with as many channels and samples per second as a network takes.

    A network of one channel gets the mean of all; one of several gets a single channel as often as it has them. Raises
    BbiError E426 for other numbers of channels.
    """
    samples = clip.samples
    if channels == 1:
        samples = samples.mean(0, keepdims=True)
    elif len(samples) == 1:
        samples = np.repeat(samples, channels, 0)
    elif len(samples) != channels:
        what = f"{clip.name} has {len(samples)} channels, and the network takes {channels}"
        raise error("E426", what, f"give a sound of one channel, or of {channels}")
    return replace(clip, samples=resampled(samples, clip.rate, rate), rate=rate)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Resample (channel, time) with a polyphase filter, whose low pass keeps frequencies below half of both rates."""
    if rate == wanted:
        return np.ascontiguousarray(samples, np.float32)
    from scipy.signal import resample_poly

    shared = math.gcd(rate, wanted)
    return resample_poly(samples.astype(np.float64), wanted // shared, rate // shared, axis=1).astype(np.float32)


def frames_of(seconds: float, rate: int, hop: int) -> int:
    """Return in how many frames of ``hop`` samples a sound is heard: the last one may end in silence."""
    return max(1, math.ceil(round(seconds * rate) / hop))


def framed(samples: np.ndarray, hop: int, frames: int) -> np.ndarray:
    """Cut (channel, time) into (channel, y, frame), sample y of each frame; silence after the end, and what is beyond
    the last frame left out."""
    whole = np.zeros((len(samples), hop * frames), np.float32)
    length = min(whole.shape[1], samples.shape[1])
    whole[:, :length] = samples[:, :length]
    return np.ascontiguousarray(whole.reshape(len(samples), frames, hop).transpose(0, 2, 1))
