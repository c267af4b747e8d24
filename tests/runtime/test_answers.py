"""Sentences made from an element's numbers agree with the numbers, in every state."""

from __future__ import annotations

import re

import numpy as np
import pytest

import bbilang
from bbilang.compiler.contract import Style
from bbilang.registry import registry
from bbilang.runtime.view.answers.pieces import listed, plain, sentence, sentences
from bbilang.runtime.view.answers.places import fullest_region, peak, region
from bbilang.runtime.view.build import view
from bbilang.runtime.view.model import Piece
from bbilang.runtime.view.provenance import provenance_of
from bbilang.runtime.view.states import answer_of, start_states

HEAD = 'bbi 1\nmodel efficientnet_lite0\ninput "sample:chelsea"\n'
NUMBER = r"[+−]?\d+(?:,\d{3})*(?:\.\d+)?"


def run(lines: str) -> bbilang.Page:
    return bbilang.run(HEAD + lines)


def numbers(words: str) -> list[float]:
    return [float(number.replace("−", "-").replace(",", "")) for number in re.findall(NUMBER, words)]


def test_pieces_join_into_a_sentence():
    made = sentence("the channels ", *listed([[Piece("1", 0)], [Piece("2", 4)], ["3"]]), " lead")
    assert plain(made) == "The channels 1, 2 and 3 lead."
    assert [(p.words, p.atom) for p in made if p.atom >= 0] == [("1", 0), ("2", 4)]
    assert plain(sentences(made, (), sentence("block5c.expand is last"))) == f"{plain(made)} block5c.expand is last."
    assert sentence() == () and sentences((), ()) == ()


def test_regions():
    assert [region(y, x, (9, 9)) for y, x in ((0, 0), (4, 4), (8, 4), (4, 8))] == [
        "top left",
        "centre",
        "bottom",
        "right",
    ]
    cells = np.zeros((9, 9))
    assert peak(cells) is None and fullest_region(cells) is None
    cells[7, 1], cells[0, 8], cells[4, 4] = 3, 1, -9
    assert peak(cells) == (7, 1) and fullest_region(cells) == ("bottom left", 0.75)


def test_the_strongest_channels_and_the_budget_are_the_numbers():
    page = run(
        "bars = head.channel | attribute(output) | top(8) | present(bars)\nlogits = output[top(1)] | present(table)"
    )
    data, score = page.data("bars"), float(page.data("logits").values.ravel()[0])
    values, channels = data.values.ravel(), data.coords["channel"][1].ravel()
    match = re.fullmatch(
        rf"Channels (\d+) \(({NUMBER})\), (\d+) \(({NUMBER})\) and (\d+) \(({NUMBER})\) contribute most to tiger cat "
        rf"\((\d+)\u00a0%\)\. The eight channels shown add up to ({NUMBER}) and all 1,280 of head to ({NUMBER}); the "
        rf"score is ({NUMBER})\.",
        page.answers["bars"],
    )
    assert match, page.answers["bars"]
    assert [int(match[i]) for i in (1, 3, 5)] == channels[:3].tolist()
    shown = [numbers(match[i])[0] for i in (2, 4, 6, 8, 10)]
    np.testing.assert_allclose(shown, [*values[:3], values.sum(), score], atol=0.006)
    assert abs(numbers(match[9])[0] - score) < 0.02  # at the last layer the numbers are all of the score
    assert f"{100 * page.view.predictions[0].top[0][1]:.0f}" == match[7]


def test_a_complete_method_says_of_what_the_marks_are_a_part():
    page = run(
        "block6a.expand.channel | attribute(output, method=integrated_gradients(n_steps=8)) | top(8) | present(bars)"
    )
    (words,) = page.answers.values()
    match = re.search(
        rf"hold ({NUMBER}) of ({NUMBER}) in all; the score rises by ({NUMBER}), from ({NUMBER}) at", words
    )
    assert match and match[0] in words
    own, every, change, start = (numbers(match[i])[0] for i in range(1, 5))
    assert abs(own - page.data("element-1").values.sum()) < 0.006 and own < every
    assert abs(start + change - 9.17) < 0.02  # what the score did, whatever the numbers add up to: 8 steps miss it


def test_a_side_branch_is_said_to_be_one():
    page = run("block5c.expand.channel | attribute(output) | top(8) | present(bars)")
    assert re.search(rf"removing this side branch changes it by {NUMBER}\.$", page.answers["element-1"])


def test_two_classes_and_a_class_with_itself():
    page = run(
        "a = pick(output[top(3)])\nb = pick(output[top(3)], start=1)\n"
        "both = head.channel | attribute([output[a], output[b]]) | both(2, by=difference) | present(bars)"
    )
    (element,) = page.view.interfaces[0].elements
    data = page.data("both")
    order = [data.axes.index(name) for name in ("a", "b", "channel", "class")]
    values = np.transpose(data.values, order)
    said = [answer_of(element, state) for state in range(9)]
    for state in (0, 4, 8):
        assert "compared with itself" in said[state] and not re.search(r"\d", said[state])
    for state in (1, 2, 3, 5, 6, 7):
        net = values[divmod(state, 3)][:, 0] - values[divmod(state, 3)][:, 1]
        total = numbers(re.search(rf"favour [\w ]+ by ({NUMBER})", said[state])[1])[0]
        assert abs(total - abs(net.sum())) < 0.006
        ends = numbers(re.search(rf"the scores \(({NUMBER} and {NUMBER})\)", said[state])[1])
        by = numbers(re.search(rf"by ({NUMBER})\.$", said[state])[1])[0]
        assert abs(by - abs(ends[0] - ends[1])) < 0.011
        words = said[state].split(" shown ", 1)[1]
        winner = element.panels[0].frames[state].series[0 if net.sum() > 0 else 1]
        assert f"favour {winner} by" in words


def test_every_state_names_its_own_position_and_neurons():
    page = run(
        "photo = input | present(image)\ncell = hover(block5c.expand.spatial)\n"
        "bars = block5c.expand.neuron | activation | at(cell) | top(3) | present(bars)"
    )
    _, element = page.view.interfaces[0].elements
    for state in (0, 17, 195):
        row, column = divmod(state, 14)
        frame = element.panels[0].frames[state]
        strongest = element.atoms[frame.atoms[0]].label
        assert answer_of(element, state).startswith(f"At row {row}, column {column}, {strongest} (")


def test_a_caption_replaces_the_sentence_but_not_the_lead():
    lines = "block5c.expand.channel | attribute(output) | top(3) | present(bars{})\noutput[top(3)] | present(bars{})"
    plainly, captioned = run(lines.format("", "")), run(lines.format("", ', caption="My words."'))
    paragraph = '<p class="answer" data-answer='
    assert plainly.html().count(paragraph) == 2 and captioned.html().count(paragraph) == 1
    assert "My words." in captioned.html()
    leading = run(lines.format(', caption="My words."', ""))
    assert leading.view.interfaces[0].lead == "element-1" and 'class="lead"' in leading.html()


def test_a_style_may_write_its_own(monkeypatch):
    page = run("block5c.expand.channel | attribute(output) | top(3) | present(bars)")
    style: Style = registry().styles["bars"]
    monkeypatch.setattr(style, "answer", lambda shown: (Piece(f"{len(shown.marks)} bars.", -1),), raising=False)
    own = view(page.results, registry(), provenance_of(page.results, registry()))
    assert answer_of(own.interfaces[0].elements[0], start_states(own)["element-1"]) == "3 bars."


@pytest.mark.parametrize("style", ["bars", "featvis", "table", "swatches", "scatter", "matrix", "curve", "graph"])
def test_no_style_fails_and_no_number_is_in_a_computers_notation(style):
    fields = {
        "curve": "[block3b.expand, block4c.expand, block5c.expand].whole | activation",
        "graph": "[block3b.expand, block4c.expand, block5c.expand].whole | activation",
        "scatter": 'block5c.expand.channel | attribute([output["tabby"], output["tiger cat"]]) | top(4, by=magnitude)',
        "matrix": "block5c.expand.channel | attribute(output[top(2)]) | top(3)",
    }
    field = fields.get(style, "block5c.expand.channel | attribute(output) | top(3)")
    page = run(f"set featvis(size=16, steps=1)\n{field} | present({style})")
    words = " ".join(page.answers.values())
    assert words and not re.search(r"\de[-+]\d|nan|None|-\d", words), words


def test_marks_at_the_ceiling_are_equally_strong():
    """ReLU6 holds many channels at 6: none of them is stronger than the others."""
    page = run("block5c.expand.channel | activation(reduce=max) | top(3) | present(bars)")
    assert set(page.data("element-1").values.ravel()) == {6.0}
    (interface,) = page.view.interfaces
    (element,) = interface.elements
    words = answer_of(element, 0)
    assert re.fullmatch(r"Channels \d+ \(6\.00\), \d+ \(6\.00\) and \d+ \(6\.00\) are equally strong\.", words), words
