"""Names that texts give to atoms, kept beside the text with a digest of the weights that they were given for.

`page.bbi` keeps its names in `page.names.json`, which belongs under version control with it: whoever has the text and
other weights is told so. A name is kept when it is first used, and again when its words change; it is stale while the
weights are others than those. `bbi names --keep` keeps it for the weights of now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bbilang.compiler.ir.program import AtomName, Program
from bbilang.grammar.files import path_of, read_text
from bbilang.grammar.frozen import frozen
from bbilang.runtime import files
from bbilang.runtime.execution.results import Results
from bbilang.runtime.locks import alone

SUFFIX = ".names.json"
FORMAT, VERSION = "bbi-names", 1
LARGEST = 4 << 20  # bytes of such a file


@frozen
class Given:
    """What is kept of a name: its words, and the model and the digest of its weights that it was given for."""

    name: str
    model: str
    weights: str


@frozen
class NameState:
    """A name of a text; what is kept of it, None for nothing; and whether it was given for other weights."""

    name: AtomName
    given: Given | None
    stale: bool


class NotOurs(ValueError):
    """The file of names is none of this program, or damaged: it is neither read nor replaced."""


def path_for(name: AtomName, program: Program) -> Path | None:
    """Return the file that keeps a name; None for a text that is in no file."""
    own = program.source.name if program.source is not None else ""
    text = name.file or own
    return path_of(text).with_suffix(SUFFIX) if text and not text.startswith("<") else None


def read(path: Path) -> dict[str, Given]:
    """Return what a file keeps, by atoms; nothing where there is no file. Raises NotOurs, OSError."""
    try:
        text = read_text(path, LARGEST)
    except FileNotFoundError:
        return {}
    except UnicodeError as error:
        raise NotOurs(str(path)) from error
    try:
        data = json.loads(text)
        if data["format"] != FORMAT or data["version"] != VERSION:
            raise NotOurs(str(path))
        return {str(key): Given(str(it["name"]), str(it["model"]), str(it["weights"]))
                for key, it in data["names"].items()}  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotOurs(str(path)) from error


def states(program: Program, weights: str) -> tuple[NameState, ...]:
    """Compare the names of a text with what is kept of them. ``weights``: the digest of those in use. A file that
    cannot be read keeps nothing."""
    known: dict[Path, dict[str, Given]] = {}
    result = []
    for name in program.names:
        path = path_for(name, program)
        if path is not None and path not in known:
            try:
                known[path] = read(path)
            except (OSError, NotOurs):
                known[path] = {}
        given = known[path].get(name.key) if path is not None else None
        same = given if given is not None and given.name == name.name else None  # other words are a new name
        result.append(NameState(name, same, same is not None and same.weights != weights))
    return tuple(result)


def keep(program: Program, weights: str, again: bool = False) -> tuple[str, ...]:
    """Keep the names that are not kept yet; ``again``: stale ones too, for the weights in use. Returns what went wrong,
    in words: names are shown whether or not they can be kept."""
    model = program.models[0].name
    of_file: dict[Path, list[AtomName]] = {}
    for state in states(program, weights):
        path = path_for(state.name, program)
        if path is not None and (state.given is None or (again and state.stale)):
            of_file.setdefault(path, []).append(state.name)
    return tuple(words for path, names in of_file.items() if (words := _write(path, names, model, weights)))


def _write(path: Path, names: Iterable[AtomName], model: str, weights: str) -> str:
    try:
        with alone(path.parent):  # another run may keep names at the same time
            given = read(path) | {name.key: Given(name.name, model, weights) for name in names}
            entries = {key: {"name": it.name, "model": it.model, "weights": it.weights}
                       for key, it in sorted(given.items())}  # fmt: skip
            data = {"format": FORMAT, "version": VERSION, "names": entries}
            files.write(path, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())
    except NotOurs:
        return f"`{path.name}` is no file of names, and is left as it is: the names of this text are not kept"
    except OSError as error:
        return f"the names of this text are not kept: `{path.name}` cannot be written: {error.strerror or error}"
    return ""


def with_names(results: Results) -> Results:
    """Return results with the state of the text's names, which are kept if they are new."""
    program, model = results.program, results.adapter
    if not program.names or model is None:
        return results
    found = states(program, model.fingerprint)
    lost = keep(program, model.fingerprint)
    stale = frozenset(state.name for state in found if state.stale)
    said = (*lost, *([warning_of([state for state in found if state.stale], program)] if stale else []))
    return replace(results, stale=stale, noticed=(*results.noticed, *said))


def warning_of(stale: Iterable[NameState], program: Program) -> str:
    """Say which names were given for other weights, and what to do."""
    own = program.source.name if program.source is not None else ""
    names = [f'"{state.name.name}" (`{state.name.key}`)' for state in stale]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    what = "the name was" if len(names) == 1 else f"{len(names)} names were"
    return f"{what} given for other weights: {shown}. Look again, then run `bbi names {Path(own).name} --keep`"
