"""The state that the browser shows, shared between the worker thread and the request threads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Condition


@dataclass(frozen=True)
class State:
    """``number`` counts changes, ``page`` the pages; ``pictures``: number of a picture -> (the change that brought it,
    its address), of the icons that came after the page."""

    number: int = 0
    page: int = 0
    html: bytes = field(default=b"", repr=False)
    pictures: dict[int, tuple[int, str]] = field(default_factory=dict, repr=False)
    words: str = "starting"
    busy: bool = True
    errors: str = ""
    ended: bool = False


class Shown:
    """The shared state, which wakes waiting threads when it changes."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._state = State()

    @property
    def state(self) -> State:
        return self._state

    def say(self, words: str, busy: bool = True) -> None:
        self._set(words=words, busy=busy)

    def page(self, html: bytes, words: str, busy: bool = False) -> None:
        """Replace the page. An equal page is no change."""
        with self._changed:
            if html == self._state.html:
                self._set(words=words, busy=busy, errors="")
            else:
                self._set(html=html, page=self._state.page + 1, pictures={}, words=words, busy=busy, errors="")

    def icons(self, pictures: dict[int, str], words: str) -> None:
        """Add icons to the current page."""
        with self._changed:
            number = self._state.number + 1
            new = {index: (number, address) for index, address in pictures.items()}
            self._set(pictures={**self._state.pictures, **new}, words=words)

    def errors(self, text: str, words: str) -> None:
        """Show errors over the last valid page."""
        self._set(errors=text, words=words, busy=False)

    def end(self) -> None:
        self._set(ended=True, busy=False)

    def wait(self, number: int, seconds: float) -> State | None:
        """Wait for a state other than the one with that number; None after ``seconds``."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._state.number != number, seconds):
                return None
            return self._state

    def _set(self, **changes: object) -> None:
        with self._changed:
            self._state = replace(self._state, number=self._state.number + 1, **changes)  # type: ignore[arg-type]
            self._changed.notify_all()
