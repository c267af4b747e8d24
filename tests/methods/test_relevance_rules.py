"""Each rule on one layer of every kind, against slow twins that go pair by pair; and the other operations."""

import pytest
import relevance_twins as twins
import torch
import torch.nn.functional as F
from closeness import close_to
from torch import nn

from bbilang.registry import registry
from bbilang.runtime.relevance.marks import Mark, marked

LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), (6,)),
    "convolution": (lambda: nn.Conv2d(2, 3, 3, 2, 1), (2, 4, 5)),
    "dilated": (lambda: nn.Conv2d(1, 2, 2, dilation=2), (1, 4, 4)),
    "depthwise": (lambda: nn.Conv2d(2, 4, 3, padding=1, groups=2), (2, 3, 3)),
    "along a line": (lambda: nn.Conv1d(2, 3, 3), (2, 6)),
    "transposed": (lambda: nn.ConvTranspose2d(2, 2, 2, 2), (2, 2, 2)),
}
RULES = {
    "epsilon": "lrp(convolution=epsilon)",
    "epsilon 0.25": "lrp(convolution=epsilon, epsilon=0.25)",
    "gamma": "lrp(convolution=gamma, linear=gamma)",
    "alpha_beta": "lrp(convolution=alpha_beta, linear=alpha_beta)",
    "alpha 3": "lrp(convolution=alpha_beta, linear=alpha_beta, alpha=3)",
    "z_plus": "lrp(convolution=z_plus, linear=z_plus)",
    "w_square": "lrp(convolution=w_square, linear=w_square)",
    "flat": "lrp(convolution=flat, linear=flat)",
    "z_box": "lrp(first=z_box)",
    "excitation": "excitation_backprop",
}


def around(text):
    """The mode of a method as a text writes it."""
    name, _, rest = text.rstrip(")").partition("(")
    pairs = dict(part.split("=") for part in rest.split(", ")) if rest else {}
    kinds = {p.name: p.kind for p in registry().methods[name].parameters}
    read = {"number": float, "flag": lambda word: word == "true"}
    return registry().methods[name].around({k: read.get(kinds[k], str)(v) for k, v in pairs.items()})


def back(mode, function, x, relevance, mark=None):
    """Relevance of x, for that of function(x)."""
    from bbilang.runtime.relevance.path import check_rules

    x = x.clone().requires_grad_()
    if mark:
        marked(x, mark)
    with mode:
        y = function(x)
    check_rules(y, mode.method)
    return torch.autograd.grad(y, x, relevance)[0]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_rule_pair_by_pair(kind, rule, bias, signed):
    torch.manual_seed(2)
    make, shape = LAYERS[kind]
    layer = make().double().requires_grad_(False)
    if not bias:
        layer.bias = None
    x = drawn(1, *shape) if signed else drawn(1, *shape).clamp_min(0)
    bare = make().double().requires_grad_(False)
    bare.weight, bare.bias = layer.weight, None
    w, out = twins.matrix_of(bare, shape)
    y = layer(x)
    b = (y - bare(x)).flatten().numpy()
    relevance = drawn(*y.shape, seed=1)
    r, v = relevance.flatten().numpy(), x.flatten().numpy()
    low, high = torch.full_like(x, -3), torch.full_like(x, 4)
    actual = back(around(RULES[rule]), layer, x, relevance, Mark(pixels=(low, high)) if rule == "z_box" else None)
    if rule == "flat":
        ones = make().double().requires_grad_(False)
        ones.weight.fill_(1)
        ones.bias = None
        expected = twins.flat(w, v, b, r, twins.matrix_of(ones, shape)[0])
    else:
        own = {
            "epsilon": lambda: twins.epsilon(w, v, b, r),
            "epsilon 0.25": lambda: twins.epsilon(w, v, b, r, 0.25),
            "gamma": lambda: twins.gamma(w, v, b, r),
            "alpha_beta": lambda: twins.alpha_beta(w, v, b, r),
            "alpha 3": lambda: twins.alpha_beta(w, v, b, r, 3),
            "z_plus": lambda: twins.z_plus(w, v, b, r),
            "w_square": lambda: twins.w_square(w, v, b, r),
            "z_box": lambda: twins.z_box(w, v, b, r, low.flatten().numpy(), high.flatten().numpy()),
            "excitation": lambda: twins.excitation(w, v, r),
        }
        expected = own[rule]()
    close_to(actual.flatten().numpy(), expected)
    assert out == y.shape[1:]


SUMS = {
    "average pool": lambda x: F.avg_pool2d(x, 2, 2, 1),
    "adaptive average pool": lambda x: F.adaptive_avg_pool2d(x, (2, 1)),
    "mean": lambda x: x.mean((2, 3)),
    "sum": lambda x: x.sum(1),
    "resized": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
}


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("method", ["lrp", "excitation_backprop"])
def test_sums_share_in_proportion(name, method):
    x = drawn(1, 2, 4, 4)
    y = SUMS[name](x)
    relevance = drawn(*y.shape, seed=1)
    w, _ = twins.matrix_of(SUMS[name], (2, 4, 4))
    small = twins.TINY if method == "lrp" else 0
    expected = twins.proportion(w, x.flatten().numpy(), relevance.flatten().numpy(), small)
    actual = back(around(method), SUMS[name], x, relevance)
    close_to(actual.flatten().numpy(), expected)


@pytest.mark.parametrize(
    "write",
    [
        lambda a, b: a + b,
        lambda a, b: torch.add(a, b),
        lambda a, b: a.mul(1.0).add_(b),
        lambda a, b: torch.stack([a, b], -1).sum(-1),
        lambda a, b: a - (-b),
    ],
)
def test_two_branches_share_a_sum(write):
    """a R / (a + b) and b R / (a + b), whichever way it is written; a is 2 x, b is x squared by a rectifier."""
    x = drawn(1, 5)
    relevance = drawn(1, 5, seed=1)
    actual = back(around("lrp"), lambda x: write(2 * x, torch.relu(x)), x, relevance)
    z = 2 * x + x.clamp_min(0)
    total = torch.where(z >= 0, z + twins.TINY, z - twins.TINY)
    close_to(actual, relevance * z / total)


def test_positive_sums_keep_chances_between_0_and_1():
    x = torch.tensor([[1.0, -0.75, 3.0, 1.0]])

    def total(x):
        return x[:, ::2] + x[:, 1::2]

    def shares(method):
        return back(around(method), total, x, torch.ones(1, 2)).flatten().tolist()

    assert shares("excitation_backprop") == [4, -3, 0.75, 0.25]
    assert shares("excitation_backprop(sums=positive)") == [1, 0, 0.75, 0.25]


ACTIVATIONS = (nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.ELU(), nn.LeakyReLU(), nn.Tanh(),
               nn.Softplus(), nn.Mish(), nn.Dropout(0.5).eval(), nn.ReLU(inplace=True), nn.SiLU(inplace=True),
               nn.LocalResponseNorm(3), nn.BatchNorm1d(4).eval())  # fmt: skip


@pytest.mark.parametrize("module", ACTIVATIONS, ids=repr)
def test_activations_pass(module):
    module, mode = module.double(), around("lrp")
    x, relevance = drawn(2, 4, 3), drawn(2, 4, 3, seed=1)
    plain = module(x.clone())
    assert torch.equal(back(mode, lambda x: module(x.clone()), x, relevance), relevance)
    with mode:
        close_to(module(x.clone().requires_grad_().clone()).detach(), plain)


def test_the_winner_of_a_max_pool_takes_all():
    x = torch.tensor([[[[3.0, 1.0], [2.0, 0.0]]]])
    actual = back(around("lrp"), nn.MaxPool2d(2), x, torch.tensor([[[[5.0]]]]))
    assert actual.flatten().tolist() == [5, 0, 0, 0]


def test_what_reads_the_same_tensor_later_reads_what_was_written_over_it():
    """A rectifier in place, between two readers: both read its result."""
    x = torch.tensor([[-1.0, 2.0]])

    def written(x):
        y = x * 1.0
        torch.relu_(y)
        return y + y.flip(1)

    def apart(x):
        y = torch.relu(x * 1.0)
        return y + y.flip(1)

    one, two = (back(around("lrp"), f, x, torch.ones(1, 2)) for f in (written, apart))
    close_to(one, two)
    assert torch.equal(written(x), apart(x))
