"""The twin of `pipeOf` in runtime/page/js/copying.js: a pipe with an atom and the choices of the reader in it."""

from __future__ import annotations

from collections.abc import Callable

from bbilang.runtime.view.model import Element


def filled(element: Element, atom: str, choice: Callable[[str], str]) -> str:
    """Return the pipe about an atom of this text, with what the reader chose. Empty where there is none."""
    kind = element.group_pipe if atom.isdecimal() else element.pipe
    pipe = element.class_pipe if atom.startswith("output") else kind
    parts = [word if i % 2 == 0 else (choice(word) if word else atom) for i, word in enumerate(pipe)]
    return "".join(parts) if pipe and all(parts[1::2]) else ""
