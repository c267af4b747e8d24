"""The text that a page copies for a mark gives the mark's number, in every state."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tiny
from filled_pipes import filled

from bbilang.runtime.view.model import Element, View
from bbilang.runtime.view.states import elements

GROUPS = "late = b | factorize(nmf, 3)\n"
TEXTS = {
    "channels": "e = b.channel | attribute(output) | top(3) | present(bars)",
    "the last content": "e = b.channel | attribute(output) | top(3) | activation(reduce=max) | present(bars)",
    "a menu": 'w = pick(output[top(3)])\ne = b.channel | attribute(output[w] - output["dog"]) | top(3) | present(bars)',
    "a difference": "e = b.channel | attribute(output[top(2)]) | difference(class) | top(3) | present(bars)",
    "a magnitude": "e = c.channel | attribute(output) | abs | top(3) | present(bars)",
    "positions": "e = b.spatial | attribute(output) | top(3) | present(bars)",
    "a channel's channels": "e = a.channel | attribute(b.channel[2]) | top(3) | present(bars)",
    "through a channel": 'e = a.channel | attribute(b.channel[2] -> output["dog"]) | top(3) | present(bars)',
    "scores": "e = output[top(3)] | present(bars)",
    "magnitudes of scores": "e = [output[0], output[5]] | abs | present(bars)",
    "pictures of classes": "e = output[top(3)] | present(featvis)",
    "pixels": "e = input.pixel | attribute(output) | top(3) | present(bars)",
    "groups": GROUPS + 'e = late | attribute(output["dog"]) | present(bars)',
    "a slider": "n = slider(2, 3, 1)\ne = b | factorize(nmf, n) | attribute(output) | present(bars)",
    "groups of gradients": "e = b | factorize(nmf, 3, of=[activation, gradient(output)], balance=[1, 0.5]) | "
    "attribute(output) | present(bars)",
    "compatible groups": GROUPS + "e = a | factorize(nmf, 3, compatible=late) | attribute(output) | present(bars)",
    "a switch": GROUPS + "s = slider(0, 1)\n"
    "e = a | factorize(nmf, 3, compatible=late, align=s) | attribute(output) | present(bars)",
    "weights into a channel": "e = weights(a, b)[to=1] | both(2) | present(bars)",
    "weights from a channel": "e = weights(a, b)[from=1] | top(3) | present(bars)",
    "magnitudes of weights": "e = weights(a, b)[from=1] | abs | top(3) | present(bars)",
    "pairs": "e = weights(a, b) | top(3, by=magnitude) | present(bars)",
    "links": "k = a.channel | attribute(output) | top(2) | present(bars)\n"
    "e = b.channel | link(click(k, start=output)) | top(3) | present(bars)",
    "links of a layer's own atoms": "k = b.channel | attribute(output) | top(2) | present(bars)\n"
    "e = b.channel | link(click(k)) | top(1) | present(bars)",
}
NONE = {
    "several methods": "e = b.channel | attribute(output, method=[linear, gradient]) | normalize(scope=method) | "
    "top(3) | present(bars, facet=method)",
    "a probability": 'e = b.channel | attribute(output["dog", score=probability]) | top(3) | present(bars)',
    "atoms that are ranked": "k = b.channel | attribute(output) | top(2)\n"
    "e = a.channel | attribute(k) | top(3, per=to.channel) | present(bars, facet=to.channel)",
}


def choices(view: View, element: Element):
    """Of every state: the text of what is chosen in each selection."""
    known = {s.id: [atom.text or atom.label for atom in s.atoms] for s in view.selections}
    for state in itertools.product(*(known[name] for name in element.states)):
        yield dict(zip(element.states, state, strict=True))


def number_of(pipe: str, group: str = "", model=None) -> float:
    """The number of a copied text, of a group at its place; pictures of atoms are drawn, too."""
    results = tiny.run(pipe, model=model)
    (field,) = results.fields.values()
    data = field.values.data[np.isfinite(field.values.data)]
    assert data.size == 1, pipe
    assert not group or int(field.coords["group"].data.max()) == int(group)
    return float(data[0])


@pytest.mark.parametrize("name", TEXTS)
def test_a_copied_text_gives_the_number_of_its_mark(name):
    view = tiny.view_of(tiny.run(TEXTS[name]))
    element = next(e for e in elements(view) if e.id == "e")
    count = 0
    for state, chosen in enumerate(choices(view, element)):
        frame = element.panels[0].frames[state]
        for slot, atom in enumerate(frame.atoms):
            pipe = filled(element, element.atoms[atom], chosen.__getitem__) if atom >= 0 else ""
            if pipe:
                text = element.atoms[atom].text
                shown = number_of(pipe, text if text.isdecimal() else "")
                assert shown == pytest.approx(frame.values[slot][0], rel=1e-3, abs=1e-5), pipe
            count += bool(pipe)
    assert count >= 2


@pytest.mark.parametrize("name", NONE)
def test_there_is_no_text_where_the_language_has_no_words(name):
    view = tiny.view_of(tiny.run(NONE[name]))
    element = next(e for e in elements(view) if e.id == "e")
    assert not [pipe for atom in element.atoms if (pipe := filled(element, atom, str)) and "output" not in atom.text]


def test_a_row_and_a_column_of_pairs_ask_for_the_largest_weights_of_their_channel():
    view = tiny.view_of(tiny.run("e = weights(a, b) | top(3, by=magnitude) | present(matrix)"))
    (element,) = elements(view)
    pipes = {filled(element, atom, str) for atom in element.atoms}
    assert len(pipes) == len(element.atoms)
    for pipe in pipes:
        assert pipe.startswith(("weights(a, b)[to=", "weights(a, b)[from="))
        (field,) = tiny.run(pipe).fields.values()
        (every,) = tiny.run(pipe.split(" | ")[0] + " | present(bars)").fields.values()
        largest = np.sort(np.abs(every.values.data))[-len(field.values.data) :]
        assert np.sort(np.abs(field.values.data)) == pytest.approx(largest)


def test_a_probability_of_a_class_has_no_text():
    """The text of a class asks about its logit."""
    (element,) = elements(tiny.view_of(tiny.run("output[top(3), score=probability] | present(bars)")))
    assert not any(filled(element, atom, str) for atom in element.atoms)


def test_a_token():
    model = tiny.adapter(tiny.Tokens)
    view = tiny.view_of(tiny.run("e = block.token | attribute(output) | top(3) | present(bars)", model=model))
    (element,) = elements(view)
    frame = element.panels[0].frames[0]
    for slot, atom in enumerate(frame.atoms):
        pipe = filled(element, element.atoms[atom], str)
        assert pipe.startswith(f"block.token[{element.atoms[atom].key.split('=')[1]}] | attribute(output) | ")
        assert number_of(pipe, model=model) == pytest.approx(frame.values[slot][0], rel=1e-3)


def test_the_groups_of_a_flow():
    """The text of a group gives the numbers of its links: to later groups as a matrix, to classes under its icon."""
    text = f"{GROUPS}early = a | factorize(nmf, 4, compatible=late)\n"
    view = tiny.view_of(tiny.run(f"{text}e = [early, late, output[top(2)]] | link() | present(sankey)"))
    (element,) = elements(view)
    frame = element.panels[0].frames[0]
    ends = {element.atoms[atom].key.split(" ")[0].split("/")[0] for atom in frame.atoms}
    assert ends == {"a", "b", "output"}
    counted = 0
    for slot, atom in enumerate(frame.atoms):
        links = sorted(value for start, _, value in frame.links if start == slot)
        pipe = filled(element, element.atoms[atom], str)
        if links:
            (field,) = tiny.run(pipe).fields.values()
            numbers = np.sort(field.values.data[np.isfinite(field.values.data)])
            assert numbers == pytest.approx(links, rel=1e-3, abs=1e-5), pipe
            counted += len(links)
        else:
            assert pipe.endswith("| top(8) | present(featvis)") and "attribute(output[" in pipe
    assert counted == len(frame.links) == 4 * 3 + 3 * 2
