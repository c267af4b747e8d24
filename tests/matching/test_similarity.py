"""`similarity` in a text: numbers against hooks by hand, random weights, what is undefined, the cell on the page."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from permuted import permuted
from safetensors.torch import save_file

import bbilang
from bbilang.compiler.check.statements.checkpoints import SAMPLES
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.matching.similarity import MEASURES, Answers, batches
from bbilang.runtime.models.loading import load
from bbilang.runtime.ops.comparing.untrained import randomized
from bbilang.runtime.view.answers.alike import same_depth
from bbilang.runtime.view.answers.pieces import plain

START = 'model "sample:marks"\ndataset photos = "sample:marks" | sample(40)\nlayers = [first, second, third]\n'
MATRIX = " | present(matrix)"


def table(page, element="element-1"):
    return page.results.fields[element].values.data


@pytest.fixture(scope="module")
def answers():
    """Return what each layer answers to the 40 pictures, by hooks: trained, and with random weights; (example, channel,
    y, x)."""
    page = bbilang.run(f"{START}photos | present(image)", cache=False)
    rows = page.results.fields["element-1"].coords["example"].data
    from bbilang.compiler.ir.program import walk
    from bbilang.runtime.execution.shared import Files

    node = next(n for n in walk(page.results.program.elements[0].node) if n.op == "dataset")
    dataset, adapter = Files().dataset(node, None), load("sample:marks")
    pictures = [adapter.preprocess.display(dataset.picture(int(row))) for row in rows]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    made = []
    for network in (adapter, randomized(adapter, 0)):
        kept: dict[str, torch.Tensor] = {}
        hooks = [network.module.get_submodule(layer.module).register_forward_hook(partial(_keep, kept, layer.name))
                 for layer in adapter.description.layers if layer.name in ("first", "second", "third")]  # fmt: skip
        with torch.no_grad():
            network.module((images - 0.5) / 1.0)
        for hook in hooks:
            hook.remove()
        made.append([kept[name].numpy().astype(np.float64) for name in ("first", "second", "third")])
    return made


def _keep(kept, name, module, arguments, result):
    kept[name] = result


@pytest.mark.parametrize("by", MEASURES)
@pytest.mark.parametrize("positions", ["mean", "each"])
def test_numbers_equal_hooks_by_hand(answers, by, positions):
    text = f"{START}layers | similarity(layers, source=photos, by={by}, positions={positions}, batch=16){MATRIX}"
    page = bbilang.run(text, cache=False)
    parts = batches(40, 16, 0)
    for own, found in zip(answers, (table(page), page.data("element-1").tables["random"][1]), strict=True):
        flat = [x.mean((2, 3)) if positions == "mean" else x.reshape(40, -1) for x in own]
        expected = MEASURES[by](*2 * [[Answers(x) for x in flat]], parts)
        assert np.abs(found - expected).max() < 1e-5
        assert np.abs(found.diagonal() - 1).max() < 1e-5 and np.abs(found - found.T).max() < 1e-5
    notes = " ".join(page.results.fields["element-1"].notes)
    assert "40 examples" in notes and "seed 0" in notes and ("means" in notes) == (positions == "mean")


def test_a_permuted_copy_is_the_same_layer_by_layer(tmp_path):
    made = permuted(load("sample:marks"), seed=3)
    path = tmp_path / "copy.safetensors"
    save_file({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in made.state.items()}, path)
    start = START.replace("model ", "model a = ") + f'model b = "sample:marks" from "{path}"\n'
    text = start + f"layers | similarity(b:layers, source=photos){MATRIX}"
    page = bbilang.run(text, cache=False)
    field = page.results.fields["element-1"]
    assert field.values.data.diagonal().min() > 0.8, "channels are rescaled apart, so it is not quite 1"
    assert field.names["to.layer"].data.tolist() == ["b:first", "b:second", "b:third"]
    assert "seeds 0 and 1" in " ".join(field.notes)
    assert (
        page.view.interfaces[0].elements[0].title
        == "a: How alike layers first to third are to b: layers first to third"
    )


def test_one_scan_runs_both_networks_and_shards_are_used_again(tmp_path):
    from bbilang.runtime.cache.disk import Cache

    text, cache = f"{START}layers | similarity(layers, source=photos){MATRIX}", Cache(tmp_path)
    (step, _) = bbilang.explain(text).after.steps
    assert step.words.endswith("1 forward, 1 forward of the network with random weights each") and step.passes == 80
    first = bbilang.run(text, cache=cache)
    assert first.results.scanned == 40
    again = bbilang.run(text + "\nlayers | similarity(third, source=photos) | present(bars)", cache=cache)
    assert again.results.scanned == 0, "both come from the shards"
    assert np.array_equal(table(again), table(first))
    assert np.allclose(table(again, "element-2"), table(first)[:, 2])
    written = Pipeline(Request(Source(text, "page.bbi"), optimized=False)).results.fields["element-1"].values.data
    assert np.abs(written - table(first)).max() < 1e-5


def test_means_that_take_too_much_memory_are_refused_before_anything_runs(monkeypatch):
    from bbilang.runtime.ops.comparing import similarity

    channels = 2 * (8 + 12 + 16)
    size = 4 * channels * 2 * 40  # both lists, trained and random, 40 examples
    text = f"{START}layers | similarity(layers, source=photos){MATRIX}"
    monkeypatch.setattr(similarity, "MOST_BYTES", size - 1)
    with pytest.raises(BbiError) as caught:
        bbilang.check(bbilang.parse(text))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E348" and f"{channels} channels over 40 examples" in diagnostic.message
    assert "sample(39)" in diagnostic.help
    monkeypatch.setattr(similarity, "MOST_BYTES", size)
    bbilang.check(bbilang.parse(text))


def test_an_interrupted_comparison_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Shards of 256 examples are kept, of the trained network and of the random one; the result is the same."""
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.execution.scanning import ScanWork

    text = START.replace("sample(40)", "sample(600)") + f"layers | similarity(third, source=photos){MATRIX}"
    text = text.replace(MATRIX, " | present(bars)")
    whole = table(bbilang.run(text, cache=Cache(tmp_path / "whole")))
    seen, usual = 0, ScanWork.batch

    def batch(self, images, *given):
        nonlocal seen
        if seen + len(images) > 400:
            raise KeyboardInterrupt
        seen += len(images)
        return usual(self, images, *given)

    cache = Cache(tmp_path / "again")
    monkeypatch.setattr(ScanWork, "batch", batch)
    with pytest.raises(KeyboardInterrupt):
        bbilang.run(text, cache=cache)
    assert 256 <= seen <= 400
    monkeypatch.setattr(ScanWork, "batch", usual)
    page = bbilang.run(text, cache=cache)
    assert page.results.scanned == 600 - 256 and np.array_equal(table(page), whole)


def test_a_constant_layer_is_empty_and_said():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.ReLU(), torch.nn.Conv2d(5, 4, 3), torch.nn.ReLU(),
                              torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 3))  # fmt: skip
    with torch.no_grad():
        net[2].weight.zero_()
        net[2].bias.fill_(0.5)
    text = 'dataset photos = "sample:marks" | sample(12)\nlayers = ["0", "1", "3"]\n' \
        f"layers | similarity(layers, source=photos){MATRIX}"  # fmt: skip
    page = bbilang.run(text, model=bbilang.adapt(net.eval(), input_size=(24, 24)), cache=False)
    assert np.isnan(table(page)[2]).all() and np.isfinite(table(page)[:2, :2]).all()
    assert "has no similarity" in " ".join(page.results.fields["element-1"].notes)


def test_too_few_and_too_many_examples():
    with pytest.raises(BbiError, match=r"E573.*there are 3"):
        bbilang.run(START.replace("40", "3") + f"layers | similarity(layers, source=photos){MATRIX}", cache=False)
    many = {"photos": np.zeros((4100, 8, 8, 3), np.uint8)}
    text = f'model "sample:marks"\nlayers = [first, second]\nlayers | similarity(layers, source=photos, by=rsa){MATRIX}'
    with pytest.raises(BbiError, match=r"E348.*4,096 examples at most, and these are 4,100"):
        bbilang.run(text, data=many, cache=False)


def test_the_sentence_says_what_is_alike_and_what_random_weights_give():
    page = bbilang.run(f"{START}layers | similarity(layers, source=photos){MATRIX}", cache=False)
    element = page.view.interfaces[0].elements[0]
    said = plain(element.answers[0])
    values, random = table(page).copy(), page.data("element-1").tables["random"][1].copy()
    for one in (values, random):
        np.fill_diagonal(one, np.nan)
    assert f"({np.nanmax(values):.2f})" in said and f"is {np.nanmean(values):.2f}, and {np.nanmean(random):.2f}" in said
    assert ("needs no training" in said) == (np.nanmean(random) >= np.nanmean(values))
    assert element.legend.domain == (0, 1)


def test_checkpoints_are_compared_each_by_itself():
    """The row of checkpoints has the numbers of texts of one checkpoint each, and a sentence of the first and last."""
    epochs = ("epoch_0", "epoch_1", "epoch_2", "epoch_4", "epoch_8", "epoch_30")
    rest = START.replace('model "sample:marks"\n', "") + "one:layers | similarity(last:layers, source=photos)" + MATRIX
    head = 'model one = "sample:marks" from "{}", last = "sample:marks"\n'
    page = bbilang.run(head.format("sample:marks") + rest, cache=False)
    data = page.data("element-1")
    random = data.tables["random"][1]
    assert data.values.shape == random.shape == (6, 3, 3) and data.axes[0] == "model"
    for number in (0, 3):
        file = SAMPLES / "marks" / f"{epochs[number]}.safetensors"
        alone = bbilang.run(head.format(file.as_posix()) + rest, cache=False).data("element-1")
        np.testing.assert_allclose(data.values[number], alone.values, atol=1e-6)
        np.testing.assert_allclose(random[number], alone.tables["random"][1], atol=1e-6)
    (element,) = page.view.interfaces[0].elements
    assert [panel.label for panel in element.panels] == list(epochs)
    ends = [f"{np.diagonal(table[number]).mean():.2f}" for table in (data.values, random) for number in (0, 5)]
    assert plain(element.answers[0]) == (
        f"The mean likeness to the same layers of last rises from {ends[0]} in epoch_0 to {ends[1]} in epoch_30; "
        f"with random weights it is {ends[2]} and {ends[3]}."
    )
    assert element.options["asides"][3][1][2] == f"{random[3, 1, 2]:.2f} with random weights"


@pytest.mark.parametrize(
    ("other", "words"), [("layers", "of different layers"), ("last:third", "of all pairs with last")]
)
def test_what_a_row_of_checkpoints_says(other, words):
    head = 'model runs = "sample:marks" from "sample:marks", last = "sample:marks"\n'
    text = START.replace('model "sample:marks"\n', head) + f"layers | similarity({other}, source=photos, random=false)"
    style = "matrix" if other == "layers" else "bars"
    page = bbilang.run(f"{text} | present({style})", cache=False)
    (element,) = page.view.interfaces[0].elements
    assert plain(element.answers[0]).startswith(f"The mean likeness {words} ") and "random" not in plain(
        element.answers[0]
    )


def test_layers_of_the_same_depth():
    by_depth = np.eye(9)[:, np.repeat(np.arange(9), 3)] + 0.01 * np.arange(27) % 3
    assert same_depth(by_depth) == 9 and same_depth(by_depth[::-1]) == 1
    assert same_depth(np.eye(6)) == 6 and same_depth(np.full((6, 6), np.nan)) == 0


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_cell_says_both_numbers(chromium, tmp_path, width):
    page = bbilang.run(f"{START}layers | similarity(layers, source=photos){MATRIX}")
    file = tmp_path / "page.html"
    file.write_text(page.html(), encoding="utf-8")
    shown = chromium.new_page(viewport={"width": width, "height": 900})
    shown.goto(file.as_uri())
    shown.wait_for_selector("html[data-ready]")
    values, random = table(page), page.data("element-1").tables["random"][1]
    shown.locator('[class*="front_hit_"] path').nth(5).hover(force=True)  # series by series: the second row, column 1
    said = shown.locator(".readout").inner_text()
    row, _, rest = said.partition(" and ")
    column, _, numbers = rest.partition(": ")
    at = [("first", "second", "third").index(name) for name in (row, column)]
    number, _, beside = numbers.partition(", ")
    assert abs(float(number) - values[at[0], at[1]]) < 0.01
    assert beside == f"{random[at[0], at[1]]:.2f} with random weights"
    ring = shown.evaluate(
        "[...document.querySelectorAll('figure svg path')].filter(p => +p.getAttribute('stroke-opacity') === 1).length"
    )
    assert ring == 1
    shown.mouse.move(2, 2)
    assert not shown.locator(".readout").inner_text()
    shown.locator('[data-chart="element-1"]').focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        shown.keyboard.press(key)
    assert shown.locator(".readout").inner_text().startswith("second and second: 1,")
    assert shown.locator("#status").inner_text().startswith("second and second: 1,")
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown.close()
