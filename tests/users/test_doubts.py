"""What trust measures and legends say where there is nothing to compare with, or nothing to divide by."""

import warnings

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn

import bbilang

SIZE = 8


class Net(nn.Module):
    """`late` has ``width`` channels; ``scale`` of the classifier, 0 for a score that hangs on nothing."""

    def __init__(self, width=3, scale=1.0, classes=3):
        super().__init__()
        torch.manual_seed(0)
        self.late = nn.Sequential(nn.Conv2d(3, width, 3, 2), nn.ReLU())
        self.head = nn.Linear(width, classes)
        with torch.no_grad():
            self.late[0].bias.fill_(0.3)
            self.head.weight.mul_(scale)

    def forward(self, x):
        return self.head(self.late(x).mean((2, 3)))


def picture():
    return torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def shown(text, network):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # a mean of nothing, a quotient by 0
        return bbilang.run(text, model=network.eval(), input=picture(), cache=False).view.interfaces[0].elements[-1]


def doubts(measure, network, at="late.channel", top="", draw="bars", method="linear"):
    return shown(f"{at} | attribute(output[1], method={method}) | {top}trust({measure}) | present({draw})", network)


@brings(
    "Methods", "`trust(falsifiability)` of all atoms of a layer", "works: the page says that no control is possible"
)
def test_all_atoms_have_no_control():
    element = doubts("falsifiability", Net(), top="top(3) | ")
    (one,) = element.legend.trust
    assert "no control" in str(one) and "random sets" not in str(one) and not element.legend.warnings


def test_a_set_of_the_same_atoms_is_no_control():
    """Of 2 of 3 atoms a third of the random sets are the same two; the others are compared alone."""
    network = Net()
    with torch.no_grad():
        network.head.weight[1] = torch.tensor([3.0, 2.0, 0.1])
    element = doubts("falsifiability", network, top="top(2) | ")
    (one,) = element.legend.trust
    assert (
        "and 0 % of 20 sets lower it at least as much" in one.words.replace("\xa0", " ") and not element.legend.warnings
    )


@pytest.mark.parametrize("measure", ["deletion", "insertion", "path_dependence", "agreement", "random_weights",
                                     "class_sensitivity", "input_sensitivity", "shift_invariance", "completeness",
                                     "infidelity"])  # fmt: skip
@pytest.mark.parametrize("network", [Net(1), Net(3, 0.0)], ids=["one atom", "an attribution of 0"])
def test_nothing_to_order_or_to_divide_by_is_no_failure(measure, network):
    element = doubts(measure, network)
    (one,) = element.legend.trust
    assert not element.legend.warnings
    assert not {"nan", "inf"} & set(str(one).replace(",", " ").replace("(", " ").replace(")", " ").split())


@pytest.mark.parametrize("measure", ["road", "deletion"])
def test_a_map_of_0_is_in_no_order(measure):
    assert not doubts(measure, Net(3, 0.0), "input.pixel", draw="curve").legend.warnings


def test_a_network_of_one_class_has_no_other_to_compare_with():
    text = "late.channel | attribute(output[0]) | trust(class_sensitivity) | present(bars)"
    (one,) = shown(text, Net(classes=1)).legend.trust
    assert "no other class" in str(one)


# --- numbers that are not finite --------------------------------------------------------------------------------------


class Cancelling(nn.Module):
    """Each layer's products cancel and its bias is what is left: without biases every share is divided by nothing."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
        self.rest = nn.Sequential(*[nn.Linear(2, 2) for _ in range(9)])
        with torch.no_grad():
            self.first[0].weight.zero_()
            for layer in self.rest:
                layer.weight.copy_(torch.tensor([[1.0, -1.0], [2.0, -2.0]]))
                layer.bias.fill_(1)
            self.first[0].bias.fill_(1)

    def forward(self, x):
        return self.rest(self.first(x).mean((2, 3)))


def refusal(text, network):
    with pytest.raises(bbilang.BbiError) as caught:
        bbilang.run(text, model=network.eval(), input=picture(), cache=False)
    return caught.value.diagnostics[0]


@brings("Methods", "relevance that overflows", "refused with E503, which names the overflow and what helps")
def test_relevance_that_overflows_is_not_blamed_on_the_weights():
    text = "first.channel | attribute(output[0], method=lrp(bias=false)) | present(bars)"
    error = refusal(text, Cancelling())
    assert error.code == "E503" and "the relevance by `lrp` of `first`" in error.message
    assert "epsilon" in error.help and "activations are finite" in error.help
    larger = shown(text.replace("bias=false", "bias=false, epsilon=1"), Cancelling())
    assert larger is not None


def test_gradients_that_overflow_are_not_blamed_on_the_weights():
    class Steep(Net):
        def forward(self, x):
            return self.head((self.late(x).mean((2, 3)) * 0).abs().sqrt())

    error = refusal("late.channel | attribute(output[1]) | present(bars)", Steep())
    assert error.code == "E503" and "the gradients of `late`" in error.message and "backward pass" in error.help


# --- what is left out -------------------------------------------------------------------------------------------------


class Given(nn.Module):
    """`late` is the picture's (y, x) of three channels times 100, so that its vectors are known."""

    def __init__(self):
        super().__init__()
        self.late = nn.Conv2d(3, 3, 1, bias=False)
        self.head = nn.Linear(3, 2)
        with torch.no_grad():
            self.late.weight.copy_(torch.eye(3)[:, :, None, None])

    def forward(self, x):
        return self.head(self.late(x).mean((2, 3)))


@brings(
    "Methods",
    "a position far from the mean, with a reconstruction error above 100 %",
    "works: the page says so in words",
)
def test_more_than_all_is_said_in_words():
    generator = torch.Generator().manual_seed(4)
    image = torch.ones(3, 4, 4) * 0.9
    image[0] += (torch.rand(4, 4, generator=generator) - 0.5) * 0.1
    image[:, 0, 0] = torch.tensor([0.9, 0.0, 0.02])  # near 0 but for one channel
    image[:, 3, 3] = torch.tensor([0.03, 0.0, 0.03])  # near 0
    image[:, 3, 2] = torch.tensor([0.0, 0.9, 0.0])
    text = "g = late | factorize(pca, 1)\nphoto = input | present(image)\n" \
           "late.neuron | activation | at(hover(late.spatial)) | present(bars)\n" \
           "g.spatial | at(hover(late.spatial)) | present(bars)"  # fmt: skip
    adapter = bbilang.adapt(Given().eval(), (4, 4))
    page = bbilang.run(text, model=adapter, input=image, cache=False)
    remarks = [frame.remark for panel in page.view.interfaces[0].elements[-1].panels for frame in panel.frames]
    rows = image.flatten(1).T.double().numpy()
    rest = rows - rows.mean(0)
    direction = np.linalg.svd(rest, full_matrices=False)[2][0]
    missed = np.square(rest - np.outer(rest @ direction, direction)).sum(1) / np.square(rows).sum(1)
    assert (missed > 1).any() and (missed < 1).any()
    close_to([float("more than all" in remark) for remark in remarks], (missed > 1).astype(float))
    assert not any("158 %" in remark or "1e" in remark for remark in remarks)
