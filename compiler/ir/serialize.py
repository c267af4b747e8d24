"""The JSON form of a typed program: a table of nodes, children before parents, and what refers to them by number.

The form is described by program.schema.json beside this file (JSON Schema 2020-12). A program read back is equal to the
one that was written and runs the same. A caller's own module is a named slot: it is passed again when the program runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import (
    MOST_STAGES,
    Backward,
    DerivativeRequest,
    Element,
    Forward,
    Icons,
    Interface,
    ModelSlot,
    Node,
    Program,
    Rerun,
    Tangents,
    walk,
)
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.compiler.ir.wellformed import check_form, check_levels
from bbilang.grammar.codes import MALFORMED_TREE
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.parse import MAX_BYTES
from bbilang.grammar.source import Source, Span

DEEPEST = 2 * MOST_STAGES  # nodes above each other; the optimizer adds some
FORMAT, VERSION = "bbilang-program", 1


def to_json(program: Program) -> dict[str, Any]:
    """The program as dictionaries, lists, numbers, strings and None."""
    roots = [element.node for element in program.elements] + [node for _, node in program.bindings]
    roots += [node for d in program.derivatives for node in (*d.targets, *d.serves)]
    roots += [node for f in program.forwards for node in f.serves]
    nodes = list(walk(*roots))
    number = {id(node): index for index, node in enumerate(nodes)}

    def derived(one: Backward | Tangents | Rerun) -> dict[str, Any]:
        requests = [
            {
                "target": number[id(a.target)],
                "node": number[id(a.node)],
                "layers": list(a.layers),
                "parts": a.parts,
                "narrow": a.narrow,
                "combined": a.combined,
            }
            for a in one.requests
        ]
        return {"asks": requests, "forward": one.forward}

    def many(group: tuple[Node, ...]) -> list[int]:
        return [number[id(node)] for node in group]

    return {
        "format": FORMAT,
        "version": VERSION,
        "models": [asdict(slot) for slot in program.models],
        "inputs": list(program.inputs),
        "settings": {name: _listed(value) for name, value in program.settings},
        "output": program.output,
        "optimized": program.optimized,
        "nodes": [_node(node, number, program) for node in nodes],
        "interfaces": [
            {
                "title": interface.title,
                "elements": [
                    {"id": e.id, "node": number[id(e.node)], "title": e.title, "caption": e.caption, "over": e.over}
                    for e in interface.elements
                ],
                "layout": _listed(interface.layout),
            }
            for interface in program.interfaces
        ],
        "bindings": [[name, number[id(node)]] for name, node in program.bindings],
        "forwards": [
            {
                "layers": list(f.layers),
                "scores": f.scores,
                "stops": f.stops,
                "serves": many(f.serves),
                "picture": f.picture,
                "rule": _listed(f.rule),
            }
            for f in program.forwards
        ],
        "backwards": [
            {**derived(b), "stops": b.stops, "place": b.target_layer, "batched": b.batched} for b in program.backwards
        ],
        "tangents": [{**derived(t), "layer": t.layer, "place": t.target_layer} for t in program.tangents],
        "reruns": [
            {
                **derived(r),
                "layer": r.layer,
                "method": _listed(r.method),
                "visits": r.visits,
                "above": r.above,
                "baseline": r.baseline,
                "place": r.target_layer,
                "finds": r.finds,
                "extra": r.extra,
                "bound": r.bound,
                "rivals": r.rivals,
            }
            for r in program.reruns
        ],
        "icons": [{"elements": list(i.elements), "at_most": i.at_most} for i in program.icons],
        "description": program.description.to_json() if program.description else None,
        "source": {"name": program.source.name, "text": program.source.text} if program.source else None,
    }


def _node(node: Node, number: Mapping[int, int], program: Program) -> dict[str, Any]:
    def value(item: Any) -> Any:
        if isinstance(item, Node):
            return {"node": number[id(item)]}
        return [value(part) for part in item] if isinstance(item, tuple) else item

    return {
        "op": node.op,
        "inputs": [number[id(child)] for child in node.inputs],
        "parameters": {name: value(item) for name, item in node.parameters},
        "type": _listed(asdict(node.type)),
        "spans": [[span.start, span.end] for span in program.spans(node)],
    }


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value


def from_json(data: Any) -> Program:
    """The program of a JSON form. Raises `BbiError` where the form is not one that `to_json` gives."""
    import jsonschema

    try:
        check_levels(data)
    except ValueError as error:
        raise _malformed("$", str(error)) from error
    problem = next(iter(jsonschema.Draft202012Validator(schema()).iter_errors(data)), None)
    if problem is not None:
        raise _malformed(problem.json_path, problem.message.split("\n")[0])
    try:
        return _program(data)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise _malformed("$", str(error)) from error


def _malformed(path: str, message: str) -> BbiError:
    shown = message if len(message) < 200 else f"{message[:200]} ..."
    help = "write it with `bbilang.program_to_json(program)`"
    return BbiError(
        Diagnostic(MALFORMED_TREE, f"this is not the JSON form of a program: at {path}: {shown}", help=help)
    )


def _program(data: dict[str, Any]) -> Program:
    nodes: list[Node] = []
    origins: dict[Node, tuple[Span, ...]] = {}

    def at(index: int) -> Node:
        if not 0 <= index < len(nodes):
            raise ValueError(f"node {index} is used before it is there")
        return nodes[index]

    def value(item: Any) -> Any:
        if isinstance(item, dict):
            return at(item["node"])
        return tuple(map(value, item)) if isinstance(item, list) else item

    for entry in data["nodes"]:
        parameters = tuple(sorted((name, value(item)) for name, item in entry["parameters"].items()))
        node = Node(entry["op"], tuple(map(at, entry["inputs"])), parameters, _type(entry["type"]))
        if node.depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} nodes stand above each other")
        nodes.append(node)
        if not all(0 <= start <= end <= MAX_BYTES for start, end in entry["spans"]):
            raise ValueError(f"a span is [start, end] with 0 <= start <= end <= {MAX_BYTES}")
        spans = (Span(start, end) for start, end in entry["spans"])
        origins[node] = tuple(dict.fromkeys((*origins.get(node, ()), *spans)))
    interfaces = tuple(
        Interface(
            i["title"],
            tuple(Element(e["id"], at(e["node"]), e["title"], e["caption"], e["over"]) for e in i["elements"]),
            _tupled(i["layout"]),
        )
        for i in data["interfaces"]
    )

    def requests(entry: dict[str, Any]) -> tuple[DerivativeRequest, ...]:
        return tuple(
            DerivativeRequest(
                at(a["target"]), at(a["node"]), tuple(a["layers"]), a["parts"], a["narrow"], a["combined"]
            )
            for a in entry["asks"]
        )

    source, description = data["source"], data["description"]
    program = Program(
        tuple(ModelSlot(m["alias"], m["name"], m["weights"]) for m in data["models"]),
        tuple(data["inputs"]),
        interfaces,
        tuple((name, at(index)) for name, index in data["bindings"]),
        tuple(sorted((name, _tupled(item)) for name, item in data["settings"].items())),
        tuple(
            Forward(
                tuple(f["layers"]),
                f["scores"],
                f["stops"],
                tuple(map(at, f["serves"])),
                f["picture"],
                _tupled(f["rule"]),
            )
            for f in data["forwards"]
        ),
        tuple(Backward(requests(b), b["forward"], b["stops"], b["place"], b["batched"]) for b in data["backwards"]),
        tuple(Tangents(requests(t), t["forward"], t["layer"], t["place"]) for t in data["tangents"]),
        tuple(
            Rerun(
                requests(r),
                r["forward"],
                r["layer"],
                _tupled(r["method"]),
                r["visits"],
                r["above"],
                r["baseline"],
                r["place"],
                r["finds"],
                r["extra"],
                r["bound"],
                r["rivals"],
            )
            for r in data["reruns"]
        ),
        tuple(Icons(tuple(i["elements"]), i["at_most"]) for i in data["icons"]),
        data["optimized"],
        data["output"],
        origins,
        Source(source["text"], source["name"]) if source else None,
        _description(description) if description else None,
    )
    for one in program.derivatives:
        if not 0 <= one.forward < len(program.forwards):
            raise ValueError(f"a derivative needs forward {one.forward}, which is not there")
    if any(not -1 <= r.baseline < len(program.forwards) for r in program.reruns):
        raise ValueError("a rerun needs the forward of a baseline that is not there")
    return program


def _description(data: dict[str, Any]) -> ModelDescription:
    check_form(data, ModelDescription, "$.description")
    found = ModelDescription.from_json(data)
    for layer in found.layers:
        if len(layer.axes) != len(layer.shape) or any(size < 1 for size in layer.shape):
            raise ValueError(f"layer {layer.name!r} has the axes {layer.axes} and the shape {layer.shape}")
    names = {layer.name for layer in found.layers}
    if len(names) != len(found.layers) or not names.issuperset(found.aliases.values()):
        raise ValueError("the names of the layers do not fit together")
    if found.classes < 0 or (found.labels and len(found.labels) != found.classes) or min(found.input_size) < 1:
        raise ValueError("the classes or the sizes of the description do not fit together")
    return found


def _type(data: dict[str, Any]) -> FieldType:
    axes = {name: tuple(_axis(axis) for axis in data[name]) for name in ("axes", "states")}
    words = ("layers", "steps", "spent", "linked", "curves")
    return FieldType(**{**data, **axes, **{n: tuple(data[n]) for n in words}})


def _axis(data: dict[str, Any]) -> Axis:
    return Axis(**{**data, **{name: tuple(data[name]) for name in ("components", "sizes", "varies")}})


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of the form."""
    form: dict[str, Any] = json.loads((Path(__file__).parent / "program.schema.json").read_text(encoding="utf-8"))
    return form
