"""The twin of `pipeOf` in runtime/page/js/copying.js: a pipe with an atom and the choices of the reader in it."""

from __future__ import annotations

from collections.abc import Callable

from bbilang.runtime.view.model import Atom, Element


def filled(element: Element, atom: Atom, choice: Callable[[str], str]) -> str:
    """Return the pipe about an atom, with what the reader chose. Empty where there is none."""
    text, own = atom.text, [pipe for layer, pipe in element.layer_pipes.items() if atom.key.startswith(f"{layer} ")]
    kind = element.group_pipe if text.isdecimal() else element.pipe
    pipe = own[0] if own else element.class_pipe if text.startswith("output") else kind
    parts = [word if i % 2 == 0 else (choice(word) if word else text) for i, word in enumerate(pipe)]
    if not (text and pipe and all(parts[1::2])):
        return ""
    return "".join(parts).replace(f" | link({text})", "").replace(" | link(output", " | attribute(output")
