"""Groups over positions: all of them in one picture, or the map of the group that is pointed at."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.maps import FIRST_PICTURE, map_chart
from bbilang.runtime.vega.element import identifier
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    selected, first = f"selected_{identifier(element.id)}", len(element.targets)
    chosen = [f"indexof(datum.frame.series_atoms, {selected}[{first + k}])" for k in range(len(element.selects))]
    shown = f"datum.frame.pictures[1 + max(-1, {', '.join(chosen)})]" if chosen else FIRST_PICTURE
    return map_chart(element, theme, 0.75, shown=shown, smooth=True)
