"""Documentation in Markdown: operations, parameters, layers, fields. Texts are shared with the reference."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from bbilang.compiler.check.datasets import MOST_EXAMPLES
from bbilang.compiler.check.present import PARAMETERS as PRESENT
from bbilang.compiler.check.scope import Layers
from bbilang.compiler.contract import Method, Operation, Parameter, Style
from bbilang.compiler.ir.cuts import PLACES, Place
from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.reference.pages import KINDS, SELECTIONS, _words, method_example, signature

DATASET = "dataset: "  # begins the words for one
ATOM_WORDS = {
    "neuron": "every entry of the layer: y, x, channel",
    "spatial": "the vector at every position: y, x",
    "channel": "one map for each channel",
    "group": "what `factorize` finds",
    "whole": "the whole cube of activations",
    "pixel": "the RGB of every position of the picture",
    "class": "every class of the output",
    "token": "the vector of every token",
    "frame": "what is there in every frame of a sound: frame",
    "head": "the output of every attention head, before their projection",
    "example": "every example of a dataset",
}
STATEMENTS = {
    "bbi": ("bbi 1", "The version of the language, on the first line."),
    "model": ("model efficientnet_lite0", "The network: a name from `bbi models`, or of another library in quotes."),
    "input": ('input "sample:chelsea"', "The picture: a file, a glob, a folder or `sample:NAME`."),
    "dataset": ('dataset photos = "folder/"', "A name for a folder of pictures."),
    "claim": (
        'claim "The cat rests on the stripes" = stripes | ablate(zero, together=true) | effect(output) < -0.5',
        "A sentence with the number that it stands for: the page says whether it holds, and `bbi test` fails if not.",
    ),
    "name": ('name block5c.expand.channel[447] "stripes"', "What you call a channel, shown wherever it is drawn."),
    "output": ('output = "head.logits"', "The module that gives the scores, for a model without one class vector."),
    "set": ("set featvis(size=96)", "Defaults for the whole file."),
    "use": ('use "other.bbi"', "Bindings and definitions of another file."),
    "def": (
        "def evidence(layer, k=8) = layer.channel | attribute(output) | top(k)",
        "An operation of your own.",
    ),
    "interface": ('interface "title" { ... }', "Elements that belong together, and their layout."),
    "layout": ("layout row(photo, blocks)", "Rows and columns of elements, by name."),
}


@lru_cache(maxsize=8192)
def field_words(type: FieldType) -> str:
    """Describe a field: `channel: 672 · attribution to 2 classes`."""
    axes = [axis for axis in type.axes if axis.name != "input" or axis.size > 1]
    classes = next((axis for axis in axes if axis.name == "class"), None)
    content = type.content
    if content == "attribution" and type.atom != "class":
        if classes is not None:
            axes.remove(classes)
            content = f"attribution to {_amount(classes)} classes"
        else:
            content = "attribution to one target"
    elif content == "score" and type.unit:
        content += f" in {type.unit}"
    if content == "substrate":
        content = f"{type.atom} atoms"
    parts = [", ".join(f"{axis.name}: {_amount(axis)}" for axis in axes) or "one number", content]
    if type.layers and type.layers != ("output",):
        parts.append(", ".join(type.layers) if len(type.layers) < 4 else f"{len(type.layers)} layers")
    if type.states:
        chosen = " × ".join(f"{axis.name} {_amount(axis)}" for axis in type.states)
        parts.append(f"states: {chosen}")
    return " · ".join(parts)


def _amount(axis: Axis) -> str:
    if axis.size >= MOST_EXAMPLES:
        return "all"
    if axis.sizes and len(set(axis.sizes)) > 1:
        return f"{'' if axis.exact else 'up to '}{'/'.join(map(str, axis.sizes))}"
    return f"{'' if axis.exact else 'up to '}{axis.size}"


@lru_cache(maxsize=8192)
def _node_words(node: Node) -> str:
    if node.op == "present":
        return f"element: {node['style']} of {field_words(node.type)}"
    if node.type.content == "dataset":
        labels = dict(node.type.columns).get("label", 0)
        counted = f", {labels:,} {'label' if labels == 1 else 'labels'}" if labels else ""
        return f"{DATASET}{_amount(node.type.axes[0])} examples{counted}"
    if node.type.content == "selection":
        axis = node.type.axes[0]
        return f"{node.op} over {_amount(axis)} {'numbers' if node.op == 'slider' else ', '.join(axis.components)}"
    return field_words(node.type)


def value_words(value: object) -> str:
    """Describe a bound value in one line."""
    if isinstance(value, Node):
        return _node_words(value)
    if isinstance(value, Layers):
        return f"{'layers ' if len(value.names) > 1 else 'layer '}{', '.join(value.names)}"
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def layer_words(layer: LayerDescription) -> str:
    """Describe a layer: `channel: 672, y: 14, x: 14 · conv`."""
    sizes = ", ".join(f"{axis}: {size}" for axis, size in zip(layer.axes, layer.shape, strict=True))
    facts = [sizes, *([layer.kind] if layer.kind else []), *(["never negative"] if layer.nonnegative else [])]
    return " · ".join(facts)


def place_words(place: Place) -> str:
    """Describe whether a layer is a cut or a branch, and what that means."""
    return f"{'cut or branch' if place == 'unknown' else place}: {PLACES[place]}"


def model_words(description: ModelDescription) -> str:
    """Describe a network in Markdown: what it takes, how many layers and classes it has."""
    y, x = description.input_size
    seen = {"text": f"reads {x} tokens", "audio": f"hears {description.rate:,} samples/s in frames of {y}"}
    sees = seen.get(description.reads, f"sees {x} × {y} pixels")
    return f"**{description.title}**\n\n{len(description.layers)} layers, {description.classes} classes; {sees}."


def operation_words(operation: Operation, field: Node | None = None, gives: Node | None = None) -> str:
    """Describe an operation in Markdown; ``field`` is what it is applied to here, ``gives`` its result."""
    own_parameters = PRESENT if operation.name == "present" else operation.parameters
    lines = [_code(signature(operation.name, own_parameters))]
    if gives is not None and gives.op != "present":
        lines.append(f"gives **{field_words(gives.type)}**")
    if field is not None:
        lines.append(f"takes {field_words(field.type)}")
    lines.append(_words(operation))
    return "\n\n".join([*lines, *_parameters(own_parameters), _example(operation.example)])


def style_words(style: Style) -> str:
    """Describe a style in Markdown: the axes that it spends, its parameters and an example."""
    takes = f" It also accepts {', '.join(f'`{name}`' for name in style.takes)}." if style.takes else ""
    lines = [_code(style.name), _words(style), f"Spends {style.spends}.{takes}"]
    return "\n\n".join([*lines, *_parameters(style.parameters), _example(style.example)])


def method_words(method: Method) -> str:
    """Describe an attribution method in Markdown: its signature, source and an example."""
    lines = [
        _code(signature(method.name, method.parameters)),
        _words(method),
        f"Source: {method.source}.",
    ]
    return "\n\n".join([*lines, *_parameters(method.parameters), _example(method_example(method))])


def selection_words(name: str) -> str:
    words, example, own_parameters = SELECTIONS[name]
    return "\n\n".join([_code(signature(name, own_parameters)), words, *_parameters(own_parameters), _example(example)])


def statement_words(word: str) -> str:
    form, words = STATEMENTS[word]
    return f"{words}\n\n{_example(form)}"


def parameter_words(parameter: Parameter) -> str:
    """Describe a parameter: its kind and range, then what it does."""
    return f"{kind_words(parameter)}. {parameter.doc[:1].upper()}{parameter.doc[1:]}."


def kind_words(parameter: Parameter) -> str:
    """Describe the values that a parameter takes: their kind, range and default."""
    words = KINDS.get(parameter.kind, parameter.kind) + (", or a slider" if parameter.slides else "")
    low, high, unit = parameter.minimum, parameter.maximum, f" {parameter.unit}" if parameter.unit else ""
    if parameter.choices:
        words += f": {', '.join(parameter.choices)}"
    elif low is not None and high is not None:
        words += f", {_number(low)} to {_number(high)}{unit}"
    elif low is not None:
        words += f", at least {_number(low)}{unit}"
    if not parameter.required and parameter.default not in (None, "first"):
        default = str(parameter.default).lower() if isinstance(parameter.default, bool) else parameter.default
        words += f"; default {default}"
    return words


def _parameters(own_parameters: Iterable[Parameter]) -> list[str]:
    listed = parameter_list(own_parameters)
    return [listed] if listed else []


def parameter_list(own_parameters: Iterable[Parameter]) -> str:
    """Return a list with a line for each parameter."""
    return "\n".join(f"- `{p.name}` ({kind_words(p)}): {p.doc}" for p in own_parameters)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _code(words: str) -> str:
    return f"```bbi\n{words.strip('`')}\n```"


def _example(text: str) -> str:
    return f"```bbi\n{text}\n```" if text else ""
