"""docs/zoo.md agrees with its record, and every recorded answer is right or refused."""

import json

import pytest

from benchmarks import zoo_page as page
from benchmarks.zoo_networks import NETWORKS

ROWS = [json.loads(line) for line in page.RESULT.read_text(encoding="utf-8").splitlines()][1:]


def test_the_page_is_what_was_measured():
    assert page.PAGE.read_text(encoding="utf-8") == page.page()


def test_every_network_was_tried():
    assert [row["name"] for row in ROWS] == [network.name for network in NETWORKS] and len(ROWS) >= 100


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_no_number_is_wrong_and_nothing_ends_in_a_traceback(row):
    outcomes = row.get("outcomes") or {"described": row["described"]}
    assert {answer["outcome"] for answer in outcomes.values()} <= {"right", "refused"}
    right = [answer for answer in outcomes.values() if answer["outcome"] == "right"]
    assert all(answer["error"] < 1e-3 or answer["error"] <= 2 * answer["own"] for answer in right)


def test_memory_levels_off():
    """The minimum over the last half of one process is no more than the largest network of the first half explains."""
    resident = [row["resident_mb"] for row in ROWS]
    half = len(resident) // 2
    assert min(resident[half:]) <= max(resident[:half])
