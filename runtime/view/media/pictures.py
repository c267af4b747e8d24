"""The pictures of a page: equal ones are there once."""

from __future__ import annotations

from dataclasses import replace

from bbilang.runtime.view.model import Picture, Sound


class Pictures(list[Picture]):
    """The pictures of all elements of a page, in the order in which they were added."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[bytes, int] = {}

    def put(self, data: bytes, mime: str, width: int, height: int, alt: str) -> int:
        """Return the index of an image on the page; equal images share one."""
        if data not in self._known:
            self._known[data] = len(self)
            self.append(Picture(data, mime, width, height, alt))
        return self._known[data]

    def heard(self, number: int, sound: Sound) -> int:
        """Let a reader play the sound that a picture is of. Return the index of the picture."""
        self[number] = replace(self[number], sound=sound)
        return number
