"""Every gallery page is drawn without Vega, and as Vega would draw it."""

from __future__ import annotations

from pathlib import Path

import pytest
from same_drawing import twins, walked

from bbilang.runtime.page.html import data_of
from bbilang.runtime.vega.drawable import beyond

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "specs").glob("*.bbi"))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_drawn_as_vega_draws_it(name, compiled, chromium, tmp_path):
    made = compiled(name)
    text = made.path.read_text("utf-8")
    assert [beyond(specification) for specification in data_of(text)["specs"].values() if beyond(specification)] == []
    assert 'id="bbi-vega"' not in text
    colours = "dark" if NAMES.index(name) % 2 else "light"
    with twins(chromium, tmp_path, made.page.view, 1280, colours) as pages:
        assert walked(pages) > 60
