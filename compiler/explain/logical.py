"""The logical plan in words: the operations of each element, every one once, with the lines that request them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Element, Node, PerExample, Program, walk
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Span

Defaults = Mapping[str, Mapping[str, Any]]  # operation -> parameter -> default value

NOUNS = {  # axis -> (one, many)
    "input": ("picture", "pictures"),
    "channel": ("channel", "channels"),
    "class": ("class", "classes"),
    "y": ("row", "rows"),
    "x": ("column", "columns"),
    "frame": ("frame", "frames"),
}


@frozen
class Entry:
    """One line of the logical plan. ``number`` identifies the node; ``again``: shown before under this number."""

    number: int
    node: Node
    depth: int
    rails: tuple[bool, ...]  # for each level above: whether its line continues below this entry
    role: str  # the parameter of the entry above that it is the value of (`to`, `selection`); "" for a main input
    words: str
    element: Element | None = None
    again: bool = False


def entries(program: Program, defaults: Defaults | None = None, most: int | None = None) -> list[Entry]:
    """Return a tree for each of the first ``most`` elements, in the page's order. A node that occurs again keeps its
    number and is not expanded again."""
    elements = {id(element.node): element for element in program.elements}
    numbers: dict[int, int] = {}
    listed: list[Entry] = []

    def add(node: Node, rails: tuple[bool, ...], role: str) -> None:
        again = id(node) in numbers
        number = numbers.setdefault(id(node), len(numbers) + 1)
        element = elements.get(id(node))
        words = operation_words(node, program, defaults or {})
        listed.append(Entry(number, node, len(rails), rails, role, words, element, again))
        if again:
            return
        children = _children(node)
        for position, (name, child) in enumerate(children):
            add(child, (*rails, position < len(children) - 1), name)

    for element in program.elements[:most]:
        if id(element.node) not in numbers:
            add(element.node, (), "")
    return listed


def count(program: Program) -> int:
    """Count the operations of the program; equal ones that are two objects count twice."""
    return sum(1 for _ in walk(*(e.node for e in program.elements), *(node for _, node in program.bindings)))


def _children(node: Node) -> list[tuple[str, Node]]:
    """Return (role, node): inputs have no role, parameters their name; each node once."""
    pairs = [("", child) for child in node.inputs]
    for name, value in node.parameters:
        unsaid = name in ("over", "which")  # a named node is introduced by its name
        pairs += [("" if unsaid or child.get("id") else name, child) for child in _nodes(value)]
    return list({id(child): (name, child) for name, child in reversed(pairs)}.values())[::-1]


def _nodes(value: Any) -> list[Node]:
    if isinstance(value, Node):
        return [value]
    return [node for item in value for node in _nodes(item)] if isinstance(value, tuple) else []


# --- words of operations ----------------------------------------------------------------------------------------------


def operation_words(node: Node, program: Program, defaults: Defaults) -> str:
    """Write the operation as in the language: `top(4)`, `output[why]`, `present(featvis, size=value)`."""
    match node.op:
        case "substrate":
            layers = node.type.layers
            shown = layers[0] if len(layers) == 1 else f"[{', '.join(layers)}]"
            alias = node.get("model")
            return f"{alias + ':' if alias else ''}{shown}.{node.type.atom}"
        case "output":
            score = f", score={node['score']}" if node.get("score", "logit") != "logit" else ""
            return f"output{_which(node['which'], program, score)}"
    usual = defaults.get(node.op, {})
    first, rest = [], []
    for name, value in node.parameters:
        words = _value(value, program)
        if value is None or not words or (name in usual and usual[name] == value):
            continue
        if name in ("components", "id", "caption", "title", "called", "digest") or (name, value) == (
            "start",
            "first",
        ):  # shown elsewhere
            continue
        if (name in ("k", "style", "selection", "field", "of", "over") and node.op != "present") or name == "style":
            first.append(words)
        elif name == "boxes":  # the number of boxes in the file
            rest.append(f"boxes={len(value)} of them")
        elif name == "guide":  # without the digest of the file
            rest.append(f'guide="{value[0]}"')
        elif name == "method" and isinstance(value, tuple):
            rest.append(f"{name}={method_words(value)}")
        elif name != "each":  # of a list of methods: they stand below
            rest.append(f"{name}={words}")
    listed = ", ".join(first + rest)
    called = node.get("id") or node.get("called")
    name = f"{called} = {node.op}" if called else node.op
    return f"{name}({listed})" if listed else name


def method_words(method: Any) -> str:
    """Write a method: `smoothgrad(of=linear, n_samples=10)`, `[linear, rise]`."""
    if not isinstance(method, tuple):
        return f"{method:g}" if isinstance(method, float) else str(method)
    name, arguments = method
    if name == "list":
        return f"[{', '.join(map(method_words, arguments))}]"
    return f"{name}({', '.join(f'{key}={method_words(value)}' for key, value in arguments)})"


def _which(which: tuple[Any, ...], program: Program, score: str) -> str:
    kind, *rest = which
    match kind:
        case "of":
            return _which(rest[0]["which"], program, score)
        case "predicted":
            return f"[{score.removeprefix(', ')}]" if score else ""
        case "top":
            return f"[top({rest[0]}){score}]"
        case "classes":
            return f"[{', '.join(_label(program.description, index) for index in rest[0])}{score}]"
        case "all":
            return ".class" + (f"[{score.removeprefix(', ')}]" if score else "")
    return f"[{', '.join(_value(item, program) for item in rest if item is not None)}{score}]"


def _label(description: ModelDescription | None, index: int) -> str:
    if description and description.boxes:
        name = description.label(index % description.map_classes).removesuffix(" over the map")
        return f'"{name}"{description.at_box(index)}'
    return f'"{description.label(index)}"' if description and description.labels else str(index)


def _value(value: Any, program: Program) -> str:
    if isinstance(value, Node):
        named = next((e.id for e in program.elements if e.node == value), "")
        return named or str(value.get("id") or "")
    if isinstance(value, PerExample):  # a pipe of a dataset: the plan shows what a scan keeps of it
        return ""
    if isinstance(value, tuple):
        shown = [words for item in value if (words := _value(item, program))]
        return f"[{', '.join(shown)}]" if shown else ""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


# --- words of types ---------------------------------------------------------------------------------------------------


def type_words(type: FieldType) -> str:
    """Write a type: `attribution: 672 channels × 2 classes, in 36 states`."""
    if type.content == "selection":
        size = type.axes[0]
        return f"the reader's choice of {'up to ' if not size.exact else ''}{size.size:,}"
    axes = {axis.name: axis for axis in type.axes}
    parts = []
    for name, axis in axes.items():
        if name == "input" and axis.size == 1 and axis.exact:
            continue
        if name == "y" and "x" in axes:
            noun = "pixels" if type.content == "picture" else "positions"
            bound = "" if axis.exact and axes["x"].exact else "up to "
            parts.append(f"{bound}{axis.size:,} × {axes['x'].size:,} {noun}")
        elif name != "x" or "y" not in axes:
            parts.append(_counted(axis))
    shown = " × ".join(parts) or "one number"
    words = shown if type.content == "substrate" else f"{type.content}: {shown}"
    if type.states:
        exact = all(axis.exact for axis in type.states)
        words += f", in {'' if exact else 'up to '}{type.state_count:,} states"
    return words


def _counted(axis: Axis) -> str:
    one, many = NOUNS.get(axis.name, (axis.name, f"{axis.name}s"))
    return f"{'' if axis.exact else 'up to '}{axis.size:,} {one if axis.size == 1 else many}"


# --- the lines that need a node ---------------------------------------------------------------------------------------


def lines_of(program: Program, spans: Iterable[Span]) -> tuple[int, ...]:
    """Return the lines of the text on which operations stand: the last line of each span, as a pipe's stage ends its
    span."""
    if program.source is None:
        return ()
    return tuple(sorted({program.source.position(max(span.end - 1, span.start))[0] for span in spans}))


def line_words(lines: Sequence[int]) -> str:
    """Write line numbers: `7, 8, 12`, `5-12`, and at most four of them: `5, 13, 21 and 22 more`."""
    runs: list[list[int]] = []
    for line in lines:
        if runs and line == runs[-1][1] + 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])
    parts = [
        part for low, high in runs for part in ([(low, high)] if high - low > 1 else [(n, n) for n in (low, high)])
    ]
    parts = list(dict.fromkeys(parts))
    more = 0
    if len(parts) > 4:
        more = sum(high - low + 1 for low, high in parts[3:])
        parts = parts[:3]
    words = ", ".join(f"{low}-{high}" if high > low else str(low) for low, high in parts)
    return f"{words} and {more} more" if more else words
