"""The grid of where pages lie in the space of interfaces, as a page shows it: colours and letters of pages."""

from __future__ import annotations

# White letters stand out on each, and each stands out on a light page; on a dark one points have an edge.
COLOURS = ("#3366cc", "#b35900", "#2e7d32", "#b3261e", "#7b3fa0", "#00718f", "#8a6d00", "#ad1a72", "#5b5b5b", "#4a6b00")


def page_colour(page: int) -> str:
    """Return the colour of a page; after ten they begin anew, and letters tell them apart."""
    return COLOURS[page % len(COLOURS)]


def letter(page: int) -> str:
    """Return the letter of a page: A to Z, then AA."""
    return (chr(64 + page // 26) if page >= 26 else "") + chr(65 + page % 26)
