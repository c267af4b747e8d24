"""`bbi run`: one page from a text, or with `--each` a page for every picture and an index of them."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang import api
from bbilang.cli.console import duration, plural, printed, report, result, size
from bbilang.cli.errors import FINE, WRONG, explained, misuse
from bbilang.cli.fetch import prepare
from bbilang.cli.files import is_folder, writable, write
from bbilang.cli.index_page import Entry, index, percent, thumbnail
from bbilang.cli.progress_bar import Watch
from bbilang.cli.request import KEPT, NOT_KEPT, Request
from bbilang.compiler.ir.program import Program
from bbilang.diagnose import program_of
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import path_of
from bbilang.page import FORMATS, Page
from bbilang.runtime.device.mode_choice import learn
from bbilang.runtime.events import Event
from bbilang.runtime.recall.incremental import Own, Work

if TYPE_CHECKING:
    from bbilang.runtime.recall.pages import Finished
    from bbilang.runtime.view.model import Prediction


def run(request: Request) -> int:
    """One page. The place for it is tried before any work."""
    began = time.monotonic()
    program = request.program()
    path, format = place(request)
    _protect(path, program)
    prepare(request, program)
    try:
        with Watch(request.quiet) as watch:
            page = _finished(request, program, watch) if format == "html" else None
            if page is None:
                made = _page(request, program, watch)
                watch.doing("drawing the page")
                path = made.save(path, format, request.parents)
                lines, done, notes = said(made), made.view.provenance.passes, _notes(made)
            else:
                write(path, page.html, request.parents)
                lines, done, notes = list(page.lines), page.passes, list(page.notes)
            for line in lines:
                watch.line(line)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(KEPT if request.cache else NOT_KEPT) from interrupt
    words = _summary(path, done, notes, watch, time.monotonic() - began)
    result(str(path) if request.quiet else f"{path}  {words}")
    return FINE


def _page(request: Request, program: Program, watch: Watch, adapter: Any = None) -> Page:
    steps = request.planned(program)
    if adapter is None:
        watch.doing("loading the network")
    results = api.execute(
        steps, model=None if adapter is None else Own(adapter), device=request.device, draft=request.draft,
        recall=request.recall, cache=None if request.cache else False,
        progress=None if request.quiet else watch,
    )  # fmt: skip
    if request.cache and request.recall and request.optimized:
        from bbilang.runtime.cache.disk import Cache

        learn(steps.program, Cache(), results.adapter.device)
    return Page(api.view(results, title=request.title), results, steps)


def _finished(request: Request, program: Program, watch: Watch) -> Finished | None:
    """The page, from the cache whole, or made and kept; None where the cache has no part in it."""
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.recall import pages as finished

    if not (request.cache and request.recall):
        return None
    cache = Cache()
    steps = request.planned(program)
    key = finished.page_key(Work(steps, cache, device=request.device, draft=request.draft), request.title)
    page = finished.recall(cache, key) if key is not None else None
    if page is not None:
        if page.icons and not request.quiet:
            watch(Event("estimate", page.words, page.icons, 0, 0.0))
        return page
    made = _page(request, program, watch)
    watch.doing("drawing the page")
    page = finished.finished(made, made.html().encode(), said(made), _notes(made))
    if key is None:  # what the model is was not known before it was loaded
        key = finished.page_key(Work(steps, cache, device=request.device, draft=request.draft), request.title)
    if key is not None:
        finished.keep(cache, key, page)
    return page


def _summary(path: Path, done: str, notes: list[str], watch: Watch, seconds: float) -> str:
    """1.4 MB · 1 forward, 6 backward, 24 icons (20 from the cache) · 14 s"""
    if watch.cached:
        done += f" ({watch.cached if watch.made else 'all'} from the cache)"
    room = [size(path.stat().st_size)] if path.is_file() else []  # a pipe has none
    return " · ".join([*room, done, duration(seconds), *notes])


def _notes(page: Page) -> list[str]:
    """What is said out loud of a page."""
    notes = ["draft"] if page.view.provenance.draft else []
    return notes + (["random weights"] if page.view.provenance.random else [])


def said(page: Page) -> list[str]:
    """What was loaded from a file of weights, and what the network said of each picture."""
    slot, made = page.results.program.models[0], page.view.provenance
    loaded = [f"loaded {made.weights}"] if slot.weights and not made.random else []
    return loaded + predictions(page)


def predictions(page: Page) -> list[str]:
    """What the network said of each picture: a reader first asks whether it was right."""
    lines = []
    for prediction in page.view.predictions[:8]:
        top = ", ".join(f"{label} {words}" for label, words in top_of(prediction))
        lines.append(f"{prediction.input}: {top}")
    more = len(page.view.predictions) - len(lines)
    return [*lines, f"and {plural(more, 'more picture')}"] if more > 0 else lines


def top_of(prediction: Prediction) -> list[tuple[str, str]]:
    """The first outputs with their numbers in words: percents, or the values of what is no class."""
    return [(label, percent(n) if prediction.shares else prediction.words(n)) for label, n in prediction.top[:3]]


# --- where the page goes --------------------------------------------------------------------------------------------


def place(request: Request) -> tuple[Path, str]:
    """(path, format) of the page. Raises BbiError E430, E431 while nothing is lost yet."""
    format = request.format
    name = request.source.name
    stem = Path("page") if name.startswith("<") else Path(name).with_suffix("")
    if request.output is None:
        path = stem.parent / f"{stem.name}.{format or 'html'}"
    elif request.output.endswith("/") or is_folder(request.output):
        path = Path(request.output) / f"{stem.name}.{format or 'html'}"
    else:
        path = Path(request.output)
    format = format or path.suffix.lstrip(".").lower() or "html"
    if format not in FORMATS:
        help = f"formats are {', '.join(FORMATS)}; `--format` says which, whatever the file is called"
        raise BbiError(Diagnostic("E430", f"{path}: there is no format `{format}`", help=help))
    return writable(path, request.parents), format


def _protect(path: Path, program: Program) -> None:
    """A page never takes the place of what it is made from."""
    sources = [name for name in program.inputs if not name.startswith(("sample:", "text:"))]
    if program.source is not None:
        sources.append(program.source.name)
    sources += [slot.weights for slot in program.models if slot.weights]
    for name in sources:
        if path.exists() and _same(path, name):
            misuse(f"the page would take the place of {name}", "choose another name with `-o`")


def _same(path: Path, name: str) -> bool:
    try:
        return path.samefile(path_of(name))
    except OSError:  # there is no such file
        return False


# --- a page for every picture ---------------------------------------------------------------------------------------


def run_each(request: Request) -> int:
    """A page for every picture, into a folder, and index.html. A picture that fails is told of; the others go on."""
    program = request.program()
    folder = _folder(request)
    names = _names(program.inputs, request.format or "html")
    for name in names:
        _protect(folder / name, program)
    prepare(request, program)
    entries: list[Entry] = []
    adapter, failed = None, 0
    try:
        with Watch(request.quiet) as watch:
            for number, (picture, name) in enumerate(zip(program.inputs, names, strict=True), 1):
                watch.line(f"{number} of {len(names)}: {picture}")
                try:
                    adapter, entry = _one(request, picture, folder / name, watch, adapter)
                except (BbiError, OSError) as error:
                    failed += 1
                    found = explained(error)
                    report(found.diagnostics, found.source)
                    entry = Entry(Path(picture).name, error=found.diagnostics[0].message)
                entries.append(entry)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(KEPT if request.cache else NOT_KEPT) from interrupt
    finally:
        if any(entry.file for entry in entries):
            words = f"{plural(len(entries) - failed, 'page')} · {_title(program.models[0].name)}"
            words += " · random weights" if program.models[0].weights == "random" else ""
            words += " · draft" if request.draft else ""
            title = request.title or next((i.title for i in program.interfaces if i.title), "") or "Pages"
            write(folder / "index.html", index(title, words, entries).encode(), parents=True)
    if failed == len(entries):
        return WRONG
    made = f"{plural(len(entries) - failed, 'page')}" + (f", {failed} failed" if failed else "")
    result(str(folder / "index.html") if request.quiet else f"{folder / 'index.html'}  {made}")
    return WRONG if failed else FINE


def _one(request: Request, picture: str, path: Path, watch: Watch, adapter: Any) -> tuple[Any, Entry]:
    began = time.monotonic()
    watch.made = watch.cached = 0
    page = _page(request, program_of(request.source, request.options(picture)), watch, adapter)
    watch.doing("drawing the page")
    page.save(path, request.format or "html", parents=True)  # the folder of the pages is made; those above it are not
    for line in predictions(page):
        watch.line(f"  {line}")
    watch.line(
        f"  {path}  {_summary(path, page.view.provenance.passes, _notes(page), watch, time.monotonic() - began)}"
    )
    shown = page.results.pictures[0]
    top = tuple(pair for p in page.view.predictions[:1] for pair in top_of(p))
    loaded = page.results.adapter if hasattr(page.results.adapter, "module") else adapter
    return loaded, Entry(shown.name, path.name, thumbnail(shown.shown), top)


def _folder(request: Request) -> Path:
    name = request.source.name
    if request.output is None:
        folder = Path("pages") if name.startswith("<") else Path(name).with_suffix("")
    else:
        folder = writable(request.output, request.parents) if not is_folder(request.output) else path_of(request.output)
    if folder.is_file() or (request.output and folder.suffix.lstrip(".") in FORMATS and not folder.is_dir()):
        misuse(f"--each makes several pages, and {folder} is one file", "name a folder with `-o`")
    writable(folder / "index.html", parents=True)
    return folder


def _names(pictures: tuple[str, ...], format: str) -> list[str]:
    """File names without surprises, each once: `My cat.jpg` -> `My-cat.html`."""
    names: list[str] = []
    taken = {"index"}
    for picture in pictures:
        stem = re.sub(r"[^\w.+-]+", "-", printed(Path(picture.removeprefix("sample:")).stem)).strip("-.") or "picture"
        name, number = stem, 2
        while name.lower() in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name.lower())
        names.append(f"{name}.{format}")
    return names


def _title(model: str) -> str:
    from bbilang.runtime.models.registry import models

    return models()[model].title if model in models() else model
