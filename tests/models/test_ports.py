"""Typical errors in porting a TensorFlow network, each against a slow twin in numpy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from closeness import close_to

from bbilang.runtime.models.loading import load
from bbilang.runtime.models.zoo import inceptionv1
from bbilang.runtime.models.zoo.inceptionv1 import Normalization
from bbilang.runtime.passes.same_padding import SameConv2d, SameMaxPool2d, same_padding

CASES = [(size, k, s) for size in (7, 8, 14) for k, s in ((3, 1), (3, 2), (5, 2), (7, 2), (1, 1), (1, 2))]


def windows(image, kernel, stride, fill):
    """(y, x) -> (window y, window x, kernel, kernel), padded as TensorFlow's documentation of SAME says."""
    size = image.shape[0]
    outputs = int(np.ceil(size / stride))
    total = max((outputs - 1) * stride + kernel - size, 0)
    before = total // 2
    padded = np.full((size + total, size + total), fill)
    padded[before : before + size, before : before + size] = image
    return np.array(
        [[padded[y * stride : y * stride + kernel, x * stride : x * stride + kernel] for x in range(outputs)]
         for y in range(outputs)]
    )  # fmt: skip


@pytest.mark.parametrize(("size", "kernel", "stride"), CASES)
def test_same_convolution(size, kernel, stride):
    torch.manual_seed(size)
    layer = SameConv2d(1, 1, kernel, stride, bias=False)
    image = torch.randn(size, size)
    weight = layer.weight.detach()[0, 0].double().numpy()
    expected = np.einsum("yxab,ab->yx", windows(image.double().numpy(), kernel, stride, 0.0), weight)
    result = layer(image[None, None]).detach()[0, 0].double().numpy()
    close_to(result, expected, dtype=np.float32)


@pytest.mark.parametrize(("size", "kernel", "stride"), CASES)
def test_same_max_pool(size, kernel, stride):
    image = -torch.rand(size, size, generator=torch.Generator().manual_seed(size))  # padding with zeros would win
    expected = windows(image.numpy(), kernel, stride, -np.inf).max((2, 3))
    np.testing.assert_array_equal(SameMaxPool2d(kernel, stride)(image[None, None])[0, 0].numpy(), expected)


@pytest.mark.parametrize(("size", "kernel", "stride"), CASES)
def test_average_pool_over_the_same_windows_leaves_padding_out(size, kernel, stride):
    image = torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(size))
    pool = SameMaxPool2d(kernel, stride)
    result = F.avg_pool2d(image, kernel, stride, pool.padding_of(image), ceil_mode=True, count_include_pad=False)
    expected = np.nanmean(windows(image[0, 0].numpy(), kernel, stride, np.nan), (2, 3))
    close_to(result[0, 0].numpy(), expected)


def test_same_padding_is_asymmetric():
    assert same_padding(224, 7, 2) == (2, 3)
    assert same_padding(224, 3, 2) == (0, 1)
    assert same_padding(14, 5, 1) == (2, 2)
    assert same_padding(8, 1, 2) == (0, 0)


def test_local_response_normalization():
    x = torch.randn(2, 30, 3, 4, generator=torch.Generator().manual_seed(0)) * 100
    a = x.double().numpy()
    expected = np.empty_like(a)
    for c in range(30):
        near = a[:, max(0, c - 5) : c + 6]  # depth_radius 5
        expected[:, c] = a[:, c] / (2 + 1e-4 * (near**2).sum(1)) ** 0.5
    close_to(Normalization()(x).numpy(), expected)


def test_the_input_of_inceptionv1_is_rescaled():
    ends = inceptionv1.PREPROCESS.normalize(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2))
    close_to(ends[0, 0, 0], torch.tensor([-117.0, 138.0]))


def test_random_inceptionv1_has_the_shapes_of_the_article():
    adapter = load("inceptionv1", "random")
    layers = adapter.description.by_name
    depths = {"3a": 256, "3b": 480, "4a": 508, "4b": 512, "4c": 512, "4d": 528, "4e": 832, "5a": 832, "5b": 1024}
    for name, depth in depths.items():
        side = {"3": 28, "4": 14, "5": 7}[name[0]]
        assert layers[f"mixed{name}"].shape == (depth, side, side)
        assert layers[f"mixed{name}"].nonnegative
    assert adapter.module_of("mixed4a_3x3") is adapter.module.mixed4a.conv3x3
    captured = []
    handle = adapter.module_of("mixed4d").register_forward_hook(lambda m, i, value: captured.append(value))
    with torch.inference_mode():
        scores = adapter.module(adapter.normalize(torch.rand(1, 3, 224, 224)))
    handle.remove()
    assert scores.shape == (1, 1008) and bool(scores.isfinite().all())
    assert captured[0].shape == (1, 528, 14, 14) and float(captured[0].std()) > 0.1
    labels = adapter.description.labels
    assert len(labels) == 1008 and labels[:2] == ("dummy", "kit fox")


def test_weights_under_the_names_of_both_known_ports():
    adapter = load("inceptionv1", "random", seed=3)
    state = adapter.module.state_dict()
    short = {f"{ours}.convolution": tf for tf, ours in inceptionv1.aliases().items()}
    lucid, graph = {"nn0_pre_relu_matmul.weight": torch.zeros(1)}, {"softmax0_w": torch.zeros(1)}
    for name, value in state.items():
        path, kind = name.rsplit(".", 1)
        tf = short.get(path, path.removesuffix(".convolution")).removesuffix("_pre_activation")
        middle = "_pre_activation_matmul" if tf == "softmax2" else "_pre_relu_conv"
        lucid[f"{tf}{middle}.{kind}"] = value
        turned = value.permute(2, 3, 1, 0) if value.ndim == 4 else value.t()
        graph[f"{tf}_{kind[0]}"] = turned
    assert "mixed3a_5x5_bottleneck_w" in graph and "mixed3a_1x1_pre_relu_conv.bias" in lucid
    for port in (lucid, graph, state):
        translated = inceptionv1.translate(port)
        assert translated.keys() == state.keys()
        assert all(torch.equal(translated[name], state[name]) for name in state)
