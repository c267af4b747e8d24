"""Icons that are clips: a unit that answers to a tone gets that tone, and those of CREPE's classes have their pitch."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.engine import visualize
from bbilang.runtime.featvis.icon import Objective, Recipe, pack, unpack
from bbilang.runtime.featvis.sound_icons import MOST, loop, prior
from bbilang.runtime.models.zoo.crepe import hertz

RATE = 16_000
BENCH = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "crepe_icons.py"))
TONES = (300.0, 700.0, 1500.0)  # what the channels of the planted network answer to


class Tuned(nn.Module):
    """Each channel is the envelope of one frequency: the root of the squares of a sine's and a cosine's filter."""

    def __init__(self):
        super().__init__()
        time = torch.arange(400) / RATE
        waves = [torch.stack([torch.sin(w), torch.cos(w)]) for w in (2 * math.pi * f * time for f in TONES)]
        self.filters = nn.Conv1d(1, 2 * len(TONES), 400, stride=80, bias=False)
        self.filters.weight = nn.Parameter(torch.cat(waves)[:, None] * torch.hann_window(400) / 100)
        self.envelope = Envelope()
        self.shut = Shut()

    def forward(self, sound):
        return self.shut(self.envelope(self.filters(sound)))


class Envelope(nn.Module):
    def forward(self, x):
        return (x.unflatten(1, (-1, 2)).square().sum(2) + 1e-9).sqrt()


class Shut(nn.Module):
    """A channel more, which answers to nothing."""

    def forward(self, x):
        return torch.cat([x, 0.0 * x[:, :1]], 1)


@pytest.fixture(scope="module")
def tuned():
    return bbilang.adapt_audio(Tuned().eval(), RATE, hop=100)


def strongest(samples: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(samples[0] * np.hanning(samples.shape[1])))
    return float(power.argmax() * RATE / samples.shape[1])


def icons_of(adapter, objectives: list[Objective], steps: int, cache: Cache | None = None):
    return visualize(adapter, objectives, Recipe(steps=steps, size=64), cache)


def test_a_unit_that_answers_to_a_tone_gets_that_tone(tuned):
    icons = icons_of(tuned, [Objective("envelope", channel) for channel in range(3)], 128)
    for tone, icon in zip(TONES, icons, strict=True):
        rate, samples = icon.sound
        assert rate == RATE and samples.dtype == np.int16 and 0.9 < samples.shape[1] / rate <= MOST
        assert abs(1200 * math.log2(strongest(samples) / tone)) < 50
        assert icon.picture.shape == (64, 64, 3) and not icon.dead
    noise = torch.randn(1, 1, 100, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        heard = tuned.module.model.envelope(tuned.module.model.filters(0.1 * noise.transpose(2, 3).flatten(2)))
    assert all(icon.objective > 3 * float(heard[0, channel].mean()) for channel, icon in enumerate(icons))


def test_an_icon_does_not_depend_on_the_others(tuned, tmp_path):
    first, second = Objective("envelope", 0), Objective("envelope", 1)
    alone, both = icons_of(tuned, [second], 32)[0], icons_of(tuned, [first, second], 32)[1]
    assert (alone.sound[1] == both.sound[1]).all() and alone.objective == both.objective
    cache = Cache(tmp_path / "cache")
    made = icons_of(tuned, [second], 32, cache)[0]
    counter = passes.Passes()
    recalled = visualize(tuned, [second], Recipe(steps=32, size=64), cache, counter=counter)[0]
    assert counter.forwards == 0 and counter.cached_icons == 1
    assert (recalled.sound[1] == made.sound[1]).all() and (recalled.picture == made.picture).all()
    assert (unpack(*pack(made)).sound[1] == made.sound[1]).all()


def test_the_other_end_of_a_direction_is_another_sound(tuned):
    low, high = icons_of(tuned, [Objective("envelope", 1, negative=sign) for sign in (True, False)], 64)
    assert low.objective > -0.5 * high.objective and high.objective > 0  # the objective of a negative is minus it


def test_a_unit_that_answers_to_nothing_is_silent(tuned):
    icon = icons_of(tuned, [Objective("shut", 3)], 32)[0]
    assert icon.dead and icon.sound is None and (icon.picture == 128).all() and "no gradient" in icon.reason


def test_a_loop_repeats_without_a_seam_and_falls_with_frequency():
    scale = prior(1024, RATE)
    assert scale[0] == 0 and scale[2] == 0 and (np.diff(scale[8:].numpy()) < 0).all()
    spectrum = torch.randn(1, 513, 2, generator=torch.Generator().manual_seed(0))
    once = loop(spectrum * scale[:, None], 1024)
    wide = torch.zeros(1, 1025, 2)
    wide[:, ::2] = spectrum * scale[:, None]
    assert torch.allclose(loop(wide, 2048), once.repeat(1, 2), atol=1e-6)


@pytest.mark.slow
def test_classes_of_crepe_get_their_pitch(crepe):
    """24 classes from 66 to 1,960 Hz, with half of the usual steps. An octave error is one of the estimate: a tone
    without its fundamental has the pitch of its harmonics."""
    classes = [round(number) for number in np.linspace(63, 357, 24)]
    icons = icons_of(crepe, [Objective("output", number) for number in classes], 256)
    cents = [
        1200 * math.log2(BENCH["fundamental"](i.sound[1][0]) / hertz(k)) for k, i in zip(classes, icons, strict=True)
    ]
    within = [abs((error + 600) % 1200 - 600) <= 50 for error in cents]
    assert sum(within) >= 15, [round(error) for error in cents]
    assert sum(icon.objective > 0.3 for icon in icons) >= 18  # saliences, of which silence has 0.01


def test_a_page_of_clips(tuned):
    text = "envelope.channel | activation | top(2) | present(featvis)"
    sound = (0.3 * np.sin(2 * np.pi * 700 * np.arange(4000) / RATE)).astype(np.float32)
    page = bbilang.run(text, model=tuned, input=sound, settings={"featvis.steps": 32}, cache=False)
    heard = [picture for picture in page.view.pictures if picture.sound is not None]
    assert len(heard) == 2 and all("a sound that excites it" in it.alt and "Hz" in it.alt for it in heard)
    html = page.html()
    assert html.count("data:audio/") == 2 and 'data-sounds="element-1"' in html and "a loop" in html


@pytest.mark.parametrize("options", ["search=4", "diversity=2", "start=input", "l2_decay=0.1"])
def test_options_of_pictures_are_refused(tuned, options):
    text = f"envelope.channel | activation | top(1) | present(featvis, {options})"
    with pytest.raises(BbiError, match="E371"):
        bbilang.run(text, model=tuned, input=np.ones(1600, np.float32) / 2, cache=False)


@pytest.mark.browser
def test_each_clip_has_a_button(tuned, chromium, tmp_path):
    text = "envelope.channel | activation | top(3) | present(featvis)"
    sound = (0.3 * np.sin(2 * np.pi * 700 * np.arange(4000) / RATE)).astype(np.float32)
    page = bbilang.run(text, model=tuned, input=sound, settings={"featvis.steps": 16}, cache=False)
    path = tmp_path / "page.html"
    path.write_text(page.html(), encoding="utf-8")
    tab = chromium.new_page(viewport={"width": 900, "height": 700})
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    buttons = tab.locator(".play")
    assert buttons.count() == 3 and tab.locator(".player input").count() == 0
    assert all(label.startswith("channel ") for label in buttons.all_inner_texts())
    buttons.nth(0).click()
    tab.wait_for_function("() => document.querySelectorAll('.play.on').length === 1")
    buttons.nth(2).click()  # one sound at a time
    on = "[...document.querySelectorAll('.play')].map(it => it.classList.contains('on')).join()"
    tab.wait_for_function(f"() => {on} === 'false,false,true'")
    tab.wait_for_function("() => document.querySelectorAll('.play.on').length === 0")  # a second later
    tab.close()
