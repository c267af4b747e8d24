"""Convolutions with groups give torch's numbers, and derivatives of any order."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from bbilang.runtime.passes.module.grouped_convolutions import TwiceDifferentiable

CASES = [  # channels in, out, groups, kernel, stride, padding, dilation
    (6, 6, 6, 3, 1, 1, 1),
    (6, 6, 6, 5, 2, 2, 1),
    (4, 8, 4, 5, 1, 0, 2),
    (6, 4, 2, 3, 2, 1, 1),
    (4, 4, 4, 4, 3, 2, 1),
]


def example(case: tuple[int, ...], dims: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, int]]:
    into, out, groups, kernel, stride, padding, dilation = case
    torch.manual_seed(0)
    images = torch.rand(2, into, *[11] * dims, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(out, into // groups, *[kernel] * dims, dtype=torch.float64, requires_grad=True)
    bias = torch.rand(out, dtype=torch.float64, requires_grad=True)
    return images, weights, bias, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_values_gradients_and_second_gradients_are_those_of_torch(case: tuple[int, ...], dims: int):
    images, weights, bias, geometry = example(case, dims)
    function = (functional.conv1d, functional.conv2d)[dims - 1]
    mode, results = TwiceDifferentiable(), []
    for own in (False, True):
        if own:
            with mode:
                result = function(images, weights, bias, **geometry)
            assert "_Result" in str(result.grad_fn.next_functions)
        else:
            result = function(images, weights, bias, **geometry)
        (first,) = torch.autograd.grad(result.sin().sum(), images, create_graph=True)
        every = torch.autograd.grad(first.square().sum() + result.sum(), (images, weights, bias))
        results.append((result, first, *every))
    for mine, theirs in zip(*results, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-10)


def test_derivatives_without_the_weights_are_the_same_where_only_images_are_asked_for():
    images, weights, _, geometry = example(CASES[1], 2)
    mode = TwiceDifferentiable()
    found = []
    for leaves_out in (False, True):
        with mode:
            result = functional.conv2d(images, weights, None, **geometry).sin().sum()
        if leaves_out:
            with mode.without_weights():
                (first,) = torch.autograd.grad(result, images, create_graph=True)
        else:
            (first,) = torch.autograd.grad(result, images, create_graph=True)
        found.append((first, *torch.autograd.grad(first.square().sum(), (images, weights))))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_it_can_be_differentiated_again():
    images, weights, _, geometry = example((4, 4, 4, 3, 2, 1, 1), 2)
    mode = TwiceDifferentiable()

    def run(images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        with mode:
            return functional.conv2d(images[..., :5, :5], weights, None, **geometry)

    assert torch.autograd.gradgradcheck(run, (images, weights))
