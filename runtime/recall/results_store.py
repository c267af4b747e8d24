"""Store the results of elements between runs: numbers, selections, the directions of their icons.

A record belongs to one element (a node of the program): its key holds the node's digest, the model, the inputs, the
settings, the device, whether the optimizer was at work, the sources of this package and the versions below it. A second
key leaves device and versions out: it leads to what was imported from another machine.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, replace
from typing import Any, cast

import numpy as np

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Element, Node, Program, walk
from bbilang.grammar.frozen import frozen
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.versions import code_digest, plugin_digest, version_of
from bbilang.runtime.execution.results import Counts, IconSet, Numbers, Results
from bbilang.runtime.featvis.icon import PLAIN_FIELDS, Grid, Objective, Start
from bbilang.runtime.featvis.regularization import Regularization
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.recall.codec import DAMAGED, decode, encode
from bbilang.runtime.recall.identity import KnownModel

log = logging.getLogger("bbilang.recall")

FORMAT = 6
HOW = ("size", "steps", "rate", "batch", "parametrization", "transparency")  # what they show is not among these
BY_ELEMENT = (
    "fields",
    "sizes",
    "budgets",
    "thumbnails",
    "followed",
)  # fields of Results that this file keeps for each element, besides icons
ELSEWHERE = ("program", "selections", "icons", "icon_sets", "pictures", "probabilities", "kind", "labels", "layers",
             "passes", "adapter", "recipe", "draft", "reused", "timings", "imported", "noticed", "stale", "kept",
             "parts")  # fmt: skip


@frozen
class Origin:
    """The run that numbers come from."""

    run: str
    device: str
    torch: str


@frozen
class ElementRecord:
    """One element's part of Results. ``index``: numbers in ``objectives`` over the field's axes, -1 for no icon."""

    parts: JsonObject  # name of a table of Results -> the element's entry
    selections: Mapping[str, Field]
    layers: Mapping[str, LayerDescription]
    index: Named | None
    objectives: tuple[Objective, ...]
    origin: Origin
    imported: bool = False


@frozen
class Predictions:
    """(input, class) probabilities, or values, by the kind of the scores."""

    probabilities: np.ndarray
    kind: str
    origin: Origin
    imported: bool = False


class ResultsStore:
    """The records of one program on one model with these inputs (their hashes, see `identity.input_identity`)."""

    def __init__(self, cache: Cache, program: Program, registry: Registry, model: KnownModel, inputs: Sequence[str]):
        self.cache, self._plugins, self.code = cache, plugin_digest(registry), model.code
        how = {f"featvis.{name}" for name in HOW}  # how icons are made is part of their own keys
        settings = [[key, value] for key, value in program.settings if key not in how]
        labels = hashlib.sha256("\n".join(model.description.labels).encode()).hexdigest()
        self._shared = {
            "format": FORMAT,
            "code": code_digest(),
            "model": [model.fingerprint, model.code, program.output, labels],
            "inputs": list(inputs),
            "settings": settings,
            "optimized": program.optimized,
        }
        versions = {name: version_of(name) for name in ("torch", "numpy", "pillow")}
        self._here = {"device": model.device.partition(":")[0], "versions": versions}

    def keys(self, what: str, node: Node | None = None) -> tuple[str, str] | None:
        """Return (the exact key, the key for any machine); None where a plugin's code cannot be known."""
        if self._plugins is None:
            return None
        of: JsonObject = {"what": what, "plugins": self._plugins, **self._shared}
        if node is not None:
            of["node"] = node.digest
        return key_of({**of, **self._here}), key_of({**of, "shared": True})

    def _read(self, what: str, node: Node | None = None) -> tuple[JsonObject, bool] | None:
        """Return (the content of a record, whether it was imported)."""
        keys = self.keys(what, node)
        for key in keys or ():
            imported = keys is not None and key == keys[1]
            record = self.cache.imported(key) if imported else self.cache.get(key)
            if record is not None:
                try:
                    return cast("JsonObject", decode(record[0])), imported
                except DAMAGED as e:
                    log.info("a stored record (%s) is damaged, and is computed again: %r", what, e)
                    self.cache.drop(key)
        return None

    def recall(self, element: Element) -> ElementRecord | None:
        """Return the stored record of an element; None where there is none, or it is of another form."""
        read = self._read("element", element.node)
        if read is None:
            return None
        try:
            data = read[0]
            return ElementRecord(
                data["parts"], data["selections"], {n: LayerDescription(**v) for n, v in data["layers"].items()},
                data["index"], _objectives(data["objectives"]), _made(data["made"]), read[1],
            )  # fmt: skip
        except DAMAGED as e:
            log.info("the stored numbers of %s are damaged, and are computed again: %r", element.id, e)
            return None

    def predictions(self) -> Predictions | None:
        """Return the stored predictions; None where there are none, or they are of another form."""
        read = self._read("probabilities")
        try:
            return None if read is None else _predicted(*read)
        except DAMAGED as e:
            log.info("the stored predictions are damaged, and are computed again: %r", e)
            return None

    def keep(self, element: Element, record: ElementRecord) -> None:
        """Write an element's record. An element that is not plain numbers is not stored."""
        data = {
            "parts": dict(record.parts),
            "selections": dict(record.selections),
            "layers": {name: asdict(layer) for name, layer in record.layers.items()},
            "index": record.index,
            "objectives": _plain(record.objectives),
            "made": asdict(record.origin),
        }
        self._write("element", element.node, data)

    def keep_predictions(self, predicted: Predictions) -> None:
        data = {"probabilities": predicted.probabilities, "kind": predicted.kind, "made": asdict(predicted.origin)}
        self._write("probabilities", None, data)

    def value(self, node: Node) -> Field | None:
        """Return the stored value of a node that other models need; None where there is none."""
        read = self._read("value", node)
        value = None if read is None else read[0].get("value")
        return value if isinstance(value, Field) else None

    def keep_value(self, node: Node, value: Field) -> None:
        self._write("value", node, {"value": value})

    def _write(self, what: str, node: Node | None, data: JsonObject) -> None:
        keys = self.keys(what, node)
        if keys is None:
            return
        try:
            raw = encode(data)
        except TypeError as e:
            log.info("a record (%s) has no stored form, and is computed again next time: %s", what, e)
            return
        self.cache.put(keys[0], raw, {"kind": "numbers", "shared": keys[1]})


def _plain(objectives: tuple[Objective, ...]) -> dict[str, object]:
    """Return start pictures and guides, and rows of [layer, direction, groups, grid, cell, what else]; a grid and a
    picture by their numbers among them, 0 groups where there is no grid. An element has every cell of its grids."""
    grids: dict[str, int] = {}
    starts: dict[Start, int] = {}
    rows = [
        [
            o.layer,
            o.direction if isinstance(o.direction, int) else np.array(o.direction, np.float32),
            *((0, 0, 0) if o.grid is None else (o.grid.groups, grids.setdefault(o.grid.digest, len(grids)), o.cell)),
            [
                [getattr(o, name) for name in PLAIN_FIELDS],
                None if o.at is None else list(o.at),
                -1 if o.start is None else starts.setdefault(o.start, len(starts)),
                -1 if o.guide is None else starts.setdefault(o.guide, len(starts)),
                None if o.regularization is None else list(asdict(o.regularization).values()),
            ],
        ]
        for o in objectives
    ]
    return {"starts": [start.array() for start in starts], "rows": rows}


def _objectives(data: JsonObject) -> tuple[Objective, ...]:
    starts = [Start.of(picture) for picture in data["starts"]]
    rows = [(str(layer), direction, int(g), int(n), int(c), rest) for layer, direction, g, n, c, rest in data["rows"]]
    cells: dict[tuple[int, int], dict[int, Any]] = {}
    for _, direction, groups, number, cell, _ in rows:
        if groups:
            cells.setdefault((groups, number), {})[cell] = direction
    grids = {key: Grid.of(np.array([own[c] for c in sorted(own)]), key[0]) for key, own in cells.items()}
    objectives = []
    for layer, direction, groups, number, cell, (plain, at, start, guide, pixels) in rows:
        objective = Objective(
            layer, direction, grid=grids.get((groups, number)) if groups else None, cell=cell,
            at=None if at is None else (float(at[0]), float(at[1])), start=starts[start] if start >= 0 else None,
            guide=starts[guide] if guide >= 0 else None,
            regularization=None if pixels is None else Regularization(*pixels),
            **dict(zip(PLAIN_FIELDS, plain, strict=True)),
        )  # fmt: skip
        objectives.append(objective)
    return tuple(objectives)


def _predicted(data: JsonObject, imported: bool) -> Predictions:
    return Predictions(data["probabilities"], str(data["kind"]), _made(data["made"]), imported)


def _made(data: JsonObject) -> Origin:
    return Origin(str(data["run"]), str(data["device"]), str(data["torch"]))


# --- from results and back ------------------------------------------------------------------------------------------


def origin_of(device: str) -> Origin:
    """Return a new run on a device."""
    return Origin(uuid.uuid4().hex, device, version_of("torch"))


def counts_of(results: Results) -> Counts:
    """Return the passes of a run, under the names that Results has for them. They belong to the run, not to its
    records."""
    counts = {f.name: getattr(results, f.name) for f in fields(Results)}
    return cast(Counts, {name: value for name, value in counts.items() if _is_count(name, value)})


def _is_count(name: str, value: object) -> bool:
    if isinstance(value, tuple):
        return name not in ELSEWHERE and bool(value) and all(type(item) is int for item in value)
    return type(value) is int


def records_of(results: Results, requested: Sequence[Objective], origin: Origin) -> dict[str, ElementRecord] | None:
    """Split a run's results into element id -> its part; ``requested`` are the objectives behind ``results.icons``, in
    order. None where Results holds something that this file does not know."""
    for f in fields(Results):
        value = getattr(results, f.name)
        empty = f.default_factory() if f.default_factory is not MISSING else f.default
        known = f.name in (*ELSEWHERE, *BY_ELEMENT) or _is_count(f.name, value) or value == empty
        if not known:
            return None
    records = {}
    for element in results.program.elements:
        chosen = [n for n in walk(element.node) if n.type.content == "selection"]
        icons = results.icon_sets.get(element.id)
        index, objectives = (None, ()) if icons is None else _local(icons.index, requested)
        layers = dict.fromkeys(name for node in walk(element.node) for name in node.type.layers)
        names = [name for name in layers if name in results.layers]  # a selection's among them
        records[element.id] = ElementRecord(
            {name: getattr(results, name)[element.id] for name in BY_ELEMENT if element.id in getattr(results, name)},
            {n["id"]: results.selections[n["id"]] for n in chosen},
            {name: results.layers[name] for name in names},
            index, objectives, origin,
        )  # fmt: skip
    return records


def _local(index: Named, requested: Sequence[Objective]) -> tuple[Named, tuple[Objective, ...]]:
    """Return the element's own objectives, those of several pictures that differ together, and the index into them."""
    first = {int(number) for number in index.data.ravel().tolist() if number >= 0}
    used = sorted({number + n for number in first for n in range(requested[number].pictures)})
    number_of = np.full(len(requested) + 1, -1)
    number_of[used] = np.arange(len(used))
    return Named(index.dims, number_of[index.data]), tuple(requested[number] for number in used)


def joined(
    program: Program, records: Mapping[str, ElementRecord], predicted: Predictions | None
) -> tuple[Numbers, list[list[Objective]]]:
    """Join records to the results of the whole program. Returns them and the icons to make, a list for each of its icon
    steps."""
    tables: dict[str, JsonObject] = {name: {} for name in BY_ELEMENT}
    layers: dict[str, LayerDescription] = {}
    selections: dict[str, Field] = {}
    for element in program.elements:
        part = records[element.id]
        for name, value in part.parts.items():
            tables[name][element.id] = value
        layers |= part.layers
    for node in walk(*(element.node for element in program.elements)):
        if node.type.content == "selection":
            name = node["id"]
            selections[name] = next(r.selections[name] for r in records.values() if name in r.selections)
    icon_sets, icon_steps = _icons(program, records)
    probabilities, kind = (predicted.probabilities, predicted.kind) if predicted is not None else (None, "")
    numbers = Numbers(
        tables["fields"], selections, tables["sizes"], icon_sets, layers, probabilities, kind, tables["budgets"],
        tables["thumbnails"], tables["followed"],
    )  # fmt: skip
    return numbers, icon_steps


def _icons(program: Program, records: Mapping[str, ElementRecord]) -> tuple[dict[str, IconSet], list[list[Objective]]]:
    """Return the icons of each element, and the objectives of each step: as a run orders them, each once in a step,
    numbered over all steps."""
    steps: list[list[Objective]] = []
    sets: dict[str, IconSet] = {}
    base = 0
    for icons in program.icons:
        known: dict[Objective, int] = {}
        for element in program.elements:
            index = records[element.id].index
            if element.id in icons.elements and index is not None:
                numbers = [base + known.setdefault(o, len(known)) for o in records[element.id].objectives]
                sets[element.id] = IconSet(Named(index.dims, np.array([*numbers, -1])[index.data]))
        steps.append(list(known))
        base += len(known)
    return sets, steps


def restricted(program: Program, elements: Iterable[str], registry: Registry, scored: bool) -> Program:
    """Restrict the checked program, not optimized, to some elements and the passes that only they need. ``scored``:
    with the page's own forward, for its predictions."""
    from bbilang.compiler.optimize.lower import with_passes

    chosen = set(elements)
    interfaces = [
        replace(i, elements=tuple(e for e in i.elements if e.id in chosen), layout="") for i in program.interfaces
    ]
    bare = replace(
        program, interfaces=tuple(i for i in interfaces if i.elements), bindings=(), optimized=False
    )  # fmt: skip
    return with_passes(bare, registry, scored)
