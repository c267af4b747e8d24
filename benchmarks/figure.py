"""A bar chart as plain SVG: how many times as long as ours each way takes, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, LABEL, BAR, GAP, TITLE = 860, 330, 18, 6, 26
INK = {"ours": "#0b57d0", "minimum": "#188038", "beside": "#9aa0a6"}
TICKS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def figure(rows: Sequence[tuple[str, Sequence[tuple[str, float, str]]]]) -> str:
    """Draw (title, [(way, times ours, kind)]) as SVG. Text is escaped; light and dark pages both show it on white."""
    values = [value for _, ways in rows for _, value, _ in ways]
    low, high = math.log10(min([0.5, *values])), math.log10(max([2.0, *values]) * 1.6)

    def x_of(value: float) -> float:
        return LABEL + (WIDTH - LABEL - 20) * (math.log10(value) - low) / (high - low)

    parts, y = [], 10
    for title, ways in rows:
        parts.append(f'<text x="10" y="{y + 16}" class="t">{escape(title)}</text>')
        y += TITLE
        for name, value, kind in ways:
            start, end = sorted((x_of(1.0), x_of(value)))
            parts.append(f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
            parts.append(
                f'<rect x="{start:.1f}" y="{y}" width="{max(end - start, 2):.1f}" height="{BAR}" fill="{INK[kind]}"/>'
            )
            parts.append(f'<text x="{end + 6:.1f}" y="{y + 13}">{value:.3g} x</text>')
            y += BAR + GAP
        y += 8
    grid = [
        f'<line x1="{x_of(t):.1f}" x2="{x_of(t):.1f}" y1="4" y2="{y}" stroke="#dadce0"/>'
        f'<text x="{x_of(t):.1f}" y="{y + 14}" text-anchor="middle">{t:g}</text>'
        for t in TICKS
        if low <= math.log10(t) <= high
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 24}" role="img"'
            ' aria-label="How many times as long as bbilang each way takes">',
            "<style>text { font: 12px system-ui, sans-serif; fill: #202124 } .t { font-weight: 600 }</style>",
            f'<rect width="{WIDTH}" height="{y + 24}" fill="#fff"/>',
            *grid,
            *parts,
            "</svg>",
            "",
        ]
    )
