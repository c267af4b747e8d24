"""The explicit VJP against autograd through the network itself: same gates, same sums."""

import sys
from itertools import product

import pytest
import torch
from closeness import close_to
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from zoo import ZOO, built

from bbilang.runtime.passes import Passes, above, forward, rerun_gradient_chunks, vjp
from bbilang.runtime.passes.same_padding import SameConv2d

COUNT = 8
BACKWARD = sys.modules["bbilang.runtime.passes.vjp"]  # the package has a function of that name


class Kinds(nn.Module):
    """Convolutions of every shape, batch norms with and without a convolution before them, pools, sums, ends."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.same, self.after = SameConv2d(8, 8, 4, groups=8, bias=False), nn.BatchNorm2d(8)
        self.strided = SameConv2d(8, 8, 3, 2, groups=8)
        self.grouped, self.dilated = nn.Conv2d(8, 12, 3, padding=1, groups=2), nn.Conv2d(8, 12, 3, 1, 2, dilation=2)
        self.valid, self.point = nn.Conv2d(8, 12, 3), nn.Conv2d(8, 12, 1, bias=False)
        self.alone, self.plain = nn.BatchNorm2d(24), nn.BatchNorm2d(12, affine=False)
        self.gate, self.pool, self.drop = nn.ReLU6(), nn.AvgPool2d(2, 1), nn.Dropout()
        self.most, self.end = nn.MaxPool2d(2, 1, 0), nn.AdaptiveAvgPool2d(1)
        self.hidden, self.head = nn.Linear(24, 10), nn.Linear(10, 5)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = x + self.gate(self.after(self.same(x)))
        x = self.strided(x)
        y = torch.cat([self.grouped(x), self.plain(self.dilated(x))], 1)
        y = nn.functional.relu(self.alone(y))
        z = self.most(self.pool(self.point(x))) * torch.sigmoid(self.valid(x)).mean((2, 3), keepdim=True)
        y = self.end(self.drop(y)).flatten(1) + torch.cat([z, z + z], 1).mean((2, 3))
        return self.head(self.hidden(y).tanh())


NETWORKS = {**{name: layers for name, (_, layers) in ZOO.items() if name not in {"Deciding", "Attention"}}}
NETWORKS["Kinds"] = ["stem", "after", "strided", "dilated", "alone", "pool", "hidden"]


@pytest.fixture
def double(make_stub):
    def make(name):
        torch.manual_seed(3)
        network = (Kinds() if name == "Kinds" else built(name)).double()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        return make_stub(network), torch.rand(2, 3, 16, 16, dtype=torch.float64)

    return make


def close(got, want):
    for layer, value in want.items():
        close_to(got[layer], value, roundings=1e6, because=layer)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_at_once_equals_autograd(double, name):
    adapter, images = double(name)
    layers = ["input", *NETWORKS[name]]  # below the input's node stands the normalization of pictures
    captured, counter = forward(adapter, images, layers, grad=True), Passes()
    seeds = torch.randn(COUNT, *captured.scores.shape, dtype=torch.float64)
    want = vjp(captured, captured.score_graph, seeds, layers, keep=True, chunk=1)
    assert not captured.explicit_vjps, "the plain loop goes through autograd"
    got = vjp(captured, captured.score_graph, seeds, layers, counter, keep=True)
    assert all(captured.explicit_vjps.values()) and captured.explicit_vjps, "nothing fell back"
    close(got, want)
    assert (counter.backwards, counter.backward_rows, counter.probes) == (COUNT, 2 * COUNT, 1)
    vjp(captured, captured.score_graph, seeds, layers, counter)
    assert counter.probes == 1 and not captured.explicit_vjps and captured.saved is None, (
        "compared once; freed at the end"
    )


def test_a_later_layer_is_a_target_and_parallel_branches_get_zero(double):
    adapter, images = double("Kinds")
    layers = ["strided", "dilated", "grouped"]
    captured = forward(adapter, images, [*layers, "plain"], want_output=False, grad=True)
    target = captured.graph["plain"]
    seeds = torch.randn(COUNT, *target.shape, dtype=torch.float64)
    want = vjp(captured, target, seeds, [*layers, "plain"], keep=True, chunk=1)
    got = vjp(captured, target, seeds, [*layers, "plain"], keep=True)
    assert all(captured.explicit_vjps.values()) and captured.explicit_vjps
    close(got, want)
    assert not got["grouped"].any() and torch.equal(got["plain"], seeds)


def test_work_is_that_of_autograd_and_nothing_runs_forward_again(double):
    adapter, images = double("Residual")
    layers, results = ["stem", "one"], []
    for chunk in (1, None):
        captured = forward(adapter, images, layers, grad=True)
        seeds = torch.randn(COUNT, *captured.scores.shape, dtype=torch.float64)
        vjp(captured, captured.score_graph, seeds, layers, keep=True)  # looked at
        with FlopCounterMode(display=False) as counted:
            vjp(captured, captured.score_graph, seeds, layers, keep=True, chunk=chunk)
        results.append(counted.get_total_flops())
    assert results[0] == results[1] > 0


@pytest.mark.parametrize("refused", ["forward hook", "no rule", "another backward"])
def test_what_has_no_rule_goes_through_autograd(double, refused):
    adapter, images = double("Residual")
    if refused == "forward hook":
        adapter.module.two.register_forward_hook(lambda module, arguments, result: result * 2)
    elif refused == "no rule":
        adapter.module.two.padding_mode = "circular"
        adapter.module.two._reversed_padding_repeated_twice = [1, 1, 1, 1]
    else:
        adapter.module.relu = Straight()
    captured = forward(adapter, images, ["stem"], grad=True)
    seeds = torch.randn(COUNT, *captured.scores.shape, dtype=torch.float64)
    want = vjp(captured, captured.score_graph, seeds, ["stem"], keep=True, chunk=1)
    got = vjp(captured, captured.score_graph, seeds, ["stem"], keep=True)
    close(got, want)
    if refused != "another backward":
        assert list(captured.explicit_vjps.values()) == [None]


class Straight(nn.ReLU):
    """A ReLU that says its derivative is 1 everywhere."""

    def forward(self, x):
        return x + (x.relu() - x).detach()


def test_rows_of_a_path_have_gates_of_their_own(double):
    """And cotangents may depend on what comes out there."""
    for name, layer in product(("Residual", "Branches", "Kinds"), ("inside", "input")):
        adapter, images = double(name)
        layer = NETWORKS[name][1] if layer == "inside" else layer
        captured = forward(adapter, images, [], cuts=[layer])
        rows = torch.tensor([0, 1, 1, 0, 1])
        counter = Passes()
        with above(adapter, captured, layer, backend="fx", counter=counter) as upper:
            points = upper.activations[rows] + torch.randn(5, *upper.activations.shape[1:], dtype=torch.float64)

            def seeds(value, owners):
                return torch.stack([value.softmax(1) * (owners + 1)[:, None], value])

            parts = [part for _, part in rerun_gradient_chunks(upper, points, rows, seeds, chunk=2, targets=2)]
            assert "output" in upper.networks, "written out"
            moved = points.clone().requires_grad_()
            out = upper.run(moved, rows)["output"]
            want = [torch.autograd.grad(out, moved, seed, retain_graph=True)[0] for seed in seeds(out.detach(), rows)]
        close({layer: torch.cat(parts, 1)}, {layer: torch.stack(want)})
        assert (counter.backward_rows, counter.rerun_rows, counter.reruns) == (10, 5, 3)


@pytest.mark.parametrize(
    ("name", "weights", "layers"),
    [("efficientnet_lite0", None, ["block5c", "block6c.expand"]), ("googlenet", "random", ["mixed4d", "mixed5a"])],
)
def test_real_networks_in_float32(name, weights, layers):
    from bbilang.runtime.models.loading import load

    torch.manual_seed(0)
    adapter = load(name, weights=weights)
    images = torch.rand(1, 3, *adapter.description.input_size, generator=torch.Generator().manual_seed(0))
    captured = forward(adapter, images, layers, grad=True)
    seeds = torch.eye(1000)[:COUNT, None]
    want = vjp(captured, captured.score_graph, seeds[:1], layers, keep=True, chunk=1)
    got = vjp(captured, captured.score_graph, seeds, layers, keep=True)
    assert all(captured.explicit_vjps.values()) and captured.explicit_vjps
    for layer, value in want.items():
        assert float((got[layer][:1] - value).abs().max()) < 2e-6 * float(value.abs().max())


def test_what_comes_out_of_convolutions_of_single_channels_is_laid_out_channels_last(make_stub):
    """In the other order torch takes up to ten times as long for those with a stride, and all below them copies."""
    torch.manual_seed(0)
    strided = nn.Conv2d(8, 8, 3, 2, 1, groups=8)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), strided, nn.ReLU(), nn.Flatten(), nn.Linear(512, COUNT))
    captured = forward(make_stub(network), torch.rand(1, 3, 16, 16), ["0"], grad=True)
    seeds = torch.eye(COUNT)[:, None]
    gradient = vjp(captured, captured.score_graph, seeds, ["0"], keep=True)["0"]
    assert gradient[:, 0].is_contiguous(memory_format=torch.channels_last)
    want = torch.stack(
        [torch.autograd.grad(captured.score_graph, captured.graph["0"], seed, True)[0] for seed in seeds]
    )
    close_to(gradient, want)


def test_few_cotangents_at_once_where_each_is_large(make_stub, monkeypatch):
    """What leaves the caches takes longer: a chunk is bounded by its bytes, never below `MIN_CHUNK`."""
    network = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 256, 12))
    captured = forward(make_stub(network), torch.rand(1, 3, 16, 16), ["0"], grad=True)
    seeds, each = torch.eye(12)[:, None], 64 * 256 * 4
    for room, calls in ((each, 12 // BACKWARD.MIN_CHUNK), (6 * each, 2), (100 * each, 1)):
        monkeypatch.setattr(BACKWARD, "CACHE_BYTES", room)
        counter = Passes()
        vjp(captured, captured.score_graph, seeds, ["0"], counter, keep=True)
        assert (counter.calls, counter.backwards) == (calls, 12)
