"""The largest page that is made: above it a page is refused, with what to bound."""

from __future__ import annotations

from bbilang.runtime.errors import error
from bbilang.runtime.view.model import View
from bbilang.runtime.view.states import elements

MOST = 30_000_000  # bytes
BASE64 = 4 / 3


def check_size(html: str, view: View, points: int) -> None:
    """Check the size of a page. ``points``: characters of its packed points. Raises BbiError E312."""
    if 4 * len(html) <= MOST or (size := len(html.encode())) <= MOST:
        return
    pictures = int(sum(len(picture.data) for picture in view.pictures) * BASE64)
    parts = {
        f"{len(view.pictures):,} pictures": (pictures, _of_pictures(view)),
        "points": (points, "show fewer of them: `sample(10000)`"),
        "the numbers of all states": (size - pictures - points, "bound what is shown: `top(8)`, fewer selections"),
    }
    words, (most, help) = max(parts.items(), key=lambda part: part[1][0])
    message = f"the page would have {_megabytes(size)}, and at most {_megabytes(MOST)} are made"
    raise error("E312", f"{message}: {_megabytes(most)} of it are {words}", help)


def _of_pictures(view: View) -> str:
    """Return what to bound where pictures make a page large."""
    if any(element.slot_axis == "example" for element in elements(view)):
        return "show fewer examples: `examples(photos, 9)`, `sample(500)`; or smaller ones: `set thumbnails(size=48)`"
    return "show fewer atoms: `top(8)`, fewer states; or smaller icons: `set featvis(size=64)`"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
