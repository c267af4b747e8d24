"""Point sets as a page holds them, unpacked by an obvious twin of js/points/payload.js."""

from __future__ import annotations

import gzip
import io

import numpy as np
import point_views
import pytest
from PIL import Image

from bbilang.registry import registry
from bbilang.runtime.page.html import data_of, render
from bbilang.runtime.view.model import PointSet
from bbilang.runtime.view.points.pack import MOST_THUMBNAILS, Points, pack

TYPES = {"u1": "u1", "u2": "<u2", "f4": "<f4"}


def sections(packed: PointSet) -> dict[str, object]:
    data, made = gzip.decompress(packed.payload), {}
    for name, kind, count in packed.sections:
        size = int(kind[1]) if kind != "bytes" else 1
        own, data = data[: count * size], data[count * size :]
        if kind == "bytes":
            made[name] = own
        else:
            planes = [own[plane * count : (plane + 1) * count] for plane in range(size)]
            whole = bytes(planes[plane][i] for i in range(count) for plane in range(size))
            made[name] = np.frombuffer(whole, TYPES[kind])
    assert data == b""
    return made


def test_what_is_packed_comes_back():
    points = point_views.cloud(700)
    packed = pack(points)
    found = sections(packed)
    for name, values, (low, high) in zip("xy", (points.x, points.y), packed.ranges, strict=True):
        assert (low, high) == (values.min(), values.max())
        assert np.abs(low + found[name] / 65535 * (high - low) - values).max() <= (high - low) / 65535 / 2 * 1.001
    label, score, correct = packed.columns
    assert label.labels == tuple(sorted(set(point_views.KINDS)))
    words = [label.labels[code] if code < len(label.labels) else "" for code in found["column0"]]
    assert words == points.columns["label"].tolist() and score.step is None and correct.labels == ("no", "yes")
    np.testing.assert_array_equal(found["column1"], points.columns["score"].astype(np.float32))
    np.testing.assert_array_equal(found["column2"] == 1, points.columns["correct"])
    assert found["titles"].decode().split("\n") == list(points.titles)
    assert pack(points).payload == packed.payload, "the same bytes each time"


def test_kinds_of_columns():
    count = 300
    columns = {
        "width": np.arange(count) + 70_000,
        "large": np.arange(count) * 1_000_000,
        "empty": np.full(count, np.nan),
        "one": np.full(count, 3.5),
        "infinite": np.where(np.arange(count) % 2, np.inf, 1.25),
        "file": np.array([f"{i}.jpg" for i in range(count)]),
        "line": np.array([None, "a\nb", float("nan")] * 100, dtype=object),
    }
    packed = pack(Points(np.arange(count), np.zeros(count), columns))
    found, by_name = sections(packed), {column.name: column for column in packed.columns}
    width = by_name["width"]
    np.testing.assert_array_equal(width.low + width.step * found["column0"], columns["width"])
    np.testing.assert_array_equal(found["column1"], columns["large"].astype(np.float32))
    assert np.isnan(found["column2"]).all() and by_name["one"].low == by_name["one"].high == 3.5
    assert np.isnan(found["column4"][1::2]).all() or (found["column4"][1::2] == 65535).all()
    assert by_name["file"].kind == "text" and by_name["line"].labels == ("a b",)
    with pytest.raises(ValueError, match="`short` has 2 values for 300 points"):
        pack(Points(np.arange(count), np.zeros(count), {"short": np.zeros(2)}))


def test_points_without_a_position_are_left_out_and_said():
    x = np.array([0.0, np.nan, 1.0, 2.0, np.inf])
    packed = pack(Points(x, np.arange(5.0), {"n": np.arange(5.0)}, list("abcde")))
    assert (
        packed.count == 3
        and packed.rows == (0, 2, 3)
        and packed.notes == ("2 points have no position and are left out",)
    )
    assert sections(packed)["titles"] == b"a\nc\nd"
    assert pack(Points(x[:1] * np.nan, x[:1])).count == 0


def test_thumbnails_are_sampled_and_said():
    asked = []

    def thumbnail(i: int) -> np.ndarray | None:
        asked.append(i)
        return None if i == 40 else np.full((8, 8, 3), i % 251, np.uint8)

    few = pack(Points(np.arange(60.0), np.zeros(60), thumbnail=thumbnail, side=8))
    assert few.notes == () and few.sheets == 1 and sections(few)["sprites"].tolist() == list(range(60))
    sheet = np.asarray(Image.open(io.BytesIO(sections(few)["sheet0"])))
    assert abs(int(sheet[8 * 3 + 4, 8 * 7 + 4, 0]) - 37) < 12, "row 3, column 7"
    asked.clear()
    many = pack(Points(np.arange(9_000.0), np.zeros(9_000), thumbnail=thumbnail, side=8))
    sprites = sections(many)["sprites"]
    has = np.flatnonzero(sprites != 65535)
    assert len(has) == MOST_THUMBNAILS and has[0] == 0 and has[-1] == 8_999 and np.diff(has).max() <= 5
    assert many.notes == ("2,000 of 9,000 points have a thumbnail, evenly spread in the order of the data",)
    assert len(asked) <= MOST_THUMBNAILS + 100, "no other picture is read"


def test_a_page_with_points_alone_carries_their_script():
    import views

    html, other = (render(view(), registry().styles) for view in (point_views.hundreds, views.teaser))
    assert 'id="bbi-points-map"' in html and "PointChart" in html and "bbi-points-" not in other
    assert "class PointChart" not in other
    header = next(e for e in data_of(html)["elements"] if e["id"] == "map")["points"]
    assert header["count"] == 600 and [c["name"] for c in header["columns"]] == ["label", "score", "correct"]
    assert "<b>bold" not in html, "labels are data"


def test_a_million_points_are_under_15_megabytes():
    """Coordinates that do not compress, two columns, names, 2,000 thumbnails of noise: the worst case."""
    random, count = np.random.default_rng(1), 1_000_000
    columns = {
        "label": np.array([f"class {i}" for i in range(1000)], dtype=object)[random.integers(0, 1000, count)],
        "loss": random.random(count),
    }
    names = [f"val/{i:08d}.JPEG" for i in range(count)]
    packed = pack(
        Points(
            random.random(count),
            random.random(count),
            columns,
            names,
            lambda i: random.integers(0, 256, (48, 48, 3), np.uint8),
            48,
        )
    )
    assert len(packed.payload) * 4 / 3 + 400_000 < 15_000_000
    assert "numbers of columns are rounded to 1/65,534 of their range" in packed.notes
    assert any("have a thumbnail" in note for note in packed.notes)
