"""One backward per target: equal to full autograd, no further than needed, the model untouched."""

import pytest
import torch
from closeness import close_to

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.passes import Passes, forward, gradients, run_to, vjp


def cotangents(targets=3, inputs=2, classes=6):
    return torch.randn(targets, inputs, classes, generator=torch.Generator().manual_seed(2))


def test_gradients_equal_full_autograd(slow_twin, layers, network, adapter, images, unchanged):
    values, scores = slow_twin()
    targets, counter = cotangents(), Passes()
    captured = forward(adapter, images, layers, grad=True, counter=counter)
    got = gradients(captured, targets, layers, counter)
    for layer in layers:
        rows = [torch.autograd.grad(scores, values[layer], t, retain_graph=True)[0] for t in targets]
        close_to(got[layer], torch.stack(rows))
    assert (counter.forwards, counter.backwards, counter.backward_rows) == (1, 3, 6)


def test_nothing_below_the_earliest_layer_is_recorded(adapter, images):
    captured = forward(adapter, images, ["second", "right"], grad=True)
    assert captured.graph["second"].is_leaf and not captured.graph["right"].is_leaf
    nodes, todo = set(), [captured.score_graph.grad_fn]
    while todo:
        nodes.add(node := todo.pop())
        todo += [n for n, _ in node.next_functions if n is not None]
    names = [node.name() for node in nodes]
    assert not any("BatchNorm" in name for name in names), "it lies below `second`"
    assert sum("AccumulateGrad" in name for name in names) == 1, "the captured leaf's, and no parameter's"
    leaves = gradients(captured, cotangents(1), ["second"], keep=True)
    assert leaves["second"].shape == (1, 2, 4, 12, 12)


def test_parallel_branches(slow_twin, network, adapter, images):
    values, scores = slow_twin()
    captured = forward(adapter, images, ["left", "right"], grad=True)
    got = gradients(captured, cotangents(1), ["left", "right"])
    for layer in ("left", "right"):
        close_to(got[layer][0], torch.autograd.grad(scores, values[layer], cotangents(1)[0], retain_graph=True)[0])


def test_the_graph_is_freed_after_the_last_target_unless_retained(adapter, images):
    captured = forward(adapter, images, ["second"], grad=True)
    first = gradients(captured, cotangents(1), ["second"], keep=True)
    again = gradients(captured, cotangents(1), ["second"])
    assert torch.equal(first["second"], again["second"])
    with pytest.raises(BbiError) as error:
        gradients(captured, cotangents(1), ["second"])
    assert error.value.diagnostics[0].code == "E505"


def test_any_function_of_captured_layers_is_a_target(slow_twin, network, adapter, images):
    values, _ = slow_twin()
    captured = forward(adapter, images, ["first", "second"], want_output=False, grad=True)
    norm = captured.graph["second"].norm(dim=1)
    seeds = torch.ones(1, *norm.shape)
    got = vjp(captured, norm, seeds, ["first"])["first"][0]
    want = torch.autograd.grad(values["second"].norm(dim=1).sum(), values["first"])[0]
    close_to(got, want)


def test_a_target_that_does_not_depend_on_a_layer_gives_zero(adapter, images):
    captured = forward(adapter, images, ["left", "right"], want_output=False, grad=True)
    left = captured.graph["left"].sum()
    assert not vjp(captured, left, torch.ones(1), ["right"])["right"].any()


def test_attribution_to_an_attribution(network, adapter, images):
    captured = forward(adapter, images, ["first", "second"], grad=True)
    inner = gradients(captured, cotangents(1), ["second"], create_graph=True)["second"][0]
    product = (inner * captured.graph["second"]).sum()
    outer = vjp(captured, product, torch.ones(1), ["first"])
    assert outer["first"].shape == (1, 2, 4, 12, 12) and outer["first"].any()


def test_a_runner_equals_plain_autograd_and_registers_once(slow_twin, network, adapter, images, unchanged):
    values, _ = slow_twin()
    counter = Passes()
    with run_to(adapter, "second", counter=counter, example=images) as run:
        network.ran.clear()
        for _ in range(2):
            x = images.clone().requires_grad_()
            seen = run(x)
            close_to(seen, values["second"])
            (gradient,) = run.backward(seen.square().sum(), [x])
        assert network.ran == ["first", "act", "second"] * 2
    want = torch.autograd.grad(values["second"].square().sum(), values["input"])[0]
    close_to(gradient, want)
    assert (counter.forwards, counter.backwards) == (2, 2)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, ValueError])
def test_a_runner_gives_the_model_back(network, adapter, images, raised, unchanged):
    with pytest.raises(raised), run_to(adapter, "second", through_relu=True) as run:
        run(images)
        raise raised


def test_gradients_pass_shut_relus_while_it_is_asked_for(network, adapter, images, unchanged):
    network.first.bias.data.fill_(-100.0)  # every unit of the first ReLU is shut
    x = images.clone().requires_grad_()
    with run_to(adapter, "second.0", through_relu=False) as run:
        assert not run.backward(-run(x).mean(), [x])[0].any()
        run.through_relu = True
        (opening,) = run.backward(-run(x).mean(), [x])
        assert opening.any()
        run.through_relu = False
        assert not run.backward(-run(x).mean(), [x])[0].any()


def test_redirected_gradient_equals_its_definition():
    """Per image: the plain gradient where any of it passes, else that which would open a shut unit."""
    from bbilang.runtime.passes.module.gates import GateState, Redirected, gate_of

    x = torch.randn(5, 3, 4) * 4
    x[0] = -x[0].abs()
    x[1] = 6.5
    g = torch.randn(5, 3, 4)
    y = x.clone().requires_grad_()
    (got,) = torch.autograd.grad(Redirected.apply(y, gate_of(torch.nn.ReLU6()), True, GateState()), y, g)
    for image in range(5):
        plain = [float(b) if 0 < a < 6 else 0.0 for a, b in zip(x[image].flatten(), g[image].flatten(), strict=True)]
        opening = [
            0.0 if (a <= 0 and b > 0) or (a >= 6 and b < 0) else float(b)
            for a, b in zip(x[image].flatten(), g[image].flatten(), strict=True)
        ]
        want = plain if any(plain) else opening
        close_to(got[image].flatten().tolist(), want)
