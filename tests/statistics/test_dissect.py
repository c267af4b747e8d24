"""Network Dissection: thresholds against NumPy, overlaps against loops, what is undefined, a planted detector."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bbilang.runtime.statistics.dissect import OverlapSearch, Thresholds, ThresholdSearch, rotation, upsample


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.9, 0.995, 1.0])
@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_thresholds_against_numpy(quantile, chunk):
    source = np.random.default_rng(chunk)
    maps = np.maximum(source.normal(size=(40, 5, 6, 7)), -0.2).astype(np.float32)
    maps[source.random(maps.shape) < 0.02] = np.nan
    search = ThresholdSearch(5, 40 * 42, quantile)
    for start in range(0, 40, chunk):
        search.add(maps[start : start + chunk])
    result = search.result()
    flat = np.moveaxis(maps, 1, 0).reshape(5, -1).astype(np.float64)
    np.testing.assert_allclose(result.values, np.nanquantile(flat, quantile, axis=1), rtol=1e-7)
    assert result.left_out.tolist() == np.isnan(flat).sum(1).tolist()


def test_more_positions_than_said():
    with pytest.raises(ValueError, match="more than 5"):
        ThresholdSearch(1, 5).add(np.zeros((6, 1, 1, 1)))


def test_saturated_and_dead_channels_are_undefined():
    maps = np.zeros((1, 3, 10, 10), np.float32)
    maps[0, 0] = np.linspace(0, 5, 100).reshape(10, 10)
    maps[0, 1].flat[:3] = 6  # more than 0.5 % of the positions are at the ceiling
    search = ThresholdSearch(3, 100)
    search.add(maps)
    found = search.result()
    assert found.saturated.tolist() == [False, True, True]
    assert [found.reason(c) for c in range(3)] == [
        "", "its threshold is its largest value, 6: nothing is above", "zero at every position scanned",
    ]  # fmt: skip
    overlap = OverlapSearch(found, 1)
    overlap.add(maps[0], np.ones((1, 20, 20), bool))
    assert np.isnan(overlap.result().iou[:, 0]).tolist() == [False, True, True]
    assert overlap.result().detectors().tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("small", "large"), [((7, 7), (56, 56)), ((5, 3), (17, 31)), ((1, 4), (6, 8)), ((6, 6), (6, 6))]
)
def test_upsampling_is_that_of_torch(small, large):
    maps = np.random.default_rng(0).normal(size=(3, *small)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(torch.tensor(maps)[None], large, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(upsample(maps, *large), theirs[0].numpy(), atol=1e-6)


def test_overlap_against_loops():
    source = np.random.default_rng(1)
    maps, thresholds = source.normal(size=(6, 4, 5, 5)).astype(np.float32), np.array([0.1, 0.5, 1.0, -0.3])
    segments = source.random((6, 3, 20, 15)) < 0.3
    segments[2, 1] = False
    known = source.random((6, 3)) < 0.7
    given = Thresholds(thresholds, np.zeros(4, bool), np.ones(4, int), np.zeros(4, int))
    search = OverlapSearch(given, 3)
    for picture in range(6):
        search.add(maps[picture], segments[picture], known[picture])
    result = search.result()
    for channel in range(4):
        for segment in range(3):
            both = either = 0
            for picture in range(6):
                if known[picture, segment]:
                    active = upsample(maps[picture, [channel]], 20, 15)[0] > thresholds[channel]
                    both += (active & segments[picture, segment]).sum()
                    either += (active | segments[picture, segment]).sum()
            assert result.iou[channel, segment] == pytest.approx(both / either)
    assert result.pictures.tolist() == (known & segments.any((2, 3))).sum(0).tolist()


def test_planted_detectors_are_found_and_a_rotation_loses_them():
    """Six channels, each for one of six kinds of segments. In a rotated layer every direction mixes them."""
    source = np.random.default_rng(0)
    count, kinds, size = 60, 6, 14
    segments = np.zeros((count, kinds, size, size), bool)
    for picture in range(count):
        for segment in range(kinds):
            y, x = source.integers(0, size - 4, 2)
            segments[picture, segment, y : y + 4, x : x + 4] = True
    order = [3, 0, 5, 1, 4, 2]
    maps = np.abs(source.normal(size=(count, kinds, size, size))).astype(np.float32) + 5 * segments[:, order]
    turned = np.einsum("dc,ncyx->ndyx", rotation(kinds, 1), maps)
    best = {}
    for name, layer in (("own", maps), ("turned", turned)):
        search = ThresholdSearch(kinds, count // 2 * size * size, 0.92)  # a segment covers 8 %
        search.add(layer[::2])
        overlap = OverlapSearch(search.result(), kinds)
        for picture in range(1, count, 2):
            overlap.add(layer[picture], segments[picture])
        best[name] = overlap.result()
    assert best["own"].detectors(0.8).tolist() == order
    assert (best["turned"].iou.max(1) < best["own"].iou.max(1) - 0.2).sum() >= 5


def test_a_rotation_keeps_lengths():
    q = rotation(9, 3)
    np.testing.assert_allclose(q @ q.T, np.eye(9), atol=1e-6)
    assert np.linalg.det(q) == pytest.approx(1, abs=1e-5) and not np.allclose(q, rotation(9, 4))
