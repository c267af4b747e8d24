"""Fused operations with explicit derivatives beside torch's own."""

import logging

import pytest
import torch
import torch.nn.functional as F
from closeness import close_to
from torch import nn

from bbilang.runtime.passes import Passes, run_to
from bbilang.runtime.passes.explicit.fused_run import fused_run
from bbilang.runtime.passes.explicit.fused_steps import ByAutograd, Convolution, Pointwise
from bbilang.runtime.passes.module.gates import GateState
from bbilang.runtime.passes.same_padding import SameConv2d


class Residual(nn.Module):
    """A block with a sum, a nonlinearity after it, and one value that two operations read."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm, self.act = nn.BatchNorm2d(channels), nn.ReLU()
        self.second = nn.Conv2d(channels, channels, 1)
        self.after = nn.ReLU6()

    def forward(self, x):
        return self.after(x + self.second(self.act(self.norm(self.first(x)))))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(6, 3, 1), nn.Sequential(nn.Conv2d(6, 4, 3, dilation=2, padding=2), nn.ReLU())

    def forward(self, x):
        return torch.cat([self.left(x), self.right(x), F.avg_pool2d(x, 3, 1, 1)], 1)


def by_channel(kernel, stride):
    return SameConv2d(8, 8, kernel, stride, groups=8, bias=stride > 1)


def last(channels):
    return (nn.Conv2d(6, channels, 1),)


NETWORKS = {
    "strided by channel, SAME": lambda: [SameConv2d(3, 8, 3, 2), nn.ReLU6(), by_channel(3, 2), nn.ReLU6()],
    "5 x 5 by channel": lambda: [nn.Conv2d(3, 8, 1), nn.ReLU(), by_channel(5, 1), nn.ReLU6()],
    "strided, of many channels": lambda: [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), SameConv2d(8, 6, 3, 2)],
    "in groups": lambda: [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 12, 3, groups=4, padding=(2, 1)), nn.ReLU()],
    "strided patches": lambda: [nn.Conv2d(3, 8, 4, 4), nn.ReLU6(), nn.Dropout(), nn.Conv2d(8, 5, 1)],
    "sums": lambda: [nn.Conv2d(3, 6, 3), nn.ReLU(), Residual(6)],
    "branches": lambda: [nn.Conv2d(3, 6, 3), nn.ReLU(), Branches()],
    "pooling and a norm": lambda: [nn.Conv2d(3, 6, 3), nn.MaxPool2d(2), nn.BatchNorm2d(6), nn.ReLU(), *last(4)],
    "scores": lambda: [nn.Conv2d(3, 6, 3), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)],
}  # fmt: skip


def made(make_stub, modules):
    torch.manual_seed(0)
    network = nn.Sequential(*modules()).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.weight.uniform_(0.5, 2)
    return network, make_stub(network)


def images(*size):
    return torch.randn(3, 3, *size, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(12, 12), (13, 15)])
def test_values_and_gradients_are_torchs(name, size, make_stub):
    network, adapter = made(make_stub, NETWORKS[name])
    x = images(*size)
    fused = fused_run(adapter, str(len(network) - 1), x.detach())
    want = network.double()(x.double())
    given = torch.randn(want.shape, generator=torch.Generator().manual_seed(2))
    (slope,) = torch.autograd.grad(want, x, given.double())
    network.float()
    have = fused(x, False, None, GateState())
    close_to(have, want.float())
    close_to(torch.autograd.grad(have, x, given)[0], slope.float())


@pytest.mark.parametrize("name", NETWORKS)
def test_in_bfloat16_they_are_nearly_torchs(name, make_stub):
    network, adapter = made(make_stub, NETWORKS[name])
    x, layer = images(12, 12), str(len(network) - 1)
    half, full = (fused_run(adapter, layer, x.detach(), half) for half in (True, False))
    found = []
    for fused in (half, full):
        seen = fused(x, False, None, GateState())
        found.append((seen, *torch.autograd.grad(seen, x, torch.ones_like(seen))))
    for have, want in zip(*found, strict=True):
        assert have.dtype == torch.float32
        far = (have - want).norm() / want.norm()
        assert far < 0.1 and (far > 1e-5 or half.kind == torch.float32), "a mantissa of eight bits, and gates that flip"


def test_what_has_a_step_is_not_left_to_autograd(make_stub):
    _, adapter = made(make_stub, NETWORKS["strided by channel, SAME"])
    assert [type(step) for step in fused_run(adapter, "2", images(12, 12).detach()).steps] == [Convolution, Convolution]
    _, adapter = made(make_stub, NETWORKS["pooling and a norm"])
    steps = [type(step) for step in fused_run(adapter, "4", images(12, 12).detach()).steps]
    assert steps[1:3] == [ByAutograd] * 2 and steps[-1] is Pointwise


@pytest.mark.parametrize("gate", [[], [nn.ReLU6()], [nn.ReLU(), nn.Dropout()]])
def test_the_one_channel_that_is_needed(gate, make_stub):
    network, adapter = made(make_stub, lambda: [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 9, 1), *gate])
    x, only = images(8, 9), torch.tensor([4, 0, 8])
    whole = network(x)[torch.arange(3), only][:, None]
    given = torch.randn(whole.shape)
    (slope,) = torch.autograd.grad(whole, x, given)
    have = fused_run(adapter, str(len(network) - 1), x.detach())(x, False, only, GateState())
    close_to(have, whole)
    close_to(torch.autograd.grad(have, x, given)[0], slope)


@pytest.mark.parametrize("shift", [-3.0, -1.0, 0.0, 5.0])
@pytest.mark.parametrize("rows", [True, False, torch.tensor([True, False, True])])
def test_gates_that_are_shut_are_passed_as_a_runner_passes_them(shift, rows, make_stub):
    network, adapter = made(
        make_stub, lambda: [nn.Conv2d(3, 6, 3), nn.ReLU6(), nn.Conv2d(6, 4, 3), nn.ReLU(), Residual(4)]
    )
    with torch.no_grad():
        network[0].bias += shift
        network[2].bias += shift
    x, found = images(10, 10), []
    fused = fused_run(adapter, "4", x.detach() * 5 + 2)
    with run_to(adapter, "4", counter=Passes(), example=x) as runner:
        runner.through_own, runner.through_relu = True, rows
        for runner.fused in (None, fused):
            seen = runner(x)
            found.append((*runner.backward(-seen[:, 1].sum(), [x]), runner.opened(), runner.highest()))
    for have, want in zip(*found, strict=True):
        assert (have is want is None) or torch.allclose(have.float(), want.float(), atol=1e-5)


class Called(nn.Module):
    def forward(self, x):
        return F.relu(x)


class Doubled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


class Asked(nn.Module):
    """It asks for a value, and torch.fx has none."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return x if self.first(x).sum() > 0 else -x


@pytest.mark.parametrize("module", [nn.GELU(), Called(), Doubled(3, 4, 1), Asked(), nn.Conv2d(3, 4, 1).double()])
def test_other_networks_are_left_to_autograd(module, make_stub, caplog):
    adapter = make_stub(nn.Sequential(nn.Identity(), module, nn.ReLU()))
    with caplog.at_level(logging.INFO, "bbilang.passes"):
        assert fused_run(adapter, "2", images(8, 8).detach()) is None
    assert "autograd" in caplog.text


def test_hooks_of_others_run(make_stub):
    network, adapter = made(make_stub, NETWORKS["sums"])
    network[0].register_forward_hook(lambda *_: None)
    assert fused_run(adapter, "2", images(8, 8).detach()) is None
