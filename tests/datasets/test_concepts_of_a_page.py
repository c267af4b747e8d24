"""`concept` and sums of directions: from a text to a page, against hooks and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.statistics.concepts import concept, fit_direction

SETS = """dataset shapes = "sample:shapes"
dataset train = shapes | filter(split == "train")
dataset red = train | filter(colour == "red")
dataset blue = train | filter(colour == "blue")
dataset rest = train | filter(colour != "red" and colour != "blue")
dataset few = rest | sample(24)
dataset asked = shapes | filter(split == "test") | sample(30)
"""
PICTURE = np.random.default_rng(3).integers(0, 256, (128, 128, 3), np.uint8)


class Colours(nn.Module):
    """Six mixtures of red, green and blue at 8 x 8 positions; what follows bends, so that derivatives differ."""

    def __init__(self):
        super().__init__()
        source = torch.Generator().manual_seed(0)
        self.early = nn.Sequential(nn.AvgPool2d(8), nn.Conv2d(3, 5, 1), nn.Tanh())
        self.seen = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(5, 6, 1))
        self.late = nn.Sequential(nn.Conv2d(6, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 3, padding=1))
        with torch.no_grad():
            for weights in self.parameters():
                weights.copy_(torch.randn(weights.shape, generator=source))

    def forward(self, images):
        return torch.tanh(self.late(self.seen(self.early(images)))).mean((2, 3))


def compiled(folder, text, **more):
    (folder / "page.bbi").write_text(SETS + text)
    return bbilang.run(folder / "page.bbi", model=bbilang.adapt(Colours(), 128), cache=folder / "cache", **more)


def pictures(dataset, rows):
    shown = np.stack([np.asarray(dataset.picture(int(row))) for row in rows]) / 255
    return torch.tensor(shown, dtype=torch.float32).movedim(-1, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("concepts")


@pytest.fixture(scope="module")
def page(folder):
    """The numbers of two concepts on one picture, and over a dataset."""
    text = """c = seen | concept([red, blue], against=rest)
    activation = c | present(bars)
    largest = c | activation(reduce=max) | present(bars)
    gradient = c | gradient(output[0]) | present(bars)
    attribution = c | attribute(output[0]) | present(bars)
    path = c | attribute(output[0], method=integrated_gradients(n_steps=8)) | present(bars)
    where = c.spatial | present(heatmap, facet=concept)
    vectors = c.channel | present(matrix)
    to = early.channel | attribute(c) | present(matrix)
    over = c | across(asked) | present(matrix)
    slopes = c | gradient(output[0]) | across(asked) | present(matrix)
    share = c | gradient(output[0]) | across(asked) | fraction(example) | present(bars)
    best = c | examples(asked, 4) | present(image, facet=concept)
    maxima = c | activation(reduce=max) | across(asked) | present(matrix)
    norms = c | activation(reduce=norm) | across(asked) | present(matrix)
    shares = c | attribute(output[0]) | across(asked) | present(matrix)
    paths = c | attribute(output[0], method=integrated_gradients(n_steps=4)) | across(asked) | present(matrix)
    pairs = c | attribute([output[0], output[2]]) | across(asked) | present(matrix, facet=class)
    peaks = c | activation(reduce=max) | examples(asked, 3, crop=field) | present(image, facet=concept)
    helped = c | attribute(output[0]) | examples(asked, 3) | present(image, facet=concept)
    strong = c | top(1) | present(bars)
    tested = seen.channel | gradient(output[0]) | across(asked) | tcav([red, blue], against=rest) | present(table)
    sum = c[0] - c[1] + seen.channel[2] | gradient(output[0]) | present(number)
    named = c["red"] - c["blue"] + seen.channel[2] | gradient(output[0]) | present(number)
    own = c["blue"] | present(number)
    """
    return compiled(folder, text.replace("\n    ", "\n"), input=PICTURE)


@pytest.fixture(scope="module")
def by_hand():
    """The directions, and the layer on the picture with the gradient of the first score."""
    dataset, network = open_dataset("sample:shapes"), Colours()
    columns = dataset.columns
    train = columns["split"] == "train"

    def means(mask):
        return network.seen(network.early(pictures(dataset, np.flatnonzero(mask)))).mean((2, 3)).detach().numpy()

    rest = means(train & ~np.isin(columns["colour"], ["red", "blue"]))
    sets = [means(train & (columns["colour"] == colour)) for colour in ("red", "blue")]
    directions = np.stack([fit_direction(examples, rest) for examples in sets])
    image = torch.tensor(PICTURE / 255, dtype=torch.float32).movedim(-1, 0)[None]
    layer = network.seen(network.early(image)).detach().requires_grad_()
    torch.tanh(network.late(layer)).mean((2, 3))[0, 0].backward()
    return network, directions, (sets, rest), layer.detach()[0].numpy(), layer.grad[0].numpy()


def test_directions_of_datasets(page, by_hand):
    _, directions, (sets, rest), _, _ = by_hand
    found = page.data("vectors").values
    np.testing.assert_allclose(found, directions, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert page.results.fields["activation"].names["concept"].data.tolist() == ["red", "blue"]
    notes = " ".join(page.results.fields["activation"].notes)
    for name, examples in zip(("red", "blue"), sets, strict=True):
        told = concept(examples, rest)
        assert f"{name}: {100 * told.accuracy:.0f}\u00a0% of {told.held_out} held-out examples" in notes
    assert "random sets" in notes


def test_on_the_picture(page, by_hand):
    _, directions, _, layer, gradient = by_hand
    products = np.einsum("ac,cyx->ayx", directions, layer)
    np.testing.assert_allclose(page.data("where").values, products, atol=2e-3)
    np.testing.assert_allclose(page.data("activation").values, products.sum((1, 2)), rtol=1e-3)
    np.testing.assert_allclose(page.data("largest").values, products.max((1, 2)), rtol=1e-3)
    slopes = np.einsum("ac,cyx->ayx", directions, gradient)
    np.testing.assert_allclose(page.data("gradient").values, slopes.sum((1, 2)), rtol=2e-3)
    np.testing.assert_allclose(page.data("attribution").values, (products * slopes).sum((1, 2)), rtol=2e-3)
    assert page.results.fields["strong"].names["concept"].data.ravel().tolist() == [
        ("red", "blue")[int(products.sum((1, 2)).argmax())]
    ]


def test_the_gradient_is_a_finite_difference(page, by_hand):
    _, directions, _, layer, _ = by_hand
    late, step = Colours().double().late, 1e-4

    def score(moved):
        with torch.no_grad():
            return float(torch.tanh(late(torch.tensor(moved[None], dtype=torch.float64))).mean((2, 3))[0, 0])

    for number, direction in enumerate(directions):
        along = step * direction[:, None, None]
        expected = (score(layer + along) - score(layer - along)) / (2 * step)
        assert page.data("gradient").values[number] == pytest.approx(expected, rel=1e-2)


def test_a_path_method_contributes_its_slopes(page, by_hand):
    """The contributions of integrated gradients, divided by the activation: the part of a direction times them."""
    network, directions, _, layer, _ = by_hand
    # from a black picture, as the method starts
    black = network.seen(network.early(torch.zeros(1, 3, 128, 128))).detach()[0]
    whole, total = torch.tensor(layer), 0
    nodes, weights = np.polynomial.legendre.leggauss(8)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        at = (black + float(node) * (whole - black)).requires_grad_()
        torch.tanh(network.late(at[None])).mean((2, 3))[0, 0].backward()
        total = total + float(weight) * at.grad
    slopes = (total * (whole - black) / whole).numpy()
    products, along = (np.einsum("ac,cyx->ayx", directions, part) for part in (layer, slopes))
    np.testing.assert_allclose(page.data("path").values, (products * along).sum((1, 2)), rtol=2e-2, atol=1e-4)


def test_attribution_to_a_direction(page, by_hand):
    network, directions, _, _, _ = by_hand
    image = torch.tensor(PICTURE / 255, dtype=torch.float32).movedim(-1, 0)[None]
    field = page.results.fields["to"]
    for number, direction in enumerate(directions):
        early = network.early(image).detach().requires_grad_()
        (network.seen(early) * torch.tensor(direction, dtype=torch.float32)[:, None, None]).sum().backward()
        expected = (early.detach() * early.grad).sum((0, 2, 3)).numpy()
        found = field.values.ordered(("input", "channel", "to.concept")).data[0, :, number]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_over_a_dataset(page, by_hand):
    network, directions, _, _, _ = by_hand
    dataset = open_dataset("sample:shapes")
    rows = page.results.fields["over"].coords["example"].data
    layer = network.seen(network.early(pictures(dataset, rows))).detach().requires_grad_()
    torch.tanh(network.late(layer)).mean((2, 3))[:, 0].sum().backward()
    sums, slopes = (part.sum((2, 3)).detach().numpy() @ directions.T for part in (layer, layer.grad))
    np.testing.assert_allclose(page.data("over").values, sums, rtol=2e-3, atol=2e-2)
    np.testing.assert_allclose(page.data("slopes").values, slopes, rtol=2e-3, atol=1e-4)
    best = page.results.fields["best"]
    for number in range(2):
        order = np.argsort(-sums[:, number])[:4]
        assert best.coords["example"].ordered(("concept", "example")).data[number].tolist() == rows[order].tolist()


def test_what_needs_every_position_over_a_dataset(page, by_hand):
    network, directions, _, _, _ = by_hand
    dataset = open_dataset("sample:shapes")
    rows = page.results.fields["over"].coords["example"].data

    def slopes(layer, number):
        layer = layer.detach().requires_grad_()
        torch.tanh(network.late(layer)).mean((2, 3))[:, number].sum().backward()
        return np.einsum("ac,ecyx->eayx", directions, layer.grad.numpy())

    layer = network.seen(network.early(pictures(dataset, rows))).detach()
    products = np.einsum("ac,ecyx->eayx", directions, layer.numpy())
    close = {"rtol": 2e-3, "atol": 1e-4}
    np.testing.assert_allclose(page.data("maxima").values, products.max((2, 3)), **close)
    np.testing.assert_allclose(page.data("norms").values, np.sqrt((products**2).sum((2, 3))), **close)
    shares = [(products * slopes(layer, number)).sum((2, 3)) for number in (0, 2)]
    np.testing.assert_allclose(page.data("shares").values, shares[0], **close)
    pairs = page.results.fields["pairs"].values.ordered(("class", "example", "concept")).data
    np.testing.assert_allclose(pairs, shares, **close)
    helped = page.results.fields["helped"].coords["example"].ordered(("concept", "example")).data
    assert helped.tolist() == [rows[np.argsort(-shares[0][:, number])[:3]].tolist() for number in range(2)]
    peaks = page.results.fields["peaks"]
    found = {
        name: peaks.coords[name].ordered(("concept", "example")).data for name in ("example", "at.y", "at.x", "cut.top")
    }
    for number in range(2):
        best = np.argsort(-products[:, number].max((1, 2)))[:3]
        assert found["example"][number].tolist() == rows[best].tolist()
        at = found["at.y"][number], found["at.x"][number]  # one of the largest: plain surfaces have several
        largest = products[best, number].max((1, 2))
        np.testing.assert_allclose(products[best, number, at[0], at[1]], largest, rtol=1e-6)
        assert found["cut.top"][number].tolist() == [16 * y for y in at[0]]


def test_a_path_method_over_a_dataset(page, by_hand):
    network, directions, _, _, _ = by_hand
    dataset, rows = open_dataset("sample:shapes"), page.results.fields["over"].coords["example"].data
    black = network.seen(network.early(torch.zeros(1, 3, 128, 128))).detach()
    whole, total = network.seen(network.early(pictures(dataset, rows))).detach(), 0
    nodes, weights = np.polynomial.legendre.leggauss(4)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        at = (black + float(node) * (whole - black)).requires_grad_()
        torch.tanh(network.late(at)).mean((2, 3))[:, 0].sum().backward()
        total = total + float(weight) * at.grad
    slopes = (total * (whole - black) / whole).numpy()
    products, along = (np.einsum("ac,ecyx->eayx", directions, part) for part in (whole.numpy(), slopes))
    np.testing.assert_allclose(page.data("paths").values, (products * along).sum((2, 3)), rtol=2e-2, atol=1e-3)


def test_tcav_is_a_pipe_over_concepts(page):
    """The operation that resamples, and the share of examples above zero, count the same."""
    np.testing.assert_allclose(page.data("share").values, page.data("tested").values[:, 0], atol=1e-6)


def test_a_sum_is_of_the_vectors_as_they_are(page, by_hand):
    _, directions, _, _, gradient = by_hand
    one = np.zeros(6)
    one[2] = 1
    expected = float(np.einsum("c,cyx->", directions[0] - directions[1] + one, gradient))
    assert page.data("sum").values.item() == pytest.approx(expected, rel=2e-3)
    assert page.results.fields["sum"].names["concept"].data.tolist() == ["red − blue + channel 2"]


def test_concepts_are_picked_by_their_names(page):
    assert page.data("named").values.item() == page.data("sum").values.item()
    assert page.data("own").values.item() == page.data("activation").values[1]


def test_groups_and_positions_are_directions(folder):
    page = compiled(folder, """groups = seen | factorize(svd, 3)
factors = groups.channel | present(matrix)
mixed = (groups[2] - groups[0]).channel | present(matrix)
place = (seen.spatial[1, 2] - seen.spatial[0, 0]).channel | present(matrix)
neurons = seen.neuron | activation | present(heatmap, facet=channel)
named = seen.spatial[1, 2] - seen.spatial[0, 0] | present(number)
""", input=PICTURE)  # fmt: skip
    factors = page.data("factors").values
    np.testing.assert_allclose(page.data("mixed").values.ravel(), factors[2] - factors[0], rtol=1e-5)
    field = page.results.fields["neurons"].values.ordered(("input", "y", "x", "channel")).data[0]
    np.testing.assert_allclose(page.data("place").values.ravel(), field[1, 2] - field[0, 0], rtol=1e-5)
    assert page.results.fields["named"].names["concept"].data.tolist() == ["row 1, column 2 − row 0, column 0"]


def test_another_question_of_the_same_shards_runs_no_network(folder, page):
    text = """c = seen | concept([red, blue], against=rest, method=mean_difference)
d = c[0] - c[1]
    means = d | across(asked) | mean(example) | present(bars)
    share = d | gradient(output[0]) | across(asked) | fraction(example) | present(bars)
    most = d | activation(reduce=max) | across(asked) | mean(example) | present(bars)
    helped = d | attribute(output[0]) | examples(asked, 2) | present(image)
    """
    again = compiled(folder, text.replace("\n    ", "\n"))
    assert again.results.passes is None and again.results.scanned == 0 and again.results.recalled > 0


def test_icons_follow_the_vectors(folder, monkeypatch):
    from bbilang.runtime.featvis import element_objectives

    asked = []
    known = element_objectives._direction
    monkeypatch.setattr(element_objectives, "_direction", lambda *a: asked.append(known(*a)) or asked[-1])
    page = compiled(folder, """set featvis(size=16, steps=2)
c = seen | concept([red, blue], against=rest)
both = c | across(asked) | mean(example) | present(featvis)
vectors = c.channel | present(matrix)
""", input=PICTURE)  # fmt: skip
    np.testing.assert_allclose(np.array(asked), page.data("vectors").values, atol=1e-6)
    labels = [atom.label for atom in page.view.interfaces[0].elements[0].atoms]
    assert labels == ["red", "blue"]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("seen.spatial | concept(red, against=rest) | present(bars)", "E238", "all channels"),
        ("[early, seen] | concept(red, against=rest) | present(bars)", "E238", "one layer"),
        (
            "c | attribute(output[0], method=[linear, gradient]) | across(asked) | mean(example) | present(bars)",
            "E261",
            "neurons",
        ),
        ("c | examples(asked, 2, crop=field) | present(image, facet=concept)", "E238", "reduce=max"),
        ("c | examples(asked, 2, crop=map) | present(image, facet=concept)", "E238", "reduce=max"),
        ("c - early.channel[0] | present(bars)", "E235", "a direction of early"),
        ("c - output[0] | present(bars)", "E232", "no direction"),
        ("c - seen.channel | present(bars)", "E232", "no direction"),
        ("c - seen.neuron[0, 0, 1] | present(bars)", "E232", "no direction"),
        ("c * c | present(bars)", "E232", "no other arithmetic"),
        ("(seen | concept([red, blue, few], against=rest)) - c | present(bars)", "E231", "do not pair up"),
        ("c[2] | present(bars)", "E236", "outside 0..1"),
        ('c["rad"] | present(bars)', "E236", "did you mean `red`"),
        ('seen.channel["rad"] | present(bars)', "E213", ""),
        ("c[0] - c[0] | present(bars)", "E534", "cancel out"),
        ("c | attribute(output[0], method=grad_cam) | present(bars)", "E238", "of positions"),
        ("c | attribute(output[0]) | trust(deletion) | present(bars)", "E238", "these are directions"),
    ],
)
def test_refused(folder, line, code, words):
    with pytest.raises(BbiError) as caught:
        compiled(folder, f"c = seen | concept([red, blue], against=rest)\n{line}\n", input=PICTURE)
    assert code in [each.code for each in caught.value.diagnostics] and words in str(caught.value)
    assert all(each.span is not None for each in caught.value.diagnostics)


def test_what_is_in_both_sets_counts_as_the_concepts(folder):
    page = compiled(folder, """c = (seen | concept(red, against=train)).channel | present(matrix)
dataset others = train | filter(colour != "red")
d = (seen | concept(red, against=others)).channel | present(matrix)
""")  # fmt: skip
    np.testing.assert_allclose(page.data("c").values, page.data("d").values, atol=1e-6)
    with pytest.raises(BbiError, match="all examples of red are in train too"):
        compiled(folder, "seen | concept(train, against=red) | across(asked) | mean(example) | present(bars)\n")


def test_a_column_says_what_is_held_out(folder):
    """Fitted to the examples of `train`, told apart on those of `test`; the same for `tcav`."""
    page = compiled(folder, """dataset all_red = shapes | filter(colour == "red")
dataset others = shapes | filter(colour != "red")
fitted = (seen | concept(all_red, against=others, split=split)).channel | present(matrix)
c = seen | concept(all_red, against=others, split=split)
shown = c | across(asked) | mean(example) | present(bars)
g = seen.channel | gradient(output[0]) | across(asked)
tested = g | tcav(all_red, against=others, split=split) | present(table)
dataset rest_of_train = train | filter(colour != "red")
plain = (seen | concept(red, against=rest_of_train)).channel | present(matrix)
""")  # fmt: skip
    np.testing.assert_allclose(page.data("fitted").values, page.data("plain").values, atol=1e-6)
    dataset, network = open_dataset("sample:shapes"), Colours()
    columns = dataset.columns
    halves = []
    for split in ("train", "test"):
        own = columns["split"] == split
        rows = (np.flatnonzero(own & (columns["colour"] == "red")), np.flatnonzero(own & (columns["colour"] != "red")))
        halves.append([network.seen(network.early(pictures(dataset, r))).mean((2, 3)).detach().numpy() for r in rows])
    told = concept(*halves[0], held_out=tuple(halves[1]))
    notes = " ".join(page.results.fields["shown"].notes).replace("\u00a0", " ")
    assert f"{100 * told.accuracy:.0f} % of {2 * len(halves[1][0])} held-out examples" in notes
    for name in ("shown", "tested"):
        found = page.results.fields[name].notes
        assert 'directions are fitted where split is "train", told apart where it is "test"' in found
    assert page.data("tested").values[0, -1] == pytest.approx(told.accuracy, abs=0.01)


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        ("concept(red, against=rest, split=split)", "E467", "`split` holds 1 value (train)"),
        ("concept(red, against=shapes, split=split)", "E466", "red has 0 examples with the split"),
        ("concept(shapes, against=few, split=splt)", "E215", "no column `splt`"),
        ("concept(asked, against=red, split=split)", "E466", "asked has 0 examples"),
    ],
)
def test_columns_that_make_no_halves(folder, call, code, words):
    with pytest.raises(BbiError) as caught:
        compiled(folder, f"c = seen | {call}\nc | across(asked) | mean(example) | present(bars)\n")
    assert code in [each.code for each in caught.value.diagnostics] and words in str(caught.value)


def test_too_few_examples_are_said(folder):
    page = compiled(folder, """dataset some = red | sample(8)
c = seen | concept(some, against=rest)
told = c | present(bars)
""", input=PICTURE)  # fmt: skip
    assert "held-out examples are too few to tell" in page.html()
    with pytest.raises(BbiError, match="some has 2 examples"):
        compiled(folder, "dataset some = red | sample(2)\nseen | concept(some, against=rest) | present(bars)\n",
                 input=PICTURE)  # fmt: skip
