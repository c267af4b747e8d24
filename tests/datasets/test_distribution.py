"""`distribution(photos)`: histograms over positions, against NumPy; kept in shards, the same after a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import bbilang
from bbilang.grammar.source import Source
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.scan.histogram import BINS, LEAST, MOST, ZERO, bins_of, histogram, words_of

COUNT = 9
TEXT = 'dataset photos = "photos/"\ndataset bees = photos | filter(label == "bee")\n'
PIPE = "b.channel | activation | distribution({}) | present(matrix)"


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture
def folder(tmp_path) -> Path:
    random = np.random.default_rng(3)
    for number in range(COUNT):
        own = tmp_path / "photos" / ("ant", "bee")[number % 2]
        own.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(own / f"{number:02}.png")
    return tmp_path


def shares(folder: Path, network, name: str, **options):
    source = Source(TEXT + PIPE.format(name), str(folder / "page.bbi"))
    made = bbilang.run(source, model=network, **{"cache": False, **options})
    (field,) = made.results.fields.values()
    return field.values, field.names["range"].data.tolist(), made


def raw(folder: Path, network, pattern: str) -> np.ndarray:
    """Activations (example, channel, position) of `b`, one picture at a time."""
    images = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None] / 255
              for path in sorted((folder / "photos").glob(pattern))]  # fmt: skip
    with torch.no_grad():
        every = [network.module.b(network.module.a(network.preprocess.normalize(image))) for image in images]
    return torch.cat(every).flatten(2).numpy()


def slow_bin(value: float) -> int:
    if value == 0:
        return ZERO
    exponent = next((e for e in range(LEAST, MOST) if abs(value) < 2.0 ** (e + 1)), MOST)
    return ZERO + (exponent - LEAST + 1) * (1 if value > 0 else -1)


def test_bins_are_those_of_the_definition():
    values = np.array([0, -0.0, 1, 0.999, 2, -1, -3, 1e-9, 1e9, -1e9, 2.0**LEAST, 2.0**-7.5, 127.9, 128], np.float32)
    assert bins_of(values).tolist() == [slow_bin(float(value)) for value in values]
    assert words_of(ZERO) == "zero" and words_of(int(bins_of(np.array([3.0]))[0])) == "2 to 4"
    assert words_of(int(bins_of(np.array([-3.0]))[0])) == "\u22124 to \u22122" and words_of(BINS - 1) == "128 or more"


def test_an_example_with_a_number_that_is_not_finite_is_marked():
    values = torch.ones(3, 2, 5)
    values[1, 0, 2] = torch.nan
    made = histogram(values)
    assert made["counts"].dtype == np.uint8 and np.isnan(made["finite"]).tolist() == [False, True, False]
    assert histogram(torch.ones(1, 1, 300))["counts"].dtype == np.uint16


@pytest.mark.parametrize(("name", "pattern"), [("photos", "*/*.png"), ("bees", "bee/*.png")])
def test_shares_are_those_of_all_positions(folder, network, name, pattern):
    values, words, made = shares(folder, network, name)
    activation = raw(folder, network, pattern)
    expected = np.zeros((activation.shape[1], BINS))
    for channel in range(activation.shape[1]):
        for value in activation[:, channel].ravel().tolist():
            expected[channel, slow_bin(value)] += 1
    expected /= activation.shape[0] * activation.shape[2]
    there = np.flatnonzero(expected.any(0))
    own = slice(min(there[0], ZERO), max(there[-1], ZERO) + 1)
    assert words == [words_of(number) for number in range(BINS)[own]]
    got = values.ordered(("channel", "range")).data
    one = 2 / (activation.shape[0] * activation.shape[2])  # a value at the edge of a bin may round into the next one
    assert np.abs(got - expected[:, own]).max() <= one and np.allclose(got.sum(1), 1, atol=1e-6)
    (element,) = made.view.interfaces[0].elements
    assert any(f"{len(activation)} examples" in note for note in element.legend.notes)


def test_a_histogram_counts_the_bin_of_each_value(monkeypatch):
    monkeypatch.setattr("bbilang.runtime.scan.histogram.CHUNK", 70)  # several channels at a time, and not all
    draw = np.random.default_rng(0)
    values = (draw.normal(size=(3, 5, 4, 6)) * 10.0 ** draw.integers(-45, 6, (3, 5, 4, 6))).astype(np.float32)
    values[draw.random(values.shape) < 0.3] = 0
    values[0, 0, 0, :3] = -0.0, 1e-45, -1e-44
    values[2, 4, 3, 5] = np.inf
    kept = histogram(torch.from_numpy(values))
    for example in range(3):
        for channel in range(5):
            bins = bins_of(values[example, channel].ravel())
            assert kept["counts"][example, channel].tolist() == [int((bins == number).sum()) for number in range(BINS)]
    assert kept["finite"].tolist()[:2] == [1, 1] and np.isnan(kept["finite"][2])


def test_another_question_of_a_kept_histogram_needs_no_network(folder, network, tmp_path, monkeypatch):
    from bbilang.runtime.execution.scanning import ScanWork

    cache = tmp_path / "cache"
    first, every, _ = shares(folder, network, "photos", cache=cache)
    monkeypatch.setattr(ScanWork, "batch", None)  # any batch would fail
    one = f"{TEXT}b.channel[2] | activation | distribution(photos) | present(matrix)"
    made = bbilang.run(Source(one, str(folder / "page.bbi")), model=network, cache=cache)
    (field,) = made.results.fields.values()
    assert made.results.scanned == 0 and made.results.recalled == COUNT
    own = field.values.ordered(("channel", "range")).data[0]
    words = field.names["range"].data.tolist()
    expected = first.ordered(("channel", "range")).data[2][[every.index(word) for word in words]]
    assert own.tobytes() == expected.tobytes() and own.sum() == pytest.approx(1)


def test_the_same_scan_gives_the_same_bytes(folder, network, tmp_path):
    first, second = (shares(folder, network, "photos", cache=tmp_path / name)[0] for name in ("one", "two"))
    assert first.data.tobytes() == second.data.tobytes()


def test_what_has_no_positions_to_count_is_refused(folder, network):
    for pipe, code in (
        ("b.spatial | activation | distribution(photos)", "E238"),
        ("b.channel | activation | across(photos) | distribution(photos)", "E231"),
    ):
        with pytest.raises(bbilang.BbiError) as raised:
            bbilang.run(Source(f"{TEXT}{pipe} | present(matrix)", str(folder / "page.bbi")), model=network, cache=False)
        assert code in [d.code for d in raised.value.diagnostics]
