"""The program that a scan runs on each batch of examples: its pipes alone, with the batch as the inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node, Program, Scan
from bbilang.compiler.ir.types import LAYER_AXES, Axis
from bbilang.compiler.optimize.cost import layer_of

# kinds of what a scan keeps
FIELD, SUMMARY, SAMPLES, HISTOGRAM, CUBE, SCORES = "field", "summary", "samples", "counts", "cube", "scores"
OF_NEURONS = (SUMMARY, SAMPLES, HISTOGRAM, CUBE)


def wholes(dataset: Node) -> tuple[Node, ...]:
    """Return a dataset and those that it is a part of, the whole last: a scan of any of them has its examples."""
    found = [dataset]
    while found[-1].inputs:
        found += found[-1].inputs
    return tuple(found)


def part_names(scan: Scan) -> dict[str, Node | None]:
    """Return what a scan keeps, by name: "field DIGEST", "summary DIGEST", "samples DIGEST COUNT",
    "counts DIGEST", "cube DIGEST" or "scores". A digest does not depend on the inputs of the page."""
    parts: dict[str, Node | None] = {part_name(FIELD, node): node for node in scan.fields}
    parts |= {part_name(SUMMARY, node): node for node in scan.summaries}
    parts |= {sample_name(node, count): node for node, count in scan.samples}
    parts |= {part_name(HISTOGRAM, node): node for node in scan.histograms}
    parts |= {part_name(CUBE, node): node for node in scan.cubes}
    return parts | ({SCORES: None} if scan.scores else {})


def part_name(kind: str, node: Node) -> str:
    return f"{kind} {with_inputs(node, 1).digest}"


def sample_name(node: Node, count: int) -> str:
    return f"{part_name(SAMPLES, node)} {count}"


def batch_program(program: Program, parts: Iterable[tuple[str, Node | None]], size: int, registry: Registry) -> Program:
    """Return the program, with its passes, that computes parts (kind, node) for a batch of examples. The values of its
    ``kept`` nodes are the parts', in order; those of all kinds but a field are of the layer's neurons."""
    from bbilang.compiler.optimize.lower import with_passes

    description = program.description
    assert description is not None, "a scan needs a model's description"
    nodes = []
    scored = False
    for kind, node in parts:
        if node is None:
            scored = True
            continue
        content = with_inputs(node, size)
        nodes.append(of_neurons(content, registry, description) if kind in OF_NEURONS else content)
    bare = replace(
        program, inputs=("",) * size, interfaces=(), bindings=(), kept=tuple(nodes), forwards=(), backwards=(),
        tangents=(), reruns=(), icons=(), scans=(), optimized=False, relatives=(), lent=None,
    )  # fmt: skip
    return with_passes(bare, registry, scored)


def with_inputs(node: Node, size: int) -> Node:
    """Return the same pipe for another number of inputs."""
    known: dict[int, Node] = {}

    def changed(value: object) -> object:
        if isinstance(value, Node):
            return rebuilt(value)
        return tuple(map(changed, value)) if isinstance(value, tuple) else value

    def rebuilt(node: Node) -> Node:
        if id(node) not in known:
            axes = tuple(Axis("input", size) if axis.name == "input" else axis for axis in node.type.axes)
            parameters = tuple((name, changed(value)) for name, value in node.parameters)
            inputs = tuple(map(rebuilt, node.inputs))
            known[id(node)] = Node(node.op, inputs, parameters, replace(node.type, axes=axes))
        return known[id(node)]

    return rebuilt(node)


def of_neurons(content: Node, registry: Registry, description: ModelDescription) -> Node:
    """Return a content of a layer's channels, or positions, as that of all of its neurons."""
    (head,) = content.inputs
    (name,) = content.type.layers
    layer = layer_of(description, name)
    kept = tuple(axis for axis in head.type.axes if axis.name == "input")
    order = [axis for axis in LAYER_AXES if axis in layer.axes]
    axes = (*kept, *(Axis(axis, layer.sizes[axis]) for axis in order))
    type = replace(head.type, atom="neuron", axes=axes)
    neurons = Node("substrate", (), (("atom", "neuron"), ("layers", (name,)), ("model", head.type.model)), type)
    operation, arguments = registry.operations[content.op], dict(content.parameters)
    made = operation.refined(operation.type(neurons.type, arguments), arguments, registry)
    return Node(content.op, (neurons,), content.parameters, made)
