"""Names that texts give to atoms, kept beside the text with digests of what they were given for.

`page.bbi` keeps its names in `page.names.json`, which belongs under version control with it: whoever has the text and
other weights is told so. A name is kept when it is first used, and again when its words change; it is stale while the
weights are others than those, and that of a group or direction also while that is made in another way or of other
pictures (`made_atoms`). `bbi names --keep` keeps it for what is there now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bbilang.compiler.ir.program import AtomName, Program
from bbilang.grammar.files import path_of, read_text
from bbilang.grammar.frozen import frozen
from bbilang.runtime import files
from bbilang.runtime.execution.results import Results
from bbilang.runtime.locks import alone
from bbilang.runtime.recall.made_atoms import Makings, shown

if TYPE_CHECKING:
    from bbilang.runtime.execution.job import Job

SUFFIX = ".names.json"
FORMAT, VERSION = "bbi-names", 1
LARGEST = 4 << 20  # bytes of such a file


@frozen
class Given:
    """What is kept of a name: its words, the model and the digest of its weights that it was given for; of a group or
    direction, the digest of what made it, too."""

    name: str
    model: str
    weights: str
    made: str = ""


@frozen
class NameState:
    """A name of a text; what is kept of it, None for nothing; the digests of now, None for what made a group or
    direction where that cannot be known."""

    name: AtomName
    given: Given | None
    weights: str
    made: str | None

    @property
    def stale(self) -> bool:
        """Whether the name was given for other weights, or for a group or direction that was made otherwise."""
        return self.given is not None and (self.other_weights or self.given.made != self.made)

    @property
    def other_weights(self) -> bool:
        return self.given is not None and self.given.weights != self.weights


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
        return {str(key): Given(str(it["name"]), str(it["model"]), str(it["weights"]), str(it.get("made", "")))
                for key, it in data["names"].items()}  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotOurs(str(path)) from error


def states(job: Job, weights: Mapping[str, str], every: bool = False) -> tuple[NameState, ...]:
    """Compare the names of a text with what is kept of them. ``weights``: the digest of those in use of each model, by
    its alias. ``every``: also groups and directions of which the page shows nothing. A file that cannot be read keeps
    nothing."""
    program, makings = job.program, Makings(job, weights)
    known: dict[Path, dict[str, Given]] = {}
    result = []
    for name in program.names:
        if not every and not shown(name, program):
            continue
        path = path_for(name, program)
        if path is not None and path not in known:
            try:
                known[path] = read(path)
            except (OSError, NotOurs):
                known[path] = {}
        given = known[path].get(name.key) if path is not None else None
        same = given if given is not None and given.name == name.name else None  # other words are a new name
        result.append(NameState(name, same, weights.get(name.model, ""), makings.of(name)))
    return tuple(result)


def keep(job: Job, found: Iterable[NameState], again: bool = False) -> tuple[str, ...]:
    """Keep the names that are not kept yet; ``again``: stale ones too, for what is there now. Returns what went wrong,
    in words: names are shown whether or not they can be kept."""
    program = job.program
    models = {slot.alias: slot.name for slot in program.models}
    of_file: dict[Path, dict[str, Given]] = {}
    unknown = []
    for state in found:
        path = path_for(state.name, program)
        if path is None or not (state.given is None or (again and state.stale)):
            continue
        if state.made is None:
            unknown.append(state.name.key)
        else:
            given = Given(state.name.name, models.get(state.name.model, ""), state.weights, state.made)
            of_file.setdefault(path, {})[state.name.key] = given
    lost = [words for path, names in of_file.items() if (words := _write(path, names))]
    if unknown:
        lost.append(f"the name of `{unknown[0]}` is not kept: what it is made of is not known, or has gone since")
    return tuple(lost)


def _write(path: Path, names: Mapping[str, Given]) -> str:
    try:
        with alone(path.parent):  # another run may keep names at the same time
            entries = {key: {"name": it.name, "model": it.model, "weights": it.weights,
                             **({"made": it.made} if it.made else {})}
                       for key, it in sorted({**read(path), **names}.items())}  # fmt: skip
            data = {"format": FORMAT, "version": VERSION, "names": entries}
            files.write(path, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())
    except NotOurs:
        return f"`{path.name}` is no file of names, and is left as it is: the names of this text are not kept"
    except OSError as error:
        return f"the names of this text are not kept: `{path.name}` cannot be written: {error.strerror or error}"
    return ""


def with_names(results: Results, job: Job) -> Results:
    """Return results with the state of the text's names, which are kept if they are new."""
    program = results.program
    if not program.names or results.adapter is None:
        return results
    found = states(job, weights_of(results))
    lost = keep(job, found)
    stale = [state for state in found if state.stale]
    said = (*lost, *([warning_of(stale, program)] if stale else []))
    names = frozenset(state.name for state in stale)
    parts = tuple(replace(part, stale=_of_part(part, names)) for part in results.parts)
    return replace(results, stale=names, parts=parts, noticed=(*results.noticed, *said))


def weights_of(results: Results) -> dict[str, str]:
    """Return the digest of the weights of each model of a page, by its alias."""
    parts = [part for part in results.parts or (results,) if part.adapter is not None]
    return {part.program.models[0].alias: part.adapter.fingerprint for part in parts if part.adapter is not None}


def _of_part(part: Results, stale: frozenset[AtomName]) -> frozenset[AtomName]:
    """Return the names of the part of one model that are stale: in it, an atom of a model that its own is derived from
    is one of its own."""
    own = {slot.alias for slot in part.program.models[0].lineage}
    here = {replace(name, model="", maker=None) for name in stale if name.model in own}
    return frozenset(name for name in part.program.names if replace(name, model="", maker=None) in here)


def warning_of(stale: Iterable[NameState], program: Program) -> str:
    """Say which names were given for something else, and what to do."""
    own = program.source.name if program.source is not None else ""
    what = []
    for other, why in ((True, "for other weights"), (False, "for a group or direction that was made otherwise")):
        names = [f'"{it.name.name}" (`{it.name.key}`)' for it in stale if it.other_weights == other]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        if names:
            what.append(f"{'the name was' if len(names) == 1 else f'{len(names)} names were'} given {why}: {shown}")
    return f"{'; '.join(what)}. Look again, then run `bbi names {Path(own).name} --keep`"
