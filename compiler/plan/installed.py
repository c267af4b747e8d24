"""Check that everything a program names is installed, because a deserialized program may come from another machine."""

from __future__ import annotations

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Program, walk
from bbilang.grammar.diagnostic import BbiError, Diagnostic


def require_installed(program: Program, registry: Registry) -> None:
    """Raise `BbiError` E210 if an operation or a style is not installed."""
    for node in walk(*(element.node for element in program.elements)):
        names = [("operations", node.op), *((("styles", node["style"]),) if node.op == "present" else ())]
        for group, name in names:
            if registry.find(group, name) is None:
                help = "install the plugin that brings it"
                raise BbiError(Diagnostic("E210", f"the program needs `{name}`, which is not known here", help=help))
