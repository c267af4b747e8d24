"""Checkpoints as an axis: each one's numbers are those of a text of it alone, and what works along the axis does so."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import bbilang
from bbilang.compiler.check.statements.checkpoints import SAMPLES, labels_of, natural
from bbilang.grammar.diagnostic import BbiError

EPOCHS = ("epoch_0", "epoch_4", "epoch_30")  # in natural order, which is not that of letters
HEAD = 'model runs = "sample:marks" from "c/*.safetensors"\ninput "sample:marked_disc"\n'
ALONE = 'model "sample:marks" from "c/{}.safetensors"\ninput "sample:marked_disc"\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with three checkpoints, in which texts are."""
    (tmp_path / "c").mkdir()
    for name in EPOCHS:
        shutil.copy(SAMPLES / "marks" / f"{name}.safetensors", tmp_path / "c" / f"{name}.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def numbers(text: str, element: str = "element-1", **options):
    return run(text, **options).data(element)


def run(text: str, **options):
    Path("page.bbi").write_text(text, "utf-8")
    return bbilang.run(Path("page.bbi"), **options)


def each(pipe: str) -> np.ndarray:
    """(model, ...): the numbers of texts of one checkpoint, in the order of their axes."""
    return np.stack([numbers(ALONE.format(name) + pipe).values for name in EPOCHS])


@pytest.mark.parametrize(
    "pipe",
    [
        'first.channel | attribute(output["square"]) | present(bars)',
        'first.channel | gradient(output["square"] - output["disc"]) | present(bars)',
        "second.channel | activation(reduce=mean) | present(bars)",
        'first.spatial | attribute(output["square"]) | abs | present(heatmap)',
        'second.neuron | attribute(output["disc"]) | sum(channel) | present(heatmap)',
        'input.pixel | attribute(output["cross"], method=integrated_gradients(n_steps=4)) | present(heatmap)',
        'first.channel[5] | ablate(zero) | effect(output["square"], controls=0) | present(bars)',
        "output.class | present(bars)",
        'second.channel | attribute([output["square"], output["disc"]]) | difference(class) | present(bars)',
        "first.channel | attribute(second.channel[3]) | normalize | present(bars)",
    ],
)  # fmt: skip
def test_each_checkpoint_is_as_alone(folder, pipe):
    data = numbers(HEAD + pipe)
    assert data.axes[0] == "model" and list(data.labels["model"][1]) == list(EPOCHS)
    np.testing.assert_allclose(data.values, each(pipe), rtol=1e-5, atol=1e-6)


def test_output_is_what_the_first_checkpoint_predicts(folder):
    first = run(HEAD + "photo = input | present(image)").view.predictions
    assert not first  # nothing of a network is shown
    page = run(
        HEAD + "one = output | present(bars)\nown = runs:output | present(bars)\nall = output.class | present(bars)"
    )
    every = page.data("all").values
    predicted = every.argmax(1)
    assert len(set(predicted.tolist())) > 1, "the checkpoints should not agree, or this test is of nothing"
    np.testing.assert_allclose(page.data("one").values, every[:, predicted[0]], rtol=1e-5)
    np.testing.assert_allclose(page.data("own").values, every.max(1), rtol=1e-5)
    assert [one.model for one in page.view.predictions] == list(EPOCHS)


def test_what_is_chosen_is_chosen_for_all(folder):
    pipe = 'second.channel | attribute(output["square"])'
    whole = each(f"{pipe} | present(bars)")
    data = numbers(f"{HEAD}{pipe} | top(3) | present(bars)")
    best = np.argsort(-whole.max(0), kind="stable")[:3]
    assert data.coords["channel"][1].tolist() == best.tolist()
    np.testing.assert_allclose(data.values, whole[:, best], rtol=1e-5, atol=1e-6)
    kept = numbers(f"{HEAD}{pipe} | top(3) | sort | filter(channel < 8) | present(bars)")
    assert {c for c in kept.coords["channel"][1].ravel().tolist() if c >= 0} == {int(c) for c in best if c < 8}


def test_as_written_it_is_the_same(folder):
    """What is chosen for all checkpoints reads the numbers of each, also without the optimizer."""
    pipe = HEAD + 'second.channel | attribute(output["square"]) | top(3) | present(bars)'
    chosen, written = (numbers(pipe, optimized=optimized, cache=None) for optimized in (True, False))
    np.testing.assert_allclose(written.values, chosen.values, rtol=1e-5, atol=1e-6)
    assert written.coords["channel"][1].tolist() == chosen.coords["channel"][1].tolist()


@pytest.mark.parametrize("word, function", [("mean", np.mean), ("max", np.max), ("min", np.min), ("std", np.std),
                                            ("sum", np.sum)])  # fmt: skip
def test_reductions_along_the_axis(folder, word, function):
    pipe = 'first.channel | attribute(output["square"])'
    data = numbers(f"{HEAD}{pipe} | {word}(model) | present(bars)")
    assert "model" not in data.axes
    np.testing.assert_allclose(data.values, function(each(f"{pipe} | present(bars)"), 0), rtol=1e-5, atol=1e-6)


def test_what_changed_since_the_first(folder):
    pipe = 'output["square"] - output["disc"] | across(some)'
    text = HEAD + 'dataset some = "sample:marks" | sample(40)\n'
    page = run(f"{text}a = {pipe} | present(histogram)\nb = {pipe} | difference(model) | present(histogram)\n"
               f"c = {pipe} | difference(model, of=sides) | present(histogram)")  # fmt: skip
    margins = page.results.fields["a"].values.ordered(("model", "example")).data
    changes = page.results.fields["b"].values.ordered(("model", "example")).data
    sides = page.results.fields["c"].values.ordered(("model", "example")).data
    np.testing.assert_allclose(changes, margins[1:] - margins[:1], rtol=1e-5, atol=1e-6)
    for row, margin in zip(sides, margins[1:], strict=True):  # one by one
        for side, after, before in zip(row, margin, margins[0], strict=True):
            assert side == int(after > 0) - int(before > 0)
    assert (sides != 0).any()
    assert list(page.results.fields["b"].names["model"].data) == list(EPOCHS[1:])


def test_a_reader_chooses_for_all(folder):
    text = HEAD + ('icons = second.channel | attribute(output["square"]) | top(2) | present(bars)\n'
                   "map = second.neuron | activation | at(hover(icons)) | present(heatmap)")  # fmt: skip
    data = numbers(text, "map")
    whole = each("second.neuron | activation | sum(x) | sum(y) | present(bars)")
    chosen = numbers(text, "icons").coords["channel"][1]
    state = next(axis for axis in data.axes if axis.startswith("hover"))
    sums = data.values.sum((data.axes.index("y"), data.axes.index("x")))
    order = [axis for axis in data.axes if axis not in ("y", "x")]
    sums = sums if order == ["model", state] else sums.T
    np.testing.assert_allclose(sums, whole[:, chosen], rtol=1e-4)


def test_a_row_of_checkpoints_with_their_names(folder):
    page = run(HEAD + 'first.channel | attribute(output["square"]) | top(2) | present(bars)')
    (element,) = page.view.interfaces[0].elements
    assert element.facet_axis == "model" and [panel.label for panel in element.panels] == list(EPOCHS)
    assert "3 checkpoints, epoch_0 to epoch_30" in page.html()
    assert page.view.title == "A look inside runs"


def test_beside_another_model(folder):
    text = 'model a = "sample:marks"\nmodel runs = "sample:marks" from "c/*.safetensors"\ninput "sample:marked_disc"\n'
    page = run(text + "one = a:output.class | present(bars)\nall = runs:output.class | present(bars)")
    np.testing.assert_allclose(page.data("all").values, each("output.class | present(bars)"), rtol=1e-5)
    assert page.data("one").values.shape == (3,)
    assert [facts.name for facts in page.view.provenance.models] == ["a", "runs"]


def test_one_network_at_a_time_and_inputs_once(folder, monkeypatch):
    from bbilang.runtime.execution import job
    from bbilang.runtime.models import program_model

    alive: list[weakref.ref] = []
    most, reads = 0, 0
    load, read = program_model.load_for, job.read_inputs

    def counted(*arguments):
        nonlocal most
        gc.collect()
        made = load(*arguments)
        alive.append(weakref.ref(made.module))
        most = max(most, sum(one() is not None for one in alive))
        return made

    def reading(*arguments):
        nonlocal reads
        reads += 1
        return read(*arguments)

    monkeypatch.setattr(program_model, "load_for", counted)
    monkeypatch.setattr(job, "read_inputs", reading)
    run(HEAD + 'first.channel | attribute(output["square"]) | top(3) | present(bars)', cache=None)
    assert len(alive) == 4  # each, and the first again for the labels of all
    assert most == 1 and reads == 1


def test_icons_are_of_each_and_kept_by_their_weights(folder):
    settings = {"featvis.size": 16, "featvis.steps": 1}
    text = HEAD + 'second.channel | attribute(output["square"]) | top(2) | present(featvis)'
    page = run(text, settings=settings)
    shown = page.results.icon_sets["element-1"].index
    assert shown.dims[0] == "model" and len(page.results.icons) == 6
    pictures = [page.results.icons[number].picture for number in shown.data.ravel().tolist()]
    assert len({picture.tobytes() for picture in pictures}) == 6
    one = run(ALONE.format("epoch_4") + "second.channel[{}] | present(featvis)".format(
        page.data("element-1").coords["channel"][1][0]), settings=settings)  # fmt: skip
    number = shown.ordered(("model", *shown.dims[1:])).data[1].ravel()[0]
    assert np.array_equal(one.results.icons[0].picture, page.results.icons[number].picture)
    assert run(text, settings=settings).results.reused.icons == 6
    shutil.copy(SAMPLES / "marks" / "epoch_8.safetensors", folder / "c" / "epoch_30.safetensors")
    again = run(text, settings=settings)
    known = set(page.data("element-1").coords["channel"][1]) == set(again.data("element-1").coords["channel"][1])
    assert not known or again.results.reused.icons == 4


def test_claims_hold_in_every_checkpoint(folder):
    from bbilang.cli.app import main

    margin = 'runs:output["square"] - runs:output["disc"]'
    values = each('output["square"] - output["disc"] | present(number)').ravel()
    middle = float(np.sort(values)[1])
    text = HEAD + f'claim "low" = {margin} > {values.min() - 1}\nclaim "not in all" = {margin} > {middle}\n'
    Path("claims.bbi").write_text(text, "utf-8")
    assert main(["test", "claims.bbi", "--junit", "claims.xml"]) == 1
    cases = Path("claims.xml").read_text("utf-8")
    assert f"in {EPOCHS[int(values.argmin())]}" in cases and 'failures="1"' in cases


@pytest.mark.parametrize("stages", ["", " | mean(example)"])
def test_a_claim_over_a_dataset_has_the_interval_of_the_least_checkpoint(folder, stages):
    """Whether the text says `mean(example)` or leaves it to the claim."""
    start = HEAD + 'dataset some = "sample:marks" | sample(40)\n'
    pipe = 'output["square"] - output["disc"] | across(some)'
    every = run(f"{start}a = {pipe} | present(histogram)").results.fields["a"].values.ordered(("model", "example")).data
    field = run(f'{start}claim "more" = ({pipe}{stages}) > -20').results.fields["claims"]
    means = every.mean(1)
    least = int(means.argmin())
    error = every[least].std(ddof=1) / np.sqrt(every.shape[1])
    value, low, high = field.outcomes.data[0, :3]
    np.testing.assert_allclose(value, means[least], rtol=1e-4)
    assert field.checkpoints == (EPOCHS[least],) and abs((high - low) / 2 / error - 2) < 0.1  # Student's t


def test_explained_once(folder):
    Path("page.bbi").write_text(HEAD + "first.channel | attribute(output) | top(3) | present(bars)", "utf-8")
    text = " ".join(str(bbilang.explain(Path("page.bbi"))).split())
    assert "MODEL runs: 3 checkpoints, one at a time, each as runs epoch_0" in text
    assert text.count("MODEL ") == 2 and "MODEL runs, all checkpoints together" in text


CHANGES = {
    "a tensor too few": lambda name, value: None,
    "another shape": lambda name, value: value.repeat(2, *[1] * (value.ndim - 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_of_another_network_is_named(folder, change):
    path = folder / "c" / "epoch_4.safetensors"
    tensors = dict(load_file(path))
    name = min(tensors)
    changed = CHANGES[change](name, tensors.pop(name))
    save_file(tensors if changed is None else {**tensors, name: changed.contiguous()}, path)
    with pytest.raises(BbiError) as caught:
        run(HEAD + "output.class | present(bars)")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E404" and "epoch_4.safetensors" in diagnostic.message


def test_a_file_that_is_none_is_named(folder):
    (folder / "c" / "epoch_4.safetensors").write_bytes(b"nothing")
    with pytest.raises(BbiError) as caught:
        run(HEAD + "output.class | present(bars)")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E403" and "epoch_4.safetensors" in diagnostic.message


def test_weights_for_all_of_them_are_refused(folder):
    with pytest.raises(BbiError) as caught:
        run(HEAD + "output.class | present(bars)", weights="c/epoch_0.safetensors")
    assert caught.value.diagnostics[0].code == "E344"


def test_names():
    files = [f"runs/{name}.pt" for name in ("epoch_10", "epoch_9", "a", "epoch_9b", "Epoch_1")]
    assert [Path(file).stem for file in sorted(files, key=natural)] == [
        "Epoch_1",
        "a",
        "epoch_9",
        "epoch_9b",
        "epoch_10",
    ]
    assert labels_of(["a/1/w.pt", "a/2/w.pt"]) == ["1/w", "2/w"]
    assert labels_of(["a/w.pt", "a/w.safetensors"]) == ["w.pt", "w.safetensors"]
    assert labels_of(["a/epoch_1.pt"]) == ["epoch_1"]


def test_the_program_as_json(folder):
    from bbilang.compiler.ir.serialize import from_json, to_json

    program = run(HEAD + "first.channel | attribute(output) | top(3) | present(bars)").plan.program
    assert from_json(json.loads(json.dumps(to_json(program)))) == program
