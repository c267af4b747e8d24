"""Write targets and methods as .bbi text, for the pipes that a page copies, and as words, for sentences."""

from __future__ import annotations

from bbilang.compiler.contract import Writer, Written
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.spelling import name_text


def target_text(target: Node, writer: Writer) -> Written | None:
    """Write a target: `output["tabby"] - output["tiger cat"]`, or what names atoms of a layer; None for probabilities
    and for targets that a text can only name by what the page ranked."""
    if target.op == "output":
        return _output(target, writer)
    if target.op not in ("stack", "combine"):
        return writer.field_text(target)
    parts = [target_text(part, writer) for part in target.inputs]
    known = [part for part in parts if part is not None]
    if not parts or len(known) < len(parts):
        return None
    if target.op == "stack":
        return ("[", *[word for i, part in enumerate(known) for word in ((", ",) if i else ()) + part], "]")
    left, right = known
    right = ("(", *right, ")") if target.inputs[1].op == "combine" else right
    return (*left, " + " if target["sign"] > 0 else " - ", *right)


def _output(target: Node, writer: Writer) -> Written | None:
    kind, *rest = target["which"]
    if kind == "of":
        return _output(rest[0], writer)
    if target["score"] != "logit":
        return None
    if kind == "predicted":
        return ("output",)
    if kind == "top":
        return (f"output[top({rest[0]})]",)
    if kind == "classes":
        words = writer.classes_text(rest[0])
        return None if words is None else (f"output[{words}]",)
    return (rest[0],) if kind == "selected" else ("output.class",)


def method_text(method: object) -> str | None:
    """Write a method: `, method=smoothgrad(n_samples=10)`; empty for the default, None for a list of methods."""
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
    arguments = [(key, _words(inner)) for key, inner in value[1]]
    if any(words is None for _, words in arguments):
        return None
    return f"{value[0]}({', '.join(f'{key}={words}' for key, words in arguments)})"


def target_words(target: Node) -> str:
    """Say what a target is: "the predicted class", "the channels of mixed4d"."""
    if target.op == "output":
        kind, *rest = target["which"]
        if kind == "classes" and len(rest[0]) == 1:
            return f"class {rest[0][0]}"
        words = {"predicted": "the predicted class", "all": "every class", "selected": "the class that is chosen"}
        if kind in words:
            return words[kind]
        return f"{len(rest[0])} classes" if kind == "classes" else f"the {rest[0]} most likely classes"
    if target.type.content == "score":
        return "a difference or list of classes" if target.op in ("stack", "combine") else "an attribution"
    return f"the {target.type.atom}s of {', '.join(target.type.layers)}"


def method_words(method: str | tuple[str, tuple[object, ...]]) -> str:
    """Say a method that is not the default: " by smoothgrad"."""
    if method == "linear":
        return ""
    if method[0] == "list":
        return f" by {len(method[1])} methods"
    return f" by {str(method if isinstance(method, str) else method[0]).replace('_', ' ')}"
