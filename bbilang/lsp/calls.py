"""The parameters of the call that a cursor is in, and the arguments given before it."""

from __future__ import annotations

from bbilang.compiler.check.present import PARAMETERS as PRESENT
from bbilang.compiler.check.selections import ENCLOSING, SELECTIONS, SLIDER
from bbilang.compiler.check.selections import PARAMETERS as SELECTION
from bbilang.compiler.check.settings import SETTINGS
from bbilang.compiler.contract import Parameter
from bbilang.lsp.cursor import Cursor, Frame
from bbilang.lsp.document import Document


def parameters_of(document: Document, cursor: Cursor, frame: Frame) -> tuple[Parameter, ...]:
    """Return the parameters of the call whose parenthesis is open."""
    registry, name = document.registry, frame.callee
    if cursor.first == "set" and frame is cursor.frames[min(1, len(cursor.frames) - 1)]:
        return SETTINGS.get(name, ())
    if name == "present":
        style = next((s for s in registry.styles.values() if s.name == _first_word(cursor, frame)), None)
        return (*PRESENT, *(style.parameters if style else ()))
    if name in SELECTIONS:
        return {"slider": SLIDER, "lasso": ENCLOSING}.get(name, SELECTION)
    if name in registry.methods and not frame.stage:
        return registry.methods[name].parameters
    if (operation := registry.operations.get(name)) is not None and not operation.head:
        return operation.parameters
    resolver = document.resolver_at(cursor.start)
    macro = resolver.macros.get(name) if resolver is not None else None
    if macro is not None:
        return macro.parameters()[1 if frame.stage else 0 :]
    return ()


def argument_text(cursor: Cursor, parameters: tuple[Parameter, ...], name: str) -> str:
    """Return the words of an argument before the cursor, in the call whose parenthesis is open; empty where it is not
    given."""
    depth, texts, start = 0, [], cursor.frame.start
    for at in range(start, cursor.frame.begin):
        depth += (cursor.text[at] in "([") - (cursor.text[at] in ")]")
        if cursor.text[at] == "," and depth == 0:
            texts.append(cursor.text[start:at])
            start = at + 1
    named = {text.partition("=")[0].strip(): text.partition("=")[2].strip() for text in texts if "=" in text}
    positional = dict(zip((p.name for p in parameters), (t.strip() for t in texts if "=" not in t), strict=False))
    return {**positional, **named}.get(name, "")


def _first_word(cursor: Cursor, frame: Frame) -> str:
    end = min((i for i in (cursor.text.find(c, frame.start) for c in ",)\n") if i >= 0), default=len(cursor.text))
    return cursor.text[frame.start : end].strip()
