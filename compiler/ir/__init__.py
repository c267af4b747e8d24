"""The typed program: nodes, field types, model descriptions and their JSON form. Imports grammar."""

from bbilang.compiler.ir.program import (
    MOST_STAGES,
    OUTPUT,
    Backward,
    DerivativeRequest,
    Derivatives,
    Element,
    Forward,
    Icons,
    Interface,
    Layout,
    ModelSlot,
    Node,
    Program,
    Rerun,
    Tangents,
    walk,
)

__all__ = [
    "MOST_STAGES",
    "OUTPUT",
    "Backward",
    "DerivativeRequest",
    "Derivatives",
    "Element",
    "Forward",
    "Icons",
    "Interface",
    "Layout",
    "ModelSlot",
    "Node",
    "Program",
    "Rerun",
    "Tangents",
    "walk",
]
