"""The sentences of a page: read without prior knowledge from its text alone, and heard while navigating by keyboard."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import bbilang
from bbilang.runtime.view.states import start_states

pytestmark = pytest.mark.browser

PAGES = sorted(path.stem for path in (Path(__file__).parents[2] / "specs").glob("*.bbi"))
WHY = ("can_i_trust_this", "spatial_and_channel", "which_pixels_which_concepts")  # one class, and channels for it
NUMBER = r"[+−]?\d+(?:,\d{3})*(?:\.\d+)?"
MARK = re.compile(rf"(\d+) \(({NUMBER})\)")
QUICK = {
    "methods_side_by_side": (
        ("n_steps=256", "n_steps=2"),
        ("n_samples=16", "n_samples=2"),
        ("n_masks=256", "n_masks=8"),
        ("top(3)", "top(2)"),
    ),
}


def value(words: str) -> float:
    return float(words.replace("−", "-").replace("minus ", "-").replace(",", ""))


@pytest.fixture(scope="module")
def scores() -> dict[str, float]:
    """Class -> its logit for chelsea, computed apart."""
    page = bbilang.run(
        'bbi 1\nmodel efficientnet_lite0\ninput "sample:chelsea"\nlogits = output[top(5)] | present(table)'
    )
    (frame,) = page.view.interfaces[0].elements[0].panels[0].frames
    atoms = page.view.interfaces[0].elements[0].atoms
    return {atoms[atom].label: row[0] for atom, row in zip(frame.atoms, frame.values, strict=True)}


@pytest.mark.parametrize("name", WHY)
def test_an_untrained_eye_reads_class_confidence_channels_and_share(read, scores, name):
    """Which class, how sure, which three channels, how much of the score? The page's visible text alone."""
    reader = read(name)
    text = reader.tab.locator("main").inner_text().replace("\u00a0", " ")
    opening = text.split("How to read this")[0]
    three = ", ".join([rf"(\d+) \({NUMBER}\)"] * 2) + rf" and (\d+) \({NUMBER}\)"
    said = re.search(rf"Channels {three} contribute most to ([\w ]+) \((\d+) %\)\. The \w+ channels shown.*", opening)
    assert said, opening
    view = reader.compiled.page.view
    label, probability = view.predictions[0].top[0]
    assert (said[4], said[5]) == (label, f"{100 * probability:.0f}")
    lead = next(e for e in view.interfaces[0].elements if e.id == view.interfaces[0].lead)
    data = reader.data(lead.id)
    values = data.values if "measure" not in data.axes else data.values.take(0, data.axes.index("measure"))
    order = np.argsort(-np.abs(values.ravel()))[:3]
    assert [int(said[i]) for i in (1, 2, 3)] == data.coords["channel"][1].ravel()[order].tolist()
    sums = [value(number) for number in re.findall(rf"(?:to|hold|of|is) ({NUMBER})(?=[ .,;]|$)", said[0])]
    assert any(abs(number - values.sum()) < 0.006 for number in sums), (said[0], values.sum())
    assert any(abs(number - scores[label]) < 0.006 for number in sums), (said[0], scores[label])


def test_the_teaser_says_what_tells_the_classes_apart(read, scores):
    reader = read("teaser")
    for choice in (None, "lynx"):
        if choice:
            reader.tab.locator("select").nth(1).select_option(label=choice)
            reader.rest()
        first, second = (
            s.evaluate("it => it.selectedOptions[0].textContent") for s in reader.tab.locator("select").all()
        )
        words = reader.tab.locator(".lead").inner_text().replace("\u00a0", " ")
        ends = re.search(rf"\(({NUMBER}) and ({NUMBER})\)", words)
        assert [value(ends[1]), value(ends[2])] == pytest.approx([scores[first], scores[second]], abs=0.006)
        favoured = dict(MARK.findall(words))
        assert 2 <= len(favoured) <= 6 and all(f"channel {number}" in reader.texts("blocks") for number in favoured)


def shown_now(reader, element: str) -> dict[str, list[float]]:
    """Return the number of each atom in the element's chart -> the numbers drawn there, in reading order."""
    texts = reader.texts(element)
    known: dict[str, list[float]] = {}
    last = ""
    for text in texts:
        named = re.fullmatch(r"(?:\w+ )?(?:channel|group|component) (\d+)", text)
        last = named[1] if named else last
        if named:
            known.setdefault(last, [])
    numbers = [value(match[0]) for text in texts if (match := re.match(NUMBER, text))]
    return {name: numbers for name in known}


@pytest.mark.parametrize("name", PAGES)
def test_what_is_heard_on_a_walk_by_keyboard_is_what_is_shown(read, name):
    reader = read(name, *QUICK.get(name, ()))
    page, status = reader.tab, reader.tab.locator("#status")
    elements = {e.title: e.id for i in reader.compiled.page.view.interfaces for e in i.elements}
    compared = 0
    for chart in page.locator("[data-chart]").all():
        labelled(reader, chart)
        if chart.get_attribute("tabindex") is None:
            continue
        chart.focus()
        for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowLeft"):
            before = status.inner_text()
            page.keyboard.press(key)
            reader.rest()
            heard = status.inner_text().replace("\u00a0", " ")
            if heard == before:
                continue
            assert not re.search(r"\d[eE][-+]?\d|NaN|undefined|null", heard), heard
            for title, identity in elements.items():
                if f"{title}: " not in heard:
                    continue
                own = heard.split(f"{title}: ", 1)[1].replace("minus ", "−")
                shown = shown_now(reader, identity)
                for number, words in MARK.findall(own.split(". ")[0]):
                    if number in shown:
                        assert any(abs(abs(value(words)) - abs(drawn)) < 0.06 for drawn in shown[number]), (
                            heard,
                            shown,
                        )
                        compared += 1
            labelled(reader, chart)
        page.keyboard.press("Escape")
    if name == "semantic_dictionary":
        assert compared >= 6, "moving through the dictionary tells the neurons"


def labelled(reader, chart) -> None:
    """The accessible name of a chart lists the marks that are drawn now, and no others."""
    label = (chart.get_attribute("aria-label") or "").replace("\u00a0", " ")
    element = next(e for i in reader.compiled.page.view.interfaces for e in i.elements
                   if e.id == chart.get_attribute("data-chart"))  # fmt: skip
    if any(panel.shape != (0, 0) for panel in element.panels) or len(element.panels) > 1:
        return
    drawn = {text for text in reader.texts(element.id) if re.fullmatch(r"channel \d+", text)}
    told = {
        f"channel {number}"
        for number in re.findall(r"channel (\d+)(?= [^(]*\d)", label.rpartition(". Point at")[0] or label)
    }
    assert len(drawn - told) <= max(0, len(drawn) - 8), (drawn, label)


def test_words_point_at_their_marks(read):
    """Hovering, focusing and leaving what speaks of a mark rings it and lets it go."""
    reader = read("can_i_trust_this")
    reader.tab.mouse.move(2, 2)
    rings = "[data-chart=channels] svg"
    ring = lambda: reader.tab.locator(rings).inner_html()  # noqa: E731
    before, link = ring(), reader.tab.locator(".lead .ref").first
    link.hover()
    reader.rest()
    assert ring() != before
    reader.tab.mouse.move(2, 2)
    reader.rest()
    assert ring() == before
    link.focus()
    reader.rest()
    assert ring() != before


def test_every_page_opens_with_a_sentence_that_follows_the_state(read):
    for name in PAGES:
        reader = read(name, *QUICK.get(name, ()))
        view = reader.compiled.page.view
        states = start_states(view)
        lead = reader.tab.locator(".lead .answer")
        assert lead.count() == 1, name
        element = next(e for e in view.interfaces[0].elements if e.id == view.interfaces[0].lead)
        said = "".join(piece.words for piece in element.answers[states[element.id]])
        assert lead.inner_text() == said
        for state in element.states:
            menu = reader.tab.locator(f"select[data-selection='{state}']")
            if menu.count():
                menu.select_option(index=1)
                reader.rest()
                assert lead.inner_text() != said, name
                break
