"""The JSON form of a typed program: a table of nodes, children before parents, referred to by index.

The form is described by program.schema.json beside this file (JSON Schema 2020-12). Reading a written program gives an
equal one, which runs the same. A caller's own module is a named slot: it must be passed again to run the program.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

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
    PerExample,
    Program,
    Rerun,
    Scan,
    Tangents,
    walk,
    with_examples,
)
from bbilang.compiler.ir.relatives import Lent, Relative, Resumed
from bbilang.compiler.ir.serialized_types import (
    ScanEntry,
    SlotEntry,
    description_from,
    name_entry,
    name_from,
    related_from,
    shape_from,
    shape_of,
    type_from,
)
from bbilang.compiler.ir.wellformed import check_levels
from bbilang.grammar.codes import MALFORMED_TREE
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.parse import MAX_BYTES
from bbilang.grammar.source import Source, Span

DEEPEST = 2 * MOST_STAGES  # levels of nodes; the optimizer adds some
FORMAT, VERSION = "bbilang-program", 1


def to_json(program: Program) -> dict[str, Any]:
    """Convert the program to dictionaries, lists, numbers, strings and None."""
    return _Writer(program).program()


class _Writer:
    """Writes a program. Nodes refer to each other by their index in a table: see `numbers`."""

    def __init__(self, program: Program):
        self.source = program
        roots = [*program.roots, *(node for _, node in program.bindings)]
        roots += [node for d in program.derivatives for node in (*d.targets, *d.serves)]
        roots += [node for f in program.forwards for node in f.serves]
        roots += [node for slot in program.models for one in slot.lineage for node in one.changes]
        roots += program.others
        roots += [node for s in program.scans for node in (s.dataset, *s.contents, *s.serves)]
        roots += [name.maker for name in program.names if name.maker is not None]
        self.nodes = list(walk(*with_examples(*roots)))  # children before parents
        self.numbers = {id(node): index for index, node in enumerate(self.nodes)}

    def program(self) -> dict[str, Any]:
        program = self.source
        return {
            "format": FORMAT,
            "version": VERSION,
            "models": [self.slot(slot) for slot in program.models],
            "inputs": list(program.inputs),
            "settings": {name: _listed(value) for name, value in program.settings},
            "output": program.output,
            "optimized": program.optimized,
            "nodes": [self.node(node) for node in self.nodes],
            "interfaces": [self.interface(interface) for interface in program.interfaces],
            "bindings": [[name, self.numbers[id(node)]] for name, node in program.bindings],
            "forwards": [self.forward(f) for f in program.forwards],
            "backwards": [
                {**self.derivatives(b), "stops": b.stops, "place": b.target_layer, "batched": b.batched}
                for b in program.backwards
            ],
            "tangents": [{**self.derivatives(t), "layer": t.layer, "place": t.target_layer} for t in program.tangents],
            "reruns": [self.rerun(r) for r in program.reruns],
            "icons": [{"elements": list(i.elements), "at_most": i.at_most} for i in program.icons],
            "scans": [self.scan(s) for s in program.scans],
            "names": [name_entry(name, self.numbers) for name in program.names],
            "kept": [self.numbers[id(node)] for node in program.kept],
            **self.of_several(),
            "description": program.description.to_json() if program.description else None,
            "source": {"name": program.source.name, "text": program.source.text} if program.source else None,
        }

    def of_several(self) -> dict[str, object]:
        """Write what only a program of several models, or a part of one, has."""
        program, entry = self.source, dict[str, object]()
        if program.kept_as or program.others:
            entry |= {"kept_as": list(program.kept_as), "others": [self.numbers[id(node)] for node in program.others]}
        if program.parts:
            entry["parts"] = [to_json(part) for part in program.parts]
        if program.relatives:
            entry["relatives"] = [_listed(asdict(relative)) for relative in program.relatives]
        if program.lent is not None:
            entry["lent"] = _listed(asdict(program.lent))
        return entry

    def slot(self, slot: ModelSlot) -> dict[str, object]:
        """Write a model; one that is derived from another with that one and its stages."""
        entry: dict[str, object] = {"alias": slot.alias, "name": slot.name, "weights": slot.weights}
        if slot.members or slot.of:
            entry |= {"members": list(slot.members), "of": slot.of}
        if slot.base is not None:
            entry |= {"base": self.slot(slot.base), "changes": [self.numbers[id(node)] for node in slot.changes]}
        return entry

    def node(self, node: Node) -> dict[str, Any]:
        return {
            "op": node.op,
            "inputs": [self.numbers[id(child)] for child in node.inputs],
            "parameters": {name: self.parameter(value) for name, value in node.parameters},
            "type": _listed(asdict(node.type)),
            "spans": [[span.start, span.end] for span in self.source.spans(node)],
        }

    def parameter(self, value: Any) -> Any:
        if isinstance(value, Node):
            return {"node": self.numbers[id(value)]}
        if isinstance(value, PerExample):
            return {"each": self.numbers[id(value.node)]}
        return [self.parameter(item) for item in value] if isinstance(value, tuple) else value

    def interface(self, interface: Interface) -> dict[str, Any]:
        elements = [
            {"id": e.id, "node": self.numbers[id(e.node)], "title": e.title, "caption": e.caption, "over": e.over}
            for e in interface.elements
        ]
        return {"title": interface.title, "elements": elements, "layout": _listed(interface.layout)}

    def forward(self, forward: Forward) -> dict[str, Any]:
        return {
            "layers": list(forward.layers),
            "scores": forward.scores,
            "stops": forward.stops,
            "serves": [self.numbers[id(node)] for node in forward.serves],
            "picture": forward.picture,
            "rule": _listed(forward.rule),
            **({} if forward.resumes is None else {"resumes": _listed(asdict(forward.resumes))}),
        }

    def derivatives(self, step: Backward | Tangents | Rerun) -> dict[str, Any]:
        """Write what the three kinds of derivative passes have in common."""
        requests = [
            {
                "target": self.numbers[id(request.target)],
                "node": self.numbers[id(request.node)],
                "layers": list(request.layers),
                "parts": request.parts,
                "narrow": request.narrow,
                "combined": request.combined,
            }
            for request in step.requests
        ]
        return {"asks": requests, "forward": step.forward}

    def scan(self, scan: Scan) -> ScanEntry:
        fields, summaries, serves = (
            [self.numbers[id(node)] for node in nodes] for nodes in (scan.fields, scan.summaries, scan.serves)
        )
        return {
            "dataset": self.numbers[id(scan.dataset)], "fields": fields, "summaries": summaries, "scores": scan.scores,
            "serves": serves, "samples": [[self.numbers[id(node)], count] for node, count in scan.samples],
            "histograms": [self.numbers[id(node)] for node in scan.histograms],
            "cubes": [self.numbers[id(node)] for node in scan.cubes],
        }  # fmt: skip

    def rerun(self, rerun: Rerun) -> dict[str, Any]:
        return {
            **self.derivatives(rerun),
            "layer": rerun.layer,
            "method": _listed(rerun.method),
            "visits": rerun.visits,
            "above": rerun.above,
            "baseline": rerun.baseline,
            "place": rerun.target_layer,
            "finds": rerun.finds,
            "extra": rerun.extra,
            "bound": rerun.bound,
            "rivals": rerun.rivals,
            **shape_of(rerun),
        }


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value


def from_json(data: Any) -> Program:
    """Read what `to_json` wrote. Raises `BbiError` E132 for any other JSON."""
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
    program = _Reader(data).program()
    for step in program.derivatives:
        if not 0 <= step.forward < len(program.forwards):
            raise ValueError(f"a derivative needs forward {step.forward}, which is not there")
    if any(not -1 <= rerun.baseline < len(program.forwards) for rerun in program.reruns):
        raise ValueError("a rerun needs the forward of a baseline that is not there")
    return program


class _Reader:
    """Reads what `_Writer` wrote, after the schema was checked. Raises ValueError, TypeError and the like."""

    def __init__(self, data: dict[str, Any]):
        self.data = data
        self.nodes: list[Node] = []
        self.origins: dict[Node, tuple[Span, ...]] = {}
        self.layers: Collection[str] = ()  # of the description

    def program(self) -> Program:
        data = self.data
        for entry in data["nodes"]:
            self.read_node(entry)
        source, entry = data["source"], data["description"]
        description = description_from(entry) if entry else None
        self.layers = () if description is None else description.by_name
        return Program(
            tuple(map(self.slot, data["models"])),
            tuple(data["inputs"]),
            tuple(self.interface(entry) for entry in data["interfaces"]),
            tuple((name, self.node(index)) for name, index in data["bindings"]),
            tuple(sorted((name, _tupled(item)) for name, item in data["settings"].items())),
            tuple(self.forward(entry) for entry in data["forwards"]),
            tuple(
                Backward(self.requests(b), b["forward"], b["stops"], b["place"], b["batched"])
                for b in data["backwards"]
            ),
            tuple(Tangents(self.requests(t), t["forward"], t["layer"], t["place"]) for t in data["tangents"]),
            tuple(self.rerun(entry) for entry in data["reruns"]),
            tuple(Icons(tuple(i["elements"]), i["at_most"]) for i in data["icons"]),
            data["optimized"],
            data["output"],
            self.origins,
            Source(source["text"], source["name"]) if source else None,
            description,
            names=tuple(name_from(entry, self.node) for entry in data.get("names", ())),
            scans=tuple(self.scan(entry) for entry in data.get("scans", ())),
            kept=tuple(map(self.node, data.get("kept", ()))),
            kept_as=tuple(data.get("kept_as", ())),
            others=tuple(map(self.node, data.get("others", ()))),
            parts=tuple(map(_program, data.get("parts", ()))),
            relatives=tuple(related_from(entry, Relative, self.layers) for entry in data.get("relatives", ())),
            lent=related_from(data["lent"], Lent, self.layers) if "lent" in data else None,
        )

    def slot(self, entry: SlotEntry) -> ModelSlot:
        base = self.slot(entry["base"]) if "base" in entry else None
        changes = tuple(map(self.node, entry.get("changes", ())))
        of = tuple(entry.get("members", ())), entry.get("of", "")
        return ModelSlot(entry["alias"], entry["name"], entry["weights"], base, changes, *of)

    def node(self, index: int) -> Node:
        if not 0 <= index < len(self.nodes):
            raise ValueError(f"node {index} is used before it is there")
        return self.nodes[index]

    def parameter(self, value: Any) -> Any:
        if isinstance(value, dict):
            return PerExample(self.node(value["each"])) if "each" in value else self.node(value["node"])
        return tuple(map(self.parameter, value)) if isinstance(value, list) else value

    def read_node(self, entry: dict[str, Any]) -> None:
        parameters = tuple(sorted((name, self.parameter(value)) for name, value in entry["parameters"].items()))
        node = Node(entry["op"], tuple(map(self.node, entry["inputs"])), parameters, type_from(entry["type"]))
        if node.depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels of nodes")
        self.nodes.append(node)
        if not all(0 <= start <= end <= MAX_BYTES for start, end in entry["spans"]):
            raise ValueError(f"a span is [start, end] with 0 <= start <= end <= {MAX_BYTES}")
        spans = (Span(start, end) for start, end in entry["spans"])
        self.origins[node] = tuple(dict.fromkeys((*self.origins.get(node, ()), *spans)))

    def interface(self, entry: dict[str, Any]) -> Interface:
        elements = tuple(
            Element(e["id"], self.node(e["node"]), e["title"], e["caption"], e["over"]) for e in entry["elements"]
        )
        return Interface(entry["title"], elements, _tupled(entry["layout"]))

    def forward(self, entry: dict[str, Any]) -> Forward:
        return Forward(
            tuple(entry["layers"]),
            entry["scores"],
            entry["stops"],
            tuple(map(self.node, entry["serves"])),
            entry["picture"],
            _tupled(entry["rule"]),
            related_from(entry["resumes"], Resumed, self.layers) if "resumes" in entry else None,
        )

    def requests(self, entry: dict[str, Any]) -> tuple[DerivativeRequest, ...]:
        return tuple(
            DerivativeRequest(
                self.node(r["target"]), self.node(r["node"]), tuple(r["layers"]), r["parts"], r["narrow"], r["combined"]
            )
            for r in entry["asks"]
        )

    def scan(self, entry: ScanEntry) -> Scan:
        lists = (entry["fields"], entry["summaries"], entry["serves"])
        fields, summaries, serves = (tuple(map(self.node, numbers)) for numbers in lists)
        samples = tuple((self.node(node), count) for node, count in entry["samples"])
        histograms, cubes = (tuple(map(self.node, entry[kind])) for kind in ("histograms", "cubes"))
        return Scan(self.node(entry["dataset"]), fields, summaries, entry["scores"], serves, samples, histograms, cubes)

    def rerun(self, entry: dict[str, Any]) -> Rerun:
        return Rerun(
            self.requests(entry),
            entry["forward"],
            entry["layer"],
            _tupled(entry["method"]),
            entry["visits"],
            entry["above"],
            entry["baseline"],
            entry["place"],
            entry["finds"],
            entry["extra"],
            entry["bound"],
            entry["rivals"],
            *shape_from(entry),
        )


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of the form."""
    form: dict[str, Any] = json.loads((Path(__file__).parent / "program.schema.json").read_text(encoding="utf-8"))
    return form
