"""Makes the page of a text again and again in one process: the network stays, and what did not change is recalled."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang import api
from bbilang.cli.console import duration, plural, printed
from bbilang.cli.errors import explained
from bbilang.cli.files import read
from bbilang.cli.progress_bar import DOING
from bbilang.cli.request import Request
from bbilang.compiler.ir.program import Program
from bbilang.diagnose import program_of
from bbilang.grammar.diagnostic import render
from bbilang.grammar.files import path_of
from bbilang.page import Page
from bbilang.preview.placeholders import placeholder
from bbilang.preview.state import Shown
from bbilang.runtime.events import Event
from bbilang.runtime.recall.incremental import Own

if TYPE_CHECKING:
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.featvis.icon import Icon, Objective
    from bbilang.runtime.view.model import View

SHARE = 5  # icons are shown as they come, but drawing them takes at most one part in this many of the time


class Outdated(BaseException):
    """The text was saved again: what is computed now is not wanted any more."""


class Work:
    """The pages of one text. ``outdated`` says whether it was saved since the page was begun."""

    def __init__(self, request: Request, shown: Shown, outdated: Callable[[], bool]):
        self.request, self.shown, self.outdated = request, shown, outdated
        self._adapter: Any = None
        self._of: Any = None  # what the adapter was loaded for
        self.inputs: frozenset[Path] = frozenset()  # files that the page shows besides the text

    def page(self) -> tuple[str, bool]:
        """Make the page of the text as it is now: (what there is to say of it, whether it is fine). Raises Outdated."""
        began = time.monotonic()
        try:
            self.shown.say("reading the text")
            request = replace(self.request, source=read(self.request.source.name))
            page, html = self._made(request)
        except Exception as error:
            found = explained(error)
            text = printed(render(found.diagnostics, found.source))
            self.shown.errors(text, plural(len(found.diagnostics), "error"))
            return text, False
        took = duration(time.monotonic() - began)
        self.shown.page(html, f"{page.view.provenance.passes} · {took}")
        return f"{page.view.provenance.passes} · {took}", True

    def _made(self, request: Request) -> tuple[Page, bytes]:
        program = program_of(request.source, request.options())
        self.inputs = frozenset(Path(name).absolute() for name in program.inputs)
        steps = request.planned(program)
        of = self._model_of(program)
        adapter = self._adapter if of == self._of else None
        if adapter is None:
            self._adapter = None  # before another is loaded: there may be memory for one
            self.shown.say("loading the network")
        early = _Early(self, request)

        def listen(event: Event) -> None:
            self._listen(event)
            if event.kind == "icons":
                early.look()

        results = api.execute(
            steps, model=None if adapter is None else Own(adapter), device=request.device, draft=request.draft,
            progress=listen, early=early,
        )  # fmt: skip
        if hasattr(results.adapter, "module"):
            self._adapter, self._of = results.adapter, of
        self._look()
        self.shown.say("drawing the page")
        page = Page(api.view(results, title=request.title), results, steps)
        return page, page.html().encode()

    def _model_of(self, program: Program) -> Any:
        """What the loaded network depends on."""
        slot = program.models[0]
        changed = _changed(slot.weights) if slot.weights else 0
        settings = [(key, value) for key, value in program.settings if key.startswith(("preprocess.", "seed"))]
        return slot, changed, settings, program.output, program.description

    def _look(self) -> None:
        if self.outdated():
            raise Outdated

    def _listen(self, event: Event) -> None:
        self._look()
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


def _changed(weights: str) -> int:
    try:
        return path_of(weights).stat().st_mtime_ns
    except OSError:  # no such file, or the word random
        return 0


class _Early:
    """Shows the numbers at once, with a placeholder for each icon, and icons as they come."""

    def __init__(self, work: Work, request: Request):
        self.work, self.request = work, request
        self.icons: list[Any] = []
        self.places: dict[Objective, list[int]] = {}
        self.results: Results | None = None
        self.view: View | None = None
        self.told = self.cost = 0.0
        self.new = False

    def numbers(self, results: Results, objectives: Sequence[Objective]) -> None:
        self.work._look()
        if not objectives:
            return
        sizes = {layer.name: layer.every_size.get("channel", 1) for layer in results.adapter.description.layers}
        for number, objective in enumerate(objectives):
            self.icons.append(placeholder(objective, sizes.get(objective.layer, 1), number, results.recipe.size))
            self.places.setdefault(objective, []).append(number)
        self.results = results

    def icon(self, objective: Objective, icon: Icon) -> None:
        self.work._look()
        for number in self.places.get(objective, ()):
            self.icons[number] = icon
        self.new = True

    def making(self) -> None:
        self.new = True
        self.look()

    def look(self) -> None:
        """What there is now, if there is something new, and it is time."""
        now = time.monotonic()
        if self.results is None or not self.new or now - self.told < SHARE * self.cost:
            return
        self.new = False
        results = replace(self.results, icons=list(self.icons))
        view = api.view(results, title=self.request.title)
        self.cost = time.monotonic() - now
        if self.view is None:
            page = api.render(view).encode()
            self.work.shown.page(page, self.work.shown.state.words, busy=True)
        elif len(view.pictures) == len(self.view.pictures):  # two icons that come out the same are one picture less
            pairs = enumerate(zip(self.view.pictures, view.pictures, strict=True))
            new = {place: _address(after) for place, (before, after) in pairs if before.data != after.data}
            if new:
                self.work.shown.icons(new, self.work.shown.state.words)
        else:
            return
        self.view = view
        self.told = time.monotonic()


def _address(picture: Any) -> str:
    return f"data:{picture.mime};base64,{b64encode(picture.data).decode()}"
