"""What a scan gains from running the same passes many times: explicit derivatives of a single target, and pictures with
the channels last. The numbers are those of the plain way."""

import importlib

import pytest
import torch
from closeness import close_to
from torch import nn

from bbilang.runtime.passes import Passes, forward, with_channels_last
from bbilang.runtime.passes.module.in_place import gates_in_place
from bbilang.runtime.passes.module.memo import memo_of, module_unchanged
from bbilang.runtime.passes.vjp import KERNELS

VJP = importlib.import_module("bbilang.runtime.passes.vjp")
LAYERS = ["first", "deep"]
FIRST = torch.eye(6)[[2, 5]][None]  # (target=1, input, class)


class Residual(nn.Module):
    """Convolutions of all kinds, batch norms, a clamp and a sum."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8), nn.ReLU())
        self.project = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, 6)

    def forward(self, x):
        x = self.first(x)
        return self.head((x + self.project(self.deep(x))).mean((2, 3)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    module = Residual().eval()
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.weight.data.uniform_(0.5, 2)
    return module


def by_autograd(network, adapter, images):
    """The gradients of the layers, all written out."""
    x = network.first(adapter.normalize(images))
    y = network.deep(x)
    scores = network.head((x + network.project(y)).mean((2, 3)))
    return torch.autograd.grad(scores, [x, y], FIRST[0])


def pulled(adapter, images, repeated):
    captured = forward(adapter, images, LAYERS, grad=True)
    ((_, found),) = VJP.vjp_chunks(captured, captured.score_graph, FIRST, LAYERS, repeated=repeated)
    return found


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_one_target_of_many_batches_goes_without_autograd(network, adapter, images, monkeypatch, layout):
    expected = by_autograd(network, adapter, images)
    images = images.contiguous(memory_format=layout)
    with module_unchanged():
        checked = pulled(adapter, images, True)
        monkeypatch.setattr(VJP, "_one", lambda *given: pytest.fail("autograd"))
        again = pulled(adapter, images, True)
        for layer, one in zip(LAYERS, expected, strict=True):
            assert torch.equal(checked[layer], again[layer])
            close_to(again[layer][0], one)
        with pytest.raises(pytest.fail.Exception, match="autograd"):
            pulled(adapter, images, False)


def test_kernels_are_made_once_and_anew_for_other_weights(network, adapter, images):
    with module_unchanged():
        pulled(adapter, images, True)
        kernels = memo_of(network)[KERNELS, "output", *LAYERS]
        made = dict(kernels)
        assert made
        pulled(adapter, images, True)
        assert all(kernels[node] is kernel for node, kernel in made.items())
    with torch.no_grad():
        network.project[0].weight.mul_(-2)
    expected, _ = by_autograd(network, adapter, images)
    close_to(pulled(adapter, images, True)["first"][0], expected)


class Gated(nn.Module):
    """Gates of all kinds: after a batch norm, after a convolution that something else reads, twice, and after a sum."""

    def __init__(self):
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6())
        self.wide, self.open, self.twice, self.last = nn.Conv2d(4, 4, 1), nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.head = nn.Conv2d(4, 4, 1)
        self.gate = nn.ReLU()

    def forward(self, x):
        x = self.wide(self.low(x))
        y = self.open(x) + x
        y = self.twice(self.head(y)) + self.twice(y)
        return self.gate(self.wide(self.last(y)))


def test_gates_write_in_place_where_nothing_else_reads(make_stub, images):
    torch.manual_seed(0)
    module = Gated().eval()
    stub, layers = make_stub(module), ["low.0", "low.1", "low", "open", "head"]
    gates = {name: m for name, m in module.named_modules() if isinstance(m, nn.ReLU | nn.ReLU6)}
    usual = forward(stub, images, layers)
    with gates_in_place(module):
        assert not any(m.inplace for m in gates.values()), "it may have changed since it was traced"
    with module_unchanged():
        for _ in range(3):  # first a layer is copied, until it is known whether it changes
            forward(stub, images, layers)
            with gates_in_place(module):
                assert {name for name, m in gates.items() if m.inplace} == {"low.2", "gate"}
                again = forward(stub, images, layers)
            assert not any(m.inplace for m in gates.values())
            assert torch.equal(again.scores, usual.scores)
            assert all(torch.equal(again[layer], usual[layer]) for layer in layers)


class Views(nn.Module):
    """A network that views the result of a convolution as a vector: it takes no channels last."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(400, 6)

    def forward(self, x):
        return self.head(self.first(x).view(len(x), -1))


class Noise(nn.Module):
    """What it gives depends on how its input lies in memory."""

    def forward(self, x):
        return x.mean((2, 3)) + x.stride(1)


def test_channels_last_only_where_the_network_takes_them(adapter, make_stub, images):
    counter = Passes()
    last = with_channels_last(adapter, images, counter)
    assert torch.equal(last, images) and last.is_contiguous(memory_format=torch.channels_last)
    assert counter.probes == 2
    usual, other = forward(adapter, images, LAYERS), forward(adapter, last, LAYERS)
    for layer in LAYERS:
        close_to(other[layer], usual[layer])
    close_to(other.scores, usual.scores)
    for module in (Views(), Noise()):
        stub = make_stub(module.eval())
        assert with_channels_last(stub, images, counter) is images
        assert with_channels_last(stub, images, counter) is images
    assert counter.probes == 6, "each is tried once"
