"""Invariants of an optimized program: the same page as before, every request still served, no more passes."""

from __future__ import annotations

from bbilang.compiler.ir.program import Program
from bbilang.compiler.ir.verify import verify_passes
from bbilang.grammar.verification import require


def verify_optimized(before: Program, after: Program) -> None:
    """Raise InvariantError if an optimized program is not equivalent to the original."""
    require(after.optimized, "an optimized program does not say so")
    require(_shown(after) == _shown(before), "the optimizer changed what is shown")
    require(after.settings == before.settings and after.models == before.models, "the optimizer changed the settings")
    require(len(after.forwards) <= len(before.forwards), "the optimizer added a forward")
    kinds = [(forward.picture, forward.rule) for forward in after.forwards]
    require(len(set(kinds)) == len(kinds), "two forwards could be one")
    old, new = _requests(before), _requests(after)
    both = {node for node, _, _ in old} & {node for node, _, _ in new}  # the others were rewritten, or are not shown
    require({r for r in old if r[0] in both} == {r for r in new if r[0] in both}, "the optimizer changed a request")
    expected = {element for icons in before.icons for element in icons.elements}
    made = {element for icons in after.icons for element in icons.elements}
    require(expected == made, "the optimizer changed which elements get icons")
    verify_passes(after)


def _shown(program: Program) -> list[object]:
    """Return what a reader sees: titles, layouts, and every element with the type of its field."""
    return [
        (i.title, i.layout, [(e.id, e.title, e.caption, e.over, e.node["style"], e.node.type) for e in i.elements])
        for i in program.interfaces
    ]


def _requests(program: Program) -> set[tuple[str, str, str]]:
    """Return (digest of a node, digest of its target, layer) of every requested derivative."""
    return {
        (request.node.digest, request.target.digest, layer)
        for derivative in program.derivatives
        for request in derivative.requests
        for layer in request.layers
    }
