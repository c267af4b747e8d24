"""Conversion between character offsets and the protocol's positions: lines and code units (UTF-16 by default)."""

from __future__ import annotations

from bisect import bisect_right

from lsprotocol import types

from bbilang.grammar.source import Source, Span

SURROGATES = 0x10000  # code points from here on take two UTF-16 code units


class PositionMap:
    """Converts offsets of one text. ``encoding``: utf-16 unless another was negotiated."""

    def __init__(self, source: Source, encoding: str = "utf-16"):
        self.source, self.encoding = source, str(getattr(encoding, "value", encoding))

    def _units(self, text: str) -> int:
        if text.isascii() or self.encoding == "utf-32":
            return len(text)
        if self.encoding == "utf-8":
            return len(text.encode("utf-8", "surrogatepass"))
        return len(text) + sum(ord(character) >= SURROGATES for character in text)

    def position(self, offset: int) -> types.Position:
        """Convert an offset into the text to a position in the units of the editor."""
        offset = min(max(offset, 0), len(self.source.text))
        line, column = self.source.position(offset)
        start = offset - column + 1
        return types.Position(line - 1, self._units(self.source.text[start:offset]))

    def offset(self, position: types.Position) -> int:
        """Return the nearest valid offset: editors may send positions past the end of a line."""
        starts = self.source.line_starts
        if position.line >= len(starts):
            return len(self.source.text)
        start = starts[max(position.line, 0)]
        end = starts[position.line + 1] - 1 if position.line + 1 < len(starts) else len(self.source.text)
        line = self.source.text[start:end]
        if line.isascii() or self.encoding == "utf-32":
            return start + min(max(position.character, 0), len(line))
        units = 0
        for number, character in enumerate(line):
            if units >= position.character:
                return start + number
            units += self._units(character)
        return end

    def json_range(self, start: int, end: int) -> dict[str, dict[str, int]]:
        """Return a range as JSON, which is faster than protocol objects for thousands of ranges."""
        starts, text = self.source.line_starts, self.source.text
        line = bisect_right(starts, start) - 1
        last = line if line + 1 == len(starts) or end < starts[line + 1] else bisect_right(starts, end) - 1
        return {
            "start": {"line": line, "character": self._units(text[starts[line] : start])},
            "end": {"line": last, "character": self._units(text[starts[last] : max(start, end)])},
        }

    def range(self, start: int, end: int) -> types.Range:
        return types.Range(self.position(start), self.position(max(start, end)))

    def span(self, span: Span) -> types.Range:
        return self.range(span.start, span.end)
