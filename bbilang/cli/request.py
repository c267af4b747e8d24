"""Convert a command line to a request and the destination of its result."""

from __future__ import annotations

import gc
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from bbilang.cli.console import report
from bbilang.cli.errors import misuse
from bbilang.cli.files import source_of
from bbilang.compiler.check_text import may_need_no_input, names_its_input
from bbilang.compiler.ir.program import Program
from bbilang.compiler.ir.speeds import Force
from bbilang.compiler.plan.limits import Limits, limits_of
from bbilang.given_inputs import inputs_of
from bbilang.given_models import of_words
from bbilang.grammar.files import path_of
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source
from bbilang.page import FORMATS
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry

RESUMABLE = "interrupted: finished icons are in the cache; the same command continues from there"
NOTHING_WRITTEN = "interrupted: nothing was written"
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
SOME_PICTURE = ("picture 1",)  # for a text that leaves its picture to the command line


@frozen
class CommandLine:
    """A request and what to do with its result. ``sha256``: the required hash of the weights file."""

    request: Request
    source: Source
    output: str | None = None
    format: str | None = None
    parents: bool = False
    quiet: bool = False
    sha256: str | None = None

    def pipeline(self, *inputs: str, **options: Any) -> Pipeline:
        """Return the pipeline of the request, with these inputs if some are given. ``options``: as `Pipeline` takes
        them."""
        return Pipeline(replace(self.request, input=inputs) if inputs else self.request, **options)

    @property
    def interrupted(self) -> KeyboardInterrupt:
        """Return the message for Ctrl-C while the request runs."""
        return KeyboardInterrupt(RESUMABLE if self.request.cache is not None else NOTHING_WRITTEN)


def reported(pipeline: Pipeline, source: Source) -> Program:
    """Return the checked program and print its warnings. Raises BbiError with all errors."""
    program = pipeline.program
    report(program.warnings, source)
    return program


def command_line(
    file: str | None,
    pipe: str | None = None,
    *,
    inputs: Sequence[str] | None = None,
    model: Sequence[str] | None = None,
    weights: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    data: Sequence[str] | None = None,
    seed: int | None = None,
    device: str = "auto",
    draft: bool = False,
    optimized: bool = True,
    force: str | None = None,
    cache: bool = True,
    title: str = "",
    root: str | None = None,
    some_picture: bool = False,
    formats: Sequence[str] = FORMATS,
    format: str | None = None,
    workers: int | None = None,
    ray: str | None = None,
    limit: Sequence[str] | None = None,
    **result: Any,
) -> CommandLine:
    """Read a command line. some_picture: nothing runs, so the text may leave its picture open. formats: that the
    command writes. result: the other fields of `CommandLine`.

    Raises BbiError E440 where the command line makes no sense, E441 where the text cannot be read.
    """
    _check_options(device, force, optimized)
    if format not in (None, *formats):
        misuse(f"there is no format `{format}`", f"formats are {', '.join(formats)}")
    chosen = settings_of(settings, seed)
    gc.enable()  # see `app.main`: what runs a model collects garbage as usual
    source = source_of(file, pipe)
    from bbilang.runtime.cache.disk import Cache

    own_model, own_weights = of_words(model, weights)
    request = Request(
        text=source,
        model=own_model,
        input=inputs_of(inputs),
        weights=own_weights,
        settings=chosen,
        data=data_of(data),
        device=device,
        optimized=optimized,
        force=cast("Force | None", force),
        draft=draft,
        cache=Cache() if cache else None,
        title=title,
        root=root_of(root),
        workers=workers,
        ray=ray,
        limits=limits_named(limit),
    )
    if some_picture and not inputs and not names_its_input(source) and not _needs_no_picture(request, source):
        request = replace(request, input=SOME_PICTURE)
    return CommandLine(request, source, format=format, **result)


def _check_options(device: str, force: str | None, optimized: bool) -> None:
    if not DEVICE.fullmatch(device):
        misuse(f"there is no device `{device}`", "devices are auto, cpu, mps, cuda and cuda:1")
    if force not in (None, "forward", "reverse"):
        misuse(f"there is no mode `{force}`", "`--force reverse` and `--force forward` override the cost model")
    if force and not optimized:
        misuse("--force chooses for the optimizer, and --no-optimize leaves it out", "leave one of them out")


def _needs_no_picture(request: Request, source: Source) -> bool:
    """Return whether everything that a text shows is of examples of datasets, or of weights, so that it has no
    picture."""
    return may_need_no_input(source, registry()) and Pipeline(request).checked[0] is not None


def settings_of(settings: Sequence[str] | None, seed: int | None = None) -> dict[str, Any]:
    """Parse `featvis.steps=64` to {"featvis.steps": "64"}; the checker knows names and ranges."""
    chosen: dict[str, Any] = {}
    for words in settings or ():
        name, equals, value = (part.strip() for part in words.partition("="))
        if not (name and equals and value):
            misuse(f"--set {words} has no {'value' if name else 'name'}", "as in `--set featvis.steps=64`")
        chosen[name] = value
    if seed is not None:
        chosen["seed"] = seed
    return chosen


def limits_named(given: Sequence[str] | None) -> Limits:
    """Parse `memory=2GB`. Raises BbiError E433."""
    chosen: dict[str, str] = {}
    for words in given or ():
        name, equals, value = (part.strip() for part in words.partition("="))
        if not (name and equals and value):
            misuse(f"--limit {words} has no {'number' if name else 'name'}", "as in `--limit seconds=60`")
        chosen[name] = value
    return limits_of(chosen)


def data_of(given: Sequence[str] | None) -> dict[str, str]:
    """Parse `photos=folder/` to {"photos": "folder/"}."""
    chosen: dict[str, str] = {}
    for words in given or ():
        name, equals, path = (part.strip() for part in words.partition("="))
        if not (name and equals and path):
            misuse(f"--data {words} has no {'path' if name else 'name'}", "as in `--data photos=folder/`")
        chosen[name] = path
    return chosen


def root_of(name: str | None) -> Path | None:
    """Return the folder of `--root`."""
    if not name:
        return None
    try:
        return path_of(name)
    except OSError as error:
        misuse(f"--root: {error.strerror}", "name a folder")
