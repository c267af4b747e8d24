"""Mending a network: only what is above changes, what is held out never trains, and an interruption loses nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trained
from torch import nn
from trained import REGISTRY, Branching, adapted, network, refusal, task

from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.data.sequences import of_sequence
from bbilang.runtime.losses.batch import gradients_of, scores_of
from bbilang.runtime.mending import engine
from bbilang.runtime.mending.above import Cached, Whole
from bbilang.runtime.mending.engine import Mended, mend
from bbilang.runtime.mending.evidence import Evidence
from bbilang.runtime.mending.examples import held_out, labelled
from bbilang.runtime.mending.stored import Rows
from bbilang.runtime.mending.trainable import trainable_above
from bbilang.runtime.passes.fallback import NotTraceable


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def weights(mended: Mended) -> dict[str, torch.Tensor]:
    return state(mended.adapter.module)


def test_only_the_weights_above_change_and_the_original_keeps_its_own():
    module = network()
    adapter = adapted(module)
    before, fingerprint = state(module), adapter.fingerprint
    mended = mend(adapter, task(module), REGISTRY)
    assert same(before, state(module)) and adapter.fingerprint == fingerprint
    assert mended.adapter.fingerprint != fingerprint
    changed = {name for name, value in weights(mended).items() if not torch.equal(value, before[name])}
    own = {"back.weight", "back.bias", "norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert changed == own == set(mended.report.tensors)
    assert mended.report.parameters == sum(before[name].numel() for name in own)
    assert not any(p.requires_grad for p in mended.adapter.module.parameters())
    assert all(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("text", [
    'side.channel[2] | attribute(output["high"])',
    'side.channel[2] | attribute(output)',
    'side.spatial[1, 2] | attribute(output["high"] - output["low"])',
    'side.neuron[1, 2, 3] | attribute(output.class)',
    'side.channel[2] | attribute(output["high"], method=integrated_gradients(n_steps=3))',
])  # fmt: skip
def test_the_evidence_and_its_share_are_those_of_the_whole_network_by_hand(text: str):
    module = network().double().requires_grad_(False)
    adapter = adapted(module)
    node, data = trained.evidence(text, module), trained.dataset(12)
    images = torch.stack([adapter.prepare(data.picture(n))[0] for n in range(12)])
    labels = torch.arange(12) % 3
    found = Evidence(node, REGISTRY, "logits")
    numbers = np.array([7, 1, 4, 9])
    y = labels[torch.from_numpy(numbers)]
    with Rows(12) as rows, Rows(12) as pictures:
        cached, whole = Cached(adapter, "side", rows), Whole(adapter, "side", pictures)
        for start in (0, 5, 10):
            cached.add(start, images[start : start + 5])
            whole.add(start, images[start : start + 5])
        parameters = list(trainable_above(adapter, "side", images[:1]).values())
        for parameter in parameters:
            parameter.requires_grad_(True)
        results = []
        for examples in (cached, whole):
            batch = examples.batch(numbers, y)
            share = found.share(batch, y)
            results.append((batch.scores, found.of(batch), share, *torch.autograd.grad(share, parameters)))
        assert torch.equal(cached.activations(numbers), whole.activations(numbers))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)
    if "integrated" in text:
        return
    contributions = results[0][1]  # and by hand, of each example apart
    mask = found.mask(adapter.description.by_name["side"], torch.zeros(1, 6, 6, 6).double())
    for row, number in enumerate(numbers.tolist()):
        x = module.stem(adapter.normalize(images[number : number + 1])).relu()
        a = module.side(x).detach().requires_grad_(True)
        scores = module.head(module.norm(x + module.back(a)).mean((2, 3)))
        targets = scores_of(node["to"], scores, labels[number : number + 1], "logits")
        gradients = gradients_of(targets, a, "side")
        by_hand = (mask * a * gradients).flatten(1).sum(1)
        assert torch.allclose(contributions[row], by_hand, rtol=1e-9, atol=1e-12)


def test_a_network_without_a_graph_is_trained_as_one_with_a_graph():
    with pytest.raises(NotTraceable):
        Cached(adapted(network(Branching)), "side", Rows(3)).add(0, torch.rand(3, 3, 12, 12))
    results = []
    for kind in (trained.Residual, Branching):
        module = network(kind).double()
        mended = mend(adapted(module), task(module), REGISTRY)
        results.append((mended.report.way, weights(mended)))
    assert [way for way, _ in results] == ["above", "whole"]
    for name, value in results[0][1].items():
        assert torch.allclose(value, results[1][1][name], rtol=1e-6, atol=1e-8), name


def test_pixels_are_discouraged_through_the_whole_network():
    module = network()
    mended = mend(adapted(module), task(module, "input.pixel[3, 4] | attribute(output.class)", epochs=1), REGISTRY)
    assert mended.report.way == "whole" and "stem.weight" in mended.report.tensors


def test_what_is_held_out_never_trains():
    module = network()
    plain = task(module)
    measured = np.arange(60) % 4 == 0
    other = [np.asarray(plain.dataset.picture(n)) for n in range(60)]
    labels = plain.dataset.labels.tolist()
    for number in np.flatnonzero(measured):
        other[number] = 255 - other[number]
    changed = of_sequence(list(zip(other, labels, strict=True)), "noise")
    one = mend(adapted(module), replace(plain, measured=measured), REGISTRY)
    two = mend(adapted(module), replace(plain, measured=measured, dataset=changed), REGISTRY)
    assert same(weights(one), weights(two))
    assert one.report.trained == 45 and one.report.held_out.count == 15
    assert one.report.held_out.before.evidence != two.report.held_out.before.evidence


def test_equal_pictures_are_on_one_side():
    pictures = [(np.full((12, 12, 3), 20 * (n // 6), np.uint8), trained.LABELS[n // 2 % 3]) for n in range(72)]
    examples = labelled(of_sequence(pictures, "twins"), adapted(network()).description)
    for seed in range(5):
        chosen = held_out(examples, 0.3, seed)
        sides: dict[str, set[bool]] = {}
        for digest, side in zip(examples.digests, chosen.tolist(), strict=True):
            sides.setdefault(digest, set()).add(side)
        assert all(len(each) == 1 for each in sides.values())


def test_of_classes_with_one_example_each_a_share_of_all_is_held_out():
    labels = [f"class {number}" for number in range(30)] + ["common"] * 10
    pictures = [np.full((12, 12, 3), number, np.uint8) for number in range(40)]
    names = tuple(dict.fromkeys(labels))
    described = replace(adapted(network()).description, labels=names, classes=len(names))
    examples = labelled(of_sequence(list(zip(pictures, labels, strict=True)), "rare"), described)
    chosen = held_out(examples, 0.3, 0)
    assert chosen[:30].sum() == 9 and chosen[30:].sum() == 3


def test_a_training_goes_on_where_it_was_interrupted_and_gives_the_same(tmp_path):
    module = network()
    own = task(module, epochs=4)
    expected = mend(adapted(module), own, REGISTRY)

    class Stopped(Exception):
        pass

    seen: list[int] = []

    def stop(words: str, done: int, total: int) -> None:
        if words == engine.TRAINS:
            seen.append(done)
            if done == total // 2 + 1:
                raise Stopped

    cache = Cache(tmp_path)
    with pytest.raises(Stopped):
        mend(adapted(module), own, REGISTRY, cache, stop)
    assert min(seen) == 0
    seen.clear()

    def follow(words: str, done: int, total: int) -> None:
        if words == engine.TRAINS:
            seen.append(done)

    result = mend(adapted(module), own, REGISTRY, cache, follow)
    assert seen and min(seen) > 0, "it began anew"
    assert same(weights(result), weights(expected))
    assert result.report.losses == expected.report.losses


def test_a_result_is_recalled_by_content_and_another_seed_or_picture_is_another_result(tmp_path):
    module = network()
    cache = Cache(tmp_path)
    own = task(module)
    first = mend(adapted(module), own, REGISTRY, cache)
    second = mend(adapted(module), own, REGISTRY, cache, listen_never)
    assert not first.recalled and second.recalled
    assert same(weights(first), weights(second)) and first.report == second.report
    assert first.adapter.fingerprint == second.adapter.fingerprint
    assert not mend(adapted(module), replace(own, recipe=replace(own.recipe, seed=1)), REGISTRY, cache).recalled
    assert not mend(adapted(module), replace(own, dataset=trained.dataset(60, 1)), REGISTRY, cache).recalled
    with torch.no_grad():
        module.head.bias += 0.1
    assert not mend(adapted(module), own, REGISTRY, cache).recalled


def listen_never(words: str, done: int, total: int) -> None:
    raise AssertionError(words)


def test_more_than_fits_into_memory_is_kept_in_files_and_too_much_is_refused():
    module = network()
    one, two = (mend(adapted(module), task(module), REGISTRY, in_memory=size) for size in (1 << 28, 0))
    assert same(weights(one), weights(two))
    assert refusal(mend, adapted(module), task(module), REGISTRY, most=1000) == "E556"
    with Rows(4, in_memory=0) as rows:
        rows.put(0, [torch.arange(4).to(torch.bfloat16)[:, None]])
        assert rows.in_files
        assert torch.equal(rows.get(np.array([3, 1]))[0], torch.tensor([[3.0], [1.0]], dtype=torch.bfloat16))


def test_what_cannot_be_trained_is_refused():
    module = network()
    own = task(module)
    assert refusal(mend, adapted(module), task(module, lr=1e30), REGISTRY) == "E554"
    without = of_sequence([np.asarray(own.dataset.picture(n)) for n in range(12)], "plain")
    assert refusal(mend, adapted(module), replace(own, dataset=without), REGISTRY) == "E487"
    unknown = trained.dataset(12, labels=("a", "b", "c"))
    assert refusal(mend, adapted(module), replace(own, dataset=unknown), REGISTRY) == "E487"
    one = trained.dataset(12, labels=("low",) * 3)
    assert refusal(mend, adapted(module), replace(own, dataset=one), REGISTRY) == "E487"
    assert refusal(mend, adapted(module), replace(own, dataset=trained.dataset(3)), REGISTRY) == "E488"
    measured = np.ones(60, bool)
    assert refusal(mend, adapted(module), replace(own, measured=measured), REGISTRY) == "E488"
    assert refusal(mend, adapted(module), task(module, loss="binary_cross_entropy"), REGISTRY) == "E489"
    with torch.no_grad():
        module.back.weight[:, 2] = 0
    assert refusal(mend, adapted(module), own, REGISTRY) == "E555"


class Fixed(nn.Module):
    """Nothing above `body` has weights."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).mean((2, 3))


class Tied(nn.Module):
    """One convolution runs below the layer and above it."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 3, 3, padding=1)
        self.mid = nn.ReLU()
        self.head = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.one(self.mid(self.one(x))).mean((2, 3)))


def test_weights_that_are_below_the_layer_too_are_not_trained():
    module = Fixed()
    assert refusal(mend, adapted(module), task(module, "body.channel[0] | attribute(output.class)"), REGISTRY) == "E553"
    tied = Tied().requires_grad_(False)
    assert set(trainable_above(adapted(tied), "mid", torch.rand(1, 3, 12, 12))) == {"head.weight", "head.bias"}
