"""The influence on an atom, checked by training again: without its ten strongest proponents, and without ten random
examples, from the same first weights; five seeds."""

from __future__ import annotations

import numpy as np
import torch
from mixtures import CLASSES, COUNT, SIDE, data
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

import bbilang

SEEDS, TEN, DRAWS, STEPS = 5, 10, 10, 400
T = 2.776  # Student's t: 95 % with four degrees of freedom


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softplus(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def trained(first: list[nn.Sequential], kept: Tensor) -> list[Tensor]:
    """Train networks, side by side, on the examples that each keeps (run, example), to the optimum of a loss with a
    penalty on the squares of the weights. Returns their parameters, (run, ...) each."""
    images, labels = data()
    colours = images.flatten(2).transpose(1, 2)  # example, position, colour
    parameters = [torch.stack([p.detach().clone() for p in each]).requires_grad_(True)
                  for each in zip(*(net.parameters() for net in first), strict=True)]  # fmt: skip
    adam = torch.optim.Adam(parameters, 0.05)
    for _ in range(STEPS):
        adam.zero_grad()
        weight, bias, head, offset = parameters
        hidden = softplus(torch.einsum("npc,rkc->rnpk", colours, weight[..., 0, 0]) + bias[:, None, None]).mean(2)
        scores = hidden @ head.transpose(1, 2) + offset[:, None]
        losses = cross_entropy(scores.flatten(0, 1), labels.repeat(len(kept)), reduction="none").view(len(kept), -1)
        penalty = torch.stack([each.square().sum() for each in parameters]).sum()
        ((losses * kept).sum(1) / kept.sum(1)).sum().add(1e-3 * penalty).backward()
        adam.step()
    return [each.detach() for each in parameters]


def loaded(parameters: list[Tensor], run: int) -> nn.Sequential:
    net = network(0)
    with torch.no_grad():
        for own, each in zip(net.parameters(), parameters, strict=True):
            own.copy_(each[run])
    return net.eval()


def channels(net: nn.Sequential) -> np.ndarray:
    """(channel,): the sums over positions of the first layer's activations for the first picture."""
    with torch.no_grad():
        return net[:2](data()[0][:1])[0].sum((1, 2)).double().numpy()


def influences(net: nn.Sequential, channel: int) -> np.ndarray:
    images, labels = data()
    examples = [(image, CLASSES[label]) for image, label in zip(images, labels, strict=True)]
    page = bbilang.run(
        f'"1".channel[{channel}] | influence(examples) | present(image)',
        model=bbilang.adapt(net, SIDE, labels=list(CLASSES)), input=images[0], data={"examples": examples}, cache=False,
    )  # fmt: skip
    return page.results.fields["element-1"].values.data.ravel()


def test_without_its_proponents_an_atom_falls_and_without_its_opponents_it_rises():
    first = [network(seed) for seed in range(SEEDS)]
    whole = trained(first, torch.ones(SEEDS, COUNT))
    before = [channels(loaded(whole, seed)) for seed in range(SEEDS)]
    strongest = [int(own.argmax()) for own in before]
    kept = torch.ones(SEEDS, 2 + DRAWS, COUNT)
    for seed in range(SEEDS):
        order = np.argsort(influences(loaded(whole, seed), strongest[seed]))
        kept[seed, 0, order[-TEN:]] = kept[seed, 1, order[:TEN]] = 0
        for number in range(DRAWS):
            kept[seed, 2 + number, np.random.default_rng([seed, number]).choice(COUNT, TEN, replace=False)] = 0
    again = trained([net for net in first for _ in range(2 + DRAWS)], kept.flatten(0, 1))
    after = np.stack([channels(loaded(again, run)) for run in range(len(kept.flatten(0, 1)))]).reshape(
        *kept.shape[:2], -1
    )
    changes = np.stack([after[seed, :, channel] - before[seed][channel] for seed, channel in enumerate(strongest)])
    random = changes[:, 2:].mean(1)
    for name, own, sign in (("proponents", changes[:, 0] - random, -1), ("opponents", changes[:, 1] - random, 1)):
        mean, half = own.mean(), T * own.std(ddof=1) / SEEDS**0.5
        interval = f"95 % interval {mean - half:.1f} to {mean + half:.1f}"
        print(f"without {name} minus without random ones: {mean:.1f} ({interval})")
        assert sign * mean - half > 0, (name, own)
