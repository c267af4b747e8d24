"""The generated reference: `python -m bbilang.reference` or `make reference`.

    registry, settings, codes, golden mistakes -> docs/reference/*.md, docs/mistakes.md

These pages are not edited by hand: to correct one, correct a docstring, a parameter or a code.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from bbilang.compiler.check.datasets import MOST_EXAMPLES
from bbilang.compiler.check.present import PARAMETERS as PRESENT
from bbilang.compiler.check.selections import ENCLOSING, SLIDER
from bbilang.compiler.check.selections import PARAMETERS as SELECTION
from bbilang.compiler.check.settings import SETTINGS
from bbilang.compiler.contract import Method, Operation, Parameter, Style
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.reference.error_pages import checked, errors_page, fenced, mistakes_page, plain
from bbilang.registry import registry

Named = TypeVar("Named", Operation, Style, Method)
ROOT = Path(__file__).resolve().parents[2]
GOLDEN = (ROOT / "tests" / "grammar" / "mistakes.txt", ROOT / "tests" / "compiler" / "mistakes.txt")

KINDS = {  # kind of a parameter -> how the documentation calls it
    "integer": "whole number", "number": "number", "flag": "`true` or `false`", "text": "quoted text",
    "word": "word", "quoted": "word", "axis": "axis of the field", "ranking": "word or class", "target": "target",
    "evidence": "atoms -> score",
    "atoms": "element, field or substrate", "element": "name of an element", "selection": "selection",
    "condition": "condition", "style": "style", "method": "method", "contents": "content or a list of them",
    "compatible": "groups of a later layer",
    "numbers": "number, or three for red, green and blue", "size": "whole number, or `[y, x]`",
    "channels": "whole number, or a list of three", "numbers*": "list of numbers", "fit": "field or layer",
    "linked": "field or selection", "dataset": "name of a dataset", "datasets": "name of a dataset, or a list of them",
    "column": "column of the examples", "measures": "measure or a list of them",
    "pages": "quoted text or a list of them",
    "layer": "layer", "layers": "layer or a list of them",
    "boxes": "quoted file name", "picture": "quoted file name", "input": "name of an input",
    "checkpoints": "quoted file name, or one with `*`",
    "planned": "not available yet", "start": "position, number, class or `none`",
}  # fmt: skip

SELECTIONS = {  # name -> (description, example, parameters)
    "hover": (
        "The reader points at an atom in an element that shows it; the last one stays selected.",
        "photo = input | present(image)\n"
        "cell = hover(block5c.expand.spatial, start=[6, 4])\n"
        "block5c.expand.neuron | activation | at(cell) | top(4) | present(featvis)",
        SELECTION,
    ),
    "click": (
        "The reader clicks an atom, or focuses it with the keyboard and presses Enter; it stays until the next click.",
        "icons = block5c.expand.channel | attribute(output) | top(8) | present(featvis)\n"
        "block5c.expand.neuron | activation | at(click(icons)) | present(heatmap)",
        SELECTION,
    ),
    "pick": (
        "The reader chooses from a menu, so no element has to show the atoms.",
        'class_ = pick(output[top(5)], title="Class")\n'
        "block5c.expand.channel | attribute(output[class_]) | top(8) | present(bars)",
        SELECTION,
    ),
    "slider": (
        "The reader chooses a number; every step of the range is a state.",
        "groups = block5c.expand | factorize(nmf, slider(2, 10, 2, start=6))\ngroups | present(featvis)",
        SLIDER,
    ),
    "lasso": (
        "The reader draws around points of a map, with the mouse, a finger or the keyboard. What lies inside is a part "
        "of the dataset: `at(lasso(map))`, or one of several in `across([photos, lasso(map)])`. It adds no states: the "
        "page itself computes reductions over `example`, rankings of them, histograms and rows of examples again, and "
        "chooses the icon of the nearest bin of a map.",
        'dataset photos = "sample:shapes"\n'
        "map = head.channel | across(photos) | project(pca, 2, along=channel) | present(scatter)\n"
        "block5c.expand.channel | across(photos) | at(lasso(map)) | mean(example) | top(8) | present(bars)",
        ENCLOSING,
    ),
}


def pages() -> dict[str, str]:
    """Return every page of the reference by its path under docs/."""
    all_kinds = registry()
    operations = [operation for operation in all_kinds.operations.values() if not operation.head or operation.called]
    return {
        "reference/operations.md": _page(
            "Operations",
            "An operation follows a `|` and maps a field to a field. Without arguments it needs no parentheses.",
            (_operation(operation) for operation in _sorted(operations)),
        ),
        "reference/styles.md": _page(
            "Styles",
            "What `present(STYLE)` draws. A style uses up (spends) some axes of a field and may accept others; each "
            "remaining axis becomes facets (`facet=`) or a selection by the reader (`at`).",
            [_present(), *(_style(style) for style in _sorted(all_kinds.styles.values()))],
        ),
        "reference/methods.md": _page(
            "Attribution methods",
            "The values of METHOD in `attribute(to, method=METHOD)`, named as in the literature. Parameters are passed "
            "in a call, as in `method=integrated_gradients(n_steps=100)`. `set attribute(method=...)` changes the "
            "default.",
            (_method(method) for method in _sorted(all_kinds.methods.values())),
        ),
        "reference/selections.md": _page(
            "Selections",
            "What `at(SELECTION)` leaves to the reader. A selection can replace an index, a target or a number; used "
            "twice, it is still one axis of states.",
            (_selection(name) for name in SELECTIONS),
        ),
        "reference/settings.md": _page(
            "Settings",
            "Defaults for a whole file, `set NAME(PARAMETER=VALUE)` or `set NAME VALUE`; `--set NAME.PARAMETER=VALUE` "
            "on the command line overrides the text.",
            (_setting(name) for name in SETTINGS),
        ),
        "reference/errors.md": errors_page(),
        "mistakes.md": mistakes_page(GOLDEN),
    }


def method_example(method: Method) -> str:
    """Return a pipe that uses the method at a layer where it is defined."""
    if method.input_only or method.maps_only:
        return f"input.pixel | attribute(output, method={method.name}) | present(heatmap)"
    return f"block5c.expand.channel | attribute(output, method={method.name}) | top(4) | present(bars)"


def setting_example(name: str) -> str:
    """Return a `set` statement with an example value, or the default."""
    first = SETTINGS[name][0]
    values = {
        "labels": '"names.txt"',
        "preprocess": "size=256, crop=224",
        "show": "channels=[2, 1, 0]",
        "attribute": "method=linear",
        "scores": "kind=logits",
        "page": 'title="Two questions about one photo"',
    }
    arguments = values.get(name) or (str(first.default) if first.name == "value" else f"{first.name}={first.default}")
    return f"set {name} {arguments}" if first.name == "value" else f"set {name}({arguments})"


# --- one section each -----------------------------------------------------------------------------------------------


def _operation(operation: Operation) -> str:
    return _section(
        operation.name,
        [
            signature(operation.name, operation.parameters),
            _words(operation),
            parameters(operation.parameters),
            _example(operation.example),
            _takes_and_gives(operation),
        ],
    )


def _takes_and_gives(operation: Operation) -> str:
    """Return the types before and after the operation in its own example, as its type rule computes them."""
    if operation.example_needs:
        return f"It needs {operation.example_needs}."
    checker, _, _ = checked(operation.example)
    nodes = [node for node in checker.resolver.origins if node.op == operation.name] if checker.has_resolver else []
    if not nodes or not nodes[0].inputs:
        return ""
    takes, gives = nodes[0].inputs[0].type, nodes[0].type
    words = f"Here it maps {shape(takes)} to {shape(gives)}."
    if operation.content and takes.atom == gives.atom:
        words += " It is a content: it replaces the values and keeps the atoms, their order and their states."
    return words


def _present() -> str:
    return f"Parameters of `present`:\n\n{parameters(PRESENT)}"


def _style(style: Style) -> str:
    facts = [f"Draws {style.spends}." if style.places_pages else f"Spends {style.spends}."]
    facts += [f"Also accepts {', '.join(f'`{name}`' for name in style.takes)}."] if style.takes else []
    facts += ["Can be drawn `over=` another element."] if style.overlays else []
    facts += ["Others can be drawn over it."] if style.carries else []
    body = [_words(style), " ".join(facts), parameters(style.parameters)]
    return _section(style.name, [*body, _example(style.example)])


def _method(method: Method) -> str:
    where = "Defined at the input only." if method.input_only else "Defined at layers with positions, and at the input."
    body = [signature(method.name, method.parameters), _words(method), f"Source: {method.source}."]
    body += [where] if method.input_only or method.maps_only else []
    return _section(method.name, [*body, parameters(method.parameters), _example(method_example(method))])


def _selection(name: str) -> str:
    words, example, own = SELECTIONS[name]
    return _section(name, [signature(name, own), words, parameters(own), _example(example)])


def _setting(name: str) -> str:
    return _section(name, [parameters(SETTINGS[name], bare=True), _example(setting_example(name))])


# --- parts ----------------------------------------------------------------------------------------------------------


def signature(name: str, own_parameters: Iterable[Parameter]) -> str:
    """Return a signature such as `top(k, along=none, by=value, per=none)`."""
    arguments = [p.name if p.required else f"{p.name}={_literal(p.default)}" for p in own_parameters]
    return f"`{name}({', '.join(arguments)})`" if arguments else f"`{name}`"


def parameters(own_parameters: Iterable[Parameter], bare: bool = False) -> str:
    """Return a table of parameters, or "". ``bare``: a setting whose only parameter has no name."""
    rows = [
        f"| `{p.name}` | {_kind(p)} | {_default(p)} | {_range(p)} | {_cell(p.doc)} |"
        if not (bare and p.name == "value")
        else f"| | {_kind(p)} | {_default(p)} | {_range(p)} | {_cell(p.doc)} |"
        for p in own_parameters
    ]
    head = ["| parameter | kind | default | range | |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) if rows else ""


def shape(type: FieldType) -> str:
    """Describe a field's type, without the axis of a single input."""
    axes = ", ".join(_axis(axis) for axis in type.axes if axis.name != "input" or axis.size > 1)
    where = f" of {', '.join(type.layers)}" if type.layers and type.layers != ("output",) else ""
    states = f", states ({', '.join(str(axis) for axis in type.states)})" if type.states else ""
    return f"{type.content}{where} ({axes or 'no axes'}){states}"


def _axis(axis: Axis) -> str:
    return f"{axis.name}: all" if axis.size >= MOST_EXAMPLES else str(axis)


def _kind(parameter: Parameter) -> str:
    return KINDS[parameter.kind] + (", or a slider" if parameter.slides else "")


def _default(parameter: Parameter) -> str:
    arguments = "required" if parameter.required else _literal(parameter.default)
    return arguments if arguments in ("", "required") else f"`{arguments}`"


def _literal(value: Any) -> str:
    """Return a default as it is written in a text, or "" where it cannot be written."""
    if value is None or value == "first":
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    low, high = parameter.minimum, parameter.maximum
    unit = f" {parameter.unit}" if parameter.unit else ""
    if low is None and high is None:
        return unit.strip()
    return f"{_number(low)} to {_number(high)}{unit}" if high is not None else f"at least {_number(low)}{unit}"


def _number(value: float | None) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _cell(words: str) -> str:
    return plain(words).replace("|", "\\|")


def _words(thing: Operation | Style | Method) -> str:
    """Return the docstring of the own class of an operation, style or method, with lines joined to paragraphs."""
    text = plain(inspect.cleandoc(type(thing).__doc__ or ""))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _example(text: str) -> str:
    return fenced(text)


def _section(name: str, parts: Iterable[str]) -> str:
    return "\n\n".join([f'<a id="{name}"></a>\n\n## {name}', *(part for part in parts if part)])


def _page(title: str, introduction: str, sections: Iterable[str]) -> str:
    others = "Generated by `make reference`; see also [the language](../language.md)."
    return "\n\n".join([f"# {title}", introduction, others, *sections]) + "\n"


def _sorted(things: Iterable[Named]) -> list[Named]:
    """Sort by availability, then by name."""
    return sorted(things, key=lambda thing: thing.name)


def write(folder: Path = ROOT / "docs") -> list[Path]:
    """Write every page that changed, and return their paths."""
    changed = []
    for name, text in pages().items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed
