"""Networks that segment: `output["cat", at=box(y0, x0, y1, x1)]` is the mean score of a class in a box, and what has no
such score is refused."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn

import bbilang
from bbilang.runtime.models.score_output import box_weights

SIZE = (20, 28)
BOXES = {"left": (2, 3, 17, 12), "right": (5, 14, 20, 28)}
LABELS = ["sky", "cat", "dog"]
FORMS = {
    "a tensor": lambda maps: maps,
    "a mapping": lambda maps: {"out": maps, "aux": -maps},
    "the input's size": lambda maps: nn.functional.interpolate(maps, size=SIZE, mode="bilinear", align_corners=False),
}


def target(name, where):
    return f'output["{name}", at=box({", ".join(map(str, BOXES[where]))})]'


class Segmenter(nn.Module):
    """Fully convolutional, at half the size; ``form`` makes of the map what it gives."""

    def __init__(self, form=lambda maps: {"out": maps}):
        super().__init__()
        torch.manual_seed(5)
        self.stem, self.middle, self.classifier = (
            nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.Conv2d(6, 5, 3, padding=1), nn.Conv2d(5, 3, 1)
        )  # fmt: skip
        self.form = form

    def after_stem(self, values):
        return self.classifier(torch.relu(self.middle(torch.relu(values))))

    def forward(self, images):
        return self.form(self.after_stem(self.stem(images)))


def by_hand(network, stem, box, number):
    """The mean score of a class in a box from the stem's values (1, channel, y, x): pixel by pixel of the map, enlarged
    by hand to the picture's size."""
    y0, x0, y1, x1 = box
    maps = network.after_stem(stem)[0, number]  # (y, x), at half the size
    rows, columns = (_enlarging(many, few) for many, few in zip(SIZE, maps.shape, strict=True))
    whole = rows @ maps @ columns.T
    return sum(whole[y, x] for y in range(y0, y1) for x in range(x0, x1)) / ((y1 - y0) * (x1 - x0))


def _enlarging(many, few):
    """The matrix (many, few) of linear interpolation between the centres of pixels."""
    matrix = torch.zeros(many, few)
    for place in range(many):
        centre = min(max((place + 0.5) * few / many - 0.5, 0), few - 1)
        low = int(centre)
        high = min(low + 1, few - 1)
        matrix[place, low] += 1 - (centre - low)
        matrix[place, high] += centre - low
    return matrix


@pytest.fixture(scope="module", params=FORMS)
def network(request):
    return Segmenter(FORMS[request.param]).eval()


@pytest.fixture(scope="module")
def model(network):
    return bbilang.adapt(network, SIZE, labels=LABELS)


@pytest.fixture(scope="module")
def picture():
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(1))


def page(text, model, picture, **more):
    return bbilang.run(text, model=model, input=picture, cache=False, **more)


@brings(
    "Scores",
    "a network that segments: a map of scores, alone or in a mapping",
    "works: each box and class is a score ([how](models.md#maps))",
)
@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize(("name", "where"), [("cat", "left"), ("dog", "right")])
def test_a_class_in_a_box(network, model, picture, name, where, optimized):
    """Activation x gradient of the stem's channels, the gradient at the pixels, and what a channel at zero changes."""
    number, box = LABELS.index(name), BOXES[where]
    text = (
        f"stem.channel | attribute({target(name, where)}) | present(bars)\n"
        f"input.pixel | attribute({target(name, where)}, method=gradient) | present(heatmap)\n"
        f"stem.channel | ablate(zero) | effect({target(name, where)}) | present(bars)"
    )
    actual = page(text, model, picture, optimized=optimized)
    image = picture[None].clone().requires_grad_()
    stem = network.stem(image)
    score = by_hand(network, stem, box, number)
    by_stem, by_pixel = torch.autograd.grad(score, [stem, image])
    products = (stem * by_stem).detach()[0]
    close_to(actual.data("element-1").values, products.sum((1, 2)), terms=float(products.abs().sum()))
    pixels = by_pixel[0].sum(0)
    close_to(actual.data("element-2").values, pixels, terms=float(by_pixel.abs().max()))
    expected = []
    for channel in range(6):
        without = stem.detach().clone()
        without[:, channel] = 0
        expected.append(float((by_hand(network, without, box, number) - score).detach()))
    close_to(actual.data("element-3").values, np.array(expected), terms=float(score.detach().abs()) + 1)
    means = dict(actual.view.predictions[0].top)  # the first five, and no softmax of boxes
    for index, known in enumerate(LABELS):
        of_box = float(by_hand(network, stem.detach(), box, index).detach())
        if (shown := f"{known} in the box") in means:
            assert means[shown] == pytest.approx(of_box, rel=1e-4, abs=1e-6)
    assert len(means) == 5 and "sky in the box" in means


def test_the_whole_map(network, model, picture):
    """Without a box the mean of the map itself, before it is enlarged; `output.class` is that of every class."""
    text = 'stem.channel | attribute(output["cat"] - output["dog"]) | present(bars)\n'
    text += f"where = input.pixel | attribute({target('cat', 'left')}) | present(heatmap)\n"
    text += "stem.channel | attribute(output.class) | present(bars, facet=class)"
    shown = page(text, model, picture)
    stem = network.stem(picture[None]).detach().requires_grad_()
    maps = network.after_stem(stem)
    maps = network.form(maps) if network.form is FORMS["the input's size"] else maps
    means = maps.mean((2, 3))[0]
    slopes = [torch.autograd.grad(mean, stem, retain_graph=True)[0] for mean in means]
    expected = torch.stack([(stem * slope).sum((0, 2, 3)) for slope in slopes]).detach()
    terms = float((stem * torch.stack(slopes)).detach().abs().sum())
    close_to(shown.data("element-1").values, expected[1] - expected[2], terms=terms)
    everything = shown.data("element-3")
    values = everything.values.transpose(everything.axes.index("class"), everything.axes.index("channel"))
    assert values.shape == (3, 6), "without the scores of boxes"
    close_to(values, expected, terms=terms)
    assert list(everything.labels["class"][1]) == [f"{name} over the map" for name in LABELS]


def test_a_box_is_outlined(model, picture):
    text = f"a = input.pixel | attribute({target('cat', 'left')}) | present(heatmap)\n"
    text += f"b = stem.spatial | attribute({target('cat', 'left')} - {target('dog', 'right')}) | present(heatmap)\n"
    text += f"c = stem.spatial | attribute([{target('cat', 'left')}, {target('cat', 'right')}]) "
    text += '| present(heatmap, facet=class)\nd = stem.spatial | attribute(output["cat"]) | present(heatmap)'
    shown = page(text, model, picture)
    elements = [element for part in shown.view.interfaces for element in part.elements]
    boxes = {one.id: one.options.get("outlines", []) for one in elements}
    shares = [(y0 / 20, x0 / 28, y1 / 20, x1 / 28) for y0, x0, y1, x1 in BOXES.values()]
    assert boxes == {"a": shares[:1], "b": shares, "c": [], "d": []}, "panels of other boxes have no one outline"
    said = {one.id: "outlined" in " ".join(one.legend.notes) for one in elements}
    assert said == {"a": True, "b": True, "c": False, "d": False}


def test_pixels_outside_what_a_box_sees(model, picture):
    """A pixel farther from the box than the network's field of view counts nothing."""
    shown = page(f"input.pixel | attribute({target('cat', 'right')}) | present(heatmap)", model, picture)
    values = shown.data("element-1").values
    assert np.abs(values[:, 14:]).max() > 0 and not values[:, :5].any()


METHODS = [
    "linear", "gradient", "input_x_gradient", "grad_cam", "grad_cam_pp", "guided_backprop", "deconvnet",
    "excitation_backprop", "integrated_gradients(n_steps=4)", "smoothgrad(n_samples=2)", "vargrad(n_samples=2)", "lrp",
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_optimized_is_plain(picture, method):
    model = bbilang.adapt(Segmenter(FORMS["a mapping"]).eval(), SIZE, labels=LABELS)
    text = f"middle.spatial | attribute({target('dog', 'right')} - {target('cat', 'left')}, method={method}) "
    one, other = (
        page(text + "| present(heatmap)", model, picture, optimized=o).data("element-1").values for o in (True, False)
    )
    assert np.abs(one).max() > 0
    close_to(one, other, roundings=4096)


def test_a_map_larger_than_the_picture():
    """Its cells are averaged."""
    made = box_weights((4, 6), (2, 3), [(0, 0, 1, 1), (0, 1, 2, 3)])
    expected = torch.zeros(2, 4, 6, dtype=torch.float64)
    expected[0, :2, :2], expected[1, :, 2:] = 1 / 4, 1 / 16
    assert torch.equal(made[1:], expected) and torch.allclose(made.sum((1, 2)), torch.ones(3, dtype=torch.float64))


def test_descriptions_with_boxes_come_back_from_json(model, picture):
    text = f"stem.channel | attribute({target('cat', 'left')}) | present(bars)"
    program = bbilang.check(text, model=model, input=picture)
    description = program.description
    assert description.boxes == (BOXES["left"],) and description.classes == 6
    assert type(description).from_json(json.loads(json.dumps(description.to_json()))) == description


REFUSED = {
    "output": "E249",
    "output[top(2)]": "E249",
    "output[3]": "E207",
    'output["cow"]': "E205",
    'output["cat", score=probability]': "E248",
    'output["cat", at=3]': "E345",
    'output["cat", at=box(1, 2, 3)]': "E345",
    'output["cat", at=box(1, 2, 3, 4.5)]': "E345",
    'output["cat", at=box(1, -2, 3, 4)]': "E345",
    'output["cat", at=box(0, 0, 21, 28)]': "E345",
    'output["cat", at=box(4, 4, 4, 9)]': "E345",
    'output["cat", at=box(9, 0, 3, 3)]': "E345",
    'output["cat", where=box(1, 1, 3, 3)]': "E211",
}


@pytest.mark.parametrize("asked", REFUSED)
def test_what_is_refused(picture, asked):
    model = bbilang.adapt(Segmenter().eval(), SIZE, labels=LABELS)
    line = f"stem.channel | attribute({asked}) | present(bars)"
    assert _refused(lambda: page(line, model, picture))[0] == REFUSED[asked]


def test_a_map_has_no_other_kind(picture):
    line = 'set scores(kind=logits)\nstem.channel | attribute(output["cat"]) | present(bars)'
    assert _refused(lambda: page(line, bbilang.adapt(Segmenter().eval(), SIZE, labels=LABELS), picture))[0] == "E248"


def test_a_network_with_other_maps(picture):
    """E247 where several maps may be the scores, and `output =` names one; E408 and E209 of what has no aspect of a
    picture, or is a layer."""
    double = Segmenter(lambda maps: {"depth": maps[:, :1], "normals": maps}).eval()
    line = "stem.channel | attribute(output[0, at=box(2, 3, 17, 12)]) | present(bars)"
    assert _refused(lambda: page(line, double, picture))[0] == "E247"
    named = page(f'output = "normals"\n{line}', double, picture).data("element-1").values
    alone = page(line, Segmenter().eval(), picture).data("element-1").values
    close_to(named, alone, roundings=64)
    adapted = page(line, bbilang.adapt(double, SIZE, output="normals"), picture).data("element-1").values
    close_to(adapted, alone, roundings=64)
    advice = "wrap the network in a module that returns the mean over a box, `maps[..., y0:y1, x0:x1].mean((2, 3))`"
    cut = Segmenter(lambda maps: maps[..., :5]).eval()
    assert _refused(lambda: page(line, cut, picture)) == ("E247", True, advice)
    assert _refused(lambda: bbilang.adapt(cut, SIZE, labels=LABELS)) == ("E408", True, advice)
    assert _refused(lambda: bbilang.adapt(cut, SIZE, output="classifier")) == ("E408", True, advice)
    assert _refused(lambda: page(f'output = "classifier"\n{line}', cut, picture)) == ("E209", True, advice)


def _refused(act):
    with pytest.raises(bbilang.BbiError) as caught:
        act()
    found = caught.value.diagnostics[0]
    start = (found.help or "").find("wrap the network")
    return found.code, start >= 0, (found.help or "")[start:].split("; or")[0]


def test_a_network_with_scores_is_not_told_to_average(picture):
    """The advice is given for networks without a vector of scores alone."""
    classifier = Segmenter(lambda maps: maps.mean((2, 3))).eval()
    line = "stem.channel | attribute(output) | present(bars)"
    assert _refused(lambda: bbilang.adapt(classifier, SIZE, output="stem"))[:2] == ("E408", False)
    assert _refused(lambda: page(f'output = "stem"\n{line}', classifier, picture))[:2] == ("E209", False)
    for first, second in pairwise([nn.Linear(4, 3), nn.Linear(3, 2)]):
        net = nn.Sequential(first, second)
        with pytest.raises(bbilang.BbiError) as caught:
            bbilang.adapt(net, (), channels=4, labels=["a"])
        assert caught.value.diagnostics[0].code == "E408" and "box" not in (caught.value.diagnostics[0].help or "")
