"""Every kind of network, cut at every kind of layer, in both modes: float64, against autograd through the whole."""

import gc
import weakref

import pytest
import torch
from closeness import close_to, within
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from zoo import CASES, ZOO, built

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.passes import Passes, above, forward, gradients, rerun_gradients, tangents

CAN_TRACE = {"Residual", "Branches", "Twice", "Attention"}


@pytest.fixture
def double(make_stub):
    def make(name):
        network = built(name).double()
        return network, make_stub(network), torch.rand(2, 3, 12, 12, dtype=torch.float64)

    return make


def values_at(network, adapter, images, layer, move=None):
    """The slow twin: (activation, scores) of the whole network in plain Python, the layer's result moved."""
    captured = []

    def hook(module, arguments, result):
        first = result[0] if isinstance(result, tuple) else result
        first = first.clone() if move is None else first + move
        first.retain_grad()
        captured.append(first)
        return (first.clone(), *result[1:]) if isinstance(result, tuple) else first.clone()

    handle = network.get_submodule(layer).register_forward_hook(hook)
    network.eval()
    try:
        return captured, network(adapter.normalize(images.clone().requires_grad_()))
    finally:
        handle.remove()
        network.train()


def ways(name):
    return ("hooks", "fx") if name in CAN_TRACE else ("hooks",)


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_values_gradients_and_tangents(double, name, layer):
    network, adapter, images = double(name)
    captured = forward(adapter, images, [], cuts=[layer])
    (value,), scores = values_at(network, adapter, images, layer)
    seeds = torch.randn(3, *scores.shape, dtype=torch.float64)
    moves = torch.randn(4, *value.shape, dtype=torch.float64)
    want = torch.stack([torch.autograd.grad(scores, value, seed, retain_graph=True)[0] for seed in seeds])
    far = values_at(network, adapter, images, layer, moves[0])[1]
    for way in ways(name):
        with above(adapter, captured, layer, backend=way) as upper:
            close_to(upper(upper.activations + moves[0])["output"], far)
            one = upper(upper.activations[1:] + moves[0, 1:], torch.tensor([1]))["output"]
            close_to(one, far[1:])
            close_to(rerun_gradients(upper, upper.activations, None, seeds), want)
            for chunk in (None, 1, 3):
                pushed = tangents(upper, moves, chunk=chunk)["output"]
                left = torch.einsum("sno,tno->st", seeds, pushed)
                right = torch.einsum("sn,tn->st", want.flatten(1), moves.flatten(1))
                close_to(left, right)
    assert all(m.training for m in network.modules())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks or "forward" in m.__dict__ for m in network.modules())
    assert [getattr(m, "inplace", None) for m in network.modules()] == [
        getattr(m, "inplace", None) for m in built(name).modules()
    ]


@pytest.mark.parametrize(("name", "layer"), [("Residual", "one"), ("Attention", "norm"), ("Branches", "middle")])
def test_tangents_are_finite_differences(double, name, layer):
    _, adapter, images = double(name)
    captured = forward(adapter, images, [], cuts=[layer])
    move, step = torch.randn_like(captured[layer])[None], 1e-6
    with above(adapter, captured, layer) as upper:
        got = tangents(upper, move)["output"][0]
        ahead, behind = (upper(upper.activations + s * move[0])["output"] for s in (step, -step))
    within(got, (ahead - behind) / (2 * step), relative=1e-6, because="differences over a finite step")


@pytest.mark.parametrize("name", ZOO)
def test_auto_takes_the_graph_where_there_is_one(double, name):
    _, adapter, images = double(name)
    layer = ZOO[name][1][1]
    captured = forward(adapter, images, [], cuts=[layer])
    counter = Passes()
    for _ in range(2):
        with above(adapter, captured, layer, counter=counter) as upper:
            assert upper.backend == ("fx" if name in CAN_TRACE else "hooks")
    assert counter.probes == 1, "looked at once"
    assert counter.forwards == 0, "what is below does not run again"


def test_later_layers_are_targets(double):
    _, adapter, images = double("Residual")
    captured = forward(adapter, images, ["pool"], want_output=False, grad=True, cuts=["one"])
    seed = torch.randn_like(captured["pool"])
    got = forward(adapter, images, ["one", "pool"], want_output=False, grad=True)
    (want,) = torch.autograd.grad(got.graph["pool"], got.graph["one"], seed)
    for way in ("hooks", "fx"):
        with above(adapter, captured, "one", ["pool"], backend=way) as upper:
            close_to(upper(upper.activations)["pool"], captured["pool"])
            back = rerun_gradients(upper, upper.activations, None, seed[None], "pool")[0]
        close_to(back, want)


@pytest.mark.parametrize("way", ["hooks", "fx"])
def test_nothing_below_the_cut_and_nothing_after_the_target_runs(double, way):
    _, adapter, images = double("Residual")
    captured = forward(adapter, images, [], cuts=["norm"])
    with above(adapter, captured, "norm", ["two"], backend=way) as upper, FlopCounterMode(display=False) as counted:
        upper(upper.activations)
    assert counted.get_total_flops() == 2 * 2 * (6 * 12 * 12) * (6 * 3 * 3), "the convolution `two` of two images"


@pytest.mark.parametrize("way", ["hooks", "fx"])
def test_a_target_below_is_a_constant(double, way):
    _, adapter, images = double("Residual")
    captured = forward(adapter, images, ["stem"], cuts=["norm"])
    move = torch.randn_like(captured["norm"])
    with above(adapter, captured, "norm", ["stem"], backend=way) as upper:
        assert torch.equal(upper(upper.activations + move)["stem"], captured["stem"])
        assert not tangents(upper, move[None])["stem"].any()
        assert not rerun_gradients(upper, move, None, torch.randn(2, *captured["stem"].shape), "stem").any()


def test_random_forwards_are_refused(make_stub):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.cut, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

        def forward(self, x):
            x = self.cut(x)
            return self.head((x + torch.rand_like(x)).mean((2, 3)))

    adapter, images = make_stub(Noisy()), torch.rand(2, 3, 8, 8)
    captured = forward(adapter, images, [], cuts=["cut"])
    with pytest.raises(BbiError) as error, above(adapter, captured, "cut"):
        pass
    assert error.value.diagnostics[0].code == "E508"


def test_without_a_cut_the_forward_is_run_again(double):
    _, adapter, images = double("Twice")
    captured, counter = forward(adapter, images, ["cut"]), Passes()
    with above(adapter, captured, "cut", counter=counter) as upper:
        close_to(upper(upper.activations)["output"], captured.scores)
    assert (counter.forwards, counter.reruns, counter.rerun_rows) == (1, 1, 2)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("way", ["hooks", "fx"])
def test_given_back_after_an_exception(double, raised, way):
    network, adapter, images = double("Residual")
    captured = forward(adapter, images, [], cuts=["one"])
    with pytest.raises(raised), above(adapter, captured, "one", backend=way) as upper:
        upper(upper.activations)
        raise raised
    assert all(m.training for m in network.modules()) and network.relu.inplace
    assert not any(m._forward_hooks or "forward" in m.__dict__ for m in network.modules())


def test_what_is_remembered_of_a_model_does_not_keep_it(make_stub):
    network = built("Residual")
    adapter, images = make_stub(network), torch.rand(1, 3, 12, 12)
    captured = forward(adapter, images, [], cuts=["one"])
    with above(adapter, captured, "one"):
        pass
    gone = weakref.ref(network)
    del network, adapter, captured
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("name", ZOO)
def test_batched_cotangents_equal_the_loop(double, name):
    _, adapter, images = double(name)
    layers = ZOO[name][1]
    counts, want = [], None
    for chunk in (1, 3, None):
        counter = Passes()
        captured = forward(adapter, images, layers, grad=True)
        seeds = torch.randn(7, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        got = gradients(captured, seeds, layers, counter, chunk=chunk)
        counts.append((counter.backwards, counter.calls))
        want = want or got
        for layer in layers:
            close_to(got[layer], want[layer])
    assert counts == [(7, 7), (7, 3), (7, 1)]


@pytest.mark.parametrize(("name", "layer"), [(n, x) for n, x in CASES if n in {"Residual", "Branches", "Twice"}])
def test_convolutional_networks_have_their_derivative_written_out(double, name, layer):
    _, adapter, images = double(name)
    captured = forward(adapter, images, [], cuts=[layer])
    with above(adapter, captured, layer, backend="fx") as upper:
        tangents(upper, torch.randn(2, *upper.activations.shape))
        assert upper.linear is not None and not upper.batched, "nothing fell back"
