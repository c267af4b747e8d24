"""Build the view model from results: what each element shows in each state, in plain numbers, strings and images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any, get_args

import numpy as np

from bbilang.compiler.check.present import INPUT_PICKER
from bbilang.compiler.contract import Registry, Style
from bbilang.compiler.ir import program as ir
from bbilang.compiler.ir.model_description import NOT_PICTURES
from bbilang.compiler.ir.models import root_slot, spoken_names
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.ir.score_kinds import VALUE
from bbilang.compiler.ir.types import LASSO, FieldType
from bbilang.grammar import verification
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime.execution.results import Results
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.method_axis import titles
from bbilang.runtime.inputs.network_input import NetworkInput
from bbilang.runtime.statistics.spectrum import edges_of
from bbilang.runtime.view import groups as grouping
from bbilang.runtime.view import model as vm
from bbilang.runtime.view.answers.build import answers_of, importance, lead_of
from bbilang.runtime.view.atom_words import atom_key, atom_words, columns_of, example_named, names_in, token_word
from bbilang.runtime.view.budget.lines import Lines, with_budgets
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.icon_checks import misleading
from bbilang.runtime.view.image_bytes import jpeg
from bbilang.runtime.view.implicit_selections import pointing, selection_words, unmentioned
from bbilang.runtime.view.legend import compared_with, legend_of, remarked, title_of
from bbilang.runtime.view.media.films import picker
from bbilang.runtime.view.media.pictures import Pictures
from bbilang.runtime.view.names_in_words import direction_words
from bbilang.runtime.view.pipes.objection import Objector
from bbilang.runtime.view.points.following import before_any, bins_of, enclosing, following_of
from bbilang.runtime.view.provenance import embedded, models_words
from bbilang.runtime.view.repeated import repeated
from bbilang.runtime.view.states import start_states
from bbilang.runtime.view.trust_notes import failed, insensitive, trust_of
from bbilang.runtime.view.verify import verify_view

NO_MARKS = (vm.Panel("", (vm.Frame(),)),)
CHOOSERS = ("hover", "click")
KINDS: dict[str, vm.Kind] = {kind: kind for kind in get_args(vm.Kind)}  # by the name that the text gives it


def view(
    results: Results, registry: Registry, provenance: vm.Provenance, title: str = "", whole: bool = False
) -> vm.View:
    """Build the view model of a page. ``whole``: for a table, with every number of maps that a page shows only as
    pictures. Raises BbiError E311 if there are too many numbers."""
    page = _Builder(results, registry, whole).build(provenance, title)
    if verification.enabled():
        verify_view(page)
    return page


MOST_ROWS = 5_000_000  # of a table: some 300 MB


class _Builder:
    """Builds a view from results, and holds what its elements share: pictures, selections, scales."""

    def __init__(self, results: Results, registry: Registry, whole: bool):
        self.results, self.registry, self.program, self.whole = results, registry, results.program, whole
        self.pictures = Pictures()
        nodes = walk(*(element.node for element in self.program.elements))
        chosen = (n for n in nodes if n.type.content == "selection" and not n.type.axes[0].components == (LASSO,))
        self.selections = {n["id"]: n for n in chosen}
        self.pipes = Objector(registry, results.program)
        self.ids = {element.node: element.id for element in reversed(self.program.elements)}
        self.built: dict[str, vm.Element] = {}  # by id: a map is built before what follows its lasso
        self.own: dict[str, vm.Selection] = {}  # selections that styles add
        self.importances: dict[str, int] = {}  # of each element, for what an interface opens with
        self.parts = [self._part(part) for part in results.parts]
        self.model = ""  # of several models, whose elements these are
        self.alike = True  # whether all models of the page see the inputs alike

    def _part(self, results: Results) -> _Builder:
        """Return the builder of one model's elements, which shares with this one all that the page has once."""
        part = _Builder(results, self.registry, self.whole)
        part.pictures, part.ids, part.built = self.pictures, self.ids, self.built
        part.own, part.importances = self.own, self.importances
        part.model = spoken_names(self.program)[results.program.models[0].alias]
        part.alike = len({root_slot(one.program.models[0]) for one in self.results.parts}) == 1
        return part

    def _builder_of(self, identity: str) -> _Builder:
        return next((part for part in self.parts if identity in part.results.fields), self)

    def build(self, provenance: vm.Provenance, title: str) -> vm.View:
        interfaces = []
        for one in self.program.elements:
            self.built[one.id] = self._builder_of(one.id).element(one)
        over = {one.id: one.over for one in self.program.elements}
        chosen = (*self.explicit, *self.own.values())
        pointed = pointing(self.built, over, chosen, self.registry.styles)
        for interface in self.program.interfaces:
            built = {element.id: pointed.elements[element.id] for element in interface.elements}
            for element in reversed(interface.elements):  # what is drawn over an overlay goes with it
                if element.over is not None:
                    under = built[element.over]
                    under = repeated(under, built[element.id])
                    built[element.over] = replace(under, overlays=(built[element.id], *under.overlays))
            shown = tuple(built[element.id] for element in interface.elements if element.over is None)
            interfaces.append(vm.Interface(interface.title, interface.layout, shown))
        predictions = self.predictions()  # before the pictures are counted: they may bring thumbnails
        named = [i.title for i in interfaces if i.title]
        lost = unmentioned(pointed.elements.values(), (*chosen, *pointed.selections))
        source = self.program.source
        made = vm.View(
            title or self.program.setting("page.title") or (named or [f"A look inside {models_words(provenance)}"])[0],
            tuple(interfaces),
            (*chosen, *pointed.selections),
            tuple(self.pictures),
            predictions,
            provenance,
            source.text if source else "",
            source.name if source and not source.name.startswith("<") else "page.bbi",
            (*(d.message for d in self.program.warnings), *lost, *self.results.noticed),
        )
        pictures = tuple(embedded(self.results, self.registry, self.pictures))
        made = replace(made, provenance=replace(provenance, pictures=pictures))
        starts = start_states(made)
        leading = [replace(i, lead=lead_of(i.elements, self.importances, starts)) for i in made.interfaces]
        return replace(made, interfaces=tuple(leading))

    def _titled(self, style: Style, drawing: Drawing) -> str:
        """Return the title of an element, with the model that it is of. A picture that all models see alike is of
        none, and neither is what a page states."""
        title = drawing.element.title or style.title(drawing) or title_of(drawing)
        of_all = (style.shows_input and self.alike) or bool(style.verdicts(drawing)) or style.places_pages
        if of_all or not self.model:
            return title
        other = compared_with(drawing) if drawing.element.title else ""  # a title of ours names it
        return f"{self.model} and {other}: {title}" if other else f"{self.model}: {title}"

    @cached_property
    def _styles(self) -> list[str]:
        """The styles of all elements of the page."""
        return [element.style for element in self.built.values()]

    # --- elements --------------------------------------------------------------------------------------------------

    def element(self, element: ir.Element) -> vm.Element:
        node = element.node
        style: Style = self.registry.styles[node["style"]]
        field = style.drawn(self.results.fields[element.id])
        inner = field.type.panel(node["facet"])
        field = without(field, set(field.type.names) - {*inner.names, node["facet"]})
        drawing = Drawing(
            element, field, style.spend(inner), self.results, self.pictures.put, whole=self.whole,
            titles=titles(node, self.registry), heard=self.pictures.heard,
        )  # fmt: skip
        if self.whole and field.values.data.size > MOST_ROWS:
            message = f"the numbers of `{element.id}` are {field.values.data.size:,}, too many for a table"
            help = f"bound what the reader chooses, or compute with them in Python: `page.data({element.id!r})`"
            span = next(iter(self.program.spans(node)), None)
            raise BbiError(Diagnostic("E311", message, span, help), self.program.source)
        lines = Lines.of(drawing, self.registry)
        points = None if self.whole else style.points(drawing)  # a table has every number
        laid_out = style.panels(drawing) if points is None else NO_MARKS
        follows, laid_out = self.following(drawing, style, inner, laid_out)
        panels, missed = with_budgets(drawing, remarked(drawing, laid_out), lines, self.registry)
        self.own |= {selection.id: selection for selection in style.selections(drawing)}
        legend = self._legend(drawing, style, missed) if style.has_legend(drawing) else None
        drawn, options = drawing.drawn, _options(drawing) | style.options(drawing)
        gap = drawn.slots.gap if drawn.slots else 0
        count = max((len(f.atoms) for p in panels for f in p.frames), default=0)
        result = vm.Element(
            element.id,
            style.name,
            self._titled(style, drawing),
            element.caption,
            "",
            (),
            panels,
            legend,
            tuple(axis.name for axis in drawing.states),
            (),
            gap if 0 < gap < count else 0,
            drawing.slot_word if drawn.slots else "position" if drawn.cells else "",
            "" if not drawing.series_axis else "input" if drawing.series_axis.name == "input" else "class",
            drawing.facet.name if drawing.facet else "",
            options=options,
        )
        answers = answers_of(drawing, style, panels, legend, self.words, lines) if points is None else ()
        self.importances[element.id] = importance(drawing, {s.id: s.kind for s in self.explicit})
        targets = self._targets(drawing, style)
        made = replace(
            result,
            atoms=tuple(drawing.atoms),
            selects=self._selects(drawing, targets),
            targets=targets,
            answers=answers,
            points=points,
            follows=follows,
            details=() if self.whole else style.details(drawing),
            verdicts=style.verdicts(drawing),
            grids=style.grids(drawing),
            over_time=style.over_time(drawing),
            alt=style.alternative(drawing) or _alternative(result),
        )
        return self.pipes.asking(made, node)

    def following(
        self, drawing: Drawing, style: Style, type: FieldType, panels: tuple[vm.Panel, ...]
    ) -> tuple[vm.Following | None, tuple[vm.Panel, ...]]:
        """Return how an element follows a lasso, if it does, and its panels until a reader draws one."""
        redraw = style.redraws(type) if drawing.element.id in self.results.followed else ""
        if not redraw or self.whole:
            return None, panels  # a table has no lasso: its numbers are those of all examples
        chosen = enclosing(drawing.node)
        around = self.built[self.ids[chosen["over"]]]
        self.own |= bins_of(chosen, around)
        edges = edges_of(drawing.field.values.data).tolist() if redraw == "counts" else ()
        whole = style.chosen_from(drawing) if redraw == "nearest" else panels[0].frames[0]
        follows = following_of(drawing, redraw, whole, around, self.results.fields[around.id], edges)
        return follows, before_any(panels, redraw, follows.count, around.title, chosen.get("by"))

    def _legend(self, drawing: Drawing, style: Style, missed: tuple[str, ...]) -> vm.Legend:
        legend, weak = legend_of(drawing, style), insensitive(drawing.node, self.registry)
        warned = failed(drawing) or missed or misleading(drawing)
        notes = (*legend.notes, *style.notes(drawing), *weak)
        return replace(legend, notes=notes, trust=trust_of(drawing), warnings=warned)

    def _selects(self, drawing: Drawing, targets: Iterable[vm.Target]) -> tuple[str, ...]:
        """Return the ids of the selections that the element drives: by its own marks, then by positions."""
        own = (identity for identity, node in self.selections.items() if self._drives(drawing, node))
        return tuple(dict.fromkeys([*own, *(target.selection for target in targets)]))

    def _drives(self, drawing: Drawing, selection: Node) -> bool:
        """Return whether the element's own marks are atoms that the selection ranges over."""
        if selection.op not in CHOOSERS:
            return False
        return not {atom.key for atom in self._atoms(selection)}.isdisjoint(atom.key for atom in drawing.atoms)

    def _targets(self, drawing: Drawing, style: Style) -> tuple[vm.Target, ...]:
        """Return the selections that a photo is a target of: it shows the positions of every layer, so every selection
        over positions has its cells there."""
        if not style.shows_input:
            return ()
        targets = []
        for identity, node in self.selections.items():
            if node.op in CHOOSERS and node.type.axes[0].components == ("y", "x") and len(node.type.layers) == 1:
                layer = node.type.layers[0]
                y, x = (self.results.layers[layer].as_map.sizes[a] for a in ("y", "x"))
                known = {atom.key for atom in self._atoms(node)}
                cells = tuple(
                    drawing.atom({"y": i, "x": j}, layer) if atom_key("", layer, {"y": i, "x": j}) in known else -1
                    for i in range(y)
                    for j in range(x)
                )
                targets.append(vm.Target(identity, (y, x), cells))
        return tuple(targets)

    # --- selections ------------------------------------------------------------------------------------------------

    def _atoms(self, node: Node) -> tuple[vm.Atom, ...]:
        field = self.results.selections[node["id"]]
        axis = node.type.axes[0]
        if node.op == "slider":
            return tuple(vm.Atom(f"{v:g}", f"{v:g}", f"{v:g}") for v in field.values.data.tolist())
        atoms = []
        for number in range(field.values.data.shape[0]):
            here = {c: int(field.coords[c].data[number]) for c in axis.components}
            if min(here.values()) < 0:  # it starts outside of the atoms
                atoms.append(vm.Atom("output", "the output", "output"))
                continue
            if axis.components == ("example",):
                own = (field.columns.get(column) for column in ("label", "file"))
                name, file = (str(column.data[number]) if column is not None else "" for column in own)
                atoms.append(example_named(node["over"], here["example"], name, file, node.op == "pick"))
                continue
            layer = node.type.layers[here.get("layer", 0)]
            if axis.components == ("class",):
                words = self.results.labels(here["class"])
            elif called := direction_words(node["over"], here, self.results, self.registry):
                words = called
            elif set(here) == {"token"}:
                words = token_word(self.results, layer, here["token"])
            else:
                named, columns = names_in(self.results, here, layer, family=node.type.family), columns_of(self.results)
                words = atom_words(here, node.type.family, columns if layer == "input" else (), named)
            several = len(node.type.layers) > 1
            key = atom_key("", grouping.key_prefix(node, layer, here), here)
            atoms.append(self.pipes.named(vm.Atom(key, f"{layer}, {words}" if several else words)))
        return tuple(atoms)

    def _first(self, identity: str, node: Node) -> int:
        """Return the initial choice without `start=`: the first atom, which is the strongest of a ranking; for
        positions of a map the middle one, since a corner seldom shows anything."""
        axis, coords = node.type.axes[0], self.results.selections[identity].coords
        if not {"y", "x"} <= set(axis.components) or not set(axis.components) <= {"layer", "y", "x"}:
            return 0
        first = coords["layer"].data == coords["layer"].data[0] if "layer" in coords else np.ones(1, bool)
        y, x = (np.where(first, coords[c].data, -1) for c in ("y", "x"))
        tall, wide = int(y.max()) + 1, int(x.max()) + 1
        if tall * wide != int((y >= 0).sum()):
            return 0  # some of them, in an order of their own
        return int(((y == tall // 2) & (x == wide // 2)).argmax())

    @cached_property
    def explicit(self) -> tuple[vm.Selection, ...]:
        """The selections of the text, and the picker of inputs."""
        if self.parts:
            known = {selection.id: selection for part in reversed(self.parts) for selection in part.explicit}
            return tuple(sorted(known.values(), key=lambda selection: selection.id != INPUT_PICKER))
        selections = []
        used = {axis.name for element in self.program.elements for axis in element.node.type.states}
        for identity, node in self.selections.items():
            atoms = self._atoms(node)
            start: Any = node["start"]
            start_of, number = None, 0
            if start == "first":
                start = self._first(identity, node) if atoms else None
                over = node["over"]
                if over.op == "present" and over.type.states:
                    start_of = self.ids.get(over)
            elif isinstance(start, Node):
                start = next(i for i, atom in enumerate(atoms) if atom.key == "output")
            elif isinstance(start, tuple):
                field = self.results.selections[identity]
                rows = np.stack([field.coords[c].data for c in node.type.axes[0].components], axis=1)
                start = int((rows == np.array(start)).all(1).argmax())
            elif isinstance(start, int):
                number, start = start, min(start, len(atoms) - 1)
                if node.op in CHOOSERS and node["over"].op == "present" and node["over"].type.states:
                    start_of = self.ids.get(node["over"])  # it counts what is shown, not what any state may show
            kind, words = KINDS[node.op], node.get("title") or selection_words(node)
            spoken = bool(node.get("title")) or kind in ("pick", "slider")  # the name of a binding is said of no atom
            selections.append(
                vm.Selection(identity, kind, words, atoms, start, start_of, number, kind == "click",
                             spoken=spoken, address=node.get("title") or "")
            )  # fmt: skip
        if INPUT_PICKER in used:
            rate = self.program.setting("video.rate")
            selections.insert(0, picker(INPUT_PICKER, self.results.pictures, rate))
        return tuple(selections)

    @cached_property
    def words(self) -> dict[str, tuple[str, ...]]:
        """What can be chosen of each selection, in words."""
        return {s.id: tuple(atom.label for atom in s.atoms) for s in self.explicit}

    def thumbnail(self, picture: NetworkInput) -> int:
        """Return a thumbnail of the input for the prediction, if the page shows the input nowhere else."""
        y, x = picture.shown.shape[:2]
        return self.pictures.put(jpeg(picture.shown, 82), "image/jpeg", x, y, f"the input {picture.name}")

    def predictions(self) -> tuple[vm.Prediction, ...]:
        """Return the three most probable classes of each input; the first outputs in order if they are values."""
        if self.parts:
            every = [replace(one, model=part.model) for part in self.parts for one in part.predictions()]
            return tuple(sorted(every, key=lambda one: [p.name for p in self.results.pictures].index(one.input)))
        probabilities, kind = self.results.probabilities, self.results.kind
        if probabilities is None:
            return ()
        predictions = []
        shown = any(self.registry.styles[name].shows_input for name in self._styles)
        description = self.program.description
        numbers = description is not None and description.reads in NOT_PICTURES
        for number, (picture, row) in enumerate(zip(self.results.pictures, probabilities, strict=True)):
            best = np.arange(len(row))[:5] if kind == VALUE else np.argsort(-row, kind="stable")[:3]
            thumbnail = -1 if shown or picture.words or numbers else self.thumbnail(picture)
            top = tuple((self.results.labels(int(i)), float(row[i])) for i in best)
            predictions.append(vm.Prediction(picture.name, top, thumbnail, kind, number=number))
        return tuple(predictions)


def _options(drawing: Drawing) -> dict[str, object]:
    """Return what `present` says of how the marks look."""
    node = drawing.node
    options: dict[str, object] = {k: node[k] for k in ("opacity", "color") if node[k] is not None}
    if node["size"] == "value" and drawing.field.type.signed:
        options.setdefault("color", "sign")  # an area says how much, not which way
    return options


def without(field: Field, single: Iterable[str]) -> Field:
    """Drop axes of one place from a field."""
    names = tuple(single)
    for name in names:
        field = field.take(name, Named((), np.array(0))) if name in field.values.dims else field
    return field.with_values(field.values, field.type.without(*names)) if names else field


def _alternative(element: vm.Element) -> str:
    """Return the text alternative of the element for all states; the page adds the state that is shown."""
    quantity = element.legend.quantity if element.legend else ""
    if element.panels and element.panels[0].shape != (0, 0):
        y, x = element.panels[0].shape
        return f"A map of {y} by {x} positions: {quantity}."
    return f"{element.title}: {quantity}." if quantity else f"{element.title}."
