"""Write targets and methods as .bbi text, for the pipes that a page copies."""

from __future__ import annotations

from collections.abc import Callable

from bbilang.compiler.contract import Written
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.spelling import name_text


def target_text(target: Node, class_text: Callable[[int], str]) -> Written | None:
    """`output["tabby"] - output["tiger cat"]`; None for targets that are atoms of a layer, or probabilities."""
    if target.op == "output":
        return _output(target, class_text)
    parts = [target_text(part, class_text) for part in target.inputs]
    known = [part for part in parts if part is not None]
    if not parts or len(known) < len(parts):
        return None
    if target.op == "stack":
        return ("[", *[word for i, part in enumerate(known) for word in ((", ",) if i else ()) + part], "]")
    if target.op == "combine":
        left, right = known
        right = ("(", *right, ")") if target.inputs[1].op == "combine" else right
        return (*left, " + " if target["sign"] > 0 else " - ", *right)
    return None


def _output(target: Node, class_text: Callable[[int], str]) -> Written | None:
    kind, *rest = target["which"]
    if target["score"] != "logit":
        return None
    if kind == "predicted":
        return ("output",)
    if kind == "top":
        return (f"output[top({rest[0]})]",)
    if kind == "classes":
        return (f"output[{', '.join(map(class_text, rest[0]))}]",)
    return (rest[0],) if kind == "selected" else ("output.class",)


def method_text(method: object) -> str | None:
    """`, method=smoothgrad(n_samples=10)`; empty for the default, None for a list of methods."""
    if method == "linear":
        return ""
    if isinstance(method, tuple) and method[0] == "list":
        return None
    words = _words(method)
    return None if words is None else f", method={words}"


def _words(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, str):
        return name_text(value)
    if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], tuple)):
        return None
    given = [(key, _words(inner)) for key, inner in value[1]]
    if any(words is None for _, words in given):
        return None
    return f"{value[0]}({', '.join(f'{key}={words}' for key, words in given)})"
