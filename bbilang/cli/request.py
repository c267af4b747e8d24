"""What a command line asks for: texts, pictures, model and settings, read into one value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bbilang.cli.console import report
from bbilang.cli.errors import misuse
from bbilang.cli.files import source_of
from bbilang.compiler.check.check import Options
from bbilang.diagnose import names_pictures, program_of
from bbilang.grammar.files import path_of
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source
from bbilang.page import FORMATS

if TYPE_CHECKING:
    from bbilang.compiler.ir.program import Program
    from bbilang.compiler.plan.plan import Plan

KEPT = "interrupted: finished icons are kept, and the same command goes on from there"
NOT_KEPT = "interrupted: nothing was written"
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
SOME_PICTURE = ("picture 1",)  # for a text that leaves its picture to the command line


@frozen
class Request:
    """What the command line asks for."""

    source: Source
    inputs: tuple[str, ...] | None = None
    model: str | None = None
    weights: str | None = None
    device: str = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    draft: bool = False
    optimized: bool = True
    force: Literal["forward", "reverse"] | None = None
    cache: bool = True
    quiet: bool = False
    title: str = ""
    output: str | None = None
    format: str | None = None
    root: str | None = None
    sha256: str | None = None
    parents: bool = False

    def options(self, *inputs: str) -> Options:
        return options(self.model, self.weights, inputs or self.inputs, self.settings, self.root)

    def program(self) -> Program:
        """The checked program; warnings are said. Raises BbiError with everything that is wrong."""
        program = program_of(self.source, self.options())
        report(program.warnings, self.source)
        return program

    @property
    def recall(self) -> bool:
        """Whether numbers may come from the cache: who forces a mode wants to see it run."""
        return self.cache and self.force is None

    def planned(self, program: Program) -> Plan:
        """The plan that will run: optimized, unless the reader said otherwise."""
        from bbilang import api
        from bbilang.runtime.cache.disk import Cache
        from bbilang.runtime.device.mode_choice import decided

        if not self.optimized:
            return api.plan(program)
        return api.plan(decided(program, Cache() if self.cache else None, self.device, self.force))


def requested(
    file: str | None, pipe: str | None, settings: Sequence[str] | None, seed: int | None, some_picture: bool = False,
    formats: Sequence[str] = FORMATS, **rest: Any,
) -> Request:  # fmt: skip
    """The request of a command line. some_picture: nothing runs, so the text may leave its picture open. formats: that
    the command writes.

    Raises BbiError E440 where the command line makes no sense, E441 where the text cannot be read.
    """
    if not DEVICE.fullmatch(rest.get("device", "auto")):
        misuse(f"there is no device `{rest['device']}`", "devices are auto, cpu, mps, cuda and cuda:1")
    if (force := rest.get("force")) not in (None, "forward", "reverse"):
        misuse(f"there is no mode `{force}`", "`--force reverse` and `--force forward` are for doubt about the choice")
    if force and not rest.get("optimized", True):
        misuse("--force chooses for the optimizer, and --no-optimize leaves it out", "leave one of them out")
    if not rest.get("inputs"):
        rest["inputs"] = None
    if (format := rest.get("format")) not in (None, *formats):
        misuse(f"there is no format `{format}`", f"formats are {', '.join(formats)}")
    chosen = settings_of(settings, seed)
    source = source_of(file, pipe)
    if some_picture and rest["inputs"] is None and not names_pictures(source):
        rest["inputs"] = SOME_PICTURE
    return Request(source, settings=chosen, **rest)


def settings_of(settings: Sequence[str] | None, seed: int | None = None) -> dict[str, Any]:
    """`featvis.steps=64` -> {"featvis.steps": "64"}; the checker knows names and ranges."""
    chosen: dict[str, Any] = {}
    for words in settings or ():
        name, equals, value = (part.strip() for part in words.partition("="))
        if not (name and equals and value):
            misuse(f"--set {words} has no {'value' if name else 'name'}", "as in `--set featvis.steps=64`")
        chosen[name] = value
    if seed is not None:
        chosen["seed"] = seed
    return chosen


def _root(name: str | None) -> Path | None:
    if not name:
        return None
    try:
        return path_of(name)
    except OSError as error:
        misuse(f"--root: {error.strerror}", "name a folder")


def options(
    model: str | None,
    weights: str | None,
    inputs: Sequence[str] | None,
    settings: Mapping[str, Any],
    root: str | None = None,
) -> Options:
    """What the checker is told besides the text."""
    from bbilang.runtime.inputs.load import expanded

    chosen = tuple(inputs) if inputs else None
    return Options(model, weights, chosen, dict(settings), None, expanded, _root(root))
