"""Rebuild the page of a text in one process: the network stays loaded, and unchanged results are reused."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bbilang.cli.console import duration, plural, printed
from bbilang.cli.errors import explained
from bbilang.cli.progress_bar import DOING
from bbilang.cli.request import CommandLine
from bbilang.compiler.ir.program import ModelSlot, Program
from bbilang.grammar.diagnostic import render
from bbilang.grammar.files import path_of
from bbilang.grammar.source import Source
from bbilang.page import Page, rendered, view_of
from bbilang.pipeline import Pipeline
from bbilang.preview.placeholders import placeholder
from bbilang.preview.state import Shown
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.events import Event
from bbilang.runtime.heap import keep_freed_blocks
from bbilang.runtime.inputs.clips import file_of
from bbilang.texts import read

if TYPE_CHECKING:
    from bbilang.compiler.ir.model_description import ModelDescription
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.featvis.icon import Icon, Objective
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.view.model import Picture, View

    ModelKey = tuple[ModelSlot, int, list[tuple[str, object]], str, ModelDescription | None]

SHARE = 5  # icons are shown as they come, but drawing them takes at most one part in this many of the time


class Outdated(BaseException):
    """The text was saved again, so the current computation is obsolete."""


class PageBuilder:
    """Builds the pages of one text. ``outdated`` says whether it was saved since the page was begun."""

    def __init__(self, line: CommandLine, shown: Shown, outdated: Callable[[], bool]):
        self.line, self.shown, self.outdated = line, shown, outdated
        self._loaded: Adapter | None = None
        self._loaded_for: ModelKey | None = None
        self.inputs: frozenset[Path] = frozenset()  # files that the page shows besides the text

    def page(self) -> tuple[str, bool]:
        """Build the page of the text as it is now: (a line about it, whether it has no errors). Raises Outdated."""
        start = time.monotonic()
        try:
            self.shown.say("reading the text")
            page, html = self._build()
        except Exception as error:  # shown on the page: the preview goes on with the next save
            reason = explained(error)
            text = printed(render(reason.diagnostics, reason.source))
            self.shown.errors(text, plural(len(reason.diagnostics), "error"))
            return text, False
        words = f"{page.view.provenance.passes} · {duration(time.monotonic() - start)}"
        self.shown.page(html, words)
        return words, True

    def check(self, text: Source) -> None:
        """Check a text in place of the file's, as it would be built. Raises BbiError with its errors."""
        _ = Pipeline(replace(self.line.request, text=text)).program

    def _build(self) -> tuple[Page, bytes]:
        request = self.line.request
        if request.cache is not None:  # its limit may have been changed meanwhile
            request = replace(request, cache=Cache(request.cache.folder))
        request = replace(request, text=read(self.line.source.name))
        partial = _PartialPages(self, request.title)

        def listen(event: Event) -> None:
            self._listen(event)
            if event.kind == "icons":
                partial.show()

        pipeline = Pipeline(request, listener=listen, partial=partial)
        self.inputs = frozenset(Path(file_of(name)).absolute() for name in pipeline.program.inputs)
        key = _model_key(pipeline.program)
        if key != self._loaded_for:
            self._loaded = None  # before another is loaded: there may be memory for one
        if self._loaded is None:
            self.shown.say("loading the network")
            keep_freed_blocks()
        pipeline.loaded = self._loaded
        _ = pipeline.results
        if pipeline.job.loaded is not None:
            self._loaded, self._loaded_for = pipeline.job.loaded, key
        self.stop_if_outdated()
        self.shown.say("drawing the page")
        return pipeline.page, pipeline.page.html().encode()

    def stop_if_outdated(self) -> None:
        if self.outdated():
            raise Outdated

    def _listen(self, event: Event) -> None:
        self.stop_if_outdated()
        match event.kind:
            case "pass":
                self.shown.say(DOING.get(event.words, event.words))
            case "work":
                self.shown.say(f"{event.words}: {event.done / max(event.total, 1):.0%}")
            case "estimate" if event.total:
                about = f", about {duration(event.seconds)}" if event.seconds is not None else ""
                self.shown.say(f"making {plural(event.total, 'icon')}{about}: grey squares are still to come")
            case "icons" if event.done < event.total:
                left = f", about {duration(event.seconds)} left" if event.seconds is not None else ""
                self.shown.say(f"{event.done} of {plural(event.total, 'icon')}{left}: grey squares are still to come")


def _model_key(program: Program) -> ModelKey:
    """Return what the loaded network depends on."""
    slot = program.models[0]
    changed = _modified(slot.weights) if slot.weights else 0
    settings = [(key, value) for key, value in program.settings if key.startswith(("preprocess.", "seed"))]
    return slot, changed, settings, program.output, program.description


def _modified(weights: str) -> int:
    """Return when a weights file was last written, in nanoseconds."""
    try:
        return path_of(weights).stat().st_mtime_ns
    except OSError:  # no such file, or the word random
        return 0


class _PartialPages:
    """Shows the numbers at once, with a placeholder for each icon, and each icon when it is finished."""

    def __init__(self, builder: PageBuilder, title: str):
        self.builder, self.title = builder, title
        self.icons: list[Icon] = []
        self.slots: dict[Objective, list[int]] = {}  # into the icons
        self.results: Results | None = None
        self.view: View | None = None
        self.shown_at = self.cost = 0.0  # seconds
        self.new = False

    def numbers(self, results: Results, objectives: Sequence[Objective]) -> None:
        self.builder.stop_if_outdated()
        if not objectives:
            return
        assert results.adapter is not None and results.recipe is not None
        sizes = {layer.name: layer.every_size.get("channel", 1) for layer in results.adapter.description.layers}
        for number, objective in enumerate(objectives):
            self.icons.append(placeholder(objective, sizes.get(objective.layer, 1), number, results.recipe.size))
            self.slots.setdefault(objective, []).append(number)
        self.results = results

    def icon(self, objective: Objective, icon: Icon) -> None:
        self.builder.stop_if_outdated()
        for number in self.slots.get(objective, ()):
            self.icons[number] = icon
        self.new = True

    def making(self) -> None:
        self.new = True
        self.show()

    def show(self) -> None:
        """Show what there is, if some of it is new and enough time has passed."""
        now = time.monotonic()
        if self.results is None or not self.new or now - self.shown_at < SHARE * self.cost:
            return
        self.new = False
        view = view_of(replace(self.results, icons=list(self.icons)), self.title)
        self.cost = time.monotonic() - now
        shown = self.builder.shown
        if self.view is None:
            shown.page(rendered(view).encode(), shown.state.words, busy=True)
        elif len(view.pictures) == len(self.view.pictures):  # two icons that come out the same are one picture less
            pairs = enumerate(zip(self.view.pictures, view.pictures, strict=True))
            new = {number: _address(after) for number, (before, after) in pairs if before.data != after.data}
            if new:
                shown.icons(new, shown.state.words)
        else:
            return
        self.view = view
        self.shown_at = time.monotonic()


def _address(picture: Picture) -> str:
    return f"data:{picture.mime};base64,{b64encode(picture.data).decode()}"
