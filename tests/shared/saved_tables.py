"""What a reader saves of an element as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def table(tab, element: str) -> list[dict[str, str]]:
    """Save an element's table in the browser, and return its rows."""
    tab.locator(f"#element-{element} details.save > summary").click()
    with tab.expect_download() as download:
        tab.locator(f'[data-save="csv"][data-element="{element}"]').click()
    tab.keyboard.press("Escape")
    return list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))


def values_of(rows: list[dict[str, str]]) -> np.ndarray:
    """Return the values of a table's rows; NaN where there are none."""
    name = next(key for key in rows[0] if key.startswith("value"))
    return np.array([float(row[name] or "nan") for row in rows])


def column(tab, element: str) -> np.ndarray:
    """Return the values of the table that a reader saves."""
    return values_of(table(tab, element))
