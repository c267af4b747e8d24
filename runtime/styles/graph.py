"""`graph`: the layers of the model as a diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import ColourScale, Drawn, Fail, Style
from bbilang.compiler.ir.model_description import INPUT, ModelDescription
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.view.drawing import Drawing, rounded
from bbilang.runtime.view.model import Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme


class Graph(Style):
    """The layers as boxes from top to bottom in forward order, with their shapes, and their numbers as colour. Parallel
    layers are side by side; a line that bypasses others is a skip connection, and a layer with a skip connection inside
    is marked."""

    name = "graph"
    drawn_as = "the graph of the model"
    spends = "`layer`"
    example = "[block1a..block7a].whole | activation | present(graph)"

    def spend(self, field: FieldType) -> Drawn:
        layer = field.axis("layer")
        if layer is None:
            raise Fail(
                "E304", "`graph` draws layers, and this field has no axis `layer`", "as in `[block1a..block7a].whole`"
            )
        if not layer.whole or layer.components != ("layer",):
            raise Fail("E304", "`graph` draws all layers in order, and these are selected ones", "leave `top` out")
        return Drawn(("layer",), layer)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        atoms = tuple(drawing.named_atom({}, layer) for layer in drawing.field.type.layers)
        values = drawing.values(drawing.slots)
        return drawing.panels(lambda index: Frame(atoms, (), tuple(tuple(map(rounded, row)) for row in values[index])))

    def options(self, drawing: Drawing) -> dict[str, object]:
        """Return what is the same in every state: positions of the boxes, edges and shapes."""
        from bbilang.runtime.view.provenance import model_of

        description: ModelDescription = model_of(drawing.results).description
        layers = drawing.field.type.layers
        edges = edges_of(description, layers)
        return {
            "edges": edges,
            "places": positions_of(len(layers), edges),
            "shapes": tuple(shape_words(description, layer) for layer in layers),
        }

    def colour_scale(self, element: Element, over: bool) -> ColourScale:
        return "full"

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.graph import chart

        return chart(element, theme)


def edges_of(description: ModelDescription, layers: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Return (from, to) as indices of the layers; a chain if the description has no edges."""
    number = {layer: i for i, layer in enumerate(layers)}
    edges = [(number[a], number[b]) for a, b in description.edges(layers) if a != INPUT]
    known = any(layer.inputs for layer in description.layers)
    return tuple(edges) if known else tuple((i, i + 1) for i in range(len(layers) - 1))


def positions_of(count: int, edges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int, int], ...]:
    """Return (row, index in the row, layers in the row) of each layer; a layer stands below all of its inputs."""
    rows = [0] * count
    for a, b in sorted(edges, key=lambda edge: edge[1]):
        rows[b] = max(rows[b], rows[a] + 1)
    around = {a for a, b in edges if rows[b] - rows[a] > 1}  # their lines leave at the right: nothing stands in the way
    order = sorted(range(count), key=lambda layer: (layer in around, layer))
    seen = [0] * (max(rows, default=0) + 1)
    positions = {}
    for layer in order:
        positions[layer] = (rows[layer], seen[rows[layer]], rows.count(rows[layer]))
        seen[rows[layer]] += 1
    return tuple(positions[layer] for layer in range(count))


def shape_words(description: ModelDescription, name: str) -> str:
    """Describe a layer's shape, and whether a skip connection bypasses its parts: "112 x 14 x 14, skip inside"."""
    layer = description.by_name[name]
    shape = " x ".join(str(size) for size in layer.shape)
    parts = [source for source in layer.inputs if source.startswith(f"{name}.")]
    return f"{shape}, skip inside" if parts and len(parts) < len(layer.inputs) else shape


STYLES = (Graph(),)
