"""Values of the network above a layer with batch norms folded: equal to the module's own, hooks and all."""

import pytest
import torch
from closeness import close_to
from torch import nn

from bbilang.runtime.passes import above, forward
from bbilang.runtime.passes.above_values import FOLD_FROM, value_chunks
from bbilang.runtime.passes.fold_batchnorm import folded


def unit(kind=nn.ReLU6, **options):
    return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4, **options), kind(inplace=True))


class Network(nn.Module):
    """Pairs that can be folded (plain, plain2, free), and pairs that something else reads, hooks or runs twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.plain, self.plain2, self.free = unit(), unit(nn.SiLU), unit(affine=False)
        self.hooked, self.twice, self.changed, self.branch, self.inner = unit(), unit(), unit(), unit(), unit()
        self.branch[2].inplace = False
        self.head = nn.Linear(4, 6)
        self.hooked[1].register_forward_hook(lambda module, arguments, result: result + 1)
        self.changed[0].forward = lambda x, own=self.changed[0]: 2 * nn.Conv2d.forward(own, x)
        for norm in (m for m in self.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.uniform_(-0.5, 0.5)
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = self.free(self.plain2(self.plain(self.first(x))))
        x = self.changed(self.twice(self.twice(self.hooked(x))))
        normed = self.branch[1](self.branch[0](x))
        x = self.branch[2](normed) + normed
        raw = self.inner[0](x)
        return self.head((self.inner[2](self.inner[1](raw)) + raw).mean((2, 3)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network().eval()


@pytest.fixture
def adapter(network, make_stub):
    return make_stub(network)


def test_values_are_those_of_the_module_which_stays_as_it_is(network, adapter):
    images = torch.rand(1, 3, 12, 12)
    rows = torch.rand(FOLD_FROM, 3, 12, 12)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    captured = forward(adapter, images, [], cuts=["input"])
    with above(adapter, captured, "input", backend="fx") as upper:
        make = lambda start, stop: (rows[start:stop], torch.zeros(stop - start, dtype=torch.long))  # noqa: E731
        got = torch.cat([value for _, value, _ in value_chunks(upper, make, len(rows))])
    with torch.no_grad():
        close_to(got, network(adapter.normalize(rows)))
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in state.items())
    assert all(m.inplace for m in network.modules() if hasattr(m, "inplace") and m is not network.branch[2])


def test_what_is_folded(network, adapter):
    captured = forward(adapter, torch.rand(1, 3, 12, 12), [], cuts=["input"])
    with above(adapter, captured, "input", backend="fx") as upper:
        modules = folded(upper.run, "input", "output").modules
    changed = {path for path, module in modules.items() if module is not upper.run.modules[path]}
    units = {f"{name}.{part}" for name in ("plain", "plain2", "free") for part in range(3)}
    assert changed == units | {"branch.0", "branch.1"}  # its norm has two readers: the activation is not in place
    assert all(modules[f"{name}.2"].inplace for name in ("plain", "plain2", "free"))
