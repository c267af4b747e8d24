"""Write SVG: escaped text, text widths without a font, colours for light and dark themes.

Colours are attributes, for programs without style sheets; the dark theme of a browser overrides them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape, quoteattr

FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"
COLOURS: Mapping[str, tuple[str, str]] = {  # role -> (on light, on dark)
    "paper": ("#ffffff", "#14171c"),
    "panel": ("#f5f6f8", "#1d2229"),
    "ink": ("#1a1f27", "#eceff3"),
    "muted": ("#566070", "#a9b3c1"),
    "rule": ("#d3d8df", "#3a424e"),
    "block": ("#ccd3dd", "#434d5b"),
    "chip": ("#ffffff", "#262d36"),
    "scan": ("#7a6a00", "#e0c341"),
    "forward": ("#1f66c7", "#6aa8ff"),
    "backward": ("#b4480f", "#ff9a5c"),
    "tangents": ("#0b7f73", "#3fd0c0"),
    "reruns": ("#6b46b8", "#b79bff"),
    "icons": ("#b02a76", "#ff85c2"),
}
THEMES = ("auto", "light", "dark")
# Widths of the printable characters of ASCII in Helvetica, in thousandths of the size (Adobe's font metrics).
WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, *(556,) * 10, 278, 278, 584, 584,
    584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611,
    722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
BIDI_CONTROLS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # characters that change the direction of text


def clean(text: str) -> str:
    """Replace characters that XML does not allow, and remove those that change the direction of text."""
    shown = []
    for character in text:
        code = ord(character)
        bad = (
            (code < 32 and code not in (9, 10))
            or 127 <= code < 160
            or 0xD800 <= code < 0xE000
            or code & 0xFFFE == 0xFFFE
        )
        shown.append("\N{REPLACEMENT CHARACTER}" if bad else "" if code in BIDI_CONTROLS else character)
    return "".join(shown).replace("\n", " ").replace("\t", " ")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width in pixels, about a tenth more than in Helvetica, since a reader's font may be wider."""
    total = 0.0
    for character in text:
        code = ord(character)
        if 32 <= code < 127:
            total += WIDTHS[code - 32]
        elif not unicodedata.combining(character):
            total += 1050 if unicodedata.east_asian_width(character) in "WF" else 620
    return total / 1000 * size * (1.16 if bold else 1.08)


def fit(text: str, size: float, width: float, bold: bool = False) -> str:
    """Return the text, cut to ``width`` with an ellipsis where it is too long."""
    text = clean(text)
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text + "…", size, bold) > width:
        text = text[:-1]
    return text.rstrip() + "…"


class Canvas:
    """Collects elements; ``theme`` is `auto`, `light` or `dark`. Raises ValueError for another."""

    def __init__(self, theme: str = "auto"):
        if theme not in THEMES:
            raise ValueError(f"`{theme}` is not a theme; there are {', '.join(THEMES)}")
        self.theme = theme
        self.parts: list[str] = []
        self.used: set[tuple[str, str]] = set()

    def colour(self, attribute: str, role: str) -> tuple[str, str]:
        """Return (attribute with the colour, class)."""
        self.used.add((attribute, role))
        return f' {attribute}="{COLOURS[role][self.theme == "dark"]}"', f"{attribute[0]}-{role}"

    def _paint(self, fill: str | None, stroke: str | None) -> str:
        words, classes = "", []
        for attribute, role in (("fill", fill), ("stroke", stroke)):
            if role:
                paint, name = self.colour(attribute, role)
                words += paint
                classes.append(name)
        if fill is None:
            words += ' fill="none"'
        return words + (f' class="{" ".join(classes)}"' if self.theme == "auto" and classes else "")

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str | None, stroke: str | None = None,
        radius: float = 0, title: str = "", dashed: bool = False,
    ) -> None:  # fmt: skip
        """Draw a rectangle, in pixels from the upper left; ``title`` is shown where it is pointed at."""
        round_ = f' rx="{radius:g}"' if radius else ""
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        inner = f"><title>{escape(clean(title))}</title></rect>" if title else "/>"
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}"{round_}{dash}'
            f"{self._paint(fill, stroke)}{inner}"
        )

    def path(
        self, data: str, stroke: str | None = None, fill: str | None = None, width: float = 1.5, opacity: float = 1,
        dashed: bool = False,
    ) -> None:  # fmt: skip
        """Draw a path; ``data`` is SVG's `d`."""
        line = f' stroke-width="{width:g}"' if stroke else ""
        line += ' stroke-dasharray="5 4"' if dashed else ""
        line += f' opacity="{opacity:g}"' if opacity != 1 else ""
        self.parts.append(f'<path d="{data}"{line}{self._paint(fill, stroke)}/>')

    def circle(self, x: float, y: float, radius: float, fill: str, stroke: str | None = None) -> None:
        line = ' stroke-width="2"' if stroke else ""
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"{line}{self._paint(fill, stroke)}/>')

    def text(
        self, x: float, y: float, words: str | Iterable[tuple[str, str, bool]], size: float = 14, role: str = "ink",
        bold: bool = False, anchor: str = "start",
    ) -> None:  # fmt: skip
        """Write words on one line with the baseline at y. Parts in other colours: (words, role, bold) each."""
        if isinstance(words, str):
            inner = escape(clean(words))
        else:
            inner = "".join(
                f"<tspan{self._paint(other, None)}{WEIGHT if heavy else ''}>{escape(clean(part))}</tspan>"
                for part, other, heavy in words
            )
        side = f' text-anchor="{anchor}"' if anchor != "start" else ""
        weight = WEIGHT if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"{side}{weight}{self._paint(role, None)}>{inner}</text>'
        )

    def arrow(self, start: float, end: float, y: float, role: str, width: float = 2, dashed: bool = False) -> None:
        """Draw a horizontal line from start to end with a head at its end."""
        direction = 1 if end >= start else -1
        head = min(9, abs(end - start))
        self.path(f"M{start:.1f} {y:.1f}H{end - direction * head * 0.8:.1f}", role, width=width, dashed=dashed)
        self.head(end, y, direction, role, head)

    def head(self, x: float, y: float, direction: int, role: str, size: float = 9) -> None:
        back = x - direction * size
        self.path(f"M{x:.1f} {y:.1f}L{back:.1f} {y - size / 2:.1f}V{y + size / 2:.1f}Z", fill=role)

    def done(self, width: float, height: float, title: str, desc: str, name: str) -> str:
        """Return the standalone picture. ``name`` keeps its ids apart from those of other pictures on the same page."""
        ground = f'<rect width="100%" height="100%"{self._paint("paper", None)}/>'
        dark = ""
        if self.theme == "auto":
            rules = "".join(
                f".{name} .{attribute[0]}-{role}{{{attribute}:{COLOURS[role][1]}}}"
                for attribute, role in sorted(self.used)
            )
            dark = f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{name}" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-title {name}-desc" '
            f'font-family={quoteattr(FONT)} style="max-width:100%;height:auto">'
            f'<title id="{name}-title">{escape(clean(title))}</title>'
            f'<desc id="{name}-desc">{escape(clean(desc))}</desc>{dark}\n'
            + "\n".join([ground, *self.parts])
            + "\n</svg>\n"
        )


WEIGHT = ' font-weight="600"'
