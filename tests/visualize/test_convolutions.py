"""Cheaper forms of convolutions beside torch's own."""

import pytest
import torch
from closeness import close_to
from torch import nn

from bbilang.runtime.featvis.convolutions import quicken
from bbilang.runtime.passes.same_padding import SameConv2d

CASES = {
    "1 x 1": (lambda: nn.Conv2d(8, 5, 1), True),
    "1 x 1 without bias": (lambda: SameConv2d(8, 5, 1, bias=False), True),
    "1 x 1, strided": (lambda: nn.Conv2d(8, 5, 1, stride=2), False),
    "1 x 1, padded": (lambda: nn.Conv2d(8, 5, 1, padding=1), False),
    "1 x 1, in groups": (lambda: nn.Conv2d(8, 6, 1, groups=2), False),
    "by channel, 3 x 3": (lambda: SameConv2d(8, 8, 3, 2, groups=8), True),
    "by channel, 5 x 5": (lambda: SameConv2d(8, 8, 5, 2, groups=8), True),
    "by channel, unequal strides": (lambda: SameConv2d(8, 16, (3, 5), (2, 1), groups=8), True),
    "by channel, stride 1": (lambda: SameConv2d(8, 8, 3, groups=8), False),
    "dilated": (lambda: SameConv2d(8, 8, 3, 2, dilation=2, groups=8), False),
    "by channel, torch's own padding": (lambda: nn.Conv2d(8, 8, 3, 2, 1, groups=8), False),
}


class Doubled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("side", [(12, 12), (11, 14)])
def test_values_and_gradients_are_torchs(name, side):
    torch.manual_seed(0)
    make, cheaper = CASES[name]
    module = make().requires_grad_(False)
    kind = type(module)
    x = torch.randn(3, 8, *side).contiguous(memory_format=torch.channels_last).requires_grad_()
    want = module(x)
    given = torch.randn_like(want)
    (slope,) = torch.autograd.grad(want, x, given)
    quicken(module)
    have = module(x)
    assert (type(module) is not kind) == cheaper
    assert isinstance(module, nn.Conv2d), "a model may ask what its modules are"
    close_to(have, want)
    close_to(torch.autograd.grad(have, x, given)[0], slope)


def test_an_activation_may_work_in_place_and_a_single_picture_has_no_batch():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU(inplace=True)).requires_grad_(False)
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    want, alone = torch.autograd.grad(module(x).square().sum(), x)[0], module(x[0])
    quicken(module)
    close_to(torch.autograd.grad(module(x).square().sum(), x)[0], want)
    close_to(module(x[0]), alone)


def test_a_forward_of_its_own_stays():
    own, patched = Doubled(4, 4, 1), nn.Conv2d(4, 4, 1)
    patched.forward = lambda x: x
    quicken(nn.ModuleList([own, patched]))
    assert type(own) is Doubled
    assert type(patched) is nn.Conv2d
