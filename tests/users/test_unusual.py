"""Modules that torch cannot differentiate, copy or index as they are: right numbers, or a code."""

import copy
import threading

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn
from torch.utils.checkpoint import checkpoint

import bbilang

torch.manual_seed(0)
PICTURE = torch.rand(3, 10, 10)
METHODS = ("linear", "integrated_gradients(n_steps=1)", "smoothgrad(n_samples=1)")


def plain(net, layer, target=1):
    """activation x gradient of a layer (channel, y, x), by autograd."""
    seen = {}
    handle = net.get_submodule(layer).register_forward_hook(lambda m, a, r: seen.update(at=r))
    score = net(PICTURE[None].clone().requires_grad_())[0, target]
    handle.remove()
    (slope,) = torch.autograd.grad(score, seen["at"])
    return (slope * seen["at"]).detach()[0]


def values(text, net, **options):
    return bbilang.run(text, model=net, input=PICTURE, **{"cache": False} | options).data("element-1").values


class Blocks(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.a, self.n, self.b, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.Linear(4, 9)
        self.reentrant = reentrant

    def block(self, x):
        return self.b(self.n(x).relu()).tanh()

    def forward(self, x):
        x = self.a(x)
        x = self.block(x) if self.reentrant is None else checkpoint(self.block, x, use_reentrant=self.reentrant)
        return self.fc(x.mean((2, 3)))


@brings("Networks", "checkpointed blocks, reentrant or not", "works: they run once")
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_checkpointed_blocks(reentrant):
    torch.manual_seed(1)
    net = Blocks(reentrant).eval()
    same = Blocks(None).eval()
    same.load_state_dict(net.state_dict())
    for layer in ("a", "n", "b"):
        close_to(values(f"{layer}.spatial | attribute(output[1]) | present(heatmap)", net), plain(same, layer).sum(0),
                 roundings=100)  # fmt: skip
        text = f"{layer}.channel | attribute(output.class, method=integrated_gradients(n_steps=2)) | present(matrix)"
        close_to(values(text, net), values(text, same), roundings=100)
    x = PICTURE[None].clone().requires_grad_()
    net(x).sum().backward()  # and is checkpointed again
    assert x.grad is not None


@brings("Networks", "weights created under `torch.inference_mode`", "works: copies are used")
@pytest.mark.parametrize("cache", [False, None])
def test_inference_weights(cache):
    with torch.inference_mode():
        torch.manual_seed(2)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(256, 3)).eval()
    torch.manual_seed(2)
    same = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(256, 3)).eval()
    for layer in "01":
        have = values(f'"{layer}".spatial | attribute(output[1]) | present(heatmap)', net, cache=cache)
        close_to(have, plain(same, layer).sum(0), roundings=100)
    assert all(p.is_inference() for p in net.parameters())


@brings("Networks", "scripted and traced modules", "works at the input")
@pytest.mark.parametrize("how", ["script", "trace"])
@pytest.mark.filterwarnings("ignore")
def test_scripted(how):
    torch.manual_seed(3)
    same = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)).eval()
    net = torch.jit.script(copy.deepcopy(same)) if how == "script" else torch.jit.trace(same, PICTURE[None])
    pixels = PICTURE[None].clone().requires_grad_()
    (slope,) = torch.autograd.grad(same(pixels)[0, 1], pixels)
    want = (slope * pixels).detach()[0].sum(0)
    for _ in range(3):  # torch looks at what runs, and compiles it then
        close_to(values("input.pixel | attribute(output[1]) | present(heatmap)", net), want, roundings=100)
    for method in ("integrated_gradients(n_steps=3)", "occlusion(window=4)"):
        text = f"input.pixel | attribute(output[1], method={method}) | present(heatmap)"
        close_to(values(text, net), values(text, same), roundings=200)


@brings("Networks", "dynamically quantized modules", "gradients are refused with E505; masks work")
@pytest.mark.filterwarnings("ignore")
def test_quantized():
    torch.manual_seed(4)
    same = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 9)).eval()
    net = torch.ao.quantization.quantize_dynamic(copy.deepcopy(same), {nn.Linear}, dtype=torch.qint8)
    for method in METHODS:
        for to, style in (("output[1]", "bars"), ("output.class", "matrix")):
            with pytest.raises(bbilang.BbiError, match="torch has no derivative") as error:
                values(f'"0".channel | attribute({to}, method={method}) | present({style})', net)
            assert {d.code for d in error.value.diagnostics} == {"E505"}
    have = values('"0".spatial | attribute(output[1], method=occlusion(window=2)) | present(heatmap)', net)
    want = values('"0".spatial | attribute(output[1], method=occlusion(window=2)) | present(heatmap)', same)
    assert np.abs(have - want).max() < 0.3 * np.abs(want).max()  # differences of a few of 255 steps


class Letters:
    longest = 40

    def read(self, text):
        return [ord(c) - 97 for c in text], list(text)


class Rnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(26, 6), nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 40)

    def forward(self, tokens):
        return self.head(self.rnn(self.embed(tokens))[0].mean(1))


@brings("Texts", "an LSTM and all classes (torch has no forward mode for LSTMs)", "works: in reverse mode")
def test_all_classes_of_an_lstm():
    torch.manual_seed(5)
    net = Rnn().eval()
    embedded = net.embed(torch.tensor([[6, 14, 14, 3]])).detach().requires_grad_()
    scores = net.head(net.rnn(embedded)[0].mean(1))[0]
    slopes = torch.stack([torch.autograd.grad(s, embedded, retain_graph=True)[0][0] for s in scores])
    want = (slopes * embedded.detach()).sum(2).numpy()  # (class, token)
    page = bbilang.run("embed.token | attribute(output.class) | present(matrix)",
                       model=bbilang.adapt_text(net, Letters()), input="text:good", cache=False)  # fmt: skip
    have = page.data("element-1").values
    close_to(have if have.shape == want.shape else have.T, want, roundings=200)


@brings("Texts", "a token outside the model's embedding", "refused with E526")
def test_a_token_outside():
    with pytest.raises(bbilang.BbiError, match="token number 133 has no row in `embed`, which has 26"):
        bbilang.run("embed.token | attribute(output[1]) | present(bars)",
                    model=bbilang.adapt_text(Rnn(), Letters()), input="text:aæ", cache=False)  # fmt: skip


class Keeping(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        self.lock, self.kept = threading.Lock(), {}

    def forward(self, x):
        with self.lock:
            self.kept["features"] = [self.a(x).relu()]
            self.last = self.kept["features"][0]
        return self.fc(self.last.mean((2, 3)))


@brings("Networks", "modules that store features of a run or hold locks", "works: only their weights are copied")
def test_what_cannot_be_copied():
    torch.manual_seed(6)
    net = Keeping().eval()
    net(PICTURE[None])
    state = {name: value.clone() for name, value in net.state_dict().items()}
    page = bbilang.run(
        "a.channel | attribute(output[1]) | trust(random_weights) | present(bars)",
        model=net,
        input=PICTURE,
        cache=False,
    )
    close_to(page.data("element-1").values, plain(net, "a").sum((1, 2)), roundings=100)
    assert "random" in page.html() and all(torch.equal(state[name], value) for name, value in net.state_dict().items())


class Unique(Keeping):
    def __deepcopy__(self, memo):
        raise TypeError("there is one of it")


@brings("Networks", "`trust(random_weights)` of a module that cannot be copied", "refused with E527")
def test_what_refuses_to_be_copied():
    with pytest.raises(bbilang.BbiError, match="Unique cannot be copied: there is one of it") as error:
        values("a.channel | attribute(output[1]) | trust(random_weights) | present(bars)", Unique().eval())
    assert error.value.diagnostics[0].code == "E527"


class Fourier(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.spectrum, self.fc = nn.Conv2d(3, 4, 3), Spectrum(), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(torch.fft.irfft2(self.spectrum(self.c(x))).relu().mean((2, 3)))


class Spectrum(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 8, 5, dtype=torch.cfloat))

    def forward(self, x):
        return torch.fft.rfft2(x) * self.weight


@brings("Networks", "complex-valued layers", "refused with E525 at these layers; others work")
def test_complex_numbers():
    torch.manual_seed(7)
    net = Fourier().eval()
    for method in ("linear", "integrated_gradients(n_steps=2)", "occlusion(window=2)", "smoothgrad(n_samples=2)"):
        with pytest.raises(bbilang.BbiError) as error:
            values(f"spectrum.spatial | attribute(output[1], method={method}) | present(heatmap)", net)
        assert {d.code for d in error.value.diagnostics} == {"E525"}
    with pytest.raises(bbilang.BbiError, match="E525"):
        values("spectrum.channel | activation | present(bars)", net)
    close_to(values("c.spatial | attribute(output[1]) | present(heatmap)", net), plain(net, "c").sum(0), roundings=200)


@brings("Weights", "random weights for complex-valued tensors", "works: they stay complex")
def test_random_complex_weights():
    from bbilang.runtime.trust.random_weights import randomize

    layer = Spectrum()
    randomize(layer, 3)
    assert layer.weight.is_complex() and float(layer.weight.detach().imag.std()) > 0.3


class Remembers(nn.Module):
    """Keeps its features, and a bias that it computes once a device, as timm's EfficientFormer does."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.h = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 5)
        self.bias, self.cache, self.kept = nn.Parameter(torch.rand(4)), {}, []

    def forward(self, x):
        key = str(self.bias.device)
        if key not in self.cache:
            self.cache[key] = self.bias.view(-1, 1, 1) * 2
        self.kept = [torch.relu(self.a(x))]
        self.last = self.b(self.kept[0]) + self.cache[key]
        return self.h(self.last.relu().mean((2, 3)))


WAYS = ["linear", "integrated_gradients(n_steps=2)", "smoothgrad(n_samples=2)", "occlusion(window=4)"]


@brings(
    "Networks", "modules that store features or fill caches while they run", "works: no data of bbilang remains in them"
)
@pytest.mark.parametrize("method", WAYS)
def test_nothing_of_a_trace_stays_in_a_module(method):
    network, x = Remembers().eval(), torch.rand(3, 12, 12)
    to_all = "a.spatial | attribute(output.class) | at(pick(output.class)) | present(heatmap)"
    for text in (f"a.spatial | attribute(output[1], method={method}) | present(heatmap)", to_all):
        bbilang.run(text, model=network, input=x, cache=False)
        left = [*network.cache.values(), *network.kept, *([network.last] if hasattr(network, "last") else [])]
        assert {type(value) for value in left} <= {torch.Tensor}
        assert not any(torch._C._functorch.is_functorch_wrapped_tensor(value) for value in left)
        scores = network(x[None])
        assert type(scores) is torch.Tensor and scores.shape == (1, 5)
    network.cache, network.kept, network.last = {}, [], None
    copy.deepcopy(network).double()


class Folded(nn.Module):
    """A second stream whose windows, of all pictures, lie in one axis: only one picture at a time can stand above."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.c, self.w, self.side = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 2)
        self.layer, self.h = nn.Conv2d(4, 6, 3), nn.Linear(10, 5)

    def forward(self, x):
        t = self.c(x)
        windows = self.w(t.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(-1, 4, 4, 4))
        result = torch.relu(self.layer(t)).mean((2, 3))
        return self.h(torch.cat([result, torch.tanh(self.side(windows)).mean((1, 2, 3)).view(len(x), 4)], 1)) ** 2


@brings("Networks", "windows or patches of all pictures on one axis, next to the selected layer", "works: row by row")
def test_windows_of_all_pictures_in_one_axis():
    network, x = Folded().eval(), torch.rand(3, 8, 8)
    text = "layer.channel | attribute(output[1], method=integrated_gradients(n_steps=3, quadrature=riemann_right))"
    page = bbilang.run(f"{text} | present(bars)", model=network, input=x, cache=False)

    def visit(picture, put=None):
        captured = []
        hook = network.layer.register_forward_hook(
            lambda m, a, r: (
                captured.append((r if put is None else put).detach().clone().requires_grad_()) or captured[0].clone()
            )
        )
        score = network(picture[None])[0, 1]
        hook.remove()
        return captured[0].detach(), torch.autograd.grad(score, captured[0])[0]

    own, start = visit(x)[0], visit(torch.zeros_like(x))[0]
    slopes = [visit(x, start + (own - start) * (k + 1) / 3)[1] for k in range(3)]
    expected = ((own - start) * torch.stack(slopes).mean(0))[0].sum((1, 2))
    close_to(page.data("element-1").values, expected)

    for inputs in ([x, x * 0.5], [x]):  # what was learnt of one picture says nothing of two, and the other way round
        if len(inputs) > 1:
            with pytest.raises(bbilang.BbiError, match="E508"):
                bbilang.run(f"{text} | present(bars)", model=network, input=inputs, cache=False)
        else:
            again = bbilang.run(f"{text} | present(bars)", model=network, input=inputs, cache=False)
            close_to(again.data("element-1").values.ravel(), expected)


class Unfolded(nn.Module):
    """Its first layer with weights sees the pixels of each 4 by 4 block as channels."""

    def __init__(self):
        super().__init__()
        self.c, self.h = nn.Conv2d(48, 4, 1), nn.Linear(4, 5)

    def forward(self, x):
        return self.h(self.c(nn.functional.pixel_unshuffle(x, 4)).mean((2, 3)))


def test_channels_are_those_that_the_network_takes():
    assert bbilang.adapt(Unfolded(), (16, 16)).description.channels == 3
    with pytest.raises(bbilang.BbiError, match="takes 3 channels, and `channels` is 48"):
        bbilang.adapt(Unfolded(), (16, 16), channels=48)
