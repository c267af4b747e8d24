"""Compatible groups: the split of activations among later groups, against a slow twin and on a planted network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from closeness import close_to, within

from bbilang.runtime.factorization.compatible import compatible, split
from bbilang.runtime.factorization.matrix import factorize


def slow_split(matrix, attribution):
    later, positions, channels = attribution.shape
    out = np.zeros((positions, channels * later))
    for p in range(positions):
        for c in range(channels):
            total = sum(abs(attribution[n, p, c]) for n in range(later))
            for n in range(later):
                share = abs(attribution[n, p, c]) / total if total else 1 / later
                out[p, c * later + n] = matrix[p, c] * share
    return out


@pytest.mark.parametrize("later", [1, 2, 5])
def test_split_against_a_slow_twin(later):
    source = np.random.default_rng(later)
    matrix, attribution = source.random((7, 4)), source.normal(size=(later, 7, 4))
    attribution[:, 2, 1] = 0
    actual = split(matrix, attribution)
    close_to(actual, slow_split(matrix, attribution))
    close_to(actual.reshape(7, 4, later).sum(-1), matrix)  # the copies of an entry add up to it


def test_one_later_group_is_the_plain_factorization():
    source = np.random.default_rng(0)
    matrix = source.random((30, 8))
    for attribution in (source.normal(size=(1, 30, 8)), np.zeros((1, 30, 8))):
        actual, plain = compatible(matrix, attribution, 3), factorize(matrix, "nmf", 3)
        close_to(actual.spatial, plain.spatial)
        close_to(actual.channel, plain.channel)
        close_to(actual.left_out, plain.left_out)


def test_without_attribution_the_split_changes_nothing_but_the_scale():
    """An even split is a matrix of equal copies: the same product W H."""
    matrix = np.random.default_rng(0).random((30, 8))
    actual, plain = compatible(matrix, np.zeros((3, 30, 8)), 3), factorize(matrix, "nmf", 3)
    close_to(actual.spatial @ actual.channel, plain.spatial @ plain.channel)


def planted():
    """Two layers on a grid of 6 x 6. Below: channel 0 fires everywhere, 1 in the upper half, 2 in the lower, and weakly
    3 on the left, 4 on the right. Above: unit 0 answers to all channels where 3 fires, unit 1 where 4 does.

    (activation (position, channel), d sum of a unit / d activation (unit, position, channel)).
    """
    y, x = np.mgrid[:6, :6]
    maps = [2 + 0 * y, 1.0 * (y < 3), 1.0 * (y >= 3), 0.1 * (x < 3), 0.1 * (x >= 3)]
    below = torch.tensor(np.stack(maps, -1).reshape(36, 5), requires_grad=True)
    weight = torch.tensor([[1.0, 1, 1, 100, 0], [1, 1, 1, 0, 100]], dtype=torch.float64)
    above = torch.relu(below @ weight.T - 8)
    slopes = [torch.autograd.grad(above[:, unit].sum(), below, retain_graph=True)[0] for unit in (0, 1)]
    assert (above > 0).sum(0).tolist() == [18, 18]
    return below.detach().numpy(), torch.stack(slopes).numpy()


def test_groups_of_a_planted_network_lead_to_one_later_group_each():
    """Plain groups are the halves that look different here; compatible ones those that lead to different units."""
    matrix, slopes = planted()
    attribution = matrix * slopes
    plain = factorize(matrix, "nmf", 2)
    actual = compatible(matrix, attribution, 2)
    assert purity(plain, slopes) < 0.6 and purity(actual, slopes) > 0.99
    left = np.tile([1, 1, 1, 0, 0, 0], 6) == 1
    for g in (0, 1):
        mass = (actual.spatial[left, g] ** 2).sum() / (actual.spatial[:, g] ** 2).sum()
        assert min(mass, 1 - mass) < 1e-3
    rebuilt = actual.spatial @ actual.channel
    within(
        rebuilt[:, 0], matrix[:, 0], relative=0.05, because="two factorizations, each stopped at its tolerance"
    )  # what fires everywhere is in both
    assert actual.left_out < 0.15


def purity(factors, slopes):
    """The share of each group's attribution that goes to one unit, <W_g outer H_g, slopes>, the weaker group's."""
    effect = np.einsum("pg,gc,npc->gn", factors.spatial, factors.channel, slopes)
    return (effect.max(1) / effect.sum(1)).min()


def test_copies_are_added_up():
    matrix, slopes = planted()
    attribution = matrix * slopes
    copies = factorize(split(matrix, attribution), "nmf", 3)
    actual = compatible(matrix, attribution, 3)
    for g in range(3):
        for c in range(5):
            close_to(actual.channel[g, c], copies.channel[g, 2 * c] + copies.channel[g, 2 * c + 1])
    rest = matrix - actual.spatial @ actual.channel
    close_to(actual.left_out, (rest**2).sum() / (matrix**2).sum())
