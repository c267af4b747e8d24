"""`model runs = resnet20 from "runs/*.safetensors"`: the files of a pattern as checkpoints of one network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from bbilang.compiler.check.arguments.binding import at
from bbilang.compiler.check.reporter import Reporter
from bbilang.compiler.check.scope import ModelContext
from bbilang.grammar import ast
from bbilang.grammar.files import is_pattern, matching, short
from bbilang.grammar.source import NOWHERE, Span

MOST = 64
SAMPLE = "sample:"  # prefix of checkpoints that ship with the project
SAMPLES = Path(__file__).parents[3] / "runtime" / "samples" / "checkpoints"
DIGITS = re.compile(r"(\d+)")


def is_several(weights: str | None, folder: Path) -> bool:
    """Return whether a text names the weights of several checkpoints: by a pattern, unless a file has that name."""
    if weights is None:
        return False
    return weights.startswith(SAMPLE) or (is_pattern(weights) and not (folder / weights).exists())


def files_of(weights: str, folder: Path, span: Span) -> list[str]:
    """Return the files of a pattern in the natural order of their names: `epoch_2` before `epoch_10`. Raises CheckError
    E340."""
    name, where = weights, folder
    if weights.startswith(SAMPLE):
        name, where = "*.safetensors", SAMPLES / weights.removeprefix(SAMPLE)
    try:
        files = matching(name, where)
    except OSError as error:
        raise at(span, "E340", f"{short(weights)} cannot be opened: {error.strerror or error}") from error
    if not files:
        help = 'names are relative to the folder of the text, as in `from "runs/*.safetensors"`'
        raise at(span, "E340", f"no checkpoint is called {short(weights)}", help)
    if len(files) > MOST:
        message = f"{short(weights)} is {len(files)} checkpoints, and {MOST} are the most"
        raise at(span, "E340", message, 'name fewer of them, as in `from "runs/epoch_?0.safetensors"`')
    return sorted(files, key=natural)


def natural(name: str) -> tuple[object, ...]:
    """Return a key by which numbers in names are in the order of numbers."""
    return (*((int(part), "") if part.isdigit() else (-1, part) for part in DIGITS.split(name) if part), (-1, name))


def labels_of(files: Iterable[str]) -> list[str]:
    """Return what each checkpoint is called: its file's name without the ending, with folders where that is needed."""
    paths = [Path(file) for file in files]
    labels, parts = [path.stem for path in paths], 1
    while len(set(labels)) < len(labels):
        parts += 1
        labels = ["/".join((*path.parts[-parts:-1], path.stem)) for path in paths]
        if parts > max(len(path.parts) for path in paths):
            return [path.name for path in paths]
    return labels


def contexts_of(alias: str, files: list[str], one: ModelContext) -> dict[str, ModelContext]:
    """Return the model of all checkpoints, and that of each. ``one``: the network, with any of these weights."""
    members = [f"{alias} {label}" for label in labels_of(files)]
    whole = replace(one.slot, alias=alias, weights=files[0], members=tuple(members))
    made = {alias: ModelContext(whole, one.description)}
    for member, file in zip(members, files, strict=True):
        made[member] = ModelContext(replace(one.slot, alias=member, weights=file, of=alias), one.description)
    return made


class CheckpointStatements(Reporter):
    """Reads `model` statements whose weights are a pattern."""

    def _root(self, item: ast.ModelItem, alias: str, first: bool) -> ModelContext:
        """Return the model of a name of the registry."""
        raise NotImplementedError

    def several(self, item: ast.ModelItem, models: Mapping[str, ModelContext]) -> str:
        """Return what the checkpoints are called that a derived model would be made from; empty for a single model."""
        name = item.name.name if isinstance(item.name, ast.Path) else ""
        if name in models and models[name].slot.members:
            return name
        several = is_several(item.weights.value if item.weights else None, self._folder())
        return name or "the network" if several else ""

    def checkpoints_of(self, item: ast.ModelItem, alias: str, first: bool) -> dict[str, ModelContext]:
        """Return the model of several checkpoints, and that of each. Raises CheckError E340, E344."""
        assert item.weights is not None, "a pattern names them"
        options, span = self.options, item.weights.span
        if not alias:
            help = f'as in `model runs = ... from "{item.weights.value}"`'
            raise at(item.span, "E340", "checkpoints need a name, which stands before their layers", help)
        given = options.models.get(alias)
        if given is not None or (first and (options.description is not None or options.weights)):
            message = f"a network or weights are given for `{alias}`, which the text takes from its checkpoints"
            raise at(NOWHERE, "E344", message, "change the pattern in the text, or name one file there")
        files = files_of(item.weights.value, self._folder(), span)
        for file in files if not item.weights.value.startswith(SAMPLE) else ():
            self._stays(file, span)
        return contexts_of(alias, files, self._root(replace(item, weights=None), alias, first))
