"""What a reader does with a page, in a real browser."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import views
from PIL import Image

from bbilang.runtime.view.hues import PALETTE
from bbilang.runtime.view.model import Piece, View
from bbilang.runtime.view.states import elements

pytestmark = pytest.mark.browser


def href(page, element: str, layer: int = 0) -> list[str]:
    """Addresses of the pictures drawn in the image layers of an element, as the DOM has them."""
    marks = page.locator(f"[data-chart='{element}'] .mark-image").nth(layer).locator("image")
    return [image.get_attribute("href") or image.get_attribute("xlink:href") for image in marks.all()]


def hits(page, element: str):
    return page.locator(f"[data-chart='{element}'] [class*=front_hit_] path")


def test_pointing_at_an_icon_changes_the_overlay_drawn_on_the_photo(show):
    page = show(views.teaser)
    before, photo = href(page, "photo", 1), href(page, "photo", 0)
    shot = page.locator("[data-chart=photo]").screenshot()
    hits(page, "blocks").nth(4).hover()
    after = href(page, "photo", 1)
    assert before != after and after[0].startswith("data:image/png")
    assert href(page, "photo", 0) == photo
    assert page.locator("[data-chart=photo]").screenshot() != shot
    assert "channel" in page.locator("[data-now=where]").inner_text()
    assert page.url.endswith("#hover-1=mixed4d+channel=12")


def test_menus_change_icons_and_the_overlay_starts_at_the_first_icon(show):
    page = show(views.teaser)
    icons, overlay = href(page, "blocks"), href(page, "photo", 1)
    assert page.locator("[data-now=where]").inner_text() == "channel 447"
    page.get_by_label("b", exact=True).select_option(label="Egyptian cat")
    assert href(page, "blocks") != icons
    page.get_by_label("a", exact=True).select_option(label="tabby")
    assert href(page, "photo", 1) != overlay  # not yet chosen: it follows the first icon
    assert "tabby" in page.locator("[data-chart=blocks]").inner_text()
    first = page.locator("[data-now=where]").inner_text()
    hits(page, "blocks").nth(2).hover()
    chosen = page.locator("[data-now=where]").inner_text()
    assert chosen != first
    page.get_by_label("a", exact=True).select_option(label="tiger cat")
    assert page.locator("[data-now=where]").inner_text() == chosen  # chosen: it stays, shown or not


def test_a_cell_of_the_photo_selects_the_icons(show):
    page = show(views.dictionary)
    box = hits(page, "photo").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 2.5 / 14, box["y"] + box["height"] * 11.5 / 14)
    assert page.locator("[data-now=neurons]").inner_text() == "row 11, column 2"
    assert page.url.endswith("#cell=mixed4d+y=11,x=2")
    drawn = href(page, "neurons")
    page.mouse.move(box["x"] + box["width"] * 12.5 / 14, box["y"] + box["height"] * 1.5 / 14)
    assert page.locator("[data-now=neurons]").inner_text() == "row 1, column 12"
    assert href(page, "neurons") != drawn


def test_cells_of_maps_and_grids_and_an_overlay_on_an_overlay(show):
    page = show(views.atlas)
    assert href(page, "photo", 3)[0].startswith("data:image/gif")  # nothing is chosen: nothing is drawn
    assert page.locator("[data-now=inner]").inner_text() == ""
    assert page.locator("[data-waits=inner]").text_content().startswith("Point at a position in “")
    box = hits(page, "grid").nth(1).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 3.5 / 4, box["y"] + box["height"] * 0.5 / 4)
    assert page.locator("[data-now=inner]").inner_text() == "row 0, column 3"
    assert href(page, "photo", 3)[0].startswith("data:image/png")
    page.locator("[data-chart=heat]").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("[data-now=inner]").inner_text() == "row 1, column 3"
    page.keyboard.press("ArrowRight")  # the end of a row is the end
    assert page.locator("[data-now=inner]").inner_text() == "row 1, column 3"


def test_the_address_restores_the_state_and_strange_ones_are_ignored(show):
    page = show(views.dictionary, "#cell=mixed4d+y=3,x=9&nobody=1&%E0%A4%A&cell=mixed4d+y=99,x=0&__proto__=x")
    assert page.locator("[data-now=neurons]").inner_text() == "row 3, column 9"
    page.evaluate("location.hash = '#cell=mixed4d+y=0,x=0'")
    page.wait_for_function("document.querySelector('[data-now=neurons]').textContent === 'row 0, column 0'")
    page.evaluate("location.hash = '#cell=nonsense'")
    page.wait_for_function("document.querySelector('[data-now=neurons]').textContent === 'row 6, column 6'")
    page = show(views.teaser, "#a=output+class=282")
    assert page.get_by_label("a", exact=True).evaluate("it => it.selectedOptions[0].text") == "tabby"


def test_keyboard(show):
    page = show(views.dictionary)
    chart = page.locator("[data-chart=photo]")
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.locator("[data-now=neurons]").inner_text() == "row 7, column 7"
    assert page.locator("#status").inner_text().startswith("row 7, column 7")
    assert chart.evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
    page.keyboard.press("Escape")
    assert page.locator("[data-now=neurons]").inner_text() == "row 6, column 6"
    assert "#" not in page.url


def heard(element, state):
    """What is said of an element of marks in a state, from the numbers of its view."""
    words = []
    for frame in (panel.frames[state] for panel in element.panels):
        for atom, values in zip(frame.atoms, frame.values, strict=True):
            numbers = [f"{s} {'minus ' if v < 0 else ''}{abs(float(f'{v:.5g}')):g}".strip()
                       for s, v in zip(frame.series or ("",), values, strict=True)]  # fmt: skip
            words.append(f"{element.atoms[atom].label} {', '.join(numbers)}")
    return words


def test_what_is_heard_is_what_is_shown(show):
    """A dictionary by keyboard: each cell with its neurons, in the announcement and in the label of their chart."""
    page = show(views.dictionary)
    neurons = next(e for e in elements(views.dictionary()) if e.id == "neurons")
    status, label = page.locator("#status"), page.locator("[data-chart=neurons]")
    assert all(words in label.get_attribute("aria-label") for words in heard(neurons, 6 * 14 + 6)), "as the page opens"
    page.locator("[data-chart=photo]").focus()
    cell = [6, 6]
    for key, step in (("ArrowRight", (0, 1)), ("ArrowDown", (1, 0)), ("ArrowDown", (1, 0)), ("ArrowLeft", (0, -1))):
        page.keyboard.press(key)
        cell = [cell[0] + step[0], cell[1] + step[1]]
        said = status.inner_text()
        assert said.startswith(f"row {cell[0]}, column {cell[1]}") and "cell" not in said, "no variable of the text"
        for words in heard(neurons, cell[0] * 14 + cell[1]):
            assert words in said and words in label.get_attribute("aria-label")
    assert f"shown: row {cell[0]}, column {cell[1]}" in label.get_attribute("aria-label")


def test_labels_follow_menus(show):
    page = show(views.teaser)
    blocks = next(e for e in elements(views.teaser()) if e.id == "blocks")
    for state, (menu, choice) in ((2, ("b", "Egyptian cat")), (5, ("a", "tabby"))):
        page.get_by_label(menu, exact=True).select_option(label=choice)
        label = page.locator("[data-chart=blocks]").get_attribute("aria-label")
        assert all(words in label for words in heard(blocks, state)), choice
        said = page.locator("#status").inner_text()
        assert said.startswith(f"{choice}. ") and heard(blocks, state)[0] in said
    assert "channel" in page.locator("[data-chart=photo]").get_attribute("aria-label"), "what lies over the photo"


def test_click_enter_and_a_second_click(show):
    page = show(views.survey)
    scores = href, page.locator("[data-now=scores]")
    hits(page, "bars").nth(3).click()
    assert scores[1].inner_text() == "channel 271"
    hits(page, "bars").nth(3).click()
    assert scores[1].inner_text() == "channel 5"  # a second click goes back
    page.locator("[data-chart=swatches]").focus()
    page.keyboard.press("ArrowRight")
    assert scores[1].inner_text() == "channel 5"  # the cursor moved, nothing was clicked
    page.keyboard.press("Enter")
    assert scores[1].inner_text() == "channel 88"


def test_picker_of_inputs_and_slider(show):
    page = show(views.survey)
    photo = href(page, "photo")
    page.get_by_label("input", exact=True).select_option(label="flower.jpg")
    assert href(page, "photo") != photo
    blank = sum(image.startswith("data:image/gif") for image in href(page, "groups"))
    slider = page.get_by_label("groups", exact=True)
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-output=n]").inner_text() == "8"
    assert sum(image.startswith("data:image/gif") for image in href(page, "groups")) == blank - 2 == 0


def test_words_of_a_caption_select(show):
    page = show(views.teaser)
    page.locator(".ref", has_text="this one").hover()
    assert page.locator("[data-now=where]").inner_text() == "channel 205"
    assert page.locator(".ref", has_text="this one").get_attribute("aria-pressed") == "true"


def test_touch(show):
    page = show(views.teaser, width=375, has_touch=True)
    hits(page, "blocks").nth(1).tap()
    assert page.locator("[data-now=where]").inner_text() == "channel 128"


@pytest.mark.parametrize(
    "view", [views.teaser, views.dictionary, views.survey, views.hostile], ids=lambda v: v.__name__
)
def test_no_horizontal_scroll_on_a_phone_and_icons_are_not_tiny(show, view):
    page = show(view, width=375)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    for name in ("blocks", "neurons", "groups"):
        for box in [hit.bounding_box() for hit in hits(page, name).all()]:
            assert box["width"] >= 80 or box["width"] < 1  # an empty slot takes no pointer


def test_dark_and_light(show):
    page = show(views.teaser, color_scheme="dark")
    text = "document.querySelector('[data-chart=blocks] text')"
    colour = f"() => [getComputedStyle(document.body).backgroundColor, getComputedStyle({text}).fill]"
    paper, ink = page.evaluate(colour)
    assert (paper, ink) == ("rgb(21, 23, 27)", "rgb(231, 233, 237)")
    page.locator("#theme").click()
    assert page.evaluate(colour) == ["rgb(255, 255, 255)", "rgb(28, 31, 36)"]


def test_hostile_strings_are_text(show):
    page = show(views.hostile)
    assert page.evaluate("window.pwned") is None
    assert page.locator("img").count() == 0
    assert page.locator("h1").text_content() == views.HOSTILE
    assert page.evaluate("document.getElementById('bbi-source').textContent.length") > 100
    hits(page, "blocks").nth(1).hover()
    assert "onerror" in page.locator("[data-now=where]").text_content()
    assert page.evaluate("window.pwned") is None


def test_saved_files(show, tmp_path: Path):
    page, names = show(views.teaser), []

    def saved(name: str, element: str = "blocks") -> bytes:
        page.locator(f"#element-{element} .save summary").click()
        with page.expect_download() as download:
            page.locator(f"#element-{element} .save button", has_text=re.compile(name)).click()
        download.value.save_as(tmp_path / "file")
        names.append(download.value.suggested_filename)
        return (tmp_path / "file").read_bytes()

    rows = list(csv.reader(io.StringIO(saved("CSV").decode("utf-8-sig"))))
    assert rows[0] == ["a", "b", "panel", "slot", "channel", "class", "value (logits)", "note"]
    assert len(rows) == 1 + 9 * 6 * 2  # every state
    assert rows[1][:2] == ["tiger cat", "tiger cat"] and rows[1][4].startswith("channel ")
    assert saved("SVG").startswith(b"<svg")
    assert saved("PNG").startswith(b"\x89PNG")
    page.get_by_label("b", exact=True).select_option(label="Egyptian cat")
    drawing = ElementTree.fromstring(saved("SVG"))
    words = " ".join(text.text or "" for text in drawing.iter("{http://www.w3.org/2000/svg}text"))
    for part in ("Channels that tell the two apart", "a: tiger cat; b: Egyptian cat",
                 "Three channels speak most for", "Attribution to the class, in logits",
                 "Tiger cat or tabby? · EfficientNet-Lite0", "channel "):  # fmt: skip
        assert part in words, part
    assert "Point at" not in words
    hits(page, "blocks").nth(1).hover()
    shown = page.locator("[data-now=where]").inner_text().replace(" ", "-")
    photo = Image.open(io.BytesIO(saved("PNG", "photo")))
    assert photo.size[0] >= 2 * 520 and photo.convert("RGB").getpixel((4, 4)) == (255, 255, 255)
    scale = saved("SVG", "photo").decode()
    assert scale.count("<stop ") == 2 and 'stop-color="#525252"' in scale, "from grey and faded to the photo in full"
    assert names == [
        "teaser-blocks.csv",
        "teaser-blocks-tiger-cat-tabby.svg",
        "teaser-blocks-tiger-cat-tabby.png",
        "teaser-blocks-tiger-cat-Egyptian-cat.svg",
        f"teaser-photo-{shown}.png",
        f"teaser-photo-{shown}.svg",
    ], "one name for one picture"


def _labelled(words):
    """The teaser with other labels in its second menu."""
    view = views.teaser()
    renamed = (replace(s, atoms=tuple(replace(a, label=w) for a, w in zip(s.atoms, words, strict=True)))
               if s.id == "b" else s for s in view.selections)  # fmt: skip
    return replace(view, selections=tuple(renamed))


def led() -> View:
    """The teaser opening with the answer of its icons."""
    view = views.teaser()
    (interface,) = view.interfaces
    photo, blocks = interface.elements
    blocks = replace(blocks, answers=((Piece("Six channels tell the two apart."),),) * 9)
    return replace(view, interfaces=(replace(interface, elements=(photo, blocks), lead="blocks"),))


def test_a_saved_picture_has_the_answer_that_stands_at_the_top_of_the_page(show):
    page = show(led)
    said = page.locator(".lead [data-answer=blocks]").inner_text()
    page.locator("#element-blocks .save summary").click()
    with page.expect_download() as download:
        page.locator("#element-blocks .save button", has_text="SVG").click()
    drawing = ElementTree.fromstring(Path(download.value.path()).read_bytes())
    words = " ".join(text.text or "" for text in drawing.iter("{http://www.w3.org/2000/svg}text"))
    assert said and " ".join(said.split()) in words
    assert " ".join(said.split()) not in page.locator("#element-blocks").inner_text()


def symbols():
    return _labelled(("C++", "C#", "C"))


def long_labels():
    return _labelled([f"a very long label that begins like the other one: {i}" for i in range(3)])


@pytest.mark.parametrize("view", [symbols, long_labels])
def test_names_of_saved_files_differ_where_letters_are_lost(show, view):
    page, names = show(view), set()
    for choice in ("0", "1", "2"):
        page.get_by_label("b", exact=True).select_option(choice)
        page.locator("#element-blocks .save summary").click()
        with page.expect_download() as download:
            page.locator("#element-blocks .save button", has_text="SVG").click()
        names.add(download.value.suggested_filename)
    assert len(names) == 3 and all(name.endswith(".svg") and len(name) < 140 for name in names), names


def test_print_is_light(show):
    page = show(views.teaser, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("#theme").is_hidden()


@pytest.mark.parametrize(
    ("view", "selector"),
    [("teaser", ".prediction b"), ("teaser", ".gradient"), ("teaser", ".prediction i")],
)  # fmt: skip
def test_what_is_drawn_as_a_background_is_printed(show, view, selector):
    """Browsers leave out backgrounds in print unless the page asks for them."""
    page = show(getattr(views, view))
    page.emulate_media(media="print")
    path, _, part = selector.partition("::")
    how = "(node, part) => getComputedStyle(node, part ? '::' + part : null).printColorAdjust"
    assert page.locator(path).first.evaluate(how, part) == "exact"


def swatched() -> View:
    """The teaser with swatches in place of icons."""
    teaser = views.teaser()
    (page,) = teaser.interfaces
    elements = tuple(replace(e, style="swatches") if e.id == "blocks" else e for e in page.elements)
    return replace(teaser, interfaces=(replace(page, elements=elements),))


def test_a_swatch_against_a_class_is_a_minus(show):
    """A colour stands for its class: full for it, a minus against it; the net is full in the colour that it favours."""
    page = show(swatched)
    element = swatched().interfaces[0].elements[1]
    values = element.panels[0].frames[1].values  # tiger cat, tabby: as the page opens
    for line, colour in enumerate(PALETTE[:2]):
        boxes = page.locator(f"[data-chart=blocks] path[fill='{colour}']")
        heights = [box.bounding_box()["height"] for box in boxes.all() if box.get_attribute("fill-opacity")]
        against = sum(slot[line] < 0 for slot in values)
        assert against and sum(height < 5 for height in heights) == against, colour
        favoured = sum((slot[0] >= slot[1]) == (line == 0) for slot in values)
        assert sum(height > 12 for height in heights) == len(values) - against + favoured


def test_the_evidence_under_icons_is_bars_around_zero(show):
    """Right of the line for a class, left against it, as long as the number; the net as long as the difference."""
    page = show(views.teaser)
    values = views.teaser().interfaces[0].elements[1].panels[0].frames[1].values
    lines = [[a - b for a, b in values], *([slot[k] for slot in values] for k in (0, 1))]
    numbers = [number for line in lines for number in line]
    boxes = page.evaluate("""() => {
        const box = (node) => { const {left, right} = node.getBoundingClientRect(); return {left, right}; };
        const mark = (node) => ({...box(node), fill: node.getAttribute("fill")});
        const groups = [...document.querySelectorAll("[data-chart=blocks] .mark-rect")];
        return groups.map((group) => [...group.querySelectorAll("path")].map(mark)).filter((all) => all.length == 18);
    }""")
    bars, zeros = boxes[0], boxes[1]
    every = [slot for frame in views.teaser().interfaces[0].elements[1].panels[0].frames for slot in frame.values]
    scale = max(abs(a - b) for a, b in every)  # of all states; the planted legend ends before the largest number
    numbers = [min(max(number, -scale), scale) for number in numbers]
    longest = max(bar["right"] - bar["left"] for bar in bars)
    assert longest > 8
    for bar, zero, number in zip(bars, zeros, numbers, strict=True):
        middle = (zero["left"] + zero["right"]) / 2
        signed = bar["right"] - middle if number > 0 else bar["left"] - middle
        assert signed == pytest.approx(longest * number / max(map(abs, numbers)), abs=0.35)
    nets = [bar["fill"] for bar in bars[:6]]
    assert nets == [PALETTE[0] if net >= 0 else PALETTE[1] for net in lines[0]]


def test_a_key_takes_one_line_where_there_is_room(show):
    page = show(views.teaser)
    words = ("net: tiger cat \u2212 tabby", "tiger cat", "tabby")
    tops = {
        page.locator("[data-chart=blocks] text", has_text=re.compile(f"^{w}$")).first.bounding_box()["y"] for w in words
    }
    assert len(tops) == 1


def test_what_is_selected_has_a_ring_of_no_class(show):
    page = show(views.teaser)
    hits(page, "blocks").nth(1).hover()
    strokes = {path.get_attribute("stroke") for path in page.locator("[data-chart=blocks] path[stroke]").all()}
    assert "currentColor" in strokes and strokes.isdisjoint(PALETTE)


def test_pointing_changes_only_what_follows_it(show):
    """Each of twenty positions changes the DOM, and far fewer nodes of it than the page has.
    `benchmarks/hover.py` measures how long that takes."""
    page = show(views.teaser)
    changed, nodes = page.evaluate("""async () => {
        const paths = [...document.querySelectorAll("[class*=front_hit_blocks] path")], changed = [];
        let nodes;
        const seen = new MutationObserver((all) => all.forEach((it) => nodes.add(it.target)));
        seen.observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
        for (let i = 0; i < 20; i++) {
            const path = paths[i % paths.length], box = path.getBoundingClientRect();
            const at = {bubbles: true, clientX: box.x + 9, clientY: box.y + 9};
            nodes = new Set();
            path.dispatchEvent(new PointerEvent("pointermove", at));
            await new Promise(requestAnimationFrame);
            changed.push(nodes.size);
        }
        return [changed, document.querySelectorAll("*").length];
    }""")
    assert min(changed) > 0 and max(changed) < nodes / 4
