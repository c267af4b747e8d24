"""Groups as atoms through whole texts, each against a slow twin in plain numpy and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from closeness import close_to, within
from tiny import values

from bbilang.grammar.diagnostic import BbiError
from bbilang.registry import registry
from bbilang.runtime.factorization.layer import percent
from bbilang.runtime.factorization.matrix import factorize
from bbilang.runtime.page.html import render
from bbilang.runtime.view.atom_words import refers

BARS = "| present(bars)"
PHOTO = "photo = input | present(image)\n"


def cube(layer: str, inputs: int = 1) -> np.ndarray:
    """(input, channel, y, x)."""
    module, captured = tiny.build(), []
    getattr(module, layer).register_forward_hook(lambda m, a, result: captured.append(result.detach().clone()))
    module(tiny.images(inputs))
    return captured[0].numpy()


def slopes(layer: str, k: int, inputs: int = 1) -> np.ndarray:
    """d score of class k / d activation, (input, channel, y, x)."""
    module, captured = tiny.build(), []

    def keep(_module, _arguments, result):
        captured.append(result.clone())
        return captured[0]

    getattr(module, layer).register_forward_hook(keep)
    score = module(tiny.images(inputs))[:, k].sum()
    return torch.autograd.grad(score, captured[0])[0].numpy()


def slow(layer: str, method: str, n: int, number: int = 0, inputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """W (group, y, x) and H (group, channel) of one input, from left to right."""
    own = cube(layer, inputs)[number]
    factors = factorize(own.reshape(len(own), -1).T, method, n)
    w, h = factors.spatial.T.reshape(n, *own.shape[1:]), factors.channel
    order = range(n)
    if method not in ("pca", "svd"):
        order = sorted(
            order, key=lambda g: sum(x * (w[g, :, x] ** 2).sum() for x in range(w.shape[-1])) / (w[g] ** 2).sum()
        )
    return w[list(order)], h[list(order)]


def near(a: np.ndarray, b: np.ndarray) -> None:
    assert a.shape == b.shape
    close_to(a, b, dtype=np.float32)  # of activations in float32


def effect(w: np.ndarray, h: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """<W_g outer H_g, gradient>, entry by entry."""
    out = np.zeros(len(w))
    for g in range(len(w)):
        for c in range(len(gradient)):
            for y, x in np.ndindex(*gradient.shape[1:]):
                out[g] += w[g, y, x] * h[g, c] * gradient[c, y, x]
    return out


@pytest.mark.parametrize("layer, method", [("b", "nmf"), ("b", "kmeans"), ("c", "pca"), ("c", "svd"), ("c", "ica")])
def test_values_factors_and_effects(layer, method):
    w, h = slow(layer, method, 3)
    text = f"g = {layer} | factorize({method}, 3)\n"
    sizes = np.linalg.norm(w.reshape(3, -1), axis=1) * np.linalg.norm(h, axis=1)
    near(values(f"{text}g {BARS}", "group"), sizes)
    near(values(f"{text}g | activation {BARS}", "group"), sizes)
    near(values(f"{text}g.spatial | present(heatmap, facet=group)", "group", "y", "x"), w)
    near(values(f"{text}g.channel | present(bars, facet=group)", "group", "channel"), h)
    near(values(f"{text}g | attribute(output[2]) {BARS}", "group"), effect(w, h, slopes(layer, 2)[0]))
    near(values(f"{text}g | gradient(output[2]) {BARS}", "group"), effect(w, h, slopes(layer, 2)[0]) / sizes)
    both = np.stack([effect(w, h, slopes(layer, k)[0]) for k in (1, 5)], 1)
    near(values(f"{text}g | attribute(output[1, 5]) | present(matrix)", "group", "class"), both)
    near(
        values(f"{text}g | attribute(output[1] - output[5]) {BARS}", "group"),
        both[:, 0] - both[:, 1],
    )


def test_effects_of_all_groups_and_the_rest_add_up():
    """The groups' parts and what they leave out are the activation, so their effects add up to the layer's."""
    w, h = slow("b", "nmf", 3)
    gradient, own = slopes("b", 2)[0], cube("b")[0]
    rest = ((own - np.einsum("gyx,gc->cyx", w, h)) * gradient).sum()
    actual = values(f"b | factorize(nmf, 3) | attribute(output[2]) {BARS}", "group")
    close_to(actual.sum() + rest, (own * gradient).sum(), terms=np.abs(actual).sum() + np.abs(own * gradient).sum())


def test_every_input_has_groups_of_its_own():
    actual = values("g = b | factorize(nmf, 3)\ng | attribute(output[2]) | present(bars)", "input", "group", inputs=2)
    for number in (0, 1):
        near(actual[number], effect(*slow("b", "nmf", 3, number, 2), slopes("b", 2, 2)[number]))
    message = tiny.messages(tiny.refused(lambda: tiny.check("b | factorize(nmf, 3) | mean(input) | present(bars)", 2)))
    assert "E230" in message or "E231" in message


def test_one_factorization_for_all_inputs():
    both = cube("b", 2)
    rows = both.transpose(0, 2, 3, 1).reshape(-1, both.shape[1])
    plain = factorize(rows, "nmf", 3)
    results = tiny.run("g = b | factorize(nmf, 3, along=input)\ng.channel | present(bars, facet=group)", 2)
    h = results.fields["element-1"].values.ordered(("group", "channel")).data
    match = [int(np.abs(plain.channel - row).sum(1).argmin()) for row in h]
    assert sorted(match) == [0, 1, 2]
    near(h, plain.channel[match])
    w = plain.spatial.reshape(2, 8, 8, 3).transpose(0, 3, 1, 2)[:, match]
    text = "g = b | factorize(nmf, 3, along=input)\ng | attribute(output[2]) | present(bars)"
    expected = np.stack([effect(w[i], h, slopes("b", 2, 2)[i]) for i in (0, 1)])
    near(values(text, "input", "group", inputs=2), expected)


@pytest.mark.parametrize("optimized", [True, False])
def test_groups_of_an_attribution(optimized):
    """`of=attribute(...)`: parts of the attribution, also next to an attribution of groups in the same passes."""
    text = f"""g = b | factorize(svd, 3, of=attribute(output[2]))
g {BARS}
h = b | factorize(svd, 3, of=[activation, attribute(output[2])], balance=[1, 0.5])
h | attribute(output[2]) {BARS}"""
    fields = tiny.run(text, optimized=optimized).fields
    own, part = cube("b")[0], cube("b")[0] * slopes("b", 2)[0]
    sizes = np.linalg.svd(part.reshape(8, -1).T, compute_uv=False)
    near(fields["element-1"].values.data[0], sizes[:3].astype(np.float32))
    rows = [weight * m.reshape(8, -1).T / np.linalg.norm(m) for weight, m in ((1, own), (0.5, part))]
    h = np.linalg.svd(np.concatenate(rows), full_matrices=False)[2][:3]
    h = h * np.sign(h[np.arange(3), np.abs(h).argmax(1)])[:, None]
    w = (own.reshape(8, -1).T @ h.T).T.reshape(3, 8, 8)
    near(fields["element-2"].values.data[0], effect(w, h, slopes("b", 2)[0]).astype(np.float32))


def test_groups_of_what_the_reader_picks():
    text = "p = pick(output[top(3)])\ng = b | factorize(svd, 2, of=attribute(output[p]))\n"
    results = tiny.run(f"{text}g {BARS}")
    chosen = results.selections["p"].coords["class"].data
    actual = results.fields["element-1"].values.ordered(("p", "input", "group")).data[:, 0]
    for k, row in zip(chosen, actual, strict=True):
        part = cube("b")[0] * slopes("b", int(k))[0]
        near(row, np.linalg.svd(part.reshape(8, -1).T, compute_uv=False)[:2].astype(np.float32))


def test_ranking_and_keeping_groups():
    sizes = values(f"b | factorize(nmf, 4) {BARS}", "group")
    order = np.argsort(-sizes, kind="stable")
    text = "g = b | factorize(nmf, 4)\nbest = g | top(2)\n"
    assert tiny.coordinates(f"{text}best {BARS}", "group").tolist() == order[:2].tolist()
    assert tiny.coordinates(
        f"{text}g | filter(value > {sizes[order[1]] * 0.999:.6f}) {BARS}", "group"
    ).tolist() == sorted(order[:2].tolist())
    every = values("g = b | factorize(nmf, 4)\ng.spatial | present(heatmap, facet=group)", "group", "y", "x")
    near(values(f"{text}g.spatial | only(best) | present(heatmap, facet=group)", "group", "y", "x"), every[order[:2]])
    effects = values(f"g = b | factorize(nmf, 4)\ng | attribute(output[1]) {BARS}", "group")
    near(values(f"{text}best | attribute(output[1]) {BARS}", "group"), effects[order[:2]])


def test_icons_maximize_the_channel_factor():
    """One icon a group for its H; a component keeps its sign; a group at a position is the group's icon, that of a
    component with a negative number the other end of it."""
    for method, layer in (("nmf", "b"), ("pca", "c")):
        _, h = slow(layer, method, 3)
        text = f"{PHOTO}g = {layer} | factorize({method}, 3)\n"
        objectives = icon_objectives(f"{text}g | present(featvis)")
        assert [o.layer for o in objectives] == [layer] * 3
        near(np.array([o.direction for o in objectives]), h)
        at = icon_objectives(f"{text}g.spatial | at(hover({layer}.spatial)) | present(featvis, size=value)")
        if method == "nmf":
            assert at == objectives
        else:
            near(np.array(sorted(o.direction for o in at)), np.array(sorted([*h.tolist(), *(-h).tolist()])))
    assert (h < 0).any()


def test_an_icon_has_the_sign_of_its_number():
    """At each position the icon shown is that of the direction which the position has, not of its opposite."""
    text = f"{PHOTO}g = c | factorize(pca, 3)\ncell = hover(c.spatial)\n"
    text += "g.spatial | at(cell) | present(featvis, size=value)"
    _, h = slow("c", "pca", 3)
    directions, results = [o.direction for o in icon_objectives(text)], tiny.run(text)
    element = next(e.id for e in results.program.elements if e.id in results.icon_sets)
    index = results.icon_sets[element].index.ordered(("cell", "group", "input")).data[..., 0]
    numbers = results.fields[element].values.ordered(("cell", "group", "input")).data[..., 0]
    assert (numbers < 0).any() and (numbers > 0).any()
    for cell, group in np.ndindex(index.shape):
        near(np.array(directions[index[cell, group]]), h[group] * (-1 if numbers[cell, group] < 0 else 1))
    notes = next(e.legend.notes for e in tiny.view_of(results).interfaces[0].elements if e.id == element)
    assert "the icon of a negative number shows the other end of the component" in notes


def icon_objectives(text: str) -> list:
    """The objectives of a text's icons."""
    from bbilang.compiler.optimize.rules import optimize
    from bbilang.compiler.plan.plan import plan
    from bbilang.runtime.execution.execute import execute

    results = []

    def icons(adapter, objectives, counter):
        results.extend(objectives)
        return tiny.fake_icons(adapter, objectives, counter)

    program = tiny.check(text)
    execute(plan(optimize(program)), tiny.registry(), tiny.adapter(), tiny.pictures(), icons=icons)
    return results


def test_the_share_left_out_stands_in_the_legend():
    w, h = slow("b", "nmf", 2)
    own = cube("b")[0]
    share = ((own - np.einsum("gyx,gc->cyx", w, h)) ** 2).sum() / (own**2).sum()
    view = tiny.view_of(tiny.run(f"b | factorize(nmf, 2) {BARS}"))
    (note,) = [n for n in view.interfaces[0].elements[0].legend.notes if "leave out" in n]
    assert f"{100 * share:.0f} %" in note or f"{100 * share:.1g} %" in note


def test_the_share_of_the_position_shown():
    """The share left out of the vector at the position that the reader selects replaces the layer's."""
    w, h = slow("b", "nmf", 2)
    own = cube("b")[0]  # channel, y, x
    rest = ((own - np.einsum("gyx,gc->cyx", w, h)) ** 2).sum(0) / (own**2).sum(0)
    text = "photo = input | present(image)\ng = b | factorize(nmf, 2)\ncell = hover(b.spatial)\n"
    view = tiny.view_of(
        tiny.run(f"{text}shown = g.spatial | at(cell) {BARS}\nall = g.spatial | present(masks, over=photo)")
    )
    photo, shown = view.interfaces[0].elements
    said = [frame.remark for frame in shown.panels[0].frames]
    assert len(set(said)) > 4 and not any("leave out" in note for note in shown.legend.notes)
    for words, share in zip(said, rest.ravel(), strict=True):
        assert words == f"the groups leave out {percent(share, share)} of the squared norm of the vector there"
    masks = photo.overlays[0]  # all positions at once: the layer's share
    assert not any(frame.remark for frame in masks.panels[0].frames)
    assert any("leave out" in note for note in masks.legend.notes)


def test_the_share_that_the_neurons_shown_hold():
    own = cube("b")[0]
    flat = own.reshape(len(own), -1).T
    held = np.array([sum(sorted((v * v for v in row), reverse=True)[:3]) / sum(v * v for v in row) for row in flat])
    text = "photo = input | present(image)\n"
    view = tiny.view_of(tiny.run(f"{text}b.neuron | activation | at(hover(b.spatial)) | top(3) {BARS}"))
    said = [frame.remark for frame in view.interfaces[0].elements[1].panels[0].frames]
    assert said == [f"the neurons shown hold {percent(s, s)} of the squared norm of the whole vector" for s in held]
    jointly = tiny.view_of(tiny.run(f"b.neuron | activation | top(3) {BARS}"))  # of no one vector
    assert not any(frame.remark for frame in jointly.interfaces[0].elements[0].panels[0].frames)


def test_what_pca_finds_are_components():
    over = "b.spatial | project(pca, 2) | present(rgb, over=photo)"
    for method, word in (("pca", "component"), ("svd", "component"), ("nmf", "group")):
        view = tiny.view_of(tiny.run(f"{PHOTO}icons = b | factorize({method}, 2) | present(featvis)\n{over}"))
        photo, icons = view.interfaces[0].elements
        assert [atom.label for atom in icons.atoms] == [f"{word} 0", f"{word} 1"] and icons.slot_axis == word
        overlay, row = photo.overlays[0].panels[0].frames[0], icons.panels[0].frames[0]
        assert overlay.series == ("component 0", "component 1")
        assert (row.colours == overlay.series_colours) == (method == "pca")  # one component, one colour
        assert (
            any(f"the {word}s" in note for note in icons.legend.notes) and icons.title == f"{word.capitalize()}s of b"
        )
        assert refers(f"{word} 1", icons.atoms[1]) and refers(f"b {word} 1", icons.atoms[1])


def test_a_switch_between_aligned_and_plain_groups():
    late = f"{PHOTO}late = b | factorize(nmf, 2)\n"
    text = "a | factorize(nmf, 3{}) " + BARS
    plain = values(late + text.format(""), "group")
    aligned = values(late + text.format(", compatible=late"), "group")
    assert not np.allclose(plain, aligned)
    np.testing.assert_array_equal(values(late + text.format(", compatible=late, align=0"), "group"), plain)
    np.testing.assert_array_equal(values(late + text.format(", compatible=late, align=1"), "group"), aligned)
    switched = tiny.run(late + text.format(", compatible=late, align=slider(0, 1, start=1)"))
    (field,) = [f for f in switched.fields.values() if f.type.atom == "group"]
    both = field.values.ordered(("slider-0-1", "input", "group")).data[:, 0]
    np.testing.assert_array_equal(both, [plain, aligned])
    view = tiny.view_of(switched)
    shown = next(e for e in view.interfaces[0].elements if e.style == "bars")
    assert len({frame.remark for frame in shown.panels[0].frames}) == 2  # each state says what its own groups leave out
    html = render(view, registry().styles)
    assert 'role="switch"' in html and 'type="range"' not in html
    with pytest.raises(BbiError, match="compatible") as refused:
        tiny.check(f"a | factorize(nmf, 3, align=0) {BARS}")
    assert refused.value.diagnostics[0].code == "E231"


def test_tokens_are_positions_too():
    adapter = tiny.adapter(tiny.Tokens)
    text = "g = block | factorize(pca, 2)\ng.spatial | at(hover(block.token)) | present(bars)"
    with pytest.raises(Exception, match="shows what this selection ranges over"):
        tiny.run(text, model=adapter)
    actual = values(f"block | factorize(pca, 2) {BARS}", "group", model=adapter)
    assert actual.shape == (2,) and (actual > 0).all()


# --- what the reader can do -------------------------------------------------------------------------------------------


SLIDER = "n = slider(2, 6, 2, start=4)\ng = b | factorize(nmf, n)\n"


def test_a_slider_ranges_over_numbers_of_groups():
    text = f"{SLIDER}g | attribute(output[1]) {BARS}\ng | present(featvis)"
    results = tiny.run(text)
    effects = results.fields["element-1"].values.ordered(("n", "input", "group")).data[:, 0]
    sizes = results.fields["element-2"].values.ordered(("n", "input", "group")).data[:, 0]
    for row, n in enumerate((2, 4, 6)):
        w, h = slow("b", "nmf", n)
        near(effects[row, :n], effect(w, h, slopes("b", 1)[0]))
        assert np.isnan(effects[row, n:]).all() and np.isnan(sizes[row, n:]).all()
    index = results.icon_sets["element-2"].index.ordered(("input", "n", "group")).data[0]
    assert [(row >= 0).sum() for row in index] == [2, 4, 6]
    view = tiny.view_of(results)
    (selection,) = [selection for selection in view.selections if selection.kind == "slider"]
    assert (selection.id, selection.kind, selection.start) == ("n", "slider", 1)
    assert [atom.label for atom in selection.atoms] == ["2", "4", "6"]
    bars = view.interfaces[0].elements[0]
    assert bars.states == ("n",)
    assert [sum(a >= 0 for a in frame.atoms) for frame in bars.panels[0].frames] == [2, 4, 6]
    icons = view.interfaces[0].elements[1].panels[0].frames
    assert [sum(bool(c) for c in frame.colours) for frame in icons] == [2, 4, 6]
    assert "2 groups" in " ".join(bars.legend.notes) and "6 groups" in " ".join(bars.legend.notes)


@pytest.mark.parametrize(
    "slider, labels, start",
    [
        ("slider(2, 4)", ["2", "3", "4"], 0),
        ("slider(1, 6, 2, start=4)", ["1", "3", "4", "5"], 2),  # a start between two steps is one more
        ("slider(3, 3)", ["3"], 0),
    ],
)
def test_steps_of_a_slider(slider, labels, start):
    view = tiny.view_of(tiny.run(f"b | factorize(nmf, {slider}) {BARS}"))
    (selection,) = [selection for selection in view.selections if selection.kind == "slider"]
    assert [atom.label for atom in selection.atoms] == labels and selection.start == start


def test_selecting_groups():
    """Pointing at a group shows its map; groups of two factorizations of a layer are different atoms."""
    text = f"""{PHOTO}g = b | factorize(nmf, 3)
c1 = b | factorize(pca, 3)
icons = g | present(featvis)
others = c1 | present(featvis)
one = g.spatial | at(hover(icons)) | present(heatmap, over=photo)
"""
    results = tiny.run(text)
    near(results.fields["one"].values.ordered(("hover-icons", "input", "y", "x")).data[:, 0], slow("b", "nmf", 3)[0])
    view = tiny.view_of(results)
    elements = {element.id: element for element in view.interfaces[0].elements}
    assert "hover-icons" in elements["icons"].selects and "hover-icons" not in elements["others"].selects
    keys = [{atom.key for atom in elements[name].atoms} for name in ("icons", "others")]
    assert len(keys[0]) == 3 and not keys[0] & keys[1]
    message = tiny.messages(tiny.refused(lambda: tiny.check(text + f"c1.spatial | at(hover(icons)) {BARS}")))
    assert "another factorization" in message


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, code, words, under",
    [
        ("c | factorize(nmf, 3) | present(bars)", "E239", "both signs", "nmf"),
        ("b.channel | factorize(nmf, 3) | present(bars)", "E238", "channel atoms", "factorize(nmf, 3)"),
        ("[a, b] | factorize(nmf, 3) | present(bars)", "E238", "several", "factorize(nmf, 3)"),
        ("b | factorize(nmf, 3, balance=[1, 2]) | present(bars)", "E231", "2 weights", "balance=[1, 2]"),
        (
            "b | factorize(svd, 2, of=[activation, gradient(output)], balance=[0, 1]) | present(bars)",
            "E214",
            "positive",
            "balance=[0, 1]",
        ),
        ("b | factorize(svd, 2, of=attribute(output[1, 2])) | present(bars)", "E231", "several classes", "of="),
        ("b | factorize(svd, 2, of=attribute) | present(bars)", "E212", "needs `to`", "attribute"),
        ("b | factorize(svd, 2, of=gradient(output[1] - output[2], 3)) | present(bars)", "E216", "", ""),
        (
            "g = b | factorize(nmf, 2)\ng.spatial | attribute(output) | present(heatmap, facet=group)",
            "E238",
            "weights",
            "attribute(output)",
        ),
        (
            "g = b | factorize(svd, 2, of=attribute(output))\ng | attribute(output) | present(bars)",
            "E238",
            "groups are of attributions",
            "attribute(output)",
        ),
        ("b | factorize(nmf, slider(2, 4, 0.5)) | present(bars)", "E213", "whole number", "slider(2, 4, 0.5)"),
        ("b | factorize(nmf, slider(0, 4)) | present(bars)", "E214", "the slider goes", "slider(0, 4)"),
    ],
)  # fmt: skip
def test_mistakes(text, code, words, under):
    error = tiny.refused(lambda: tiny.check(text))
    diagnostic = next(d for d in error.diagnostics if d.code == code)
    assert words in diagnostic.message
    assert under in text[diagnostic.span.start : diagnostic.span.end]


@pytest.mark.parametrize(
    "text, words",
    [
        ("b | factorize(pca, 60) | present(bars)", "60 groups of only 7 independent directions"),
        ("b | factorize(nmf, slider(4, 10)) | present(bars)", "8 groups of only 7"),
        ("b | factorize(kmeans, 70) | present(bars)", "70 groups of only"),
    ],
)
def test_too_many_groups_is_reported_with_a_span(text, words):
    error = tiny.refused(lambda: tiny.run(text))
    (diagnostic,) = error.diagnostics
    assert diagnostic.code == "E511" and words in diagnostic.message
    assert "factorize" in text[diagnostic.span.start : diagnostic.span.end]


def test_a_layer_without_response():
    module = tiny.build()
    with torch.no_grad():
        module.b[0].weight.zero_()
        module.b[0].bias.fill_(-1)
    from bbilang.runtime.models.adapt import adapt

    adapter = adapt(module, (tiny.SIZE, tiny.SIZE), labels=tiny.LABELS, name="tiny")
    error = tiny.refused(lambda: tiny.run(f"b | factorize(nmf, 2) {BARS}", model=adapter))
    assert error.diagnostics[0].code == "E511" and "`b`: all numbers are 0" in error.diagnostics[0].message


# --- groups that lead to groups ---------------------------------------------------------------------------------------


def slow_leads(late: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Activation x gradient of every entry of `a` to <part / |part|, activation of b> of each later group."""
    module = tiny.build()
    below, captured = [], []
    module.a.register_forward_hook(lambda m, i, result: below.append(result.clone()) or below[0])
    module.b.register_forward_hook(lambda m, i, result: captured.append(result.clone()) or captured[0])
    module(tiny.images())
    rows = []
    for w, h in zip(*late, strict=True):
        part = torch.from_numpy(np.einsum("yx,c->cyx", w, h)).float()
        score = (part / part.norm() * captured[0][0]).sum()
        (slope,) = torch.autograd.grad(score, below[0], retain_graph=True)
        rows.append((slope * below[0])[0].detach().numpy())
    return np.stack(rows)  # group, channel, y, x


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("later", [1, 3])
def test_compatible_groups(later, optimized):
    from bbilang.runtime.factorization.compatible import compatible

    text = f"""late = b | factorize(nmf, {later})
early = a | factorize(nmf, 4, compatible=late)
early.spatial | present(heatmap, facet=group)
early | attribute(output[2]) {BARS}"""
    fields = tiny.run(text, optimized=optimized).fields
    leads = slow_leads(slow("b", "nmf", later))
    own = cube("a")[0]
    rows = leads.reshape(later, 6, -1).transpose(0, 2, 1)
    plain = compatible(own.reshape(6, -1).T, rows, 4)
    w = plain.spatial.T.reshape(4, 16, 16)
    order = np.argsort([(w[g] ** 2).sum(0) @ np.arange(16) / (w[g] ** 2).sum() for g in range(4)], kind="stable")
    actual = fields["element-1"].values.ordered(("input", "group", "y", "x")).data[0]
    within(actual, w[order], relative=5e-3, because="each factorization stops at its own tolerance")
    expected = effect(w[order], plain.channel[order], slopes("a", 2)[0])
    within(
        fields["element-2"].values.data[0],
        expected,
        relative=1e-2,
        because="each factorization stops at its own tolerance",
    )
    if later == 1:  # with one later group it is the plain factorization
        near(actual, slow("a", "nmf", 4)[0])


@pytest.mark.parametrize(
    "text, code, words",
    [
        ("early = b | factorize(nmf, 2)\na | factorize(nmf, 2, compatible=b.channel) | present(bars)", "E235", "later"),
        (
            "g = a | factorize(nmf, 2)\nb | factorize(nmf, 2, compatible=g) | present(bars)",
            "E237",
            "does not come after",
        ),
        (
            "g = b | factorize(nmf, 2)\na | factorize(nmf, 2, of=attribute(output), compatible=g) | present(bars)",
            "E231",
            "without `of=`",
        ),
    ],
)
def test_mistakes_about_later_groups(text, code, words):
    error = tiny.refused(lambda: tiny.check(text))
    assert any(d.code == code and words in d.message for d in error.diagnostics), tiny.messages(error)
