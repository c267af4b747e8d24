"""`present(space)`: which elements of this text, and of others, show which atoms of which layers."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from importlib.resources import files as packaged
from pathlib import Path
from typing import Any, TypeAlias

from bbilang.compiler.check.arguments.binding import CheckError, at, describe
from bbilang.compiler.check.arguments.bounding_boxes import FileContext
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.scope import Scope
from bbilang.compiler.contract import Registry
from bbilang.compiler.contract.sentences import sentence
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import OUTPUT, Element, Interface, ModelSlot, Node, Program, walk
from bbilang.compiler.ir.types import ATOMS, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import beside, inside, is_pattern, matching, read_text, regular, short
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span

OPERATION = "places"  # whose field `present(space)` draws
INPUT = "input"
GALLERY = "sample:gallery"  # the texts that ship with the package
MOST, LARGEST = 200, 256 * 1024  # texts; bytes of each
ALWAYS = ("spatial", "channel", "neuron", "whole")  # columns of every grid
UNPLACED = ("selection", "picture")  # contents that connect no layers

SOME_PICTURE = ("picture 1",)
GIVEN = ""  # the name of a caller's own network
OWN = "this page"  # the title of a text without an interface, beside others

Plain: TypeAlias = tuple[str, tuple[tuple[Any, ...], ...], tuple[tuple[Any, ...], ...]]
Check: TypeAlias = Callable[[Source], "Program | None"]  # None for the text that places the others


@frozen
class Place:
    """What an element shows of the atoms of a layer. ``links``: the other layers that its numbers connect these
    with."""

    element: str
    model: str
    layer: str
    atom: str
    content: str
    style: str
    words: str
    links: tuple[str, ...]


@frozen
class Network:
    """A model that pages show: ``title`` in words, ``layers`` in forward order."""

    name: str
    title: str
    layers: tuple[str, ...]


@frozen
class Placed:
    """Where the elements of one text lie."""

    title: str
    places: tuple[Place, ...]
    networks: tuple[Network, ...]

    @property
    def plain(self) -> Plain:
        """As tuples of words, which a node may have as a parameter."""
        return self.title, tuple(map(astuple, self.places)), tuple(map(astuple, self.networks))

    @staticmethod
    def of(plain: Plain) -> Placed:
        """Return what `plain` was made of."""
        title, places, networks = plain
        return Placed(title, tuple(Place(*each) for each in places), tuple(Network(*each) for each in networks))


Roots: TypeAlias = Mapping[str, tuple[str, ModelDescription]]  # alias -> (name at the root, description)


def roots_of(slots: Iterable[tuple[ModelSlot, ModelDescription]], given: Container[str] = ()) -> Roots:
    """Return the model that each name of a text is made from. Models that only change it share its grid. ``given``:
    the names of a caller's own networks, which no text could load."""
    roots = ((slot.alias, slot.lineage[-1], description) for slot, description in slots)
    return {alias: (GIVEN if root.alias in given else root.name, description) for alias, root, description in roots}


def placed(title: str, elements: Iterable[Element], roots: Roots, registry: Registry) -> Placed:
    """Place the elements of a text."""
    first = next(iter(roots))
    places, networks = [], dict[str, Network]()
    for element in elements:
        node = element.node
        if node.inputs[0].op == OPERATION:
            continue
        name, description = roots.get(node.type.model) or roots[first]
        if name not in networks:
            layers = tuple(layer.name for layer in description.layers)
            networks[name] = Network(name, description.title or description.name, layers)
        words, style = sentence(node, registry), str(node["style"])
        for layer, atom, links in _places(node):
            places.append(Place(element.id, name, layer, atom, node.type.content, style, words, links))
    return Placed(title, tuple(places), tuple(networks.values()))


def placed_program(program: Program, name: str, registry: Registry) -> Placed:
    """Place the elements of a checked text, under the title of its first interface, or the name of its file."""
    parts = program.parts or (program,)
    known = [(part.models[0], part.description) for part in parts if part.description is not None]
    titles = [interface.title for interface in program.interfaces if interface.title]
    title = titles[0] if titles else Path(name).stem.replace("_", " ")
    return placed(title, program.elements, roots_of(known), registry)


def parameters_of(pages: Sequence[Placed]) -> dict[str, object]:
    """Return the parameters of a `places` node: titles of pages; (page, network, *of the place); (name, title, layers,
    atoms) of networks, in the order in which they come up."""
    networks = {network.name: network for page in reversed(pages) for network in reversed(page.networks)}
    names = [name for page in pages for name in dict.fromkeys(place.model for place in page.places)]
    order = list(dict.fromkeys(names))
    places = [(number, place) for number, page in enumerate(pages) for place in page.places]
    rows = []
    for name in order:
        own = [place for _, place in places if place.model == name]
        used, atoms = {place.layer for place in own}, {*ALWAYS, *(place.atom for place in own)}
        layers = tuple(layer for layer in networks[name].layers if "." not in layer or layer in used)
        kinds = tuple(atom for atom in ATOMS if atom in atoms)
        rows.append((name, networks[name].title, (INPUT, *layers, OUTPUT), kinds))
    points = tuple(
        (page, order.index(it.model), it.element, it.layer, it.atom, it.content, it.style, it.words, it.links)
        for page, it in places
    )
    return {"pages": tuple(page.title for page in pages), "points": points, "networks": tuple(rows)}


def type_of(parameters: Mapping[str, object], model: str) -> FieldType:
    """Return the type of a `places` node: how many elements lie in each cell, over the layers of each network."""
    networks = parameters["networks"]
    assert isinstance(networks, tuple)
    rows = sum(len(layers) for _, _, layers, _ in networks)
    atoms = {atom for network in networks for atom in network[3]}
    axes = (Axis("place", max(rows, 1)), Axis("measure", max(len(atoms), 1)))
    return FieldType("statistic", "class", (), axes, model=model)


def start(call: ast.Call, scope: Scope) -> Node | None:
    """Return what `present(space)` draws where nothing stands before it; None for any other style."""
    first = next((a.value for a in call.arguments if a.name in (None, "style")), None)
    style = scope.registry.find("styles", first.name) if isinstance(first, ast.Path | ast.Call) else None
    if style is None or not style.places_pages:
        return None
    model = next(iter(scope.models))
    parameters = parameters_of(())
    return scope.make(OPERATION, (), parameters, type_of(parameters, model), call.span)


def with_places(interfaces: Sequence[Interface], scope: Scope, options: Options) -> dict[Node, Node]:
    """Return the elements of `present(space)`, each with what it draws now that all elements are known. Raises
    CheckError E301, E304."""
    spaces = [e.node for i in interfaces for e in i.elements if e.node.inputs[0].op == OPERATION]
    if not spaces or options.placed:
        return {}
    given = [alias for alias, model in options.models.items() if model.description is not None]
    given += [] if options.description is None else [next(iter(scope.models))]
    if len(given) > 1:
        message = f"`space` draws at most one network of your own, and these are {len(given)}"
        raise at(scope.origins[spaces[0]][0], "E304", message, "give the others by names of models")
    roots = roots_of(((context.slot, context.description) for context in scope.models.values()), given)
    title = next((interface.title for interface in interfaces if interface.title), OWN)
    own = placed(title, [e for i in interfaces for e in i.elements], roots, scope.registry)
    mine = [own] if own.places else []
    return {node: _with_pages(node, [*map(Placed.of, node["pages"]), *mine], scope) for node in spaces}


def _with_pages(node: Node, pages: Sequence[Placed], scope: Scope) -> Node:
    span = scope.origins[node][0]
    if not pages:
        help = 'name texts to place: `present(space, pages="other.bbi")`'
        raise at(span, "E301", "nothing to place: this text has no other element", help)
    parameters = parameters_of(pages)
    type = type_of(parameters, node.type.model)
    field = scope.make(OPERATION, (), parameters, type, span)
    return scope.make("present", (field,), {**dict(node.parameters), "pages": ()}, type, span)


def with_nodes(interface: Interface, others: Mapping[Node, Node]) -> Interface:
    """Return an interface with other nodes for some of its elements."""
    elements = tuple(replace(e, node=others.get(e.node, e.node)) for e in interface.elements)
    return replace(interface, elements=elements)


def options_of(options: Options, names_its_input: bool) -> Options:
    """Return the options for a text that is placed: it has a model and settings of its own, and shows no places
    itself."""
    inputs = None if names_its_input else options.inputs or SOME_PICTURE
    return Options(
        inputs=inputs, expand=options.expand, is_sound=options.is_sound, frames=options.frames, peek=options.peek,
        data=options.data, root=options.root, placed=True,
    )  # fmt: skip


def read_pages(value: ast.Expression, files: FileContext, check: Check | None, registry: Registry) -> tuple[Plain, ...]:
    """Read the argument `pages`: texts, folders and patterns, relative to the folder of this text. Raises CheckError
    E213, E242, E243."""
    items = value.items if isinstance(value, ast.List) else (value,)
    pages: dict[Path, Placed | None] = {}
    for item in items:
        if not isinstance(item, ast.String):
            message = f"`pages` are names of texts in double quotes, and {describe(item)} is none"
            raise at(item.span, "E213", message, 'as in `pages="other.bbi"`, `pages=["a.bbi", "specs/*.bbi"]`')
        for path in _found(item.value, item.span, files):
            if path in pages or check is None:
                continue
            if len(pages) == MOST:
                raise at(item.span, "E213", f"`pages` are more than {MOST} texts", "name a folder with fewer")
            pages[path] = _page(path, item, check, registry)
    return tuple(page.plain for page in pages.values() if page is not None and page.places)


def _found(name: str, span: Span, files: FileContext) -> list[Path]:
    """Return the texts of a name. Raises CheckError E242."""
    if name == GALLERY:
        return sorted(
            Path(str(one)).resolve() for one in packaged("bbilang.specs").iterdir() if one.name.endswith(".bbi")
        )
    try:
        path = beside(files.folder, name)
        fixed = path
        while is_pattern(str(fixed.relative_to(files.folder) if fixed.is_relative_to(files.folder) else fixed)):
            fixed = fixed.parent
        if not inside(fixed, files.root):  # before anything is said of what is there
            raise _outside(name, span)
        found = sorted(path.glob("*.bbi")) if path.is_dir() else [Path(one) for one in matching(str(path), "")]
        for one in found:
            regular(one)
        resolved = [one.resolve() for one in found]
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise at(span, "E242", f'"{short(name)}" cannot be read: {reason}') from error
    if not found:
        help = f'names are relative to the folder of this text; "{GALLERY}" is the texts of the gallery'
        raise at(span, "E242", f'"{short(name)}" is no text, and no folder or pattern of texts', help)
    if not all(inside(one, files.root) for one in resolved):
        raise _outside(name, span)
    return resolved


def _outside(name: str, span: Span) -> CheckError:
    return at(span, "E242", f'"{short(name)}" lies outside of the folder given with `--root`')


def _page(path: Path, item: ast.String, check: Check, registry: Registry) -> Placed | None:
    """Check a text and place its elements. Raises CheckError E242, E243."""
    name = short(path.name)
    try:
        source = Source(read_text(path, LARGEST), str(path))
    except OSError as error:
        raise at(item.span, "E242", f'"{name}" cannot be read: {error.strerror or error}') from error
    try:
        program = check(source)
    except BbiError as error:
        first = next((one for one in error.diagnostics if one.severity == "error"), None)
        if first is None:
            help = f"`bbi complete {name}` lists what fits"
            raise at(item.span, "E243", f'"{name}" has holes, which leave open what it shows', help) from error
        where = ":".join(map(str, source.position(first.span.start))) if first.span else "1:1"
        raise at(item.span, "E243", f'"{name}" has an error at {where}: {first.message}', first.help) from error
    return None if program is None else placed_program(program, path.name, registry)


def _places(node: Node) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (layer, atom, connected layers) of what an element shows."""
    start = node
    while start.inputs:
        start = start.inputs[0]
    layers = start.type.layers if start.op != "input" else (INPUT,)
    known = {name for each in walk(node) if each.type.content not in UNPLACED for name in
             (*each.type.layers, *each.type.linked)}  # fmt: skip
    atom = node.type.atom if node.type.atom != "list" else "group"
    return [(layer, atom, tuple(sorted(known - {layer}))) for layer in layers]
