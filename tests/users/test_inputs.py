"""Inputs: channels, sizes, signals, vectors, and modules whose parts are called in unusual ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to, within
from PIL import Image
from torch import Tensor, nn

import bbilang
from bbilang import BbiError
from bbilang.runtime.models.preprocess import Preprocess

ICONS = {"featvis.size": 16, "featvis.steps": 2, "featvis.batch": 2}
BANDS = "input.channel | attribute(output[1]) | present(bars)"


def run(text: str, model: Any, given: Any, **options: Any) -> Any:
    return bbilang.run(text, model=model, input=given, cache=False, device="cpu", **options)


def refused(code: str, *words: str, text: str = BANDS, model: Any, given: Any, **options: Any) -> str:
    with pytest.raises(BbiError) as caught:
        run(text, model, given, **options)
    (diagnostic,) = caught.value.diagnostics
    said = str(caught.value)
    assert diagnostic.code == code and all(word in said for word in words), said
    return said


def convolutional(channels: int) -> nn.Module:
    torch.manual_seed(channels)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    ).eval()


def image(channels: int, y: int = 11, x: int = 9) -> Tensor:
    return torch.rand(channels, y, x, generator=torch.Generator().manual_seed(channels))


def products(model: nn.Module, given: Tensor, target: int) -> Tensor:
    """input x gradient, by plain autograd."""
    leaf = given[None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[0, target], leaf)
    return (leaf * gradient)[0].detach()


# --- channels -------------------------------------------------------------------------------------------------------


@brings(
    "Inputs",
    "tensors and arrays with 1, 2, 4 or 12 channels, for a plain module",
    "works: its first layer determines the number of channels",
)
@pytest.mark.parametrize("channels", [1, 2, 4, 12])
def test_inputs_of_other_channels(channels: int) -> None:
    model, given = convolutional(channels), image(channels)
    expected = products(model, given, 1)
    for one in (given, given[None], given.permute(1, 2, 0).numpy(), given.double()):
        actual = run("input.pixel | attribute(output[1]) | present(heatmap)", model, one).data("element-1")
        close_to(actual.values, expected.sum(0), terms=expected.abs().sum())
    if channels in (2, 4, 12):
        actual = run(BANDS, model, given).data("element-1")
        assert actual.axes == ("channel",)
        close_to(actual.values, expected.sum((1, 2)), terms=expected.abs().sum())


@brings("Inputs", "a photo for a network with 2, 4 or 12 channels", "refused with E418; channels are never dropped")
@pytest.mark.parametrize("channels", [2, 4, 12])
def test_a_photo_has_three_channels(channels: int) -> None:
    photo = Image.new("RGB", (9, 11))
    bare = convolutional(channels)
    described = bbilang.adapt(bare, (11, 9), Preprocess(11, (11, 9), mean=(0.0,) * channels, std=(1.0,) * channels))
    for model in (bare, described):
        for given in (photo, np.zeros((11, 9, 3), np.uint8), "sample:chelsea"):
            refused("E418", f"takes {channels} channels", text="output.class | present(bars)", model=model, given=given)


@brings("Inputs", "a tensor with three channels for a network with one", "refused with E418")
def test_colours_for_a_network_of_one_channel() -> None:
    model = bbilang.adapt(convolutional(1), (11, 9))
    said = refused("E418", "3 channels", "takes 1 channel", "(1, 11, 9)", model=model, given=image(3))
    assert "picture, which is resized" in said


@brings("Inputs", "the choice of channels to draw", "works: `set show(channels=[3, 2, 1])`")
def test_what_is_drawn_of_many_channels() -> None:
    given = torch.stack([torch.full((11, 9), share / 10) for share in range(5)])

    def shown(text: str) -> list[int]:
        page = run(f"{text}\ninput | present(image)", convolutional(5), given)
        pixels = page.results.pictures[0].shown
        assert (pixels == pixels[0, 0]).all()
        return pixels[0, 0].tolist()

    assert shown("") == [round(255 * share) for share in (0.0, 0.1, 0.2)]
    assert shown("set show(channels=[3, 2, 1])") == [round(255 * share) for share in (0.3, 0.2, 0.1)]
    assert shown("set show(channels=4)") == [102] * 3
    refused("E214", "channel 5", "0..4", text="set show(channels=5)\ninput | present(image)", model=convolutional(5),
            given=given)  # fmt: skip
    assert (
        run("input | present(image)", convolutional(2), given[1:3]).results.pictures[0].shown[0, 0].tolist() == [26] * 3
    )


@brings("Inputs", "icons, grids and caricatures of a network with one channel", "works: grey icons")
@pytest.mark.parametrize(
    "text, settings",
    [
        ('"0".channel | attribute(output) | top(2) | present(featvis)', {}),
        ('"0".channel | attribute(output) | top(2) | present(featvis)', {"featvis.transparency": True}),
        ('"0".channel | attribute(output) | top(2) | present(featvis)', {"featvis.parametrization": "maco"}),
        ('"0".spatial | activation | present(grid)', {}),
        ('"0".spatial | activation | present(grid)', {"featvis.coherence": 2}),
        ('"1".whole | present(featvis, objective=caricature)', {}),
    ],
)
def test_grey_icons(text: str, settings: dict[str, Any]) -> None:
    page = run(text, convolutional(1), image(1, 5, 5), settings=ICONS | settings)
    assert page.results.icons and page.html()
    for icon in page.results.icons:
        red, green, blue = (icon.picture[..., i] for i in range(3))
        assert (red == green).all() and (green == blue).all()
        assert icon.dead or red.std() > 0


def test_a_grey_icon_measures_what_is_drawn() -> None:
    """Its objective is that of the picture shown, up to the rounding to bytes."""
    model = convolutional(1)
    (icon,) = run('"0".channel[3] | present(featvis)', model, image(1, 16, 16), settings=ICONS).results.icons
    seen = torch.from_numpy(icon.picture[None, None, ..., 0].copy()) / 255
    within(
        icon.objective,
        float(model[0](seen)[0, 3].detach().mean()),
        absolute=2 / 255,
        because="the picture was rounded to bytes",
    )


@brings("Inputs", "icons of a network with 2, 4 or 12 channels", "refused with E304")
def test_icons_of_other_channels() -> None:
    text = '"0".channel | attribute(output) | top(2) | present(featvis)'
    refused("E304", "takes 4 channels", "`bars`", text=text, model=convolutional(4), given=image(4))


@pytest.mark.parametrize("method", ["integrated_gradients(n_steps=8)", "occlusion(window=3, stride=3)"])
def test_methods_on_four_channels(method: str) -> None:
    """Complete where the method is; else against a loop over the positions."""
    model, given = convolutional(4), image(4, 9, 9)
    actual = run(f"input.pixel | attribute(output[1], method={method}) | present(heatmap)", model, given)
    values = torch.from_numpy(actual.data("element-1").values)
    with torch.no_grad():
        score, black = model(given[None])[0, 1], model(torch.zeros_like(given)[None])[0, 1]
        if "gradients" in method:
            within(float(values.sum()), float(score - black), absolute=2e-3, because="a path in a few steps")
            return
        for y in range(0, 9, 3):
            for x in range(0, 9, 3):
                hidden = given.clone()
                hidden[:, y : y + 3, x : x + 3] = 0
                drop = score - model(hidden[None])[0, 1]
                close_to(values[y : y + 3, x : x + 3].sum() / 9, drop, terms=score.abs() + 1)


# --- sizes ----------------------------------------------------------------------------------------------------------


def fixed(side: int, channels: int = 3) -> nn.Module:
    torch.manual_seed(side)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * ((side + 1) // 2) ** 2, 5),
    )


@brings(
    "Inputs", "a picture for a module with an input size other than 224", "works: resized to the module's input size"
)
@pytest.mark.parametrize("side, channels", [(32, 3), (28, 1), (64, 3), (40, 3)])
def test_the_size_is_inferred(side: int, channels: int) -> None:
    picture = Image.effect_noise((50, 50), 60).convert("RGB")
    page = run("input.pixel | attribute(output) | present(heatmap)", fixed(side, channels), picture)
    assert page.data("element-1").values.shape in [(side, side), (side - side % 2, side - side % 2)]
    assert page.results.adapter.description.input_size[0] in (side, side - 1, side + 1)


def test_the_size_of_a_perceptron_is_inferred() -> None:
    picture = Image.effect_noise((50, 50), 60)
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 5))
    assert run("input | present(image)", model, picture).results.adapter.description.input.shape == (1, 28, 28)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 5))
    assert run("input | present(image)", model, picture).results.adapter.description.input.shape == (3, 12, 12)


class Configured(nn.Module):
    """As timm and transformers note what a model takes."""

    def __init__(self, **noted: Any):
        super().__init__()
        self.body = fixed(48)
        for name, value in noted.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@pytest.mark.parametrize(
    "noted",
    [
        {"pretrained_cfg": {"input_size": (3, 48, 48)}},
        {"config": type("Config", (), {"image_size": 48, "num_channels": 3})()},
        {"image_size": 48},
    ],
    ids=["timm", "transformers", "torchvision"],
)
def test_the_size_that_a_library_noted(noted: dict[str, Any]) -> None:
    assert bbilang.adapt(Configured(**noted)).description.input_size == (48, 48)


@brings("Inputs", "`run(..., input_size=(y, x))` and `adapt(..., input_size=, channels=)`", "works")
def test_the_size_is_said() -> None:
    picture = Image.effect_noise((50, 40), 60)
    model = convolutional(3)
    for asked in ((12, 20), [12, 20], np.array([12, 20])):
        page = run("input | present(image)", model, picture, input_size=asked)
        assert page.results.pictures[0].shown.shape == (12, 20, 3)
    assert run("input | present(image)", model, picture, input_size=16).results.pictures[0].shown.shape == (16, 16, 3)
    file = bbilang.parse("input | present(image)")
    assert bbilang.check(file, model=model, input=picture, input_size=16).description.input_size == (16, 16)
    assert "16" in str(bbilang.explain("input | present(image)", model=model, input=picture, input_size=16))
    named = bbilang.check(file, input=picture, input_size=(64, 96))
    assert named.description.input_size == (64, 96)
    assert bbilang.adapt(convolutional(4), 16, channels=4).description.input.shape == (4, 16, 16)
    other = bbilang.adapt(model, 16)
    assert run("input | present(image)", other, picture, input_size=20).results.pictures[0].shown.shape == (20, 20, 3)


@brings("Inputs", "`set preprocess(crop=[y, x])` for a module of your own", "works: layer sizes are recomputed")
def test_a_crop_of_a_callers_module() -> None:
    model, picture = convolutional(3), Image.effect_noise((50, 40), 60).convert("RGB")
    text = "set preprocess(crop=[12, 20])\ninput.pixel | attribute(output[1]) | present(heatmap)"
    for given in (model, bbilang.adapt(model, 16)):
        page = run(text, given, picture)
        seen = page.results.pictures[0].image
        expected = products(model, seen, 1)
        assert seen.shape == (3, 12, 20)
        close_to(page.data("element-1").values, expected.sum(0), terms=expected.abs().sum())


@brings("Inputs", "a network with a non-square input", "works: it sees the whole picture, resized to that shape")
def test_a_network_that_is_not_square_sees_everything() -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:4], pixels[-4:], pixels[:, :4], pixels[:, -4:] = 255, 255, 255, 255
    shown = run("input | present(image)", convolutional(3), Image.fromarray(pixels), input_size=(10, 20)).results
    seen = shown.pictures[0].shown
    assert seen.shape == (10, 20, 3)
    assert all(edge.mean() > 150 for edge in (seen[0], seen[-1], seen[:, 0], seen[:, -1]))
    assert seen[4:6, 8:12].max() == 0


@brings("Inputs", "what a crop cuts off", "stated on the page")
def test_what_is_cut_off_is_said() -> None:
    wide = Image.effect_noise((80, 40), 60)
    page = run("input | present(image)", convolutional(3), wide, input_size=16)
    assert dict(page.view.provenance.settings)["cut off"] == "picture 1: 50 % left and right"
    assert "50 % left and right" in page.html()
    square = run("input | present(image)", convolutional(3), wide.resize((40, 40)), input_size=16)
    assert "cut off" not in dict(square.view.provenance.settings)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(6, 3)

    def forward(self, image: Tensor, meta: Tensor) -> Tensor:
        return self.fc(torch.cat([self.c(image).relu().mean((2, 3)), meta], 1))


@brings("Networks", "a `forward` with two arguments", "refused with E408, which names them")
def test_a_forward_of_two_arguments() -> None:
    refused("E408", "needs `meta` besides the input", model=Two(), given=image(3))


@brings("Networks", "3-D convolutions", "refused with E408")
def test_volumes() -> None:
    model = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 8, 2))
    refused("E408", "volumes", model=model, given=torch.rand(1, 4, 4, 4))


def test_the_help_of_a_module_that_does_not_run_names_arguments_that_exist() -> None:
    said = refused("E408", "input_size=(y, x)", "channels=3", model=fixed(32), given=image(3, 20, 20))
    assert "adapt(module, input_size" in said and "run(..., input_size" in said


# --- signals and vectors --------------------------------------------------------------------------------------------


def perceptron() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def signals() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(5, 3))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.fc = nn.RNN(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0].mean(1))


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7)) * 3


@brings("Inputs", "a vector for a network of linear layers", "works: `input.channel`, hidden layers, bars")
def test_vectors() -> None:
    model, given = perceptron(), numbers(6)
    expected = products(model, given, 1)
    for one in (given, given[None], given.numpy(), [given], given.double()):
        actual = run("input.channel | attribute(output[1]) | top(4) | present(bars)", model, one).data("element-1")
        order = torch.argsort(expected, descending=True)[:4]
        assert actual.coords["channel"][1].tolist() == order.tolist()
        close_to(actual.values, expected[order], terms=expected.abs().sum())
    hidden = model[0](given).detach()
    actual = run('"0".channel | attribute(output[1]) | present(bars)', model, given).data("element-1")
    close_to(actual.values, products(model[1:], hidden, 1), terms=hidden.abs().sum())
    several = run("input.channel | attribute(output[1]) | present(bars)", model, torch.stack([given, -given]))
    assert several.data("element-1").axes == ("input", "channel")
    close_to(several.data("element-1").values[1], products(model, -given, 1), terms=expected.abs().sum())


@brings("Inputs", "column names: `adapt(..., columns=[...])`", "works: bars are labelled with them")
def test_columns() -> None:
    columns = ["age", "height", "weight", "pulse", "oxygen", "smoker"]
    adapter = bbilang.adapt(perceptron(), columns=columns)
    page = run("input.channel | attribute(output[1]) | present(bars)", adapter, numbers(6))
    (element,) = page.view.interfaces[0].elements
    assert [atom.label for atom in element.atoms] == columns
    with pytest.raises(BbiError, match=r"E423.*2 names.*6 channels"):
        bbilang.adapt(perceptron(), columns=["age", "height"])


@brings(
    "Inputs", "a signal (channel, x) for 1-D convolutions, a sequence (x, channel) for a recurrent network", "works"
)
@pytest.mark.parametrize("model, shape", [(signals(), (2, 20)), (Recurrent(), (9, 4))], ids=["signal", "sequence"])
def test_signals(model: nn.Module, shape: tuple[int, int]) -> None:
    given = numbers(*shape)
    expected = products(model, given, 1)
    along = shape.index(max(shape))
    for one in (given, given[None]):
        actual = run("input.spatial | attribute(output[1]) | present(bars)", model, one).data("element-1")
        assert actual.axes == ("x",)
        close_to(actual.values, expected.sum(1 - along), terms=expected.abs().sum())
    actual = run("input.channel | attribute(output[1]) | present(bars)", model, given).data("element-1")
    close_to(actual.values, expected.sum(along), terms=expected.abs().sum())
    entries = run("input.neuron | attribute(output[1]) | top(1) | present(bars)", model, given).data("element-1")
    close_to(entries.values, expected.max()[None], terms=expected.abs().sum())


def test_hidden_layers_of_signals() -> None:
    model, given = signals(), numbers(2, 20)
    hidden = model[0](given[None])[0].detach()
    expected = products(model[1:], hidden, 2)
    for atom, axis in (("spatial", 0), ("channel", 1)):
        actual = run(f'"0".{atom} | attribute(output[2]) | present(bars)', model, given).data("element-1")
        close_to(actual.values, expected.sum(axis), terms=expected.abs().sum())


def test_a_path_over_a_vector_is_complete() -> None:
    model, given = perceptron(), numbers(6)
    text = "input.channel | attribute(output[1], method=integrated_gradients(n_steps=200)) | present(bars)"
    with torch.no_grad():
        difference = float((model(given[None]) - model(torch.zeros(1, 6)))[0, 1])
    values = run(text, model, given).data("element-1").values
    within(values.sum(), difference, absolute=2e-3 * float(np.abs(values).sum()), because="a path in a few steps")


@brings("Inputs", "icons, pictures and pixels of a network that takes numbers", "refused with E304 or E209")
@pytest.mark.parametrize(
    "text, code",
    [
        ('"0".channel | present(featvis)', "E304"),
        ("input | present(image)", "E209"),
        ("input.pixel | attribute(output) | present(heatmap)", "E209"),
        ("input.channel | attribute(output, method=rise) | present(bars)", "E238"),
        ("input.spatial | attribute(output, method=occlusion) | present(bars)", "E238"),
        ('"0".spatial | attribute(output, method=grad_cam) | present(bars)', "E238"),
        ("input.spatial | attribute(output, method=integrated_gradients(baselines=blur)) | present(bars)", "E515"),
        ("input.spatial | attribute(output, method=integrated_gradients(baselines=noise)) | present(bars)", "E515"),
        ('input.spatial | attribute(output, method=lrp(composite="epsilon_gamma_box")) | present(bars)', "E515"),
        ("input.spatial | attribute(output) | top(2) | trust(road) | present(bars)", "E238"),
        ("set preprocess(crop=8)\ninput.spatial | attribute(output) | present(bars)", "E407"),
        ("set show(channels=0)\ninput.spatial | attribute(output) | present(bars)", "E214"),
    ],
)
def test_what_is_of_pictures(text: str, code: str) -> None:
    refused(code, text=text, model=signals(), given=numbers(2, 20))


@brings("Inputs", "a file, a non-finite number or a wrong shape for a network that takes vectors", "refused with E418")
@pytest.mark.parametrize(
    "given", ["sample:chelsea", torch.full((6,), torch.nan), torch.zeros(7), torch.zeros(6, dtype=torch.complex64), 5]
)
def test_what_is_no_vector(given: Any) -> None:
    refused("E418", model=bbilang.adapt(perceptron()), given=given)


def test_noise_follows_the_range_of_a_vector() -> None:
    """Ten times the numbers, ten times the noise: `input_sensitivity` of a linear map is relative."""
    model = nn.Sequential(nn.Linear(6, 3, bias=False))
    text = "input.channel | attribute(output[1]) | trust(input_sensitivity) | present(bars)"
    small, large = (run(text, model, numbers(6) * scale).data("element-1").values for scale in (1, 10))
    close_to(large, 10 * small)


# --- names of layers ------------------------------------------------------------------------------------------------


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.input, self.b, self.relu = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.ReLU()
        self.aux, self.same, self.output = nn.Linear(8, 5), self.b, nn.Linear(8, 6)
        self.last = nn.Linear(6, 5)

    def forward(self, v: Tensor) -> Tensor:
        f = self.relu(self.b(self.relu(self.input(v)))).mean((2, 3))
        return self.aux(f) if self.training else self.last(self.output(f).relu())


def of_layer(text: str) -> Any:
    return run(f"{text} | attribute(output[1]) | present(bars)", Odd(), image(3)).data("element-1").values


@brings("Networks", "layers called `input` and `output`", "works: with quoted names")
def test_layers_with_names_of_the_language() -> None:
    model, given = Odd().eval(), image(3)
    first = model.input(given[None]).detach().requires_grad_()
    f = model.b(first.relu()).relu().mean((2, 3))
    middle = model.output(f)
    score = model.last(middle.relu())[0, 1]
    for name, value in (("input", first), ("output", middle)):
        (gradient,) = torch.autograd.grad(score, value, retain_graph=True)
        expected = (value * gradient).detach()[0].reshape(value.shape[1], -1)
        close_to(of_layer(f'"{name}".channel'), expected.sum(1), terms=expected.abs().sum())
    (gradient,) = torch.autograd.grad(middle[0, 3], first)  # atoms of the layer `output`, not classes
    expected = (first * gradient).detach()[0].flatten(1)
    text = '"input".channel | attribute("output".channel[3]) | present(bars)'
    close_to(run(text, model, given).data("element-1").values, expected.sum(1), terms=expected.abs().sum())


@brings("Networks", "a module with two names", "works: either name refers to it")
def test_a_second_name() -> None:
    np.testing.assert_array_equal(of_layer("same.channel"), of_layer("b.channel"))


@brings(
    "Networks",
    "modules that run several times, or not at all",
    "refused with E501 or E502 at their position in the text",
)
@pytest.mark.parametrize("name, code", [("relu", "E501"), ('"relu"', "E501"), ("aux", "E502"), ('"aux"', "E502")])
def test_modules_that_are_no_layers(name: str, code: str) -> None:
    text = f"{name}.channel | attribute(output[1]) | present(bars)"
    refused(code, "-->", name.strip('"'), text=text, model=Odd(), given=image(3))


def test_a_wrong_quoted_name_is_no_layer() -> None:
    refused("E204", "`9` is not a layer", "its layers are", "last", text='"9".channel | present(bars)', model=Odd(),
            given=image(3))  # fmt: skip


@brings("Networks", "scripted and traced modules", "works at the input; their parts are refused with E502")
@pytest.mark.parametrize("how", ["script", "trace"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_modules(how: str) -> None:
    model, given = convolutional(3), image(3)
    made = torch.jit.script(model) if how == "script" else torch.jit.trace(model, given[None])
    expected = products(model, given, 1)
    actual = run("input.pixel | attribute(output[1]) | present(heatmap)", made, given).data("element-1")
    close_to(actual.values, expected.sum(0), terms=expected.abs().sum())
    refused("E502", "scripted", text='"0".channel | present(bars)', model=made, given=given)
    for method in ("guided_backprop", "deconvnet", "lrp"):  # their rules would silently not apply
        text = f"input.pixel | attribute(output, method={method}) | present(heatmap)"
        refused("E515", "scripted", text=text, model=made, given=given)


# --- preprocessing --------------------------------------------------------------------------------------------------


@brings(
    "Inputs", "`set preprocess(std=0)`, a crop larger than the size", "refused with E407 at its position in the text"
)
@pytest.mark.parametrize("said", ["std=0", "std=[1, 1, 0]", "size=10, crop=20", "crop=[12, 20], size=15"])
def test_a_preprocessing_that_makes_no_picture(said: str) -> None:
    text = f"set preprocess({said})\ninput | present(image)"
    refused("E407", "--> <text>:1:", text=text, model=convolutional(3), given=Image.new("RGB", (30, 30)))


def test_mean_and_deviation_of_each_channel() -> None:
    model, given = convolutional(4), image(4)
    text = "set preprocess(mean=[0.1, 0.2, 0.3, 0.4], std=0.5)\ninput.pixel | attribute(output[1]) | present(heatmap)"
    mean = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(4, 1, 1)
    leaf = given.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(((leaf - mean) / 0.5)[None])[0, 1], leaf)
    expected = (leaf * gradient).detach()
    close_to(run(text, model, given).data("element-1").values, expected.sum(0), terms=expected.abs().sum())
    refused("E213", "4, one a channel", text=text.replace(", 0.4]", "]"), model=model, given=given)


# --- pictures -------------------------------------------------------------------------------------------------------


@brings("Inputs", "PIL pictures of every mode", "works: transparency on white, greys of more than 8 bits scaled")
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I", "F"])
def test_pictures_of_every_mode(mode: str) -> None:
    plain = Image.fromarray(np.full((12, 12, 3), 128, np.uint8))
    picture = plain.convert("L").convert(mode) if mode in ("I", "I;16", "F", "1") else plain.convert(mode)
    page = run("input | present(image)", convolutional(3), picture, input_size=12)
    assert page.results.pictures[0].shown.shape == (12, 12, 3)


def test_the_length_of_a_vector_is_no_length_of_a_sequence():
    table = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    adapters = [bbilang.adapt(table, size, labels=["low", "middle", "high"]) for size in (None, (6,), ())]
    assert {adapter.description.reads for adapter in adapters} == {"vector"}
    with pytest.raises(bbilang.BbiError, match="gives no vector of scores, but there are 3 labels"):
        bbilang.adapt(table, (7,), labels=["low", "middle", "high"])


def test_a_vector_is_not_drawn_beside_the_prediction():
    page = bbilang.run("input.channel | attribute(output) | present(bars)", model=perceptron(), input=torch.rand(6))
    assert [prediction.picture for prediction in page.view.predictions] == [-1]
