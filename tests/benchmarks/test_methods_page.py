"""docs/methods.md and its figure agree with the record, and with the methods' present claims."""

import json
from xml.etree import ElementTree

import pytest

from bbilang.compiler.contract import AXIOMS
from bbilang.registry import registry
from benchmarks import conformance_page as page


@pytest.mark.parametrize("path", page.texts(), ids=lambda path: path.name)
def test_the_page_is_what_was_measured(path):
    assert path.read_text(encoding="utf-8") == page.texts()[path]


def test_the_figure_is_well_formed():
    assert ElementTree.fromstring(page.texts()[page.FIGURE]).tag.endswith("svg")


def test_what_was_measured_is_of_these_methods():
    record = json.loads(page.RESULT.read_text(encoding="utf-8"))
    available = registry().methods
    assert record["axioms"]["words"] == AXIOMS
    assert record["axioms"]["methods"] == {name: list(method.axioms) for name, method in available.items()}
    for method, entry in record["methods"].items():
        assert all(error <= 1e-5 for error in entry["errors"].values()), method


def test_errors_in_short():
    assert [page.short(value) for value in (0, 9.6e-8, 5.1e-8, 2e-6)] == ["0", "1e-7", "5e-8", "2e-6"]
