"""Every gallery page again, from cached numbers, in every format: the same page, and nothing runs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from smaller_specs import SMALLER

import bbilang
from bbilang import api
from bbilang.page import FORMATS

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "specs").glob("*.bbi"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_page_again_from_its_numbers(name, compiled, tmp_path):
    steps = compiled(name, *SMALLER.get(name, ())).page.plan  # this made the icons, and kept the numbers
    run = bbilang.Page(api.view(results := api.execute(steps, recall=False)), results, steps)
    again = bbilang.Page(api.view(results := api.execute(steps)), results, steps)
    assert again.results.passes is None  # every element was recalled
    assert again.view.interfaces == run.view.interfaces
    assert again.view.selections == run.view.selections and again.view.predictions == run.view.predictions
    assert again.view.pictures == run.view.pictures
    sizes = {}
    for format in FORMATS:
        sizes[format] = again.save(tmp_path / f"page.{format}").stat().st_size
    assert all(size > 1000 for format, size in sizes.items() if format != "csv"), sizes  # its rows are read below
    with (tmp_path / "page.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["element"] for row in csv.DictReader(file)}
    pictures = ("picture", "dataset")  # of files alone; examples of a channel have its values
    numbers = {e.id for e in steps.program.elements if e.node.inputs[0].type.content not in pictures}
    assert rows == numbers  # each element has its rows
    for element in numbers:
        assert again.data(element).values.size == run.data(element).values.size > 0
