"""`influence(...) | trust(lds)`: against a plain loop of trainings and scipy, on numbers that are right by construction
and on shuffled ones; its cost, its refusals, and what an interrupted run keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mixtures import CLASSES, COUNT, SIDE, data
from scipy.stats import spearmanr
from torch import nn

import bbilang
from bbilang.compiler.ir.score_kinds import LOGITS
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.mending.recipe import Recipe
from bbilang.runtime.ops.training_examples import halves as operation
from bbilang.runtime.trust import retraining
from bbilang.runtime.trust.datamodeling import agreement, halves, rank_correlations

TRAINING = "set training(loss=cross_entropy, optimizer=adam, epochs=40, lr=0.05, batch=30)\n"
LINEAR = f"{TRAINING}{{score}} | influence(examples, method={{method}}) | trust(lds, n={{n}}) | present(image)"
MARKS = (
    'model "sample:marks"\ninput "sample:marked_disc"\ndataset photos = "sample:marks" | sample(24)\n'
    "set training(loss=cross_entropy, epochs=1, batch=16)\n"
)
PIPE = "output | influence(photos, method=dot) | trust(lds, n=8) | present(image)"


def linear() -> nn.Sequential:
    """A linear head on mean colours: what `exact` is exact for, up to the shape of the loss."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))


def convolutional() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))  # fmt: skip


def trained(
    network: nn.Sequential, images: torch.Tensor, labels: torch.Tensor, order: np.random.Generator, epochs: int = 40
) -> None:
    """Train as TRAINING says: forty epochs of batches of thirty, with Adam."""
    adam = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(epochs):
        places = order.permutation(len(labels))
        for start in range(0, len(places), 30):
            rows = torch.from_numpy(places[start : start + 30])
            adam.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
            adam.step()


def slow(make, images: torch.Tensor, labels: torch.Tensor, query: torch.Tensor, n: int) -> np.ndarray:
    """Scores (half, class) of networks that are trained again, in a plain loop."""
    rows = []
    for number in range(n):
        half = np.sort(np.random.default_rng([0, 23, number]).permutation(len(labels))[: len(labels) // 2])
        order = np.random.default_rng([0, 25, number])
        torch.manual_seed(int(order.integers(2**62)))
        network = make()  # PyTorch draws the weights here
        trained(network, images[half], labels[half], order, 4)
        rows.append(network(query[None])[0].detach().double().numpy())
    return np.stack(rows)


def page_of(make, text: str, epochs: int = 40, **options):
    images, labels = data()
    torch.manual_seed(3)
    network = make()
    trained(network, images, labels, np.random.default_rng(9), epochs)
    examples = [(image, CLASSES[label]) for image, label in zip(images, labels, strict=True)]
    model = bbilang.adapt(network, SIDE, labels=list(CLASSES))
    return bbilang.run(text, model=model, input=images[0], data={"examples": examples}, **options)


def found(page) -> tuple[np.ndarray, tuple]:
    field = page.results.fields["element-1"]
    return field.values.data.reshape(COUNT, -1).astype(float), field.trust[0]


def kept_scores(monkeypatch) -> list[np.ndarray]:
    """Record the scores that trainings give."""
    rows, usual = [], operation._scores_of

    def scores_of(*given):
        own = usual(*given)
        rows.append(own["scores"])
        return own

    monkeypatch.setattr(operation, "_scores_of", scores_of)
    return rows


def test_rank_correlations_are_those_of_scipy():
    draw = np.random.default_rng(0)
    predicted, scores = draw.normal(size=(20, 5)), draw.normal(size=(20, 5)).round(1)  # with ties
    slow = [spearmanr(predicted[:, n], scores[:, n]).statistic for n in range(5)]
    assert np.abs(rank_correlations(predicted, scores) - slow).max() < 1e-12
    own = agreement(predicted, scores, 0)
    assert own.value == pytest.approx(np.mean(slow)) and own.low < own.value < own.high


def test_an_interval_for_one_score_and_none_without_an_order():
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(40, 1))
    same = agreement(truth, truth + 0.1 * draw.normal(size=truth.shape), 0)
    assert 0.9 < same.low < same.value < same.high <= 1
    assert "undefined" in agreement(np.zeros((40, 1)), truth, 0).words


def test_halves_are_of_the_labelled_ones_and_more_begin_with_the_same():
    labelled = np.arange(21) % 4 > 0
    few, many = halves(labelled, 5, 3), halves(labelled, 9, 3)
    assert (many[:5] == few).all() and not few[:, ~labelled].any()
    assert (few.sum(1) == labelled.sum() // 2).all() and len({row.tobytes() for row in few}) == 5


@pytest.mark.parametrize("make", [linear, convolutional])
def test_equal_to_a_plain_loop(make, monkeypatch):
    """The same scores as a plain loop of trainings, and the correlation of scipy; equal again for the same seed."""
    rows, n = kept_scores(monkeypatch), 8
    text = LINEAR.format(score='output["red"]', method="dot", n=n).replace("epochs=40", "epochs=4")
    values, line = found(page_of(make, text, cache=False))
    images, labels = data()
    every = slow(make, images, labels, images[0], n)[:, 0]
    assert np.abs(np.concatenate(rows) - every).max() < 1e-4
    predicted = halves(np.ones(COUNT, bool), n, 0) @ values
    expected = spearmanr(predicted[:, 0], every).statistic
    assert agreement(predicted, np.stack(rows), 0).value == pytest.approx(expected)
    assert agreement(predicted, np.stack(rows), 0).words in line[1]
    _, again = found(page_of(make, text, cache=False))
    assert again[1].split(";")[:-1] == line[1].split(";")[:-1]  # but for the seconds
    assert sum(p.numel() for p in make().parameters()) < 20_000


def test_right_numbers_predict_and_shuffled_ones_do_not(monkeypatch):
    rows = kept_scores(monkeypatch)
    text = LINEAR.format(score='output["red"] - output["green"]', method="exact", n=24)
    text = text.replace("epochs=40", "epochs=300").replace("batch=30", "batch=90")  # to the optimum, without chance
    values, line = found(page_of(linear, text, epochs=600, cache=False))
    chosen, scores = halves(np.ones(COUNT, bool), 24, 0), np.stack(rows)
    own = agreement(chosen @ values, scores, 0)
    assert own.value > 0.8 and own.low > 0.5 and not line[4] and own.words in line[1]
    draw = np.random.default_rng(0)
    shuffled = [rank_correlations(chosen @ draw.permutation(values), scores) for _ in range(200)]
    assert abs(np.mean(shuffled)) < 0.15


def test_numbers_that_predict_nothing_are_warned_of(monkeypatch):
    """With scores that are drawn in place of trained ones the page says that nothing can be told."""
    draw = np.random.default_rng(5)
    monkeypatch.setattr(operation, "_scores_of", lambda *given: {
        "scores": draw.normal(size=1), "fits": np.array(0.5), "seconds": np.array(1.0)})  # fmt: skip
    field = bbilang.run(MARKS + PIPE, cache=False).results.fields["element-1"]
    assert "not told apart from chance" in field.trust[0][4]


def test_the_page_says_whether_it_was_checked():
    checked, not_checked = (
        bbilang.run(MARKS + pipe, cache=False).results.fields["element-1"]
        for pipe in (PIPE, PIPE.replace(" | trust(lds, n=8)", ""))
    )
    assert "not checked by training again" not in " ".join(checked.notes)
    assert "not checked by training again" in " ".join(not_checked.notes)
    (line,) = checked.trust
    assert line[0] == "linear datamodeling score"
    assert "over 8 random halves of 12 examples" in line[1] and "95 % interval" in line[1]


def test_what_was_trained_is_kept(monkeypatch):
    """An interrupted run goes on where it stopped, a repeated one trains nothing, and more halves train the others."""
    numbers, usual = [], retraining.retrained

    def counted(*given):
        if len(numbers) == 3 and given[5] == 3:
            numbers.append(-1)
            raise KeyboardInterrupt
        numbers.append(given[5])
        return usual(*given)

    monkeypatch.setattr(retraining, "retrained", counted)
    text = MARKS + "set seed 4242\n" + PIPE
    with pytest.raises(KeyboardInterrupt):
        bbilang.run(text)
    first = bbilang.run(text)
    assert numbers == [0, 1, 2, -1, 3, 4, 5, 6, 7]
    assert bbilang.run(text).results.fields["element-1"].trust == first.results.fields["element-1"].trust
    bbilang.run(text.replace("n=8", "n=9"))
    assert numbers[9:] == [8]
    bbilang.run(text.replace("epochs=1", "epochs=2"))
    assert numbers[10:] == list(range(8))


def test_the_plan_counts_the_training():
    program = bbilang.check(bbilang.parse(MARKS + PIPE.replace("n=8", "n=10")))
    plan = bbilang.plan(bbilang.optimize(program))
    (draw,) = (step for step in plan.steps if step.kind == "draw")
    assert draw.passes == 2 * 24 + 2 * 10 * 12  # each example once for the influence; ten halves, one epoch
    assert draw.flops == 3 * (24 + 10 * 12) * program.description.flops
    assert "training again on 10 random halves of photos, 1 epoch of 12 examples each" in draw.words
    with pytest.raises(BbiError) as caught:
        bbilang.run(MARKS + PIPE, limits=bbilang.Limits(passes=200))
    assert caught.value.diagnostics[0].code == "E380"


REFUSED = (
    (PIPE, "E354", {"set training": "# set training"}),
    (PIPE.replace("output", "first.channel[5]"), "E355", {}),
    (PIPE.replace("n=8", "n=5000"), "E356", {"epochs=1": "epochs=1000"}),
    (PIPE, "E358", {"sample(24)": "sample(15)"}),
    (PIPE, "E489", {"cross_entropy": "binary_cross_entropy"}),
    (PIPE.replace("n=8", "n=7"), "E238", {}),
    (PIPE.replace("lds", "[lds, agreement]"), "E238", {}),
    (PIPE.replace("lds", "agreement"), "E238", {}),
    (PIPE.replace("| trust(lds, n=8)", "| top(3, along=example) | trust(lds, n=8)"), "E238", {}),
    ("first.channel | attribute(output) | trust(lds) | present(bars)", "E238", {}),
    ("photos | self_influence | trust(lds) | present(image)", "E238", {}),
)


@pytest.mark.parametrize(("pipe", "code", "changed"), REFUSED)
def test_refusals(pipe, code, changed):
    head = MARKS
    for old, new in changed.items():
        head = head.replace(old, new)
    with pytest.raises(BbiError) as caught:
        bbilang.run(head + pipe, cache=False)
    assert code in {diagnostic.code for diagnostic in caught.value.diagnostics}


class Scaled(nn.Module):
    """Weights that do not say how they begin."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def test_weights_that_do_not_say_how_they_begin_are_refused():
    with pytest.raises(BbiError) as caught:
        retraining.draw_anew(nn.Sequential(Scaled(), nn.Linear(3, 3)))
    assert caught.value.diagnostics[0].code == "E357" and "`0`" in caught.value.diagnostics[0].message


def test_a_training_that_diverges_is_refused():
    images, labels = data(30)
    model = bbilang.adapt(linear(), SIDE, labels=list(CLASSES))
    with pytest.raises(BbiError) as caught:
        retraining.retrained(model, images, labels, Recipe(lr=1e38, batch=10), LOGITS, 0)
    assert caught.value.diagnostics[0].code == "E554"
