"""Every operation against a slow twin in plain numpy and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from closeness import close_to
from tiny import coordinates, values

CLASSES = len(tiny.LABELS)


def activation(layer: str, inputs: int = 1) -> np.ndarray:
    """(input, channel, y, x) of a layer, after what follows in place."""
    module, captured = tiny.build(), []
    getattr(module, layer).register_forward_hook(lambda m, a, result: captured.append(result.detach().clone()))
    module(tiny.images(inputs))
    return captured[0].numpy()


def scores(inputs: int = 1) -> np.ndarray:
    return tiny.build()(tiny.images(inputs)).detach().numpy()


def gradient(layer: str, of, inputs: int = 1) -> np.ndarray:
    """d of(scores) / d activation, (input, channel, y, x); ``of`` maps (input, class) to one number an input."""
    module, captured = tiny.build(), []

    def keep(_module, _arguments, result):
        captured.append(result.clone())
        return captured[0]

    getattr(module, layer).register_forward_hook(keep)
    target = of(module(tiny.images(inputs)))
    return torch.autograd.grad(target.sum(), captured[0])[0].numpy()


def linear(layer: str, of, inputs: int = 1) -> np.ndarray:
    return activation(layer, inputs) * gradient(layer, of, inputs)


def to_class(layer: str, k: int) -> np.ndarray:
    """(channel,): each channel's linear attribution to a class."""
    return linear(layer, lambda s: s[:, k])[0].sum((1, 2))


def near(a: np.ndarray, b: np.ndarray) -> None:
    assert a.shape == b.shape
    close_to(a, b)


def predicted(s: torch.Tensor) -> torch.Tensor:
    return s.gather(1, s.argmax(1, keepdim=True))[:, 0]


BARS, MAP = "| present(bars)", "| present(heatmap)"

# --- contents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["a", "b", "c"])
def test_activation_of_channels(layer):
    cube = activation(layer)[0]
    reduced = {
        "sum": cube.sum((1, 2)),
        "mean": cube.mean((1, 2)),
        "max": cube.max((1, 2)),
        "norm": np.sqrt((cube**2).sum((1, 2))),
    }
    for how, expected in reduced.items():
        near(values(f"{layer}.channel | activation(reduce={how}) {BARS}", "channel"), expected)
    near(values(f"{layer}.channel {BARS}", "channel"), reduced["sum"])  # the default content


def test_activation_of_other_atoms():
    cube = activation("c")[0]
    near(values(f"c.spatial {MAP}", "y", "x"), np.sqrt((cube**2).sum(0)))
    near(values("c.neuron | present(heatmap, facet=channel)", "channel", "y", "x"), cube)
    near(values("input.pixel | activation " + MAP, "y", "x"), np.sqrt((tiny.images()[0].numpy() ** 2).sum(0)))


@pytest.mark.parametrize(
    "to, of",
    [
        ("output", predicted),
        ("output[2]", lambda s: s[:, 2]),
        ('output["dog"]', lambda s: s[:, 3]),
        ('output["HOUSE CAT"]', lambda s: s[:, 2]),
        ("output[2] - output[5]", lambda s: s[:, 2] - s[:, 5]),
        ("output[2] + output[5] - output[1]", lambda s: s[:, 2] + s[:, 5] - s[:, 1]),
        ("output[4, score=probability]", lambda s: s.softmax(1)[:, 4]),
        (
            "output[4, score=probability] - output[1, score=probability]",
            lambda s: s.softmax(1)[:, 4] - s.softmax(1)[:, 1],
        ),
    ],
)
def test_linear_attribution(to, of):
    part = linear("b", of)[0]
    near(values(f"b.channel | attribute({to}) {BARS}", "channel"), part.sum((1, 2)))
    near(values(f"b.spatial | attribute({to}) {MAP}", "y", "x"), part.sum(0))
    near(values(f"b.neuron | attribute({to}) | present(heatmap, facet=channel)", "channel", "y", "x"), part)
    slopes = gradient("b", of)[0]
    near(values(f"b.neuron | gradient({to}) | present(heatmap, facet=channel)", "channel", "y", "x"), slopes)
    near(values(f"b.channel | gradient({to}) {BARS}", "channel"), slopes.sum((1, 2)))


def test_gradient_of_vectors_is_a_norm():
    slopes = gradient("b", predicted)[0]
    near(values(f"b.spatial | gradient(output) {MAP}", "y", "x"), np.sqrt((slopes**2).sum(0)))


def test_attribution_to_several_classes():
    several = {"output[1, 4, 6]": [1, 4, 6], "[output[4], output[0]]": [4, 0], "output.class": range(CLASSES)}
    for to, classes in several.items():
        expected = np.stack([to_class("b", k) for k in classes])
        near(values(f"b.channel | attribute({to}) {BARS}", "class", "channel"), expected)
    best = np.argsort(-scores()[0], kind="stable")[:3]
    expected = np.stack([to_class("b", int(k)) for k in best])
    near(values(f"b.channel | attribute(output[top(3)]) {BARS}", "class", "channel"), expected)
    sums = [lambda s: s[:, 1] - s[:, 2], lambda s: s[:, 3]]
    expected = np.stack([linear("b", of)[0].sum((1, 2)) for of in sums])
    near(values(f"b.channel | attribute([output[1] - output[2], output[3]]) {BARS}", "class", "channel"), expected)


def test_attribution_of_pixels():
    images = tiny.images().requires_grad_()
    predicted(tiny.build()(images)).sum().backward()
    near(values(f"input.pixel | attribute(output) {MAP}", "y", "x"), (images * images.grad)[0].sum(0).detach().numpy())


def test_several_inputs():
    """Each input has its own prediction, and its own order."""
    part = linear("b", predicted, 2).sum((2, 3))
    near(values(f"b.channel | attribute(output) {BARS}", "input", "channel", inputs=2), part)
    order = np.argsort(-part, axis=1, kind="stable")[:, :3]
    text = f"b.channel | attribute(output) | top(3) {BARS}"
    assert (coordinates(text, "channel", inputs=2) == order).all()
    near(values(text, "input", "channel", inputs=2), np.take_along_axis(part, order, 1))


def test_scores_as_a_field():
    near(values(f"output.class {BARS}", "class"), scores()[0])
    near(values(f"output[top(3)] {BARS}", "class"), np.sort(scores()[0])[::-1][:3])
    probability = torch.from_numpy(scores()[0]).softmax(0).numpy()
    near(values(f"output[0, 5, score=probability] {BARS}", "class"), probability[[0, 5]])


# --- choices ---------------------------------------------------------------------------------------------------------


def ranking(numbers: np.ndarray) -> np.ndarray:
    """Indices from the strongest down; ties in the order of the layer."""
    return np.array(sorted(range(len(numbers)), key=lambda i: (-numbers[i], i)))


def channels(text: str) -> list[int]:
    return coordinates(text, "channel").tolist()


def test_top_bottom_both():
    numbers = linear("b", predicted)[0].sum((1, 2))
    start, order = "b.channel | attribute(output)", ranking(numbers)
    assert channels(f"{start} | top(3) {BARS}") == order[:3].tolist()
    assert channels(f"{start} | bottom(3) {BARS}") == ranking(-numbers)[:3].tolist()
    assert channels(f"{start} | both(2) {BARS}") == [*order[:2], *order[-2:]]
    assert channels(f"{start} | both(4) {BARS}") == order.tolist()  # all there are: no gap
    assert channels(f"{start} | top(100) {BARS}") == order.tolist()
    assert channels(f"{start} | sort() {BARS}") == order.tolist()
    assert channels(f"{start} | sort(descending=false) {BARS}") == ranking(-numbers).tolist()
    assert channels(f"{start} | top(3, by=magnitude) {BARS}") == ranking(np.abs(numbers))[:3].tolist()
    near(values(f"{start} | top(3, by=magnitude) {BARS}", "channel"), numbers[ranking(np.abs(numbers))[:3]])
    two = np.stack([to_class("b", k) for k in (1, 5)])
    start = "b.channel | attribute([output[1], output[5]])"
    by_difference = ranking(two[0] - two[1])
    assert channels(f"{start} | both(2, by=difference) {BARS}") == [*by_difference[:2], *by_difference[-2:]]
    assert channels(f"{start} | top(3) {BARS}") == ranking(two.max(0))[:3].tolist()
    assert channels(f"{start} | top(3, by=output[5]) {BARS}") == ranking(two[1])[:3].tolist()


def test_gap_of_both():
    element = tiny.check(f"b.channel | both(3) {BARS}").elements[0]
    assert element.node.type.axis("channel").gap == 3
    assert tiny.check(f"b.channel | both(4) {BARS}").elements[0].node.type.axis("channel").gap == 0


def test_neurons_are_ranked_jointly():
    part = linear("c", predicted)[0].transpose(1, 2, 0)  # y, x, channel
    order = ranking(part.ravel())[:5]
    places = np.stack(np.unravel_index(order, part.shape), 1)
    text = f"c.neuron | attribute(output) | top(5) {BARS}"
    assert np.stack([coordinates(text, c) for c in ("y", "x", "channel")], 1).tolist() == places.tolist()
    near(values(text, "neuron"), part.ravel()[order])


def test_along_and_per():
    attributed = np.stack([to_class("b", k) for k in range(CLASSES)])  # class, channel
    start = "b.channel | attribute(output.class)"
    best = ranking(attributed.max(1))[:2]
    assert coordinates(f"{start} | top(2, along=class) {BARS}", "class").tolist() == best.tolist()
    text = f"{start} | top(2, per=class) | present(bars, facet=class)"
    expected = np.stack([ranking(row)[:2] for row in attributed])
    assert coordinates(text, "channel").tolist() == expected.tolist()
    near(values(text, "class", "channel"), np.take_along_axis(attributed, expected, 1))
    text = f"{start} | top(2, along=class, per=channel) | present(bars, facet=channel)"
    expected = np.stack([ranking(column)[:2] for column in attributed.T])
    assert coordinates(text, "class").tolist() == expected.tolist()


def test_ties_go_to_the_lower_index():
    """Channels without any activation are all zero."""
    text = f"b.channel | activation | relu | filter(value <= 0) | top(8) {BARS}"
    silent = np.flatnonzero(activation("b")[0].sum((1, 2)) <= 0)
    assert channels(f"b.channel | activation | normalize(scope=channel) | top(8) {BARS}") == [
        *np.flatnonzero(activation("b")[0].sum((1, 2)) > 0), *silent
    ]  # fmt: skip
    assert [c for c in channels(text) if c >= 0] == silent.tolist()


def test_filter():
    numbers = linear("b", predicted)[0].sum((1, 2))
    for condition, met in {
        "value > 0": numbers > 0,
        "magnitude >= 0.05": np.abs(numbers) >= 0.05,
        "value < 0 and channel < 5": (numbers < 0) & (np.arange(8) < 5),
        "value < 0 or channel == 5": (numbers < 0) | (np.arange(8) == 5),
        "not channel != 3": np.arange(8) == 3,
    }.items():
        text = f"b.channel | attribute(output) | filter({condition}) {BARS}"
        passing = np.flatnonzero(met)
        assert [c for c in channels(text) if c >= 0] == passing.tolist(), condition
        near(values(text, "channel")[: len(passing)], numbers[passing])
        best = passing[ranking(numbers[passing])][:2]
        actual = channels(f"b.channel | attribute(output) | filter({condition}) | top(2) {BARS}")
        assert [c for c in actual if c >= 0] == best.tolist()
    part = linear("b", predicted)[0].sum(0)
    actual = values(f"b.spatial | attribute(output) | filter(value > 0 and y < 4) {MAP}", "y", "x")
    met = (part > 0) & (np.arange(8)[:, None] < 4)
    assert (np.isnan(actual) == ~met).all()
    near(actual[met], part[met])


def test_both_of_what_a_filter_leaves():
    numbers = linear("b", predicted)[0].sum((1, 2))
    passing = ranking(np.where(np.arange(8) < 5, numbers, -np.inf))[:5]
    text = f"b.channel | attribute(output) | filter(channel < 5) | both(2) {BARS}"
    assert channels(text) == [*passing[:2], *passing[-2:]]
    assert [c for c in channels(text.replace("both(2)", "both(3)")) if c >= 0] == passing.tolist()


def test_only():
    part = linear("b", predicted)[0]
    order = ranking(part.sum((1, 2)))[:3]
    ending = "only(e) | present(heatmap, facet=channel)"
    text = f"e = b.channel | attribute(output) | top(3) | present(bars)\nb.neuron | attribute(output) | {ending}"
    near(values(text, "channel", "y", "x"), part[order])
    text = f"e = b.channel | attribute(output[p]) | top(2) | present(bars)\nb.neuron | activation | {ending}"
    text = f"p = pick(output[1, 4])\n{text}"  # an element with states
    cube = activation("b")[0]
    for state, k in enumerate((1, 4)):
        best = ranking(to_class("b", k))[:2]
        near(values(text, "p", "channel", "y", "x")[state], cube[best])
    best = ranking(scores()[0])[:3]
    expected = np.stack([to_class("b", int(k)) for k in best])
    text = f"b.channel | attribute(output.class) | only(output[top(3)]) {BARS}"
    near(values(text, "class", "channel"), expected)


def test_content_after_a_choice_keeps_atoms_order_and_states():
    cube, order = activation("b")[0], ranking(linear("b", predicted)[0].sum((1, 2)))[:4]
    text = f"b.channel | attribute(output) | top(4) | activation(reduce=max) {BARS}"
    near(values(text, "channel"), cube.max((1, 2))[order])
    text = "cell = pick(b.spatial)\nb.neuron | at(cell) | top(2) | attribute(output) | present(bars)"
    part, actual = linear("b", predicted)[0], values(text, "cell", "channel")
    for position in range(64):
        best = ranking(cube[:, position // 8, position % 8])[:2]
        near(actual[position], part[best, position // 8, position % 8])


# --- handing over ----------------------------------------------------------------------------------------------------


def test_at_positions_and_channels():
    cube = activation("c")[0]
    actual = values("cell = pick(c.spatial)\nc.neuron | at(cell) | present(bars)", "cell", "channel")
    near(actual, cube.reshape(5, 64).T)
    near(values("k = pick(c.channel)\nc.neuron | at(k) | present(heatmap)", "k", "y", "x"), cube)
    text = "e = c.channel | top(2) | present(bars)\nc.neuron | at(hover(e)) | present(heatmap)"
    near(values(text, "hover-e", "y", "x"), cube[ranking(cube.sum((1, 2)))[:2]])


def test_at_classes():
    attributed = np.stack([to_class("b", k) for k in range(CLASSES)])
    text = "k = pick(output[5, 1])\nb.channel | attribute(output.class) | at(k) | present(bars)"
    near(values(text, "k", "channel"), attributed[[5, 1]])
    text = "k = pick(output[5, 1])\nb.channel | attribute(output[k]) | present(bars)"
    near(values(text, "k", "channel"), attributed[[5, 1]])
    text = "k = pick(output[5, 1])\nb.channel | attribute(output[k] - output[0]) | present(bars)"
    near(values(text, "k", "channel"), attributed[[5, 1]] - attributed[0])


def test_at_ranked_neurons():
    part = linear("c", predicted)[0].transpose(1, 2, 0).ravel()
    text = """
e = c.neuron | attribute(output) | top(3) | present(bars)
c.neuron | attribute(output[1, 2]) | at(hover(e)) | present(bars)"""
    two = [linear("c", lambda s, k=k: s[:, k])[0].transpose(1, 2, 0).ravel() for k in (1, 2)]
    near(values(text, "hover-e", "class"), np.stack(two, 1)[ranking(part)[:3]])


def test_at_an_element_with_states():
    """Every atom of any of its states can be chosen, each once, those of the first state first."""
    text = """
p = pick(output[1, 4])
e = b.channel | attribute(output[p]) | top(3) | present(bars)
b.neuron | activation | at(hover(e)) | present(heatmap)"""
    first, second = (ranking(to_class("b", k))[:3].tolist() for k in (1, 4))
    expected = list(dict.fromkeys([*first, *second]))
    near(values(text, "hover-e", "y", "x"), activation("b")[0][expected])
    results = tiny.run(text)
    assert results.selections["hover-e"].coords["channel"].data.tolist() == expected


def test_a_start_outside_adds_a_state():
    text = 'k = pick(output[1, 4], start="eel")\nb.channel | attribute(output[k]) | present(bars)'  # eel is 4
    assert tiny.run(text).selections["k"].coords["class"].data.tolist() == [1, 4]
    text = 'k = pick(output[1, 4], start="fox")\nb.channel | attribute(output[k]) | present(bars)'
    results = tiny.run(text)
    assert results.selections["k"].coords["class"].data.tolist() == [1, 4, 5]
    assert next(s for s in tiny.view_of(results).selections if s.id == "k").start == 2
    near(values(text, "k", "channel")[2], to_class("b", 5))
    text = "e = b.channel | top(1) | present(bars)\nb.neuron | at(click(e, start=[7])) | present(heatmap)"
    near(values(text, "click-e", "y", "x")[-1], activation("b")[0][7])
    text = text.replace("start=[7]", "start=none")
    assert tiny.view_of(tiny.run(text)).selections[0].start is None


def test_picked_atoms():
    part = linear("b", predicted)[0]
    near(values(f"b.channel[5] | attribute(output) {BARS}", "channel"), part.sum((1, 2))[[5]])
    near(values(f"b.spatial[6, 2] | attribute(output) {BARS}", "spatial"), part.sum(0)[[6], [2]])
    near(values(f"b.neuron[6, 2, 5] | attribute(output) {BARS}", "neuron"), part[[5], [6], [2]])
    near(values(f"n = 5\nb.channel[n] | attribute(output) {BARS}", "channel"), part.sum((1, 2))[[5]])


# --- arithmetic ------------------------------------------------------------------------------------------------------


def test_arithmetic():
    part = linear("b", predicted)[0]
    start = "b.neuron | attribute(output)"
    near(values(f"{start} | sum(channel) {MAP}", "y", "x"), part.sum(0))
    near(values(f"{start} | mean(channel) {MAP}", "y", "x"), part.mean(0))
    near(values(f"{start} | norm(channel) {MAP}", "y", "x"), np.sqrt((part**2).sum(0)))
    near(values(f"{start} | sum(y) | sum(x) {BARS}", "channel"), part.sum((1, 2)))
    near(values(f"{start} | abs | sum(channel) {MAP}", "y", "x"), np.abs(part).sum(0))
    near(values(f"{start} | relu | sum(channel) {MAP}", "y", "x"), np.maximum(part, 0).sum(0))
    two = [to_class("b", k) for k in (3, 6)]
    start = "b.channel | attribute([output[3], output[6]])"
    near(values(f"{start} | difference(class) {BARS}", "channel"), two[0] - two[1])
    near(values(f"{start} | sum(class) {BARS}", "channel"), two[0] + two[1])
    near(values(f"{start} | mean(channel) {BARS}", "class"), np.stack(two).mean(1))


def test_what_a_filter_left_out_does_not_count():
    numbers = linear("b", predicted)[0].sum((1, 2))
    text = "b.channel | attribute(output.class) | filter(channel < 3) | mean(channel) | present(bars)"
    attributed = np.stack([to_class("b", k) for k in range(CLASSES)])
    near(values(text, "class"), attributed[:, :3].mean(1))
    assert numbers.shape == (8,)


def test_normalize():
    part = linear("b", predicted)[0]
    start = "b.neuron | attribute(output)"
    each = np.abs(part).max((1, 2), keepdims=True)
    facet = "| present(heatmap, facet=channel)"
    near(values(f"{start} | normalize(scope=channel) {facet}", "channel", "y", "x"), part / np.where(each > 0, each, 1))
    for scope in ("layer", "global"):
        near(values(f"{start} | normalize(scope={scope}) {facet}", "channel", "y", "x"), part / np.abs(part).max())
    a, b = (linear(layer, predicted)[0].sum(0) for layer in "ab")
    actual = values("[a, b].spatial | attribute(output) | normalize | present(heatmap, facet=layer)", "layer", "y", "x")
    near(actual[0], a / np.abs(a).max())
    near(actual[1, :8, :8], b / np.abs(b).max())
    text = "[a, b].spatial | attribute(output) | normalize(scope=global) | present(heatmap, facet=layer)"
    actual = values(text, "layer", "y", "x")
    near(actual[1, :8, :8], b / max(np.abs(a).max(), np.abs(b).max()))
    two = linear("b", predicted, 2).sum(1)
    actual = values(f"b.spatial | attribute(output) | normalize {MAP}", "input", "y", "x", inputs=2)
    near(actual, two / np.abs(two).max((1, 2), keepdims=True))


# --- lists of layers -------------------------------------------------------------------------------------------------


def test_layers_of_different_sizes():
    maps = {layer: linear(layer, predicted)[0].sum(0) for layer in "ab"}
    actual = values("[a, b].spatial | attribute(output) | present(heatmap, facet=layer)", "layer", "y", "x")
    near(actual[0], maps["a"])
    near(actual[1, :8, :8], maps["b"])
    assert np.isnan(actual[1, 8:]).all() and np.isnan(actual[1, :, 8:]).all()
    sums = {layer: linear(layer, predicted)[0].sum((1, 2)) for layer in "abc"}
    text = "[c, a, b].channel | attribute(output) | top(3, per=layer) | present(bars, facet=layer)"
    expected = np.stack([ranking(sums[layer])[:3] for layer in "cab"])
    assert coordinates(text, "channel").tolist() == expected.tolist()
    near(values(text, "layer", "channel"), np.stack([sums[n][ranking(sums[n])[:3]] for n in "cab"]))


def test_layers_ranked_jointly():
    parts = {layer: linear(layer, predicted)[0].sum((1, 2)) for layer in "cab"}
    everything = [(layer, k, v) for layer, row in enumerate(parts.values()) for k, v in enumerate(row)]
    best = sorted(everything, key=lambda it: -it[2])[:6]
    text = f"[c, a, b].channel | attribute(output) | top(6) {BARS}"
    assert coordinates(text, "layer").tolist() == [b[0] for b in best]
    assert coordinates(text, "channel").tolist() == [b[1] for b in best]
    near(values(text, "channel"), np.array([b[2] for b in best], np.float32))
    sums = [activation(layer)[0].sum((1, 2)) for layer in "cab"]
    text = f"[c, a, b].channel | attribute(output) | top(6) | activation {BARS}"
    near(values(text, "channel"), np.array([sums[layer][k] for layer, k, _ in best]))


def test_positions_of_several_layers():
    text = "cell = pick([a, b].spatial)\n[a, b].neuron | attribute(output) | at(cell) | top(2) | present(bars)"
    parts = [linear(layer, predicted)[0] for layer in "ab"]
    selection = tiny.run(text).selections["cell"]
    atoms = np.stack([selection.coords[c].data for c in ("layer", "y", "x")], 1)
    assert len(atoms) == 16 * 16 + 8 * 8
    actual = values(text, "cell", "channel")
    for state in range(0, len(atoms), 17):
        layer, y, x = atoms[state]
        vector = parts[layer][:, y, x]
        near(actual[state], vector[ranking(vector)[:2]])


# --- other models ----------------------------------------------------------------------------------------------------


def test_tokens():
    model = tiny.adapter(tiny.Tokens)
    module = tiny.build(tiny.Tokens)
    held = []

    def keep(_module, _arguments, result):
        held.append(result.clone())
        return held[0]

    module.block.register_forward_hook(keep)
    out = module(tiny.images())
    slopes = torch.autograd.grad(predicted(out).sum(), held[0])[0].numpy()[0]
    cube = held[0].detach().numpy()[0]  # token, channel
    near(values(f"block.token | attribute(output) {BARS}", "token", model=model), (cube * slopes).sum(1))
    near(values(f"block.token {BARS}", "token", model=model), np.sqrt((cube**2).sum(1)))
    near(values(f"block.channel | attribute(output) {BARS}", "channel", model=model), (cube * slopes).sum(0))
    text = "block.neuron | attribute(output) | present(bars, facet=token)"
    near(values(text, "token", "channel", model=model), cube * slopes)
    text = "e = block.token | top(4) | present(bars)\nblock.neuron | at(hover(e)) | present(bars)"
    near(values(text, "hover-e", "channel", model=model), cube[ranking(np.sqrt((cube**2).sum(1)))[:4]])
    assert len(tiny.run("block.token | attribute(output) | top(2) | present(featvis)", model=model).icons) == 2


def test_a_model_without_a_class_vector():
    class Dense(tiny.Tiny):
        def forward(self, x):
            inner = torch.tanh(self.c(self.b(self.a(x))))
            pooled = torch.nn.functional.adaptive_avg_pool2d(inner, 2)
            return {"features": inner, "more": self.head(pooled.flatten(1)).sum()}

    from bbilang.runtime.models.adapt import adapt

    model = adapt(tiny.build(Dense), (tiny.SIZE, tiny.SIZE), name="dense")
    assert model.description.classes == 0
    near(values(f"c.channel {BARS}", "channel", model=model), activation("c")[0].sum((1, 2)))
    assert tiny.run("input | present(image)", model=model, optimized=False).probabilities is None
    error = tiny.refused(lambda: tiny.check(f"c.channel | attribute(output) {BARS}", model=model))
    assert error.diagnostics[0].code == "E247" and 'output = "' in error.diagnostics[0].help
    text = f'output = "head"\nc.channel | attribute(output[3]) {BARS}'
    near(values(text, "channel", model=model), linear("c", lambda s: s[:, 3])[0].sum((1, 2)))
    for optimized in (True, False):
        assert tiny.run(text, model=model, optimized=optimized).probabilities.shape == (1, CLASSES)
