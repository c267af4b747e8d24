"""The view model of real results: frames, atoms, selections and pictures are consistent."""

from __future__ import annotations

import pytest
import tiny
from views_hold import assert_consistent

from bbilang.runtime.view.model import View
from bbilang.runtime.view.states import elements, start_choices, start_states

TEASER = """
a = pick(output[top(4)])
b1 = pick(output[top(4)], start=1)
interface "Which one?" {
    photo  = input | present(image)
    blocks = b.channel | attribute([output[a], output[b1]]) | both(2, by=difference) | present(featvis)
    where  = b.neuron | activation | at(hover(blocks)) | normalize(scope=channel) | present(heatmap, over=photo)
    layout row(photo, blocks)
}
"""


def page(text: str, inputs: int = 1) -> View:
    view = tiny.view_of(tiny.run(text, inputs))
    assert_consistent(view)
    return view


def element(view: View, name: str):
    return next(e for e in elements(view) if e.id == name)


@pytest.mark.parametrize("inputs", [1, 3])
def test_teaser(inputs):
    view = page(TEASER, inputs)
    selections = {s.id: s for s in view.selections}
    assert (selections["a"].start, selections["b1"].start) == (0, 1)
    hover = selections["hover-blocks"]
    assert hover.kind == "hover" and hover.start_of == "blocks"
    blocks, photo, where = (element(view, name) for name in ("blocks", "photo", "where"))
    assert blocks.selects == ("hover-blocks",) and blocks.gap == 2 and where in photo.overlays
    assert set(where.states) == {"hover-blocks", *(["input"] if inputs > 1 else [])}
    assert {atom.key for atom in blocks.atoms} == {atom.key for atom in hover.atoms}
    choice = start_choices(view)["hover-blocks"]
    frame = blocks.panels[0].frames[start_states(view)["blocks"]]
    assert hover.atoms[choice].key == blocks.atoms[frame.atoms[0]].key  # the first that is drawn
    assert view.interfaces[0].layout == ("row", ("photo", "blocks"))
    assert len(view.predictions) == inputs
    assert all(prediction.top[0][1] >= prediction.top[1][1] for prediction in view.predictions)


def test_an_input_picker():
    view = page("photo = input | present(image)\nc.channel | attribute(output) | top(2) | present(bars)", 3)
    (picker,) = view.selections
    assert (picker.id, picker.kind, [a.label for a in picker.atoms]) == (
        "input", "pick", ["picture-0", "picture-1", "picture-2"],
    )  # fmt: skip
    assert all(e.states == ("input",) and len(e.panels[0].frames) == 3 for e in elements(view))


def test_inputs_as_facets():
    view = page("c.channel | attribute(output) | top(2) | present(bars, facet=input)", 3)
    (shown,) = elements(view)
    assert [panel.label for panel in shown.panels] == ["picture-0", "picture-1", "picture-2"]
    assert not view.selections and shown.facet_axis == "input"


def test_facets_of_layers_and_classes():
    view = page("[a, c].spatial | attribute(output) | present(heatmap, facet=layer)")
    (shown,) = elements(view)
    assert [(panel.label, panel.shape) for panel in shown.panels] == [("a", (16, 16)), ("c", (8, 8))]
    assert {atom.key.split()[0] for atom in shown.atoms} == {"a", "c"}
    view = page("c.channel | attribute(output[2, 6]) | top(3, per=class) | present(bars, facet=class)")
    assert [panel.label for panel in next(elements(view)).panels] == ["cat", "cat"]  # two of one first name


def test_maps_match_the_facets_that_they_are_drawn_over():
    view = page(
        "maps = [a, c].spatial | activation | present(heatmap, facet=layer)\n"
        "[a, c].spatial | attribute(output) | present(heatmap, over=maps)"
    )
    maps = element(view, "maps")
    assert [len(e.panels) for e in (maps, *maps.overlays)] == [2, 2]


def test_equal_pictures_are_one():
    view = page(
        "one = c.channel | activation | top(3) | present(featvis)\n"
        'two = c.channel | activation | top(3) | present(featvis, title="again")\n'
        "photo = input | present(image)\nmore = input | present(image)"
    )
    one, two, photo, more = (
        element(view, name).panels[0].frames[0].pictures for name in ("one", "two", "photo", "more")
    )
    assert one == two and photo == more and len(view.pictures) == 4


def test_a_photo_shows_the_positions_of_every_layer():
    view = page(
        "photo = input | present(image)\n"
        "near = hover(a.spatial)\nfar = click(c.spatial, start=[3, 4])\n"
        "a.neuron | at(near) | top(2) | present(bars)\nc.neuron | at(far) | top(2) | present(bars)"
    )
    targets = {target.selection: target for target in element(view, "photo").targets}
    assert targets["near"].shape == (16, 16) and targets["far"].shape == (8, 8)
    selections = {s.id: s for s in view.selections}
    assert selections["far"].start == 3 * 8 + 4 and selections["far"].resets
    assert selections["far"].atoms[28].label == "row 3, column 4"


def test_classes_are_the_same_atoms_everywhere():
    """A bar of a class, wherever it is drawn, drives what is attributed to it."""
    view = page(
        "k = hover(output[top(3)])\nscores = output[top(3)] | present(bars)\n"
        "c.channel | attribute(output[k]) | top(2) | present(bars)\n"
        "whole = c.whole | attribute(output.class) | present(bars)"
    )
    assert element(view, "scores").selects == ("k",) and element(view, "whole").selects == ("k",)
    assert {a.key for a in element(view, "scores").atoms} == {a.key for a in view.selections[0].atoms}


def test_one_selection_in_two_elements_is_one_state():
    view = page(
        "photo = input | present(image)\ncell = hover(c.spatial)\n"
        "one = c.neuron | at(cell) | top(2) | present(bars)\n"
        "two = c.spatial | attribute(output.class) | at(cell) | present(bars)"
    )
    assert [s.id for s in view.selections] == ["cell"]
    assert element(view, "one").states == element(view, "two").states == ("cell",)


def test_two_interfaces_with_the_same_names():
    view = page(
        'interface "one" {\n photo = input | present(image)\n layout row(photo)\n}\n'
        'interface "two" {\n photo = input | present(image)\n layout column(photo)\n}'
    )
    assert [i.layout for i in view.interfaces] == [("row", ("photo",)), ("column", ("photo-2",))]


def test_a_selection_called_like_an_axis():
    view = page(
        "class = pick(output[top(3)])\nchannel = pick(c.channel)\n"
        "c.neuron | attribute([output[class], output]) | at(channel) | sum(y) | sum(x) | present(bars)"
    )
    assert {s.id for s in view.selections} == {"pick-class", "pick-channel"}
    (shown,) = elements(view)
    assert len(shown.panels[0].frames) == 15 and shown.panels[0].frames[0].series == ("",)


def test_an_element_that_a_filter_emptied():
    view = page("c.channel | filter(value > 1000000) | top(3) | present(bars)")
    (shown,) = elements(view)
    assert not shown.atoms and shown.panels[0].frames[0].atoms in ((), (-1,))


def test_labels_of_sums():
    view = page("pair = [output[1] - output[2], output[3]] | present(bars)")
    assert [a.label for a in element(view, "pair").atoms] == ["bee − cat", "dog"]


def test_a_difference_says_which_minus_which():
    inputs = page("c.channel | activation | difference(input) | both(2) | present(bars)", 2)
    assert next(elements(inputs)).legend.quantity == "activation, picture-0 − picture-1"
    layers = page("[b, c].whole | attribute(output[top(2)]) | difference(layer) | present(bars)")
    assert next(elements(layers)).legend.quantity.endswith(", b − c")
    chosen = page(
        "a1 = pick(output[top(3)])\nb1 = pick(output[top(3)], start=1)\n"
        "c.channel | attribute([output[a1], output[b1]]) | difference(class) | both(2) | present(bars)"
    )
    (shown,) = elements(chosen)
    assert shown.legend.quantity == "attribution to the chosen classes, the first class − the second"
    words = {selection.id: [atom.label for atom in selection.atoms] for selection in chosen.selections}
    remarks = [frame.remark.partition(";")[0] for frame in shown.panels[0].frames]
    pairs = [f"the difference is {first} − {second}" for first in words["a1"] for second in words["b1"]]
    assert remarks == pairs, "each state names its own"


@pytest.mark.parametrize(
    ("rest", "words"),
    [("both(2, by=difference) | present(featvis)", "{} compared with itself: there is no difference to show"),
     ("difference(class) | top(2) | present(bars)",
      "the difference is {0} − {0}; it is zero everywhere, so there is nothing to show")],
)  # fmt: skip
def test_a_class_against_itself_is_no_answer(rest, words):
    text = "a1 = pick(output[top(3)])\nb1 = pick(output[top(3)])\n"
    view = page(
        f"{text}blocks = c.channel | attribute([output[a1], output[b1]]) | {rest}\n"
        "where = c.neuron | activation | at(hover(blocks)) | present(heatmap)"
    )
    shown, labels = element(view, "blocks"), [atom.label for atom in view.selections[0].atoms]
    for state, frame in enumerate(shown.panels[0].frames):
        first, second = divmod(state, len(labels))
        assert (max(frame.atoms) < 0) == (first == second), state
        if first == second:
            assert frame.remark == words.format(labels[first])
    assert start_choices(view)["hover-blocks"] is None, "what draws nothing chooses nothing"
    assert start_states(view)["where"] == len(element(view, "where").panels[0].frames)
