"""Icons that are sounds: clips that most excite what an objective names in a layer.

Gradient ascent on Fourier coefficients, which a prior of 1/f^`DECAY` scales, as of pictures (Olah, Mordvintsev,
Schubert 2017). The clip is a loop; in each step the network hears a piece of it that begins anywhere, at a loudness and
with a noise that change. The loop is as long as one of the network's windows at first, and then two, four and eight:
what a short loop has found is repeated in the longer one, whose frequencies are finer. A step has the direction of the
gradient and a fixed length, unlike Adam's, so that frequencies to which the network does not answer stay quiet.

Each icon is made by itself, from its own seed, so that it is the same with any others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from bbilang.compiler.ir.model_description import OUTPUT, ModelDescription
from bbilang.runtime import passes
from bbilang.runtime.featvis.ascent import channel_axis
from bbilang.runtime.featvis.icon import NO_GRADIENT, NOT_FINITE, Icon, Objective, Recipe, seed_of
from bbilang.runtime.featvis.losses import Response
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.passes.run_to_layer import Runner
from bbilang.runtime.sound.encode import normalized, sixteen_bits
from bbilang.runtime.sound.spectrogram import spectrogram

STAGES = ((1, 0.5), (2, 1 / 6), (4, 1 / 6), (8, 1 / 6))  # (windows in the loop, share of the steps)
STEPS = 4  # steps of a picture for each step here
RATE, FIRST = 0.1, 0.03  # length of a step; of the coefficients to begin with
DECAY, FLAT, LOWEST = 0.125, 100.0, 40.0  # of the prior 1/f; Hz below which it is flat; Hz below which nothing is
LOUD, NOISE = 0.1, 0.1  # root mean square of what is heard; of the noise beside it, in parts of that
GAINS = (1 / math.sqrt(10), math.sqrt(10))  # the range of the loudness
HEARD, PIECE = 1.0, 0.25  # seconds that a page plays, of loops that are shorter; of a piece, without windows
MOST = 2.0  # seconds of a clip
SHOWN = 45.0  # dB that its spectrogram spans


def sound_icons(
    adapter: Adapter,
    objectives: Sequence[Objective],
    recipe: Recipe,
    counter: passes.Passes,
    step: Callable[[int], None],
) -> Iterator[tuple[Objective, Icon]]:
    """Yield (objective, icon) of a network that takes sounds. ``step(left)`` is called after each step."""
    each = sum(count for _, count in _stages(recipe))
    for number, objective in enumerate(objectives):
        left = (len(objectives) - number) * each
        with passes.run_to(adapter, objective.layer, counter=counter, example=_example(adapter)) as runner:
            ascent = _Ascent(adapter, objective, recipe, runner)
            ascent.run(lambda done, left=left: step(left - done))  # type: ignore[misc]
            icon = ascent.icon()
        yield objective, icon


def _example(adapter: Adapter) -> Tensor:
    """Return noise of the shape of what the network hears in a step, (input=1, channel, y, frame)."""
    shape = piece_of(adapter.description, _is_fixed(adapter))
    random = torch.Generator().manual_seed(0)
    return (LOUD * torch.randn(1, adapter.description.channels, *shape, generator=random)).to(adapter.device)


def _is_fixed(adapter: Adapter) -> bool:
    """Return whether the network takes a fixed number of samples."""
    return bool(getattr(adapter, "fixed", False))


def _stages(recipe: Recipe) -> list[tuple[int, int]]:
    """Return (windows in the loop, steps) of each stage."""
    total = max(8, recipe.steps // STEPS)
    return [(windows, max(2, round(share * total))) for windows, share in STAGES]


class _Ascent:
    """One icon while it is made: a loop of (channel, frequency, real and imaginary part)."""

    def __init__(self, adapter: Adapter, objective: Objective, recipe: Recipe, runner: Runner):
        self.objective, self.recipe, self.runner = objective, recipe, runner
        self.known: ModelDescription = adapter.description
        self.random = torch.Generator().manual_seed(seed_of(recipe, objective))
        self.example, self.fixed = _example(adapter), _is_fixed(adapter)
        self.shape = self.example.shape[2], self.example.shape[3]
        self.window = math.prod(self.shape)
        activation = runner(self.example)
        axis = channel_axis(adapter, objective.layer)
        self.response = Response(tuple(activation.shape[1:]), axis, 1, objective, activation.device)
        self.response.put(0, objective)
        self.coefficients = torch.empty(0)
        self.failed = ""

    def run(self, report: Callable[[int], None]) -> None:
        """Take all steps; ``report`` how many are done after each."""
        done, before = 0, torch.empty(0)
        for windows, count in _stages(self.recipe):
            length = self.window * (1 if self.fixed else windows)
            scale = prior(length, self.known.rate)
            self.coefficients = self._lengthened(before, scale, length)
            for _ in range(count):
                self._step(scale, length)
                report(done := done + 1)
            before = self.coefficients * scale[:, None]

    def _lengthened(self, before: Tensor, scale: Tensor, length: int) -> Tensor:
        """Return the coefficients of a longer loop that sounds as a shorter one does; of the first one, noise."""
        shape = (self.known.channels, length // 2 + 1, 2)
        if not before.numel():
            noise = torch.randn(shape, generator=self.random)
            return FIRST * noise / noise.norm()
        whole = torch.zeros(shape)
        apart = (shape[1] - 1) // (before.shape[1] - 1)
        whole[:, ::apart] = before
        return torch.where(scale[:, None] > 0, whole / scale.clamp_min(1e-9)[:, None], 0.0)

    def _step(self, scale: Tensor, length: int) -> None:
        coefficients = self.coefficients.detach().requires_grad_()
        sound = loop(coefficients * scale[:, None], length)
        start = int(torch.randint(0, length, (1,), generator=self.random))
        gain = GAINS[0] * (GAINS[1] / GAINS[0]) ** float(torch.rand(1, generator=self.random))
        noise = torch.randn(self.known.channels, self.window, generator=self.random)
        piece = gain * (torch.roll(sound, -start, 1)[:, : self.window] + NOISE * LOUD * noise)
        value = self._value(piece)
        (gradient,) = self.runner.backward(-value.sum(), [coefficients])
        size = float(gradient.norm())
        if not math.isfinite(size):
            self.failed = NOT_FINITE
        elif size:
            self.failed = ""
            self.coefficients = coefficients.detach() - RATE * gradient / size
        else:
            self.failed = self.failed or NO_GRADIENT

    def _value(self, piece: Tensor) -> Tensor:
        """Return what is maximized at a piece (channel, time): of independent probabilities their log-odds, which
        have a gradient where the network is sure that it does not hear a class."""
        framed = piece.reshape(len(piece), self.shape[1], self.shape[0]).transpose(1, 2)
        activation = self.runner(framed[None].to(self.example))
        if self.objective.layer == OUTPUT and self.known.scores == "independent":
            odds = activation.clamp(1e-30, 1 - 1e-6)
            activation = torch.log(odds) - torch.log1p(-odds)
        return self.response.surrogate(activation)

    def icon(self) -> Icon:
        """Return the finished icon: its loop, repeated to `HEARD` seconds, and its spectrogram."""
        length = 2 * (self.coefficients.shape[1] - 1)
        samples = loop(self.coefficients * prior(length, self.known.rate)[:, None], length).detach()
        objective = self._measured(samples)
        times = 1 if self.fixed else max(1, round(HEARD * self.known.rate / length))
        heard = samples.repeat(1, times)[:, : round(MOST * self.known.rate)].numpy()
        side, rate = self.recipe.size, self.known.rate
        picture = spectrogram(heard, rate, wide=side, deep=side, range=SHOWN)
        if self.failed:
            return Icon.grey(picture, self.failed, objective)
        return Icon(picture, objective, sound=(rate, sixteen_bits(normalized(faded(heard, rate)))))

    def _measured(self, samples: Tensor) -> float:
        """Return the mean of the objective, in the layer's own units, over the pieces of the loop."""
        values = []
        with torch.no_grad():
            for start in range(0, samples.shape[1] - self.window + 1, self.window):
                piece = samples[:, start : start + self.window]
                framed = piece.reshape(len(piece), self.shape[1], self.shape[0]).transpose(1, 2)
                values.append(float(self.response.measured(self.runner(framed[None].to(self.example)))[0]))
        return float(np.mean(values))


def piece_of(known: ModelDescription, fixed: bool) -> tuple[int, int]:
    """Return the (y, frame) of what the network hears in a step: one window, all samples where their number is fixed,
    or a quarter of a second."""
    if known.window:
        return known.window, 1
    hop, frames = known.input_size
    return (hop, frames) if fixed else (hop, max(1, min(frames, round(PIECE * known.rate / hop))))


def prior(length: int, rate: int) -> Tensor:
    """Return the scale of each coefficient of a loop of ``length`` samples, (frequency,)."""
    hertz = torch.arange(length // 2 + 1) * rate / length
    scale = (FLAT / hertz.clamp_min(FLAT)) ** DECAY * (hertz >= LOWEST)
    return scale / scale.square().mean().sqrt()


def loop(spectrum: Tensor, length: int) -> Tensor:
    """Return the samples (channel, time) of a spectrum (channel, frequency, 2), as loud as `LOUD`."""
    samples = torch.fft.irfft(torch.view_as_complex(spectrum.contiguous()), n=length)
    return LOUD * samples / samples.square().mean().sqrt().clamp_min(1e-12)


def faded(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return (channel, time) without a click at its ends."""
    time = np.arange(samples.shape[1]) / rate
    return samples * np.clip(np.minimum(time, time[::-1]) / 0.01, 0, 1)
