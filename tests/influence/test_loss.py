"""The loss of influences: what `set training(loss=...)` says, against plain autograd, closed forms and leaving out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

import bbilang
from bbilang.compiler.ir.score_kinds import INDEPENDENT, LOGITS, SIGMOID
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.influence.training_loss import drawn_losses, losses

SIDE, CLASSES, COUNT = 6, ("red", "green", "blue"), 24
BINARY = "set scores(independent)\nset training(loss=binary_cross_entropy)\n"
PIPE = 'output["red"] | influence(examples, method={}) | present(image)'


def linear(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))


def data(count: int = COUNT) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    images = (torch.rand(count, 3, SIDE, SIDE, generator=draw) * 255).round() / 255
    return images, torch.arange(count) % 3


def influences(net: nn.Module, text: str, count: int = COUNT):
    """Return (field, images, labels)."""
    images, labels = data(count)
    examples = [(image, CLASSES[label]) for image, label in zip(images, labels, strict=True)]
    model = bbilang.adapt(net, SIDE, labels=list(CLASSES))
    page = bbilang.run(text, model=model, input=images[0], data={"examples": examples}, cache=False)
    return page.results.fields["element-1"], images, labels


def gradients(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(example, weight): of the mean over classes of each example's binary cross-entropy, one by one."""
    rows = []
    for image, label in zip(images, labels, strict=True):
        loss = binary_cross_entropy_with_logits(net(image[None])[0], one_hot(label, 3).float())
        rows.append(torch.cat([g.ravel() for g in torch.autograd.grad(loss, list(net.parameters()))]))
    return torch.stack(rows).double()


def of_the_query(net: nn.Module, image: torch.Tensor) -> torch.Tensor:
    score = net(image[None])[0, 0]
    return torch.cat([g.ravel() for g in torch.autograd.grad(score, list(net.parameters()))]).double()


@pytest.mark.parametrize("method", ["dot", "cosine"])
def test_independent_classes_against_plain_gradients(method):
    net = linear()
    field, images, labels = influences(net, BINARY + PIPE.format(method))
    rows, query = gradients(net, images, labels), of_the_query(net, images[0])
    expected = -rows @ query
    if method == "cosine":
        expected = expected / rows.norm(dim=1) / query.norm()
    else:
        expected = expected / expected.square().mean().sqrt()
    np.testing.assert_allclose(field.values.data.ravel(), expected.numpy(), rtol=1e-4, atol=1e-5)
    assert any("binary cross-entropy" in note for note in field.notes)


def test_with_curvature_they_are_those_of_newtons_step():
    """Of one linear layer whose classes are independent the curvature is exact where all examples are alike in their
    chances: at weights of zero it is x x' / (4 classes) for each class, so that Newton's step is known."""
    net = linear()
    with torch.no_grad():
        net[2].weight.zero_()
        net[2].bias.zero_()
    field, images, labels = influences(net, BINARY + PIPE.format("ekfac, damping=0.00001"), 600)
    x = torch.cat([images.mean((2, 3)), torch.ones(len(images), 1)], 1).double()
    inverse = torch.linalg.inv(x.T @ x / len(images) / 4 / 3)
    residual = 0.5 - (labels == 0).double()  # of the class red
    expected = -(x @ inverse @ x[0]) * residual / 3
    expected = (expected / expected.square().mean().sqrt()).numpy()
    found = field.values.data.ravel()
    assert np.corrcoef(found, expected)[0, 1] > 0.99  # labels are drawn


@pytest.mark.parametrize("kind", [SIGMOID, INDEPENDENT])
def test_drawn_labels_have_the_curvature_of_the_loss(kind):
    """The mean square of the gradient over many drawn labels is the curvature of the mean over classes."""
    logits = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    chances = logits.sigmoid()
    expected = (chances * (1 - chances) / 3)[0]
    draw = torch.Generator().manual_seed(0)
    many = logits.expand(40_000, 3).clone().requires_grad_(True)
    scores = many if kind == SIGMOID else many.sigmoid()
    (gradient,) = torch.autograd.grad(drawn_losses(scores, kind, draw).sum(), many)
    np.testing.assert_allclose(gradient.square().mean(0).numpy(), expected.numpy(), rtol=0.03)
    exclusive = logits.expand(40_000, 3).clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(drawn_losses(exclusive, LOGITS, draw).sum(), exclusive)
    p = logits.softmax(1)[0]
    fisher = (gradient.T @ gradient / len(gradient)).numpy()
    np.testing.assert_allclose(fisher, (torch.diag(p) - p[:, None] * p).numpy(), atol=0.01)


def test_a_label_that_is_no_class_has_no_loss():
    scores = torch.randn(2, 3)
    assert losses(scores, torch.tensor([-1, 1]), SIGMOID).tolist()[0] == 0


@pytest.mark.parametrize(
    ("head", "method", "code", "words"),
    [
        ("set scores(independent)\n", "ekfac", "E592", "training(loss=binary_cross_entropy)"),
        (BINARY, "trak", "E592", "of exclusive classes"),
        (BINARY, "exact", "E592", "of exclusive classes"),
        ("set training(loss=binary_cross_entropy)\nset scores(logits)\n", "dot", "E489", "loss=cross_entropy"),
        ("set scores(independent)\nset training(epochs=2)\n", "dot", "E489", "loss=binary_cross_entropy"),
    ],
)
def test_losses_that_do_not_fit_are_refused(head, method, code, words):
    with pytest.raises(BbiError) as caught:
        influences(linear(), head + PIPE.format(method))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code and words in f"{diagnostic.message} {diagnostic.help}"


def test_the_usual_loss_may_be_said():
    own, *_ = influences(linear(), PIPE.format("dot"))
    said, *_ = influences(linear(), "set training(loss=cross_entropy)\n" + PIPE.format("dot"))
    np.testing.assert_array_equal(own.values.data, said.values.data)


def test_self_influence_is_of_the_loss_that_is_said():
    net = linear()
    text = BINARY + "examples | self_influence(method=dot) | present(image)"
    field, images, labels = influences(net, text)
    expected = gradients(net, images, labels).square().sum(1)
    expected = (expected / expected.square().mean().sqrt()).numpy()
    np.testing.assert_allclose(field.values.data.ravel(), expected, rtol=1e-4)
