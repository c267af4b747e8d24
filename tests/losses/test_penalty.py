"""`bbilang.penalty`: a pipe as a loss equals the same loss by hand, and what has no derivative is refused."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad

import bbilang
from bbilang import BbiError

BOXES = torch.tensor([[2, 2, 8, 8], [0, 4, 16, 16], [5, 5, 5, 5], [3, 0, 9, 7]])


def network(activation: type[nn.Module] = nn.ReLU, **options: bool) -> nn.Sequential:
    torch.manual_seed(0)
    parts = {
        "a": nn.Conv2d(2, 6, 3, padding=1),
        "b": activation(**options),
        "c": nn.Conv2d(6, 8, 3, padding=1, stride=2),
        "d": activation(**options),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
        "head": nn.Linear(8, 3),
    }
    return nn.Sequential(OrderedDict(parts)).double()


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(4, 2, 16, 16, dtype=torch.double), torch.tensor([0, 2, 1, 2])


def inside() -> Tensor:
    mask = torch.zeros(4, 16, 16, dtype=torch.double)
    for number, (y0, x0, y1, x1) in enumerate(BOXES.tolist()):
        mask[number, y0:y1, x0:x1] = 1
    return mask


def scores_from(net: nn.Sequential, layer: str, activation: Tensor) -> Tensor:
    names = [name for name, _ in net.named_children()]
    return net[names.index(layer) + 1 :](activation)


def by_hand(net: nn.Sequential, x: Tensor, y: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """(activation, gradient of the label's score) of a layer, one example after the other."""
    names = [name for name, _ in net.named_children()]
    activations, gradients = [], []
    for number in range(len(x)):
        a = x[number : number + 1].clone().requires_grad_(True)
        if layer != "input":
            a = net[: names.index(layer) + 1](a)
        score = (net(a) if layer == "input" else scores_from(net, layer, a))[0, y[number]]
        activations.append(a)
        gradients.append(grad(score, a, create_graph=True)[0])
    return torch.cat(activations), torch.cat(gradients)


def equal_with_gradients(net: nn.Module, ours: Tensor, theirs: Tensor) -> None:
    assert abs(ours.item() - theirs.item()) <= 1e-9 * theirs.abs().item()
    parameters = list(net.parameters())
    a, b = (grad(v, parameters, allow_unused=True, retain_graph=True) for v in (ours, theirs))
    assert any(t is not None and t.abs().max() > 0 for t in b)
    for mine, other in zip(a, b, strict=True):
        none = torch.zeros(())
        mine, other = (none if t is None else t for t in (mine, other))
        assert torch.allclose(mine, other, rtol=1e-8, atol=1e-10 * float(other.abs().max() + 1))


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.Softplus])
def test_right_for_the_right_reasons(batch, activation):
    """Ross, Hughes and Doshi-Velez 2017, with an L2 norm for each example."""
    (x, y), net = batch, network(activation)
    penalty = bbilang.penalty("input.pixel | attribute(output) | outside(boxes) | norm", model=net, input_size=16)
    a, g = by_hand(net, x, y, "input")
    want = ((a * g).sum(1) * (1 - inside())).flatten(1).norm(dim=1).mean()
    equal_with_gradients(net, penalty(x, y, boxes=BOXES), want)
    equal_with_gradients(net, penalty(x, y, boxes=inside().bool()), want)


def test_arithmetic_at_a_hidden_layer(batch):
    (x, y), net = batch, network(nn.GELU)
    penalty = bbilang.penalty(
        "a.neuron | attribute(output) | abs | sum(channel) | max(x) | mean(y)", model=net, input_size=16
    )
    a, g = by_hand(net, x, y, "a")
    equal_with_gradients(net, penalty(x, y), (a * g).abs().sum(1).amax(2).mean(1).mean())


def test_boxes_at_a_smaller_layer_weight_positions_by_their_share(batch):
    (x, y), net = batch, network()
    penalty = bbilang.penalty("c.spatial | gradient(output) | inside(boxes) | norm", model=net, input_size=16)
    _, g = by_hand(net, x, y, "c")
    share = inside().reshape(4, 8, 2, 8, 2).mean((2, 4))
    equal_with_gradients(net, penalty(x, y, boxes=BOXES), (g.norm(dim=1) * share).flatten(1).norm(dim=1).mean())


@pytest.mark.parametrize("layer", ["input", "a", "c"])
def test_integrated_gradients(batch, layer):
    import numpy as np

    (x, y), net = batch, network(nn.GELU)
    head = "input.pixel" if layer == "input" else f"{layer}.spatial"
    text = f"{head} | attribute(output, method=integrated_gradients(n_steps=5)) | norm"
    penalty = bbilang.penalty(text, model=net, input_size=16)
    names = [name for name, _ in net.named_children()]
    below = nn.Sequential() if layer == "input" else net[: names.index(layer) + 1]
    above = net if layer == "input" else net[names.index(layer) + 1 :]
    nodes, weights = np.polynomial.legendre.leggauss(5)
    a, zero = below(x.clone().requires_grad_(True)), below(torch.zeros_like(x[:1]))
    total = torch.zeros_like(a)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        visit = zero + node * (a - zero)
        score = above(visit).gather(1, y[:, None]).sum()
        total = total + weight * grad(score, visit, create_graph=True)[0]
    equal_with_gradients(net, penalty(x, y), ((a - zero) * total).sum(1).flatten(1).norm(dim=1).mean())


@pytest.mark.parametrize(
    ("target", "score"),
    [
        ("output[1]", lambda s, y: s[:, 1]),
        ("output - output[0]", lambda s, y: s.gather(1, y[:, None])[:, 0] - s[:, 0]),
        ("output[2, score=probability]", lambda s, y: s.softmax(1)[:, 2]),
    ],
)
def test_targets(batch, target, score):
    (x, y), net = batch, network()
    penalty = bbilang.penalty(f"d.channel | attribute({target}) | norm", model=net, input_size=16)
    a = net[:4](x)
    g = grad(score(scores_from(net, "d", a), y).sum(), a, create_graph=True)[0]
    equal_with_gradients(net, penalty(x, y), (a * g).sum((2, 3)).norm(dim=1).mean())


@pytest.mark.parametrize(("target", "classes"), [("output.class", [0, 1, 2]), ("[output, output[1]]", None)])
def test_several_classes(batch, target, classes):
    (x, y), net = batch, network(nn.GELU)
    text = f"a.spatial | attribute({target}, method=integrated_gradients(n_steps=3)) | norm(class) | norm"
    ours = bbilang.penalty(text, model=net, input_size=16)(x, y)
    each = [f"output[{number}]" for number in classes] if classes else ["output", "output[1]"]
    parts = []
    for one in each:
        own = f"a.spatial | attribute({one}, method=integrated_gradients(n_steps=3)) | norm"
        penalty = bbilang.penalty(own, model=net, input_size=16)
        parts.append(torch.stack([penalty(x[i : i + 1], y[i : i + 1]) for i in range(4)]))
    equal_with_gradients(net, ours, torch.stack(parts).norm(dim=0).mean())


def test_an_activation_needs_no_label(batch):
    (x, _), net = batch, network()
    penalty = bbilang.penalty("b.channel | activation(reduce=mean) | norm", model=net, input_size=16)
    equal_with_gradients(net, penalty(x), net[:2](x).mean((2, 3)).norm(dim=1).mean())


def test_operations_in_place_do_not_change_what_is_attributed_to(batch):
    (x, y), net, other = batch, network(), network(inplace=True)
    values = [
        bbilang.penalty("a.channel | attribute(output) | norm", model=it, input_size=16)(x, y) for it in (net, other)
    ]
    assert values[0].item() == values[1].item()


def test_the_network_stays_as_it_is(batch):
    """Modes, parameters, hooks and running statistics; and a batch costs the passes that are said."""
    (x, y), net = batch, network()
    net.b = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU()).double()
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    penalty = bbilang.penalty("d.channel | attribute(output) | norm", model=net, input_size=16)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items()) and net.training
    runs = []
    handle = net.register_forward_hook(lambda *_: runs.append(1))
    penalty(x, y).backward()
    assert len(runs) == 1 and not any(m._forward_hooks for m in net.children())
    handle.remove()
    with torch.no_grad():
        value = penalty(x, y)
    assert not value.requires_grad and value > 0


REFUSED = [
    ("input.pixel | attribute(output, method=occlusion) | norm", "E480", "attribute(output, method=occlusion)"),
    ("input.pixel | attribute(output, method=integrated_gradients(n_steps=auto)) | norm", "E480", "attribute"),
    ("input.pixel | attribute(output, method=grad_cam) | norm", "E480", "attribute"),
    ("d.channel | attribute(output[top(2)]) | norm", "E480", "attribute"),
    ("a.channel | attribute(d.channel -> output) | norm", "E480", "attribute"),
    ("d.channel | attribute(output) | top(3) | norm", "E480", "top(3)"),
    ("[a, c].channel | attribute(output) | norm", "E480", "attribute"),
    ("d.channel | attribute(output)", "E481", "d.channel"),
    ("d.channel | attribute(output) | norm | abs", "E481", "norm"),
    ("d.channel | attribute(output) | inside(boxes) | norm", "E481", "inside(boxes)"),
    ("input.pixel | attribute(output) | inside(3) | norm", "E481", "inside(3)"),
    ("d.channel | attribute(output) | norm\nd.channel | norm", "E481", "d.channel"),
    ("d.channel | atribute(output) | norm", "E210", "atribute"),
    ("e.channel | norm", "E201", "e"),
]


@pytest.mark.parametrize(("text", "code", "words"), REFUSED, ids=[text for text, *_ in REFUSED])
def test_refused_when_it_is_made(text, code, words):
    with pytest.raises(BbiError) as caught:
        bbilang.penalty(text, model=network(), input_size=16)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert text[diagnostic.span.start : diagnostic.span.end].startswith(words)


def test_networks_without_a_second_derivative_are_refused():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            return 2 * g

    class Doubled(nn.Module):
        def forward(self, x):
            return Once.apply(x)

    net = network(Doubled)
    with pytest.raises(BbiError, match="second derivative"):
        bbilang.penalty("input.pixel | attribute(output) | norm", model=net, input_size=16)
    frozen = network()
    for parameter in frozen[:4].parameters():
        parameter.requires_grad_(False)
    with pytest.raises(BbiError, match="does not depend on any parameter"):
        bbilang.penalty("b.channel | activation | norm", model=frozen, input_size=16)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(y=None), "no labels"),
        (dict(y=torch.zeros(4)), "integers"),
        (dict(y=torch.zeros(3, dtype=torch.long)), r"\(example,\)"),
        (dict(boxes=None), "`boxes` is missing"),
        (dict(boxes=torch.zeros(4, 5)), r"\(4, 5\)"),
        (dict(boxes=[1, 2]), "a tensor"),
        (dict(x=torch.zeros(4, 2, 16, 16, dtype=torch.long)), "floating-point"),
    ],
)
def test_wrong_arguments_of_a_call(batch, change, words):
    x, y = batch
    penalty = bbilang.penalty("input.pixel | attribute(output) | outside(boxes) | norm", model=network(), input_size=16)
    given = dict(x=x, y=y, boxes=BOXES) | change
    with pytest.raises(BbiError, match=words) as caught:
        penalty(given["x"], given["y"], boxes=given["boxes"])
    assert caught.value.diagnostics[0].code == "E423"


def test_numbers_that_are_not_finite(batch):
    (x, y), net = batch, network()
    penalty = bbilang.penalty("d.channel | attribute(output) | norm", model=net, input_size=16)
    with torch.no_grad():
        net.head.weight[0, 0] = float("nan")
    with pytest.raises(BbiError, match="not finite"):
        penalty(x, y)


class Corner(nn.Module):
    """Reads the mean of the left half, behind a factor whose derivative is zero there: any gradient sees nothing."""

    def __init__(self, honest: bool) -> None:
        super().__init__()
        self.honest = honest
        self.weight = nn.Parameter(torch.tensor([1.0, -1.0]))

    def forward(self, x: Tensor) -> Tensor:
        left, right = x[:, 0, :, :8].mean((1, 2)), x[:, 0, :, 8:].mean((1, 2))
        seen = right if self.honest else (left.detach().round() * 4 + right * 1e-3)
        return seen[:, None] * self.weight


@pytest.mark.parametrize("honest", [True, False])
def test_second_opinion(honest):
    net = Corner(honest)
    penalty = bbilang.penalty("input.pixel | attribute(output) | inside(boxes) | norm", model=net, input_size=16)
    torch.manual_seed(0)
    y = torch.tensor([0, 1] * 8)
    x = torch.rand(16, 1, 16, 16) * 0.1 + (1 - y.float())[:, None, None, None] * 0.9
    opinion = penalty.second_opinion(x, y, boxes=torch.tensor([[0, 0, 16, 8]] * 16))
    assert opinion.fooled is not honest and opinion.own < 0.01
    assert (opinion.share < 0.01) if honest else (opinion.share > 0.9)
    assert ("fools its own method" in str(opinion)) is not honest
    with pytest.raises(BbiError, match="two classes"):
        penalty.second_opinion(x, torch.zeros(16, dtype=torch.long), boxes=torch.tensor([[0, 0, 16, 8]] * 16))
