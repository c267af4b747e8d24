"""Maps of values over positions: one small picture per state, alone over the faint input, or over a photo."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts import words
from bbilang.runtime.charts.fading import MOST_FADED, UNDER_TINT, faded, faint_input, spotlight
from bbilang.runtime.charts.maps import (
    FIRST_PICTURE,
    arranged,
    arranged_along_sound,
    map_layer,
    matched,
    number_option,
    outline_layers,
    own_panels,
)
from bbilang.runtime.vega.element import identifier, is_signed
from bbilang.runtime.vega.marks import panel_labels, stacked
from bbilang.runtime.vega.targets import target_layers
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element
from bbilang.runtime.view.repeated import UNSAID


def _over_waveform(element: Element) -> bool:
    """Return whether the map is drawn over a sound, in colours of its own that a dark page leaves as they are."""
    return "along_sound" in element.options and all(panel.shape[0] == 1 for panel in element.panels)


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    """Draw values as a map, or as the grounds of words where the atoms are tokens."""
    if element.slot_axis in ("token", "key", "query"):
        return words.chart(element, theme)
    # page.css knows them by these names, and makes their colours those of a dark page
    host, name = theme.host, f"{'signs' if is_signed(element) else 'scale'}_{identifier(element.id)}"
    if host is None:
        along = "along_sound" in element.options
        geometry = arranged_along_sound(element, theme) if along else arranged(element, theme)
        drawn = map_layer(element, geometry, own_panels(element), FIRST_PICTURE)
        drawn = drawn.properties(name=f"sound_{name}" if _over_waveform(element) else name)
        boxes = outline_layers(element, geometry, own_panels(element))
        front = [*panel_labels(element, geometry), *target_layers(element, geometry, theme)]
        return stacked([*faint_input(element, geometry), drawn, *boxes, *front])
    pairs = matched(element, host.element)
    said = "datum.frame.pictures[0] >= 0 ? datum.frame.label : ''"  # another map may be in front
    unsaid = any(panel.label == UNSAID for panel in host.element.panels)
    labels = panel_labels(element, host.geometry, said) if unsaid else []
    labels += outline_layers(element, host.geometry, pairs)
    if is_signed(element):  # tints, over grey so that they are seen
        strength = number_option(element, "opacity", 1.0)
        tint = map_layer(element, host.geometry, pairs, FIRST_PICTURE, opacity=strength, smooth=True)
        return stacked([*faded(element, host.geometry, pairs, UNDER_TINT), tint.properties(name=name), *labels])
    strength = number_option(element, "opacity", MOST_FADED)
    return stacked([*spotlight(element, host.geometry, pairs, strength), *labels])
