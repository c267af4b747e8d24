"""RISE against a plain loop over the same masks, in float64; masks do not depend on how they are chunked."""

from __future__ import annotations

import numpy as np
import pytest
import slow
import tiny
import torch
from slow import close, last
from test_occlusion import baseline, value

from bbilang.compiler.contract import bound
from bbilang.registry import registry

METHOD = "rise(n_masks={}, cells={}, p={}, baselines={})"


def masks(count: int, cells: int, p: float, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Return (mask, y, x), one at a time: a random grid, enlarged by linear interpolation between the centres of its
    cells, cropped at a random offset."""
    drawn = []
    for number in range(count):
        random = np.random.Generator(np.random.Philox(key=[seed, number]))
        grid = (random.random((cells, cells)) < p).astype(float)
        for axis, side in enumerate(size):
            cell = -(-side // cells)
            length = (cells + 1) * cell
            centres = (np.arange(length) + 0.5) * cells / length - 0.5
            at = np.clip(centres, 0, cells - 1)
            grid = np.moveaxis(grid, axis, 0)
            low = np.minimum(np.floor(at).astype(int), cells - 1)
            high = np.minimum(low + 1, cells - 1)
            share = (at - low).reshape(-1, *[1] * (grid.ndim - 1))
            grid = np.moveaxis((1 - share) * grid[low] + share * grid[high], 0, axis)
        y, x = (int(random.integers(-(-side // cells))) for side in size)
        drawn.append(grid[y : y + size[0], x : x + size[1]])
    return np.stack(drawn)


def by_hand(model, layer, count, cells, p, word, to, inputs=1, center=False) -> np.ndarray:
    images = tiny.images(inputs)
    start, own = (slow.values(model, x)[0][layer].detach() for x in (baseline(word, images), images))
    size = tuple(own.shape[2:])
    total, every, scores = np.zeros((inputs, *size)), masks(count, cells, p, size), np.zeros(inputs)
    for mask in every:
        keep = torch.tensor(mask)
        for number in range(inputs):
            image = images[number : number + 1]
            at = keep * own[number : number + 1] + (1 - keep) * start[number : number + 1]
            score = value(*slow.values(model, image, {layer: at}), 0, to).item()
            scores[number] += score / count
            total[number] += score * mask
    if center:
        total -= scores[:, None, None] * every.sum(0)
    return total / count / p


@pytest.mark.parametrize("layer", ["b", "input"])
def test_centered(layer):
    """The mean over masks of (score - mean score) x mask / p."""
    head = "input.pixel" if layer == "input" else f"{layer}.spatial"
    text = f"{head} | attribute(output[2], method=rise(n_masks=30, cells=4, center=true)) | present(heatmap)"
    results = slow.run(text, "residual", 2)
    want = by_hand("residual", layer, 30, 4, 0.5, "mean", ("class", 2), 2, center=True)
    close(last(results, "y", "x"), want, 1e-3)
    assert "less that of all" in next(iter(results.fields.values())).notes[0]


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("model, layer, cells, p, word", [
    ("residual", "input", 5, 0.5, "mean"), ("joined", "b", 3, 0.3, "zero"), ("residual", "b", 8, 0.7, "mean"),
])  # fmt: skip
def test_against_a_loop(model, layer, cells, p, word, optimized):
    head = "input.pixel" if layer == "input" else f"{layer}.spatial"
    text = f"{head} | attribute(output[2], method={METHOD.format(40, cells, p, word)}) | present(heatmap)"
    actual = last(slow.run(text, model, 2, optimized=optimized), "y", "x")
    close(actual, by_hand(model, layer, 40, cells, p, word, ("class", 2), 2), 3e-4)


@pytest.mark.parametrize("to, written", [
    (("probability", 2), "output[2, score=probability]"), (("difference", (2, 5)), "output[2] - output[5]"),
    (("channel", 1), "d.channel[1]"),
])  # fmt: skip
def test_targets(to, written):
    text = f"b.spatial | attribute({written}, method={METHOD.format(30, 4, 0.5, 'mean')}) | present(heatmap)"
    close(last(slow.run(text, "residual"), "y", "x"), by_hand("residual", "b", 30, 4, 0.5, "mean", to), 3e-4)


@pytest.mark.parametrize("seed", [0, 3])
def test_masks_are_the_same_in_any_chunk(seed):
    rise, parameters = bound(registry(), ("rise", (("cells", 4),)))
    whole = rise.mask(parameters, 0, 23, (30, 17), seed)
    parts = [rise.mask(parameters, a, b, (30, 17), seed) for a, b in ((0, 1), (1, 9), (9, 20), (20, 23))]
    assert torch.equal(whole, torch.cat(parts))
    close(whole.numpy(), masks(23, 4, 0.5, (30, 17), seed), 1e-5)
    assert 0.4 < float(rise.mask(parameters, 0, 300, (30, 17), seed).mean()) < 0.6


def test_the_files_seed_makes_other_masks():
    text = "set seed {}\ninput.pixel | attribute(output[2], method=rise(n_masks=20, cells=4)) | present(heatmap)"
    first, again, other = (last(slow.run(text.format(seed), "residual"), "y", "x") for seed in (1, 1, 2))
    assert np.array_equal(first, again) and np.abs(first - other).max() > 1e-3


def test_all_classes_cost_one_run():
    """One forward for each mask, and nothing else, for any number of classes."""
    rise = "method=rise(n_masks=24, cells=4)"
    many = f"b.spatial | attribute(output.class, {rise}) | at(pick(output.class)) | present(heatmap)"
    one = f"b.spatial | attribute(output[2], {rise}) | present(heatmap)"
    all_of_them, single = slow.run(many, "residual"), slow.run(one, "residual")
    assert all_of_them.passes.rerun_rows == single.passes.rerun_rows == 24
    assert all_of_them.passes.backwards == 0


def test_rows_that_run_together_stay_in_the_cache(monkeypatch):
    """As many as keep the largest value below `MAX_RESULT_BYTES` bytes, one at the least; the numbers stay the same."""
    from bbilang.runtime.passes import above_values as scores

    sizes, whole = [], scores.at_once
    monkeypatch.setattr(
        scores, "at_once", lambda upper: sizes.append((whole(upper), upper.cost.largest)) or sizes[-1][0]
    )
    score = "output[1, score=probability]"  # of a probability there is no budget, and so no run without the layer
    text = f"input.pixel | attribute({score}, method=rise(n_masks=40)) | present(heatmap)"
    model, maps = tiny.adapter(), []
    for near in (2**25, 5 * 10**4, 1):
        monkeypatch.setattr(scores, "MAX_RESULT_BYTES", near)
        maps.append(tiny.run(text, model=model).fields["element-1"].values.data)
    (most, largest), (few, _), (one, _) = sizes
    assert most == scores.MAX_CHUNK["cpu"] and few == 5 * 10**4 // largest and 1 < few < most and one == 1
    for other in maps[1:]:
        close(other, maps[0])


class Viewed(torch.nn.Module):
    """Calls `view` on what a convolution returns, which fails for channels-last memory."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU())
        self.head = torch.nn.Linear(4 * 12 * 12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
        return self.head(x.view(len(x), -1))


def test_code_that_calls_view_gets_contiguous_rows(monkeypatch):
    """Masked rows run with channels last on a CPU; the first refusal of `view` switches them to contiguous memory."""
    import bbilang

    contiguous, convolve = [], torch.nn.Conv2d._conv_forward
    monkeypatch.setattr(
        torch.nn.Conv2d,
        "_conv_forward",
        lambda self, x, *rest: contiguous.append(len(x) == 1 or x.is_contiguous()) or convolve(self, x, *rest),
    )
    torch.manual_seed(0)
    module = Viewed()
    model = bbilang.adapt(module, input_size=12)
    picture = torch.rand(3, 12, 12)
    text = "input.pixel | attribute(output[1], method=rise(n_masks=8, cells=3)) | present(heatmap)"
    have = bbilang.run(text, model=model, input=picture, cache=False).results.fields["element-1"].values.data
    assert contiguous.count(False) == 1 and contiguous[-1]
    plain = bbilang.run(text, model=model, input=picture, cache=False, optimized=False)
    close(have, plain.results.fields["element-1"].values.data)
