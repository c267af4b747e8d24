"""What the gallery's pages weigh with icons of their full size and of full detail.

All icons of a page at full steps take minutes, so that here they take one step, in their full size; a few that take
all of their steps say what the others would weigh, since detail is what an icon's bytes are spent on.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import bbilang
from bbilang.runtime.view.model import View

ROOT = Path(__file__).parents[2]
BARS_AND_ICONS = [
    "can_i_trust_this",
    "groups_across_layers",
    "neuron_groups",
    "principal_components",
    "semantic_dictionary",
    "spatial_and_channel",
]
ALONE, TEASER = 400_000, 1_000_000  # bytes
SAMPLE = "block6a.expand.channel | attribute(output) | top(6, by=magnitude) | present(featvis)"


def text_of(name: str) -> str:
    return (ROOT / "specs" / f"{name}.bbi").read_text("utf-8")


def icons(view: View) -> list[int]:
    """Characters that each icon takes on a page."""
    return [-(-len(it.data) // 3) * 4 for it in view.pictures if it.mime == "image/webp"]


def full(text: str) -> list[int]:
    """The weights of a few icons of the size and steps that a text sets."""
    head = "".join(line + "\n" for line in text.splitlines() if line.startswith(("model ", "input ", "set ")))
    return icons(bbilang.run(f"{head}{SAMPLE}\n").view)


@pytest.mark.parametrize("name", [*BARS_AND_ICONS, "teaser"])
def test_a_page_weighs_no_more_than_its_bar(name):
    text = text_of(name)
    page = bbilang.run(text, settings={"featvis.steps": 1})
    plain, drawn = len(page.html().encode()), icons(page.view)
    weight = plain
    if drawn:
        sample = full(text)
        assert len(sample) == 6
        weight += len(drawn) * sum(sample) // len(sample) - sum(drawn)
        assert weight > plain, "one step has less detail than all of them"
    assert weight <= (TEASER if name == "teaser" else ALONE), f"{weight:,} bytes"
