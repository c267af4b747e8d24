"""Networks that block gradients: E505 says where, whatever the method and target; a zero gradient is not blocked."""

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn

import bbilang

torch.manual_seed(0)
PICTURE = torch.rand(3, 8, 8)
GRADIENTS = ("linear", "gradient", "integrated_gradients(n_steps=3)", "smoothgrad(n_samples=2)")
MASKS = ("occlusion(window=3)", "rise(n_masks=20)")


class Net(nn.Module):
    """`cut` stands between `a` and `b`."""

    def __init__(self, cut):
        super().__init__()
        self.a, self.b, self.fc, self.cut = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3), cut

    def forward(self, x):
        return self.fc(self.b(self.cut(self.a(x))).relu().mean((2, 3)))


class Off(Net):
    """`a` runs without gradients."""

    def forward(self, x):
        with torch.no_grad():
            x = self.a(x).relu()
        return self.fc(self.b(x).relu().mean((2, 3)))


class Partly(Net):
    """One of two ways is cut: a stop-gradient, as in many losses and distillations."""

    def forward(self, x):
        x = self.a(x)
        with torch.no_grad():
            gate = x.sigmoid()
        return self.fc(self.b(x.relu() * gate + gate).relu().mean((2, 3)))


class Cut(nn.Module):
    def forward(self, x):
        return x.detach()


def tell(value):
    return torch.from_numpy(value.detach().numpy().copy())


CUTS = {
    "detach": (lambda: Net(lambda x: x.detach().relu()), "it ends after `a`, before `b`"),
    "data": (lambda: Net(lambda x: x.data.relu()), "it ends after `a`, before `b`"),
    "sign of whole numbers": (lambda: Net(lambda x: (x > 0).float()), "it ends after `a`, before `b`"),
    "through numpy": (lambda: Net(tell), "it ends after `a`, before `b`"),
    "a module": (lambda: Net(Cut()), "it ends at `cut`"),
    "no_grad": (lambda: Off(None), "it ends after `a`, before `b`"),
}


def run(text, net):
    return bbilang.run(text, model=net, input=PICTURE, cache=False)


def refused(text, net):
    with pytest.raises(bbilang.BbiError) as error:
        run(text, net)
    assert {d.code for d in error.value.diagnostics} == {"E505"}
    return error.value.diagnostics[0].message


@brings(
    "Networks",
    "`detach`, `no_grad`, thresholds, numpy between a layer and the target",
    "refused with E505 and the position",
)
@pytest.mark.parametrize("name", CUTS)
def test_every_way_says_where_it_ends(name):
    make, where = CUTS[name]
    net = make().eval()
    for to, words in (("output[1]", "the scores"), ("b.channel[3]", "`b`")):
        for method in GRADIENTS:
            message = refused(f"a.spatial | attribute({to}, method={method}) | present(heatmap)", net)
            assert message == f"no gradient leads from `a` to {words}: {where}"
    refused("a.channel | attribute(output.class) | present(matrix)", net)  # forward mode
    refused('a.channel | attribute("b".channel) | present(matrix)', net)
    for method in GRADIENTS:
        assert "`input` to the scores" in refused(
            f"input.pixel | attribute(output[1], method={method}) | present(heatmap)", net
        )
    for method in MASKS:  # need no gradient
        values = run(f"input.pixel | attribute(output[1], method={method}) | present(heatmap)", net)
        assert np.abs(values.data("element-1").values).max() > 0
    above = run("b.spatial | attribute(output[1]) | present(heatmap)", net).data("element-1").values
    assert np.abs(above).max() > 0


@brings(
    "Networks", "`no_grad` on one of several paths", "works: gradients along the other paths, in every mode and method"
)
def test_a_way_beside_the_cut():
    net = Partly(None).eval()
    pixels = PICTURE[None].clone().requires_grad_()
    seen = {}
    handle = net.a.register_forward_hook(lambda m, a, r: seen.update(a=r))
    scores = net(pixels)
    handle.remove()
    slopes = torch.stack([torch.autograd.grad(s, seen["a"], retain_graph=True)[0][0] for s in scores[0]])
    want = (slopes * seen["a"].detach()).sum((2, 3)).numpy()  # (class, channel)
    for to in ("output.class", "[output[0], output[1], output[2]]"):
        page = run(f"a.channel | attribute({to}) | present(matrix)", net)
        close_to(np.sort(page.data("element-1").values.ravel()), np.sort(want.ravel()), roundings=100)
    steps = []
    here, black = seen["a"].detach(), net.a(torch.zeros(1, 3, 8, 8)).detach()
    for share in (0.25, 0.75):  # the midpoints of two steps from a black picture
        point = (black + (here - black) * share).requires_grad_()
        with torch.no_grad():
            gate = point.sigmoid()
        score = net.fc(net.b(point.relu() * gate + gate).relu().mean((2, 3)))[0, 1]
        steps.append(torch.autograd.grad(score, point)[0])
    want = ((here - black) * (steps[0] + steps[1]) / 2).sum(1)[0].numpy()
    method = "integrated_gradients(n_steps=2, quadrature=riemann_middle)"
    text = f"a.spatial | attribute(output[1], method={method}) | present(heatmap)"
    close_to(run(text, net).data("element-1").values, want, roundings=100)


@brings("Networks", "a dead ReLU", "works: zeros")
def test_a_gradient_of_zero_is_no_cut():
    net = Net(lambda x: x.relu()).eval()
    with torch.no_grad():
        net.b.bias.fill_(-1000.0)
    for to in ("output[1]", "output.class"):
        for method in GRADIENTS:
            style = "matrix" if "class" in to else "bars"
            page = run(f"a.channel | attribute({to}, method={method}) | present({style})", net)
            assert not page.data("element-1").values.any()
