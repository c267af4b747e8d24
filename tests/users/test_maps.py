"""Networks that segment: a module around them gives the mean score of each class in boxes, and what refuses them says
so. The module is the one of docs/models.md."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn

import bbilang

SIZE = (20, 28)
BOXES = {"left": (2, 3, 17, 12), "right": (5, 14, 20, 28)}
LABELS = [f"{name} at the {where}" for where in BOXES for name in ("sky", "cat", "dog")]
PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")


def of_the_page():
    """Return the class `BoxScores` as docs/models.md has it."""
    start = PAGE.index("class BoxScores")
    names = {"nn": nn, "torch": torch}
    exec(PAGE[start : PAGE.index("\n\n\n", start)], names)
    return names["BoxScores"]


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


@pytest.fixture(scope="module")
def network():
    return Segmenter().eval()


@pytest.fixture(scope="module")
def model(network):
    return bbilang.adapt(of_the_page()(network, SIZE, list(BOXES.values())), SIZE, labels=LABELS, scores="value")


@pytest.fixture(scope="module")
def picture():
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(1))


def page(text, model, picture, **more):
    return bbilang.run(text, model=model, input=picture, cache=False, **more)


@brings(
    "Scores",
    "a network that segments, in a module that returns the mean of its map over boxes",
    "works: each box and class is a score ([how](models.md#maps))",
)
@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("label", ["cat at the left", "dog at the right"])
def test_a_class_in_a_box(network, model, picture, label, optimized):
    """Activation x gradient of the stem's channels, the gradient at the pixels, and what a channel at zero changes."""
    number, box = LABELS.index(label) % 3, BOXES[label.split()[-1]]
    text = (
        f'network.stem.channel | attribute(output["{label}"]) | present(bars)\n'
        f'input.pixel | attribute(output["{label}"], method=gradient) | present(heatmap)\n'
        f'network.stem.channel | ablate(zero) | effect(output["{label}"]) | present(bars)'
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
    for shown, mean in actual.view.predictions[0].top:  # the first five: the means, and no softmax of boxes
        place, where = LABELS.index(shown) % 3, BOXES[shown.split()[-1]]
        assert mean == pytest.approx(float(by_hand(network, stem.detach(), where, place).detach()), rel=1e-4, abs=1e-6)


def test_pixels_outside_what_a_box_sees(model, picture):
    """A pixel farther from the box than the network's field of view counts nothing."""
    shown = page('input.pixel | attribute(output["cat at the right"]) | present(heatmap)', model, picture)
    values = shown.data("element-1").values
    assert np.abs(values[:, 14:]).max() > 0 and not values[:, :5].any()


METHODS = [
    "linear", "gradient", "input_x_gradient", "grad_cam", "grad_cam_pp", "guided_backprop", "deconvnet",
    "excitation_backprop", "integrated_gradients(n_steps=4)", "smoothgrad(n_samples=2)", "vargrad(n_samples=2)", "lrp",
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_optimized_is_plain(model, picture, method):
    target = f'output["dog at the right"] - output["cat at the left"], method={method}'
    text = f"network.middle.spatial | attribute({target}) | present(heatmap)"
    one, other = (page(text, model, picture, optimized=o).data("element-1").values for o in (True, False))
    assert np.abs(one).max() > 0
    close_to(one, other, roundings=4096)


def test_a_box_that_is_no_part_of_the_picture(network):
    for box in [(0, 0, 21, 28), (0, -1, 3, 3), (4, 4, 4, 9), (9, 0, 3, 3)]:
        with pytest.raises(ValueError, match="box"):
            of_the_page()(network, SIZE, [box])


FORMS = {
    "a tensor": (lambda maps: maps, "mean over", "attribute(output)"),
    "a mapping": (lambda maps: {"out": maps, "aux": maps}, "mean of `out` over", 'attribute(output["cat"])'),
}


@pytest.mark.parametrize("form", FORMS)
def test_refusals_say_how(picture, form):
    """E247 of the network, E408 of labels without scores or of a part that is a map, E209 of a layer that is one."""
    make, said, target = FORMS[form]
    bare = Segmenter(make).eval()
    advice = f"wrap the network in a module that returns the {said} a box, `maps[..., y0:y1, x0:x1].mean((2, 3))`"
    line = f"stem.channel | {target} | present(bars)"
    assert _refused(lambda: page(line, bare, picture)) == ("E247", True, advice)
    assert _refused(lambda: bbilang.adapt(bare, SIZE, labels=["sky", "cat", "dog"])) == ("E408", True, advice)
    layer = advice.replace(said, "mean over")
    assert _refused(lambda: bbilang.adapt(bare, SIZE, output="classifier")) == ("E408", True, layer)
    assert _refused(lambda: page(f'output = "classifier"\n{line}', bare, picture)) == ("E209", True, layer)
    if form == "a mapping":
        assert _refused(lambda: bbilang.adapt(bare, SIZE, output="out")) == ("E408", True, advice)


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
