"""Any text is only a text: in titles, names of elements, labels, captions, names of inputs, on pages and in files."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
import views

from bbilang.registry import registry
from bbilang.runtime.page.export import export
from bbilang.runtime.page.html import render
from bbilang.runtime.vega.element import identifier
from bbilang.runtime.view.model import Atom, View

INHERITED = ("constructor", "toString", "valueOf", "hasOwnProperty", "__proto__", "__defineGetter__", "toLocaleString")
TEXTS = (
    *INHERITED,
    'it\'s "quoted" \\ and [bracketed].dotted',
    "two\nlines\tand a tab",
    "\u202eright to left\u202c \u05e2\u05d1\u05e8\u05d9\u05ea",
    "{{ datum.x }} ${x} `code` <b>bold</b> &amp;",
    "=1+1",
    "w" * 5000,
)


def named(words: str) -> View:
    """The teaser, with these words wherever a user's words stand; elements are named so where a name can be."""
    view = views.teaser()
    names = {words: words} if words.isidentifier() else {}
    (interface,) = view.interfaces

    def renamed(element):
        own = next(iter(names), element.id) if element.id == "blocks" else element.id
        atoms = tuple(Atom(atom.key, words) for atom in element.atoms)
        panels = tuple(
            replace(p, label=words, frames=tuple(replace(f, series=(words,) * len(f.series)) for f in p.frames))
            for p in element.panels
        )
        overlays = tuple(map(renamed, element.overlays))
        return replace(element, id=own, title=words, caption=words, alt=words, atoms=atoms, panels=panels,
                       overlays=overlays)  # fmt: skip

    elements = tuple(map(renamed, interface.elements))
    selections = tuple(
        replace(s, title=words, atoms=tuple(Atom(a.key, words) for a in s.atoms),
                start_of=next((words for _ in names if s.start_of == "blocks"), s.start_of))
        for s in view.selections
    )  # fmt: skip
    layout = ("column", tuple(element.id for element in elements))
    predictions = tuple(replace(p, input=words, top=tuple((words, v) for _, v in p.top)) for p in view.predictions)
    one = replace(interface, title=words, layout=layout, elements=elements)
    return replace(view, title=words, interfaces=(one,), selections=selections, predictions=predictions,
                   warnings=(words,), source_name=words)  # fmt: skip


@pytest.mark.parametrize("words", TEXTS, ids=lambda words: repr(words[:20]))
def test_files(words, tmp_path):
    plain = {
        format: export(views.teaser(), tmp_path / f"plain.{format}", format, registry().styles)
        for format in ("svg", "csv")
    }
    view = named(words)
    svg = export(view, tmp_path / "page.svg", "svg", registry().styles).read_text("utf-8")
    assert svg.count("<image") == plain["svg"].read_text("utf-8").count("<image") > 0  # all of it is drawn
    if words in INHERITED:
        assert f">{words}</text>" in svg
    width = float(svg.partition('width="')[2].partition('"')[0])
    assert width < 1800  # no text makes a picture much wider: 1,080 px of text are reckoned by a middling letter
    table = export(view, tmp_path / "page.csv", "csv", registry().styles).read_text("utf-8-sig")
    rows = list(csv.reader(io.StringIO(table, newline="")))
    assert len(rows) == len(list(csv.reader(io.StringIO(plain["csv"].read_text("utf-8-sig"), newline=""))))
    atom = rows[0].index("atom")
    assert {row[atom].removeprefix("'") for row in rows[1:]} <= {words, ""}
    export(view, tmp_path / "page.json", "json", registry().styles)


@pytest.mark.parametrize("words", [TEXTS[0], TEXTS[7]], ids=lambda words: repr(words[:20]))
def test_pictures(words, tmp_path):
    for format in ("png", "pdf"):
        assert export(named(words), tmp_path / f"page.{format}", format, registry().styles).stat().st_size > 10_000


@pytest.mark.browser
@pytest.mark.parametrize(
    "words", [INHERITED[0], "__proto__", *TEXTS[len(INHERITED) :]], ids=lambda words: repr(words[:20])
)
def test_pages(words, chromium, tmp_path):
    path, troubles = tmp_path / "page.html", []
    path.write_text(render(named(words), registry().styles), "utf-8")
    page = chromium.new_page(viewport={"width": 1000, "height": 800})
    try:
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        assert page.locator("h1").text_content() == words
        assert page.locator("svg image").count() > 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 1000
        assert troubles == []
    finally:
        page.close()


@pytest.mark.parametrize(
    "text",
    ["=1", "+1", "-1", "@x", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x", ";=1", " =1", "\t=1", "\tx", "\r=1", ",=1"],
)
def test_no_cell_of_a_table_is_a_formula(text, tmp_path):
    path = export(named(text), tmp_path / "page.csv", "csv", registry().styles)
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    assert {row["atom"] for row in rows if row["atom"]} == {f"'{text}"}
    values = [row["value"] for row in rows]
    assert any(value.startswith("-") for value in values)  # a number stays one
    assert f'"\'{text}"' in path.read_bytes().decode("utf-8-sig")  # and no other separator splits a text


def test_names_of_elements_stay_different():
    names = ["element-2", "element_2d_2", "a_b", "a-b", "a_2d_b", "\u00e9", "_e9_", "_", "__", "_a\u00e9", "_aa_e9_"]
    assert len({identifier(name) for name in names}) == len(names)
    assert all(identifier(name).isascii() and identifier(name).isidentifier() for name in names)
    assert identifier("element-2") == "element_2d_2" and identifier("a_b") == "a_b"
