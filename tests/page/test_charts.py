"""Vega-Lite specifications: valid, with every state inside, whatever a view holds."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import altair
import numpy as np
import pytest
import views
from PIL import Image

from bbilang.registry import registry
from bbilang.runtime.page.export import export
from bbilang.runtime.vega.colours import colour_map_png
from bbilang.runtime.vega.specification import charts, layouts
from bbilang.runtime.vega.standalone import specification
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element, Frame, Interface, Panel, Selection
from bbilang.runtime.view.states import elements


def test_specifications_are_valid_vega_lite():
    for made in [
        layouts(views.teaser(), registry().styles)["photo"],
        *layouts(views.hostile(), registry().styles).values(),
    ]:
        altair.LayerChart.from_dict(made, validate=True)


def test_every_state_is_in_the_specification():
    view = views.dictionary()
    made = charts(view, registry().styles)["neurons"]
    frames = next(p["value"] for p in made["params"] if p["name"] == "frames_neurons")
    assert len(frames[0]) == 14 * 14 + 1  # and one that draws nothing
    assert next(p["value"] for p in made["params"] if p["name"] == "state_neurons") == 6 * 14 + 6


def test_a_thousand_states_are_not_validated(monkeypatch):
    """State tables are attached after Altair's validation, which takes 1.9 s for 1,225 states: it sees none of them."""
    seen = []
    monkeypatch.setattr(altair.LayerChart, "to_dict", _noting(altair.LayerChart.to_dict, seen))
    made = json.dumps(charts(views.dictionary(35), registry().styles))
    assert seen and max(seen) < 100_000 < len(made)


def _noting(to_dict, seen):
    def noting(self, *arguments, **named):
        made = to_dict(self, *arguments, **named)
        seen.append(len(json.dumps(made)))
        return made

    return noting


@pytest.mark.parametrize("style", ["featvis", "bars", "swatches", "image", "heatmap"])
def test_empty_slots_missing_values_and_nothing_at_all(style, tmp_path):
    frames = (
        Frame((0, -1, 1), (0, -1, -1), ((1.0, None), (None, None), (float("nan"), 2e-9)), ("a", "b"), ("", "", "dead")),
        Frame(),
    )
    view = views.teaser()
    atoms = view.interfaces[0].elements[1].atoms
    element = Element("odd id—ü", style, "", "", "", atoms, (Panel("", frames), Panel("ü", frames)), states=("s",))
    view = replace(
        view,
        interfaces=(Interface("", "odd id—ü", (element,)),),
        selections=(Selection("s", "pick", "s", atoms[:2], 0),),
    )
    for start in (1, None):
        view = replace(view, selections=(replace(view.selections[0], start=start),))
        assert export(view, tmp_path / "picture.svg", "svg", registry().styles).stat().st_size > 1000


def test_an_unknown_style_is_named():
    view = views.teaser()
    element = replace(view.interfaces[0].elements[0], style="hologram")
    with pytest.raises(ValueError, match="hologram"):
        charts(replace(view, interfaces=(Interface("", "photo", (element,)),)), registry().styles)


def test_narrow_charts_wrap():
    wide, narrow = (layouts(views.teaser(), registry().styles, Theme(room=room))["blocks"] for room in (1000, 340))
    assert wide["width"] > 700 and narrow["width"] <= 340 and narrow["height"] > wide["height"]


def test_colour_maps():
    values = np.array([[-1.0, 0.0, 1.0], [float("nan"), 5.0, -5.0]])
    image = Image.open(io.BytesIO(colour_map_png(values, (-1, 1), True))).convert("RGBA")
    assert image.size == (3, 2)
    assert image.getpixel((1, 0))[3] == 0  # zero leaves the photo as it is
    assert image.getpixel((2, 0))[3] > 200  # the ends are nearly opaque
    assert image.getpixel((0, 1))[3] == 0  # not a number: transparent
    assert image.getpixel((2, 0)) == image.getpixel((1, 1)) != image.getpixel((0, 0)) == image.getpixel((2, 1))
    assert colour_map_png(values, (-1, 1), True) == colour_map_png(values, (-1, 1), True)


@pytest.mark.parametrize(
    ("format", "begins"), [("png", b"\x89PNG"), ("svg", b"<svg"), ("pdf", b"%PDF"), ("html", b"<!DOC")]
)
def test_exports(format, begins, tmp_path):
    path = export(views.teaser(), tmp_path / f"page.{format}", format, registry().styles)
    assert path.read_bytes().startswith(begins)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_static_picture_names_what_it_shows(tmp_path):
    """Beside titles that follow the reader on a page; a live specification has none, since it would not follow."""
    static = specification(views.teaser(), [], registry().styles, live=False)
    words = json.dumps(static, ensure_ascii=False)
    where = next(e for e in elements(views.teaser()) if e.id == "where")
    first = next(s for s in views.teaser().selections if s.id in where.states and s.kind == "hover").atoms
    assert any(f"{where.title} ({atom.label}): " in words.replace('", "', " ") for atom in first)
    assert f"{where.title} (" not in json.dumps(specification(views.teaser(), [], registry().styles))
    assert ", -" not in " ".join(re.findall(r'"subtitle": \[[^]]*', words)), "a minus, not a hyphen"


def test_a_large_page_as_pdf(tmp_path):
    assert export(views.survey(), tmp_path / "page.pdf", "pdf", registry().styles).stat().st_size > 10_000


def test_long_table(tmp_path):
    path = export(views.hostile(), tmp_path / "numbers.csv", "csv", registry().styles)
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))
    assert rows[0] == ["element", "a", "b", "channel", "facet", "slot", "atom", "series", "value", "unit", "note"]
    assert sum(row[0] == "blocks" for row in rows) == 9 * 6 * 2
    units = {e.id: e.legend.unit if e.legend else "" for e in elements(views.hostile())}
    assert all(row[-2] == units[row[0]] for row in rows[1:]) and any(units.values())
    assert sum(row[0] == "where" for row in rows) == 12 * 196


def test_json_is_one_specification_and_its_pictures(tmp_path):
    path = export(views.teaser(), tmp_path / "teaser.json", "json", registry().styles)
    specification = json.loads(path.read_text())
    pictures = next(p["value"] for p in specification["params"] if p["name"] == "pictures")
    assert pictures and all((tmp_path / picture).is_file() for picture in pictures)
    binds = [p["bind"] for p in specification["params"] if "bind" in p]
    assert [bind["labels"] for bind in binds] == [list(views.CLASSES)] * 2
    export(views.dictionary(), path, "json", registry().styles)  # over it: old pictures go
    assert len(list((tmp_path / "teaser_files").iterdir())) == len({p.data for p in views.dictionary().pictures})


def test_nothing_half_written(tmp_path):
    target = tmp_path / "there.csv"
    target.mkdir()
    with pytest.raises(OSError):
        export(views.teaser(), target, "csv", registry().styles)
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(ValueError, match="gif"):
        export(views.teaser(), tmp_path / "page.gif", "gif", registry().styles)
