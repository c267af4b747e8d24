from types import SimpleNamespace

import pytest
import torch
from torch import nn


class Network(nn.Module):
    """In-place activations, a residual sum, a concatenation, a shared module, a tuple, one that is never used."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6(inplace=True))
        self.left, self.right = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 5, 3, padding=1)
        self.same = nn.Identity()
        self.pair = Pair()
        self.head = nn.Linear(8, 6)
        self.unused = nn.Linear(1, 1)
        self.ran = []
        for name, module in self.named_children():
            module.register_forward_pre_hook(lambda m, a, name=name: self.ran.append(name))

    def forward(self, x):
        x = self.act(self.first(x))
        y = self.second(x)
        y += x
        x = torch.cat([self.left(y), self.act(self.right(y))], 1)
        x = self.pair(self.same(x))[0]
        return self.head(x.mean((2, 3)))


class Pair(nn.Module):
    def forward(self, x):
        return x * 2, x


def stub(module, output=""):
    return SimpleNamespace(
        module=module,
        normalize=lambda x: (x - 0.4) / 0.2,
        module_of=module.get_submodule,
        device=torch.device("cpu"),
        description=SimpleNamespace(output=output, input_size=(12, 12)),
    )


@pytest.fixture
def network():
    torch.manual_seed(0)
    module = Network().train()
    module.second[1].running_mean.uniform_(-0.2, 0.2)
    module.head.weight.grad = torch.ones_like(module.head.weight)
    module.left.weight.requires_grad_(False)
    return module


@pytest.fixture
def adapter(network):
    return stub(network)


@pytest.fixture
def images():
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def make_stub():
    return stub


@pytest.fixture
def unchanged(network):
    """A check that the network is as it was when the fixture was made."""

    def state():
        return (
            [m.training for m in network.modules()],
            [p.requires_grad for p in network.parameters()],
            [None if p.grad is None else p.grad.clone().sum().item() for p in network.parameters()],
            [len(m._forward_hooks) + 10 * len(m._forward_pre_hooks) for m in network.modules()],
            ["forward" in m.__dict__ for m in network.modules()],
            [b.clone().sum().item() for b in network.buffers()],
        )

    before = state()
    yield
    assert state() == before


@pytest.fixture
def layers():
    return ["input", "first", "second.0", "second", "left", "right", "same", "pair"]


@pytest.fixture
def slow_twin(network, adapter, images):
    """Return a function that gives (values by layer, scores): all written out, nothing in place, autograd through
    everything."""

    def run():
        was = [(m, m.training) for m in network.modules()]
        network.eval()
        f, values = torch.nn.functional, {}
        values["input"] = x = images.clone().requires_grad_()
        values["first"] = x = network.first(adapter.normalize(x))
        x = f.relu(x)
        values["second.0"] = y = network.second[0](x)
        values["second"] = y = f.relu6(network.second[1](y))
        y = y + x
        values["left"], values["right"] = network.left(y), network.right(y)
        x = torch.cat([values["left"], f.relu(values["right"])], 1)
        values["same"] = x = x * 1
        values["pair"] = x = x * 2
        scores = network.head(x.mean((2, 3)))
        for m, mode in was:
            m.training = mode
        network.ran.clear()
        return values, scores

    return run
