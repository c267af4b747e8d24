"""Components as colours over positions, alone or over what is below."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.maps import map_chart
from bbilang.runtime.vega.element import series
from bbilang.runtime.vega.marks import MarkProperty
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    # Two components leave light what they do not mark; the grey of three would only darken what is below.
    blended = theme.host is not None and series(element) == 2
    multiplied: dict[str, MarkProperty] = {"blend": "multiply"} if blended else {}
    return map_chart(element, theme, 0.6, **multiplied)
