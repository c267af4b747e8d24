"""A picture that is repeated, once for each panel of what is drawn over it."""

from __future__ import annotations

from dataclasses import replace

from bbilang.runtime.view.model import Element, Panel

UNSAID = "\u00a0"  # the label of a panel whose words change with the state: what lies over it draws them


def repeated(host: Element, over: Element) -> Element:
    """Repeat the host's panel for each of ``over``, with its labels, if ``over`` has facets and the host has none."""
    if len(host.panels) != 1 or len(over.panels) < 2:
        return host
    (one,) = host.panels
    return replace(host, panels=tuple(_labelled(one, panel) for panel in over.panels), facet_axis=over.facet_axis)


def _labelled(one: Panel, panel: Panel) -> Panel:
    return replace(one, label=UNSAID if panel.labels else panel.label, key=panel.key)
