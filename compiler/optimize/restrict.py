"""A program of some of its elements: what a command needs that shows no page."""

from __future__ import annotations

from dataclasses import replace

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Interface, Program
from bbilang.compiler.optimize.lower import with_passes


def restricted(program: Program, element: str, registry: Registry) -> Program | None:
    """Return the program of one element, before optimization; None where it has no such element."""
    own = next((each for each in program.elements if each.id == element), None)
    if own is None:
        return None
    shown = (Interface("", (own,), ("column", ())),)
    alone = replace(program, interfaces=shown, bindings=(), forwards=(), backwards=(), tangents=(), reruns=(), icons=(),
                    scans=(), kept=(), relatives=(), lent=None)  # fmt: skip
    description = program.description
    return with_passes(alone, registry, description is not None and description.classes > 0 and bool(program.inputs))
