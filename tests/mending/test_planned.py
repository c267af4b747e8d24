"""`bbi explain` says what a training takes before it runs: as much as runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest

import bbilang
from bbilang.cli.app import main
from bbilang.registry import registry
from bbilang.runtime.mending import above, training
from bbilang.runtime.ops.mending import discourage

TEXT = """set training(loss=cross_entropy, epochs=3, batch=16)
model a = "sample:marks"
dataset marks = "sample:marks" | sample(60)
dataset others = "sample:marks" | sample(10)
model mended = a | discourage(first.channel[5] -> output["square"], data=marks, test=others)
mended:second.channel | attribute(mended:output["square"]) | across(others) | mean(example) | top(3) | present(bars)
"""
ALONG = TEXT.replace("test=others", "test=others, method=integrated_gradients(n_steps=3)")


def planned(text: str):
    """The step that trains, and the plan it is in."""
    program = bbilang.optimize(bbilang.check(text))
    (step,) = [step for step in bbilang.plan(program).every_step if step.trains]
    return step, program


@pytest.fixture
def counted(monkeypatch) -> Counter[str]:
    """Passes, by what they are for, each a row of a batch."""
    passes: Counter[str] = Counter()

    def counts(owner: object, name: str, kind: str, rows: Callable[..., int]) -> None:
        own = getattr(owner, name)

        def counting(*arguments, **named):
            passes[kind] += rows(*arguments)
            return own(*arguments, **named)

        monkeypatch.setattr(owner, name, counting)

    counts(above.Cached, "add", "below", lambda self, start, images: len(images))
    counts(above.Cached, "run", "above", lambda self, activations, *more: len(activations))
    counts(above, "gradients_of", "above", lambda scores, at, layer: scores.shape[1] * len(at))
    counts(training.Trainer, "_step", "back", lambda self, numbers, step: len(numbers))
    return passes


@pytest.mark.parametrize("text", [TEXT, ALONG])
def test_a_training_runs_as_many_passes_as_planned(text: str, counted: Counter[str]):
    step, _ = planned(text)
    discourage._recent.clear()
    page = bbilang.run(text, cache=False)
    assert page.results.fields["mended_report"].values.data.shape == (6, 6)
    (_, report) = list(discourage._recent.values())[-1]
    assert (step.trains.trained, step.trains.measured) == (report.trained, report.held_out.count + report.other.count)
    assert step.trains.examples == counted["below"] == 70
    assert counted["above"] + counted["back"] == step.trains.training + step.trains.measuring
    assert counted["back"] == step.trains.epochs * step.trains.trained == 3 * 42
    assert step.passes == step.trains.examples + step.trains.training + step.trains.measuring and step.bound


def test_the_costs_are_those_of_the_network_above_and_below():
    step, program = planned(TEXT)
    part = next(part for part in program.parts if part.models[0].alias == "a")
    description = part.description
    below = description.by_name["first"].flops
    above_first = description.flops - below
    gradients = 1  # a contribution is a gradient beside the forward
    measured = 2 * 28 * (3 + gradients) + 42 + 42 * 2 * gradients
    trained = 3 * 42 * (1 + gradients) * 3
    assert step.flops == 70 * below + (measured + trained) * above_first


def test_the_text_and_the_json_say_it(tmp_path, capsys):
    (tmp_path / "page.bbi").write_text(TEXT)
    assert main(["explain", str(tmp_path / "page.bbi")]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "training on 42 examples, 3 epochs of 3 steps" in words
    assert main(["explain", str(tmp_path / "page.bbi"), "--format", "json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    (step,) = [one for one in models["a"]["after"] if "training" in one]
    own = planned(TEXT)[0].trains
    assert step["training"] == {
        "layer": "first", "examples": 70, "trained": 42, "measured": 28, "epochs": 3, "steps": 9,
        "passes": own.training, "passes_of_measurements": own.measuring,
    }  # fmt: skip
    assert not [one for one in models["mended"]["after"] if "training" in one]


def test_where_a_column_says_who_is_held_out_every_example_may_be_on_either_side():
    text = TEXT.replace("test=others", "split=mark").replace('dataset others = "sample:marks" | sample(10)\n', "")
    text = text.replace("across(others)", "across(marks)")
    step, _ = planned(text)
    assert (step.trains.examples, step.trains.trained, step.trains.measured) == (60, 60, 60)


def test_methods_say_at_how_many_activations_they_run():
    methods = registry().methods
    own = {parameter.name: parameter.default for parameter in methods["integrated_gradients"].parameters}
    assert methods["integrated_gradients"].differentiated_at(own | {"n_steps": 7}) == 7
    assert methods["linear"].differentiated_at({}) == methods["gradient"].differentiated_at({}) == 0
