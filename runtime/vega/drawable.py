"""Which specifications the page's own renderer (page/js/draw) draws: a small part of Vega-Lite, without scales.

A specification outside of it is drawn by Vega, which is then part of the page. The tables here are those of the
renderer's `FUNCTIONS`, `WORDS`, `MARKS` and `PAINT`: a test holds them together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bbilang.runtime.json_types import JsonObject

FUNCTIONS = frozenset(
    "abs ceil exp floor log max min pow round sqrt sin cos clamp isArray isNumber isString isDefined isValid isFinite "
    "toNumber toString length indexof lastindexof slice join lower upper trim replace extent format".split()
)
WORDS = frozenset("null true false NaN PI E".split())
# Properties that every kind of mark may have, and encodings: fields and constants of each
PAINT = frozenset(
    "fill fillOpacity stroke strokeOpacity strokeWidth strokeCap strokeJoin strokeDash opacity blend smooth cursor "
    "color".split()
)
MARKS = {
    "rect": frozenset("x y x2 y2 cornerRadius".split()),
    "rule": frozenset("x y x2 y2".split()),
    "circle": frozenset("x y size".split()),
    "square": frozenset("x y size".split()),
    "image": frozenset("x y url width height align baseline aspect".split()),
    "text": frozenset("x y dx dy text limit font fontSize fontWeight align baseline angle".split()),
    "line": frozenset("x y detail order interpolate tension".split()),
}
VALUES = {  # of properties of which Vega knows more than the renderer
    "baseline": ("top", "middle", "bottom", "alphabetic"),
    "align": ("left", "center", "right"),
    "interpolate": ("linear", "bundle"),
}
TRANSPARENT = ("circle", "square")  # marks that Vega-Lite makes translucent where nothing is said
TOP = frozenset("$schema description width height padding autosize background params datasets layer config".split())
LAYER = frozenset("data transform mark encoding name".split())
SCALED = frozenset("x y fill stroke color opacity fillOpacity strokeOpacity strokeWidth size".split())
ENCODED = SCALED | frozenset("x2 y2 url text detail order".split())

TOKEN = re.compile(
    r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
    r"|[A-Za-z_$][\w$]*|[!=]==?|[<>]=?|&&|\|\||[-+*/%!?:.,()\[\]])\s*",
    re.ASCII,
)
FORMAT = re.compile(r"[-+ ]?,?(?:\.\d+)?~?[fdegr%]?")


def beyond(specification: JsonObject) -> str:
    """Return what in a specification only Vega can draw, in words; empty where the renderer draws all of it."""
    return next(_beyond(specification), "")


def _beyond(specification: JsonObject) -> Iterator[str]:
    yield from (f"`{key}`" for key in specification if key not in TOP)
    names = {param["name"] for param in specification["params"]}
    for param in specification["params"]:
        if set(param) - {"name", "value", "expr"}:
            yield f"the kind of the param {param['name']}"
        yield from _expression(param.get("expr", "0"), names)
    config = {key: value for key, value in specification.get("config", {}).items() if key != "font"}
    if config != {"aria": False, "view": {"stroke": None}}:
        yield "`config`"
    if specification.get("autosize") != "none" or not isinstance(specification.get("padding"), int):
        yield "`autosize`"
    for layer in specification["layer"]:
        yield from _layer(layer, names, specification.get("datasets", {}))


def _layer(layer: JsonObject, names: set[str], datasets: JsonObject) -> Iterator[str]:
    yield from (f"`{key}` of a layer" for key in layer if key not in LAYER)
    data = layer.get("data", {})
    if not (list(data) == ["values"] and isinstance(data["values"], list)) and data.get("name") not in datasets:
        yield "data from elsewhere"
    for step in layer.get("transform", ()):
        if set(step) != {"calculate", "as"} and set(step) != {"filter"}:
            yield f"the transform `{next(iter(step))}`"
        else:
            yield from _expression(step.get("calculate", step.get("filter")), names)
    mark = layer.get("mark")
    if not isinstance(mark, dict) or mark.get("type") not in MARKS:
        yield f"the mark {mark.get('type') if isinstance(mark, dict) else mark}"
        return
    yield from _mark(mark, layer.get("encoding", {}), names)


def _mark(mark: JsonObject, encoding: JsonObject, names: set[str]) -> Iterator[str]:
    kind = mark["type"]
    known = MARKS[kind] | PAINT
    for name, value in mark.items():
        if name != "type" and name not in known:
            yield f"`{name}` of a {kind}"
        yield from _value(name, value, names)
    if kind in TRANSPARENT and "opacity" not in mark and "opacity" not in encoding:
        yield f"the opacity of a {kind}"
    if kind == "line" and not {"x", "y", "detail", "order"} <= set(encoding):
        yield "a line without `detail` and `order`"
    for name, definition in encoding.items():
        if name not in known or name not in ENCODED:
            yield f"the channel `{name}` of a {kind}"
        yield from _channel(name, definition, names)


def _channel(name: str, definition: JsonObject, names: set[str]) -> Iterator[str]:
    if "field" in definition:
        blank = {key for key in ("scale", "axis", "legend") if key in definition and definition[key] is None}
        if set(definition) - blank - {"field", "type"} or (name in SCALED and "scale" not in blank):
            yield f"a scale or another part of `{name}`"
        if not isinstance(definition["field"], str) or not re.fullmatch(r"\w+", definition["field"]):
            yield f"the field of `{name}`"
        return
    condition = definition.get("condition")
    if set(definition) - {"value", "condition"} or "value" not in definition:
        yield f"a part of `{name}`"
    elif condition is not None:
        if not isinstance(condition, dict) or set(condition) != {"test", "value"}:
            yield f"the condition of `{name}`"
        else:
            yield from _expression(condition["test"], names)
            yield from _value(name, condition["value"], names)
    yield from _value(name, definition.get("value"), names)


def _value(name: str, value: object, names: set[str]) -> Iterator[str]:
    if isinstance(value, dict):
        if list(value) == ["expr"]:
            yield from _expression(value["expr"], names)
        else:
            yield f"the value of `{name}`"
    elif isinstance(value, list) and name != "strokeDash":
        yield f"a list as `{name}`"
    elif name in VALUES and value not in VALUES[name]:
        yield f"`{value}` as `{name}`"


def _expression(text: object, names: set[str]) -> Iterator[str]:
    """Yield the names, signs and formats in an expression that the renderer does not know."""
    tokens: list[str] = TOKEN.findall(text) if isinstance(text, str) else []
    if not isinstance(text, str) or not tokens or TOKEN.sub("", text):
        yield f"the expression {text!r}"
        return
    calls: list[str] = []  # what stands before each parenthesis that is open
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        name = re.fullmatch(r"[A-Za-z_$].*", token) and before != "."
        if token == "(":
            calls.append(before)
        elif token == ")" and calls:
            calls.pop()
        elif name and after == "(":
            if token not in FUNCTIONS:
                yield f"the function `{token}`"
        elif token == "datum" and name:
            if after != ".":
                yield "`datum` as a whole"
        elif name and token not in names and token not in WORDS:
            yield f"the name `{token}`"
        elif token[0] in "'\"" and next((c for c in reversed(calls) if c in FUNCTIONS), "") == "format":
            if not FORMAT.fullmatch(token[1:-1]):
                yield f"the format {token}"
