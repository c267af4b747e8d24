"""The style of each element of a view, as the object that declares it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from bbilang.compiler.contract import Style
from bbilang.runtime.view.model import Element

Styles: TypeAlias = Mapping[str, Style]  # name -> style, as in `Registry.styles`


def style_of(element: Element, styles: Styles) -> Style:
    """Return the style of an element. Raises ValueError if it is not registered."""
    style = styles.get(element.style)
    if style is None:
        raise ValueError(f"element `{element.id}` has the style `{element.style}`, which is not registered")
    return style


def is_map(element: Element) -> bool:
    """Return whether its panels are maps: cells over positions, not slots in a row."""
    return any(panel.shape != (0, 0) for panel in element.panels)


def enlarges_cells(element: Element, styles: Styles) -> bool:
    """Return whether the cell under the pointer is marked and enlarged: icons over positions."""
    return style_of(element, styles).enlarges_cells and is_map(element)


def selects_marks(element: Element, styles: Styles) -> bool:
    """Return whether every mark can be hovered over although the text has no selection over them: an example is ringed
    wherever it is shown."""
    return style_of(element, styles).selects_marks or element.slot_axis == "example"


def selects_positions(element: Element, styles: Styles) -> bool:
    """Return whether its positions can be hovered over although the text has no selection over them."""
    return style_of(element, styles).selects_positions and is_map(element)
