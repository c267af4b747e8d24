"""The same numbers as Quantus, where it has the measure and takes the same order, noise and filling."""

from __future__ import annotations

import numpy as np
import pytest
import slow
import tiny
import torch
from closeness import close_to
from measured import findings
from torch import nn

from bbilang.runtime.trust import curves, road
from bbilang.runtime.trust.numbers import rank_correlation

HOW = "pip install --no-deps quantus==0.6.0 opencv-python-headless, and pip install pandas"
CLASS = 2


@pytest.fixture(scope="module")
def quantus():
    try:
        import quantus
    except ImportError as e:  # it imports pandas, cv2, zennit and torchvision
        pytest.skip(f"quantus cannot be imported ({e}): {HOW}")
    return quantus


class Above(nn.Module):
    """The network above `b`, of activations of `b`, in float64: what goes around it stays the picture's own."""

    def __init__(self, count: int):
        super().__init__()
        self.count = count

    def forward(self, b):
        pictures = tiny.images(self.count).double()
        return slow.values("residual", pictures[: len(b)], {"b": b.double()})[1]


def test_rank_correlation(quantus):
    random = np.random.default_rng(1)
    a, b = random.integers(0, 50, (2, 4, 60)).astype(float)
    want = [quantus.similarity_func.correlation_spearman(x, y) for x, y in zip(a, b, strict=True)]
    close_to(rank_correlation(a, b), want)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputation(quantus, share, monkeypatch):
    monkeypatch.setattr(road, "NOISE", 0.0)
    random = np.random.default_rng(2)
    image = random.random((3, 17, 13))
    gone = random.random((17, 13)) < share
    from quantus.functions.perturb_func import noisy_linear_imputation

    want = noisy_linear_imputation(image, np.flatnonzero(gone), noise=0.0)
    close_to(road.imputed(image, gone, random), want)


def test_deletion_is_pixel_flipping(quantus, monkeypatch):
    """Neurons in the order of the attribution go to 0, 32 of 384 in a step; the class's probability is read."""
    monkeypatch.setattr(curves, "STEPS", 12)
    text = f"b.neuron | attribute(output[{CLASS}]) | trust(deletion) | present(curve)"
    one = findings(text, "residual", 2)
    run, node = one["run"], one["node"]
    own = run.value(node.inputs[0]).values.ordered(("input", "channel", "y", "x")).data
    activation = slow.values("residual", tiny.images(2))[0]["b"].detach().numpy()
    metric = quantus.PixelFlipping(
        features_in_step=32, perturb_baseline=0.0, abs=False, normalise=False, disable_warnings=True,
        display_progressbar=False,
    )  # fmt: skip
    want = metric(
        model=Above(2).eval(), x_batch=activation, y_batch=np.array([CLASS, CLASS]), a_batch=own.astype(np.float64),
        softmax=True, channel_first=True, batch_size=2,
    )  # fmt: skip
    got = one["deletion"].values["scores"][0, :, 0, 1:]
    close_to(got, np.asarray(want), dtype=np.float32)


def test_max_sensitivity(quantus):
    """With the same noise, of an attribution that Quantus asks for itself: input x gradient, by hand."""
    text = f"input.pixel | attribute(output[{CLASS}]) | trust(input_sensitivity, n=5) | present(heatmap, facet=measure)"
    got = findings(text, "residual", 2)["input_sensitivity"].values["max_sensitivity"][:, 0]
    random = torch.Generator().manual_seed(1_000_003 + 2)

    def explain(model, inputs, targets, **_):
        pictures = torch.as_tensor(inputs).double().requires_grad_()
        scores = slow.values("residual", pictures, {"input": pictures})[1]
        (slopes,) = torch.autograd.grad(scores[:, CLASS].sum(), pictures)
        return (pictures * slopes).sum(1, keepdim=True).detach().numpy()

    def noisy(arr, indices, **_):
        noise = (torch.rand(3, tiny.SIZE, tiny.SIZE, generator=random) * 2 - 1) * 0.02
        return arr + noise.reshape(1, *arr.shape[1:]).numpy()

    metric = quantus.MaxSensitivity(
        nr_samples=5, perturb_func=noisy, perturb_func_kwargs={}, abs=False, normalise=False, disable_warnings=True,
        display_progressbar=False, return_nan_when_prediction_changes=False,
    )  # fmt: skip
    images = tiny.images(2).numpy()

    class Whole(nn.Module):
        def forward(self, x):
            return slow.values("residual", x.double())[1]

    want = metric(
        model=Whole().eval(), x_batch=images, y_batch=np.array([CLASS, CLASS]), a_batch=explain(None, images, None),
        explain_func=explain, channel_first=True, softmax=False, batch_size=2,
    )  # fmt: skip
    close_to(got, np.asarray(want), dtype=np.float32, roundings=2e4, because="differences of near numbers")
