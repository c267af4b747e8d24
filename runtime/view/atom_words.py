"""What the atoms of a page are called, and which of them the references in captions mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bbilang.compiler.check.captions import COORDINATES
from bbilang.compiler.ir.program import Node
from bbilang.runtime.factorization.layer import atom_noun
from bbilang.runtime.ops.datasets.columns import source_of
from bbilang.runtime.view.groups import MADE
from bbilang.runtime.view.model import Atom

if TYPE_CHECKING:
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.fields.field import Field
    from bbilang.runtime.view.drawing import Drawing, Index


def atom_key(prefix: str, layer: str, components: dict[str, int]) -> str:
    """Return the key of an atom, `mixed4d channel=447`, which is the same wherever the atom is shown."""
    return " ".join([f"{prefix}{layer}", *(f"{c}={v}" for c, v in components.items() if c != "layer")])


def example_named(node: Node, example: int, name: str, file: str, whole: bool = False) -> Atom:
    """Return an example of the dataset of a pipe as an atom, called by its label or, without one, by its file.
    ``whole``: by both, for a menu, in which many may have the same label."""
    source, label = source_of(node), name or file or f"example {example}"
    if whole and name and file:
        return replace(example_named(node, example, name, file), label=f"{name}, {file.rpartition('/')[2]}", more="")
    key = atom_key("", f"dataset {source['path'] if source is not None else ''}", {"example": example})
    return Atom(key, label, more=f"file {file}" if file and file != label else "")


def token_word(results: Results, layer: str, token: int, row: int = 0) -> str:
    """Return a token's word in the text, empty for padding; or the name of its patch of the picture. Learned tokens
    before the patches may have a name."""
    if row < len(results.pictures) and results.pictures[row].words:
        return results.pictures[row].words[token].strip()
    known = results.layers.get(layer)
    if known is None or not known.grid:
        return f"token {token}"
    if token < known.prefix:
        words = "class token" if known.prefix == 1 else f"token {token} before the patches"
        return words + names_in(results, {"token": token}, layer).get("token", "")
    y, x = divmod(token - known.prefix, known.grid[1])
    return atom_words({"y": y, "x": x})


def spaced(results: Results) -> dict[str, object]:
    """Return, as an option of what draws words, before which tokens of the inputs there is a space; {} where the
    tokenizer does not say."""
    words = [picture.words for picture in results.pictures if picture.words]
    longest = max(map(len, words), default=0)
    starts = [any(own[token : token + 1] and own[token][:1] == " " for own in words) for token in range(longest)]
    return {"spaced": starts} if any(starts) else {}


def columns_of(results: Results) -> tuple[str, ...]:
    """Return the names of the input's channels; empty if they have none."""
    description = results.program.description
    return description.columns if description is not None else ()


def names_in(
    results: Results, components: Mapping[str, int], layer: str, linked: str = "", family: str = "",
    linked_family: str = "",
) -> dict[str, str]:  # fmt: skip
    """Return what stands behind the components of an atom with names: ` "stripes"` behind a channel, head, token, group
    or direction that has one, and `, "eye"` behind the last of a neuron that has one itself. ``linked``: the layer of
    what an atom leads to. ``family``, ``linked_family``: of groups and directions (see types)."""
    if not results.program.names:
        return {}
    ends: dict[str, str] = {}
    for prefix, own, made in (("", layer, family), ("from.", layer, family), ("to.", linked, linked_family)):
        part = {c.removeprefix(prefix): v for c, v in components.items() if c.startswith(prefix)}
        part = {c: v for c, v in part.items() if "." not in c and c not in ("layer", "input", "example")}
        for c, v in part.items():
            if name := results.named(own, {c: v}, made if c in MADE else ""):
                ends[prefix + c] = f" {name}"
        if len(part) > 1 and (name := results.named(own, part)):
            last = prefix + [*part][-1]
            ends[last] = f"{ends.get(last, '')}, {name}"
    return ends


def atom_words(
    components: Mapping[str, int],
    family: str = "",
    columns: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> str:
    """Describe an atom: `channel 447`, `channel 447 "stripes"`, `row 6, column 6`, `from channel 3, to channel 8`.

    Groups of pca, svd and ica are called components (``family``: see types). ``columns``: names of the input's
    channels. ``names``: what stands behind components (see `names_in`).
    """
    if columns and "channel" in components:
        rest = {c: v for c, v in components.items() if c != "channel"}
        return ", ".join([columns[components["channel"]], *([atom_words(rest, family)] if rest else [])])
    words = {"y": "row", "x": "column", "group": atom_noun(family.partition("-")[0])}
    parts = [f"{words.get(c, c.replace('.', ' '))} {v}{names.get(c, '') if names else ''}"
             for c, v in components.items() if c != "layer"]  # fmt: skip
    return ", ".join(parts)


def partner_words(field: Field, layer: str, partner: int) -> str:
    """Return what follows the name of a matched channel: ` with b: 17`, or ` with b, second: 17` for another layer."""
    model, other = field.type.partner
    where = ", ".join([*([model] if model else []), *([other] if other != layer else [])])
    return f" with {f'{where}: ' if where else ''}{partner}"


def refers(reference: str, atom: Atom) -> bool:
    """Return whether a reference means this atom: by its key, its label, or its kind and numbers, with or without
    layer."""
    if reference in (atom.key, atom.label):
        return True
    words = reference.split()
    kind = next((i for i, word in enumerate(words) if not word.isdigit() and i + 1 < len(words)
                 and all(w.isdigit() for w in words[i + 1 :])), None)  # fmt: skip
    if kind is None:
        return False
    names, numbers = COORDINATES.get(words[kind], (words[kind],)), words[kind + 1 :]
    if len(names) != len(numbers):
        return False
    layer, *parts = re.split(r"[ ,]", atom.key)
    coordinates = {f"{name}={int(number)}" for name, number in zip(names, numbers, strict=True)}
    return set(parts) == coordinates and (kind == 0 or " ".join(words[:kind]) in (layer, layer.split("/")[0]))


def differs(drawing: Drawing) -> bool:
    """Return whether each slot has series of its own, as each token the classes that it predicts."""
    axis, names = drawing.series_axis, None
    if axis is not None and drawing.drawn.slots is not None:
        names = drawing.field.names.get(axis.name)
    return names is not None and drawing.slots.name in names.dims


def cell_words(drawing: Drawing, index: Index) -> tuple[tuple[str, ...], ...]:
    """Return what each number of one frame is of, slot x series; () where its series say that."""
    axis = drawing.series_axis
    if axis is None or not differs(drawing):
        return ()
    names = drawing.grid(drawing.field.names[axis.name], drawing.slots, axis)[index]
    return tuple(tuple(str(word) for word in row) for row in names)


def ordinal(number: int) -> str:
    """Return "1st", "2nd", "11th"."""
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ends.get(number % 10, 'th')}"
