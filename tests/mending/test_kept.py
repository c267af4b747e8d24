"""What a training makes small, by hand; predictions that are kept; the same network for the same seed."""

from __future__ import annotations

import math

import numpy as np
import torch
import trained
from torch import Tensor, nn
from trained import REGISTRY, adapted, network, task

from bbilang.runtime.losses.batch import gradients_of
from bbilang.runtime.mending.above import Cached
from bbilang.runtime.mending.engine import mend
from bbilang.runtime.mending.evidence import Evidence
from bbilang.runtime.mending.recipe import Recipe
from bbilang.runtime.mending.stored import Rows
from bbilang.runtime.mending.trainable import trainable_above
from bbilang.runtime.mending.training import Trainer

TEXT = 'side.channel[2] | attribute(output["high"])'
HIGH = 1


def pictures(module: nn.Module, count: int = 12) -> tuple[Tensor, Tensor]:
    adapter, data = adapted(module), trained.dataset(count)
    return torch.stack([adapter.prepare(data.picture(n))[0] for n in range(count)]), torch.arange(count) % 3


def scores_by_hand(module: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """The activation of `side`, and the scores, of one picture."""
    x = module.stem(adapted(module).normalize(image[None])).relu()
    a = module.side(x).detach().requires_grad_(True)
    return a, module.head(module.norm(x + module.back(a)).mean((2, 3)))


def test_the_terms_of_the_loss_are_those_of_each_example_by_hand():
    module = network().double().requires_grad_(False)
    adapter, (images, labels) = adapted(module), pictures(module)
    original = [scores_by_hand(module, image)[1][0].detach().softmax(0).tolist() for image in images]
    with Rows(12) as rows:
        examples = Cached(adapter, "side", rows)
        examples.add(0, images)
        evidence = Evidence(trained.evidence(TEXT, module), REGISTRY, "logits")
        parameters = trainable_above(adapter, "side", images[:1])
        trainer = Trainer(examples, evidence, parameters, labels, np.arange(12), Recipe(batch=12))
        torch.manual_seed(1)
        with torch.no_grad():
            for parameter in parameters.values():
                parameter += 0.3 * torch.randn_like(parameter)
        numbers = np.array([7, 1, 4, 9, 0])
        found = [[float(term.detach()) for term in trainer.terms(numbers, step)] for step in (0, 1)]
    loss = difference = 0.0
    squares, centred = [0.0, 0.0], []
    for number in numbers.tolist():
        a, scores = scores_by_hand(module, images[number])
        probabilities = scores[0].detach().softmax(0).tolist()
        loss -= math.log(probabilities[number % 3]) / 5
        difference += sum(p * math.log(p / q) for p, q in zip(original[number], probabilities, strict=True)) / 5
        centred.append(float((scores[0, HIGH] - scores[0].mean()).detach()))
        for turn, target in enumerate((scores[:, HIGH], scores[:, HIGH] - scores.mean(1))):
            gradient = gradients_of(target[None], a, "side")[0]
            squares[turn] += float((a * gradient)[0, 2].sum().detach()) ** 2 / 5
    variance = sum((one - sum(centred) / 5) ** 2 for one in centred) / 5
    for turn, (own_loss, penalty, own_difference) in enumerate(found):
        assert math.isclose(own_loss, loss, rel_tol=1e-9)
        assert math.isclose(penalty, 2 * squares[turn] / variance / trainer.scale, rel_tol=1e-6)
        assert math.isclose(own_difference, difference, rel_tol=1e-9)
    assert difference > 0.01


def moved(keep: float) -> tuple[float, float]:
    """By how many nats the predictions of pictures that no training saw moved, and what is left of the evidence."""
    module = network()
    report = mend(adapted(module), task(module, TEXT, epochs=12, lr=0.003, keep=keep), REGISTRY)
    images, _ = pictures(module, 90)
    with torch.no_grad():
        before, after = (own.module(own.normalize(images[60:])).log_softmax(1)
                         for own in (adapted(module), report.adapter))  # fmt: skip
    nats = (before.exp() * (before - after)).sum(1).mean()
    held = report.report.held_out
    return float(nats), held.after.evidence_share / held.before.evidence_share


def test_predictions_are_kept_and_the_evidence_falls_all_the_same():
    free, _ = moved(0)
    kept, left = moved(100)
    assert kept < free / 5
    assert left < 0.5


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    module = network()
    same, again, other = (
        mend(adapted(module), task(module, epochs=2, seed=seed), REGISTRY).adapter.module.state_dict()
        for seed in (5, 5, 6)
    )
    assert all(torch.equal(same[name], again[name]) for name in same)
    assert not all(torch.equal(same[name], other[name]) for name in same)
    below = ("stem.weight", "stem.bias", "side.0.weight", "side.0.bias", "norm.running_mean", "norm.running_var")
    assert all(torch.equal(same[name], module.state_dict()[name]) for name in below)


def test_what_is_done_to_the_held_out_predictions_is_counted():
    module = network()
    mended = mend(adapted(module), task(module, epochs=12, keep=0), REGISTRY)
    report, data = mended.report, trained.dataset(60)
    from bbilang.runtime.mending.examples import held_out, labelled

    chosen = labelled(data, adapted(module).description)
    rows = np.flatnonzero(held_out(chosen, 0.3, 0))
    images, _ = pictures(module, 60)
    with torch.no_grad():
        before, after = (
            own.module(own.normalize(images)).argmax(1).numpy()[rows] for own in (adapted(module), mended.adapter)
        )
    assert report.held_out.changed == int((before != after).sum()) > 0
    assert report.held_out.gained + report.held_out.lost <= report.held_out.changed
