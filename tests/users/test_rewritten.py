"""Methods that rewrite the backward: rectifiers in every spelling, and networks that work in place."""

import gc
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from brings import brings
from closeness import close_to
from torch import nn

import bbilang

SIZE = 9


class Net(nn.Module):
    """Two convolutions and a classifier, with any function after each convolution."""

    def __init__(self, act):
        super().__init__()
        torch.manual_seed(1)
        self.a, self.b, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)
        self.act = act

    def forward(self, x):
        return self.fc(self.act(self.b(self.act(self.a(x)))).mean((2, 3)))


def picture():
    return torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(5))


def attributed(network, method, target="output[1]", at="input.pixel"):
    text = f"{at} | attribute({target}, method={method}) | present(heatmap)"
    page = bbilang.run(text, model=network.eval(), input=picture(), cache=False)
    return page.data("element-1").values


def refusal(network, method):
    with pytest.raises(bbilang.BbiError) as caught:
        attributed(network, method)
    (error,) = caught.value.diagnostics
    return error


def by_hand(method, high=float("inf")):
    """Of `Net`, one operation after the other: the signal on its way back, by the papers' rules."""
    network = Net(None).double()
    with torch.no_grad():
        x = picture().double()[None]
        one = network.a(x)
        two = network.b(one.clamp(0, high))
        signal = network.fc.weight[1].view(1, 4, 1, 1).expand_as(two) / two[0, 0].numel()
        for value, layer, before in ((two, network.b, one), (one, network.a, x)):
            signal = signal.clamp_min(0)
            if method == "guided_backprop":
                signal = signal * ((value > 0) & (value < high))
            signal = F.conv_transpose2d(signal, layer.weight)
            assert signal.shape == before.shape
    return signal[0].sum(0).numpy()


def filled(x):
    x = x.clone()
    x[x < 0] = 0
    return x


def masked(x):
    return x.mul_(x > 0)


RELU = {
    "relu": F.relu,
    "relu_": torch.relu_,
    "Tensor.relu_": lambda x: x.relu_(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "clamp": lambda x: x.clamp(min=0),
    "clamp_": lambda x: x.clamp_(min=0),
    "clamp of a tensor": lambda x: torch.clamp(x, torch.zeros(1)),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "clamp_min_": lambda x: x.clamp_min_(0.0),
    "clip_": lambda x: x.clip_(0),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "maximum, turned": lambda x: torch.maximum(torch.tensor(0.0), x),
    "max": lambda x: torch.max(x, torch.zeros(())),
    "fmax": lambda x: x.fmax(torch.zeros(1)),
    "Threshold": nn.Threshold(0, 0),
    "Threshold in place": nn.Threshold(0, 0, inplace=True),
    "threshold_": lambda x: F.threshold_(x, 0, 0),
    "where": lambda x: torch.where(x > 0, x, 0),
    "where, zeros": lambda x: torch.where(x >= 0, x, torch.zeros_like(x)),
    "where, turned": lambda x: torch.where(0 > x, torch.zeros(()), x),
    "where, a method": lambda x: x.where(x > 0, 0),
    "a product": lambda x: x * (x > 0),
    "a product of floats": lambda x: (x > 0).float() * x,
    "a product in place": masked,
    "a negated mask": lambda x: x * ~(x <= 0),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0),
    "masked_fill_": lambda x: x.masked_fill_(x < 0, 0),
    "an index": filled,
    "hardtanh": lambda x: F.hardtanh(x, 0, float("inf")),
    "hardtanh_": lambda x: F.hardtanh_(x, 0, float("inf")),
    "aten": lambda x: torch.ops.aten.relu.default(x),
    "aten in place": lambda x: torch.ops.aten.relu_.default(x),
}
BOUNDED = {
    "relu6": F.relu6,
    "ReLU6 in place": nn.ReLU6(inplace=True),
    "hardtanh": lambda x: F.hardtanh(x, 0, 6),
    "clamp": lambda x: x.clamp(0, 6),
    "clamp_": lambda x: x.clamp_(0, 6),
    "clamp of tensors": lambda x: x.clamp(torch.zeros(()), torch.full((), 6.0)),
    "aten": lambda x: torch.ops.aten.hardtanh.default(x, 0, 6),
}


@brings(
    "Methods",
    "ReLU written as `clamp_`, `maximum`, `Threshold`, `where`, `x * (x > 0)`, ...",
    "works: the rule for ReLU applies",
)
@pytest.mark.parametrize("name", RELU)
@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet"])
def test_a_rectifier_by_every_name(method, name):
    assert np.abs(by_hand(method)).max() > 1e-3
    close_to(attributed(Net(RELU[name]), method), by_hand(method))


@pytest.mark.parametrize("name", BOUNDED)
def test_a_bounded_rectifier_by_every_name(name):
    close_to(attributed(Net(lambda x: BOUNDED[name](x * 1)), "guided_backprop"), by_hand("guided_backprop", 6))


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.relu()

    @staticmethod
    def backward(context, gradient):
        return gradient * 2


@torch.jit.script
def scripted(x):
    return torch.relu(x)


OTHERS = {
    "leaky, by maximum": lambda x: torch.maximum(x, 0.1 * x),
    "leaky, by where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "leaky, by masks": lambda x: x * ((x > 0) + 0.1 * (x <= 0)),
    "leaky, in place": lambda x: F.leaky_relu_(x),
    "swish, by hand": lambda x: x * torch.sigmoid(x),
    "swish, in place": lambda x: x.mul_(x.sigmoid()),
    "hard swish, by hand": lambda x: x * F.relu6(x + 3) / 6,
    "gelu, by hand": lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
    "another threshold": nn.Threshold(0.1, 0.0),
    "a shifted bound": lambda x: x.clamp(min=0.1),
    "a shifted maximum": lambda x: torch.maximum(x, torch.full((), 0.1)),
    "from above": lambda x: x.clamp(max=0),
    "from above, by minimum": lambda x: torch.minimum(x, torch.zeros(())),
    "the negative part": lambda x: x * (x < 0),
    "fills": lambda x: x.masked_fill(x < 0, 0.2),
    "a function with a backward of its own": Doubled.apply,
    "TorchScript": scripted,
}


@brings(
    "Methods", "a leaky, smooth, shifted or hidden rectifier, for guided backprop and deconvnet", "refused with E515"
)
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet"])
def test_what_rectifies_otherwise_is_refused(method, name):
    error = refusal(Net(OTHERS[name]), method)
    assert error.code == "E515" and method in error.message and error.span is not None and error.help


PLAIN = {
    "tanh": torch.tanh,
    "a squashing clamp": lambda x: x.clamp(-1, 1),
    "a bound that cuts nothing off": lambda x: x.clamp_min(-100.0),
    "a max of halves": lambda x: torch.maximum(x, x.flip(1)),
    "a gate": lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)),
    "a square": lambda x: x * x,
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_no_rectifier_keeps_its_derivative(name):
    network = Net(PLAIN[name])
    x = picture().requires_grad_()
    network(x[None])[0, 1].backward()
    close_to(attributed(network, "guided_backprop"), x.grad.sum(0))


# --- in place ---------------------------------------------------------------------------------------------------------


class Tokens(nn.Module):
    """Linear layers on tokens, whose results are views of what they computed, and something after the first."""

    def __init__(self, last):
        super().__init__()
        torch.manual_seed(2)
        self.c, self.q, self.h = nn.Conv2d(3, 6, 3, 3), nn.Linear(6, 6), nn.Linear(6, 3)
        self.last = last

    def forward(self, x):
        tokens = self.c(x).flatten(2).transpose(1, 2).contiguous()
        return self.h(self.last(self.q(tokens)).mean(1))


RELEVANCE = ("lrp", "lrp(composite=epsilon_gamma_box)", "excitation_backprop", "contrastive_excitation_backprop")


@brings("Methods", "`ReLU(inplace=True)` after Linear on tokens, for `lrp` and excitation backprop", "works")
@pytest.mark.parametrize("method", RELEVANCE)
@pytest.mark.parametrize(
    ("inside", "outside"),
    [(nn.ReLU(inplace=True), nn.ReLU()), (nn.Dropout(0.1, inplace=True), nn.Identity())],
    ids=["relu", "dropout"],
)
def test_in_place_after_linear_on_tokens(method, inside, outside):
    actual, expected = attributed(Tokens(inside), method), attributed(Tokens(outside), method)
    assert np.abs(expected).max() > 0
    close_to(actual, expected)


def added(x):
    total = torch.ones(x.shape)
    total += x
    return total


def gated(x):
    gate = torch.sigmoid(x[:, :1]).repeat(1, 4, 1, 1)
    gate *= x
    return gate


IN_PLACE = {
    "a sum into a constant": (added, lambda x: torch.ones(x.shape) + x),
    "a product into a gate": (gated, lambda x: torch.sigmoid(x[:, :1]).repeat(1, 4, 1, 1) * x),
    "relu": (lambda x: x.relu_(), F.relu),
    "a mask": (masked, F.relu),
    "where": (lambda x: torch.where(x > 0, x, 0), F.relu),
    "maximum": (lambda x: torch.maximum(x, torch.zeros(())), F.relu),
    "clamp_": (lambda x: x.clamp_(0), F.relu),
    "threshold": (nn.Threshold(0, 0, inplace=True), F.relu),
    "masked_fill_": (lambda x: x.masked_fill_(x < 0, 0), F.relu),
    "an index": (filled, F.relu),
}


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("method", RELEVANCE)
def test_relevance_in_place_is_that_of_the_network_out_of_place(method, name):
    inside, outside = IN_PLACE[name]
    close_to(attributed(Net(inside), method), attributed(Net(outside), method))


def test_relevance_of_what_was_written_over_later_is_refused():
    def late(x):
        constant = torch.ones(x.shape)
        total = x + constant
        constant.add_(100)
        return total

    error = refusal(Net(late), "lrp")
    assert error.code == "E515" and "changed in place" in error.message


class Seen(nn.Module):
    """Remembers, weakly, every tensor that went through."""

    def __init__(self):
        super().__init__()
        self.tensors = []

    def forward(self, x):
        self.tensors.append(weakref.ref(x))
        return x

    def alive(self):
        return [x for x in (one() for one in self.tensors) if x is not None]


def looped(x):
    x.add_(x * 0.5)  # what reads x is below what x becomes
    return x.mul_(torch.sigmoid(x[:, :1]))


@brings("Size and memory", "`lrp` and related methods with in-place modules, repeatedly", "works: nothing is leaked")
@pytest.mark.parametrize("act", [nn.ReLU(inplace=True), looped, masked], ids=["relu", "looped", "masked"])
@pytest.mark.parametrize("method", [*RELEVANCE, "guided_backprop", "deconvnet"])
def test_nothing_of_a_run_stays_where_it_works_in_place(method, act):
    if act is looped and method in ("guided_backprop", "deconvnet"):
        act = F.relu_
    seen = Seen()
    network = Net(lambda x: seen(act(seen(x))))
    gc.collect()
    gc.disable()
    try:
        attributed(network, method)
        assert len(seen.tensors) >= 8 and not seen.alive()
    finally:
        gc.enable()
