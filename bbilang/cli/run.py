"""`bbi run`: compile a text to a page, or with `--each` to a page for every picture and an index. `bbi scan`: its
passes over datasets alone."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bbilang.cli.console import duration, plural, printed, report, result, size, tell
from bbilang.cli.errors import FINE, WRONG, explained, misuse
from bbilang.cli.fetch import prepare
from bbilang.cli.files import is_folder, writable, write
from bbilang.cli.index_page import Entry, index, percent, thumbnail
from bbilang.cli.progress_bar import ProgressBar
from bbilang.cli.request import CommandLine, reported
from bbilang.compiler.ir.program import Program
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import path_of
from bbilang.page import FORMATS, Page
from bbilang.pipeline import Pipeline
from bbilang.runtime.events import Event
from bbilang.runtime.heap import keep_freed_blocks
from bbilang.runtime.inputs.clips import file_of

if TYPE_CHECKING:
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.scan.scanned import Scanned
    from bbilang.runtime.view.model import Prediction


def run(line: CommandLine) -> int:
    """Make one page. Its file is checked to be writable before any work."""
    start = time.monotonic()
    bar = ProgressBar(line.quiet)
    pipeline = line.pipeline(listener=None if line.quiet else bar)
    program = reported(pipeline, line.source)
    path, format = target(line)
    _protect(path, program)
    prepare(line, program)
    try:
        with bar:
            if format == "html" and pipeline.recalls:
                lines, passes, notes = _stored(line, pipeline, bar, path)
            else:
                page = _page(pipeline, bar)
                path = page.save(path, format, line.parents)
                (lines, notes), passes = summarized(page), page.view.provenance.passes
            for words in lines:
                bar.line(words)
    except KeyboardInterrupt as interrupt:
        raise line.interrupted from interrupt
    words = _summary(path, passes, notes, time.monotonic() - start)
    result(str(path) if line.quiet else f"{path}  {words}")
    return FINE


def _page(pipeline: Pipeline, bar: ProgressBar, loaded: bool = False) -> Page:
    """Compute the page and report progress."""
    if not loaded:
        bar.doing("loading the network")
    keep_freed_blocks()
    _ = pipeline.results
    bar.doing("drawing the page")
    return pipeline.page


def _stored(line: CommandLine, pipeline: Pipeline, bar: ProgressBar, path: Path) -> tuple[list[str], str, list[str]]:
    """Write the page whole from the cache, or make it and keep it there: (lines, passes, notes)."""
    stored, cached = pipeline.stored_page(lambda: _page(pipeline, bar), summarized)
    if cached and stored.icons and not line.quiet:
        bar(Event("estimate", stored.words, stored.icons, 0, 0.0))
    write(path, stored.html, line.parents)
    passes = "nothing ran; reused: the whole page" if cached else stored.passes
    return list(stored.lines), passes, list(stored.notes)


def _summary(path: Path, passes: str, notes: list[str], seconds: float) -> str:
    """Summarize a run: "1.4 MB · 1 forward, 6 backward, 4 icons; reused: 20 icons · 14 s"."""
    room = [size(path.stat().st_size)] if path.is_file() else []  # a pipe has none
    return " · ".join([*room, passes, duration(seconds), *notes])


def summarized(page: Page) -> tuple[list[str], list[str]]:
    """Return (the loaded weights file, predictions, the page's first sentence, what was noticed; reminders)."""
    slot, made = page.results.program.models[0], page.view.provenance
    loaded = [f"loaded {made.weights}"] if slot.weights and not made.random else []
    notes = [word for word, holds in (("draft", made.draft), ("random weights", made.random)) if holds]
    warned = [f"warning: {words}" for words in page.results.noticed]
    return loaded + predictions(page) + answered(page) + warned, notes


def answered(page: Page) -> list[str]:
    """Return the first sentence of the page."""
    answer = next(iter(page.answers.values()), "") if page.view.interfaces and page.view.interfaces[0].lead else ""
    first, stop, _ = answer.partition(". ")
    return [(first + stop.strip()).replace("\u00a0", " ")] if first else []


def predictions(page: Page) -> list[str]:
    """Describe the network's prediction for each picture, since users first check whether it was right."""
    lines = []
    for prediction in page.view.predictions[:8]:
        top = ", ".join(f"{label} {words}" for label, words in top_of(prediction))
        who = f"{prediction.model}, " if prediction.model else ""
        lines.append(f"{who}{prediction.input}: {top}")
    more = len(page.view.predictions) - len(lines)
    return [*lines, f"and {plural(more, 'more picture')}"] if more > 0 else lines


def top_of(prediction: Prediction) -> list[tuple[str, str]]:
    """Describe the highest outputs with their numbers: percentages, or values where outputs are not classes."""
    return [(label, percent(n) if prediction.shares else prediction.words(n)) for label, n in prediction.top[:3]]


# --- where the page goes --------------------------------------------------------------------------------------------


def target(line: CommandLine) -> tuple[Path, str]:
    """Return (path, format) of the page. Raises BbiError E430, E431 before any work."""
    format = line.format
    name = line.source.name
    stem = Path("page") if name.startswith("<") else Path(name).with_suffix("")
    if line.output is None:
        path = stem.parent / f"{stem.name}.{format or 'html'}"
    elif line.output.endswith("/") or is_folder(line.output):
        path = Path(line.output) / f"{stem.name}.{format or 'html'}"
    else:
        path = Path(line.output)
    format = format or path.suffix.lstrip(".").lower() or "html"
    if format not in FORMATS:
        help = f"formats are {', '.join(FORMATS)}; `--format` says which, whatever the file is called"
        raise BbiError(Diagnostic("E430", f"{path}: there is no format `{format}`", help=help))
    return writable(path, line.parents), format


def _protect(path: Path, program: Program) -> None:
    """Refuse to overwrite a file that the page is made from."""
    sources = [file_of(name) for name in program.inputs if not name.startswith(("sample:", "text:"))]
    if program.source is not None:
        sources.append(program.source.name)
    sources += [slot.weights for slot in program.models if slot.weights]
    for name in sources:
        if path.exists() and _same(path, name):
            misuse(f"the page would overwrite {name}", "choose another name with `-o`")


def _same(path: Path, name: str) -> bool:
    try:
        return path.samefile(path_of(name))
    except OSError:  # there is no such file
        return False


# --- a page for every picture ---------------------------------------------------------------------------------------


def run_each(line: CommandLine) -> int:
    """Make a page for every picture and index.html in a folder. A failing picture is reported and does not stop the
    others."""
    program = reported(line.pipeline(), line.source)
    folder = _folder(line)
    names = _names(program.inputs, line.format or "html")
    for name in names:
        _protect(folder / name, program)
    prepare(line, program)
    entries: list[Entry] = []
    loaded: Adapter | None = None
    try:
        with ProgressBar(line.quiet) as bar:
            for number, (picture, name) in enumerate(zip(program.inputs, names, strict=True), 1):
                bar.line(f"{number} of {len(names)}: {picture}")
                try:
                    loaded, entry = _one(line, picture, folder / name, bar, loaded)
                except (BbiError, OSError) as error:
                    reason = explained(error)
                    report(reason.diagnostics, reason.source)
                    entry = Entry(Path(picture).name, error=reason.diagnostics[0].message)
                entries.append(entry)
    except KeyboardInterrupt as interrupt:
        raise line.interrupted from interrupt
    finally:
        pages = sum(bool(entry.file) for entry in entries)
        if pages:
            write(folder / "index.html", _index(line, program, entries, pages).encode(), parents=True)
    failed = len(entries) - pages
    if not pages:
        return WRONG
    made = f"{plural(pages, 'page')}" + (f", {failed} failed" if failed else "")
    result(str(folder / "index.html") if line.quiet else f"{folder / 'index.html'}  {made}")
    return WRONG if failed else FINE


def _index(line: CommandLine, program: Program, entries: list[Entry], pages: int) -> str:
    """Write the index of all pages."""
    model = program.models[0]
    words = f"{plural(pages, 'page')} · {_title(model.name)}"
    words += " · random weights" if model.weights == "random" else ""
    words += " · draft" if line.request.draft else ""
    title = line.request.title or next((i.title for i in program.interfaces if i.title), "") or "Pages"
    return index(title, words, entries)


def _one(
    line: CommandLine, picture: str, path: Path, bar: ProgressBar, loaded: Adapter | None
) -> tuple[Adapter | None, Entry]:
    """Compile the page of one picture. Returns (the network, once it is loaded; the entry of the page)."""
    start = time.monotonic()
    bar.made = bar.cached = 0
    pipeline = line.pipeline(picture, listener=None if line.quiet else bar, loaded=loaded)
    page = _page(pipeline, bar, loaded is not None)
    page.save(path, line.format or "html", parents=True)  # the folder of the pages is made; those above it are not
    for words in predictions(page):
        bar.line(f"  {words}")
    summary = _summary(path, page.view.provenance.passes, summarized(page)[1], time.monotonic() - start)
    bar.line(f"  {path}  {summary}")
    shown = page.results.pictures[0]
    top = tuple(pair for p in page.view.predictions[:1] for pair in top_of(p))
    return pipeline.job.loaded, Entry(shown.name, path.name, thumbnail(shown.shown), top)


def _folder(line: CommandLine) -> Path:
    name = line.source.name
    if line.output is None:
        folder = Path("pages") if name.startswith("<") else Path(name).with_suffix("")
    else:
        folder = writable(line.output, line.parents) if not is_folder(line.output) else path_of(line.output)
    if folder.is_file() or (line.output and folder.suffix.lstrip(".") in FORMATS and not folder.is_dir()):
        misuse(f"--each makes several pages, and {folder} is one file", "name a folder with `-o`")
    writable(folder / "index.html", parents=True)
    return folder


def _names(pictures: tuple[str, ...], format: str) -> list[str]:
    """Return unique file names without special characters: `My cat.jpg` -> `My-cat.html`."""
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
    from bbilang.runtime.models.registry import entry_of, is_registered

    return entry_of(model).title if is_registered(model) else model


# --- `bbi scan` -------------------------------------------------------------------------------------------------------


def scan(line: CommandLine) -> int:
    """Run the scans of a text and say what they found."""
    start = time.monotonic()
    bar = ProgressBar(line.quiet)
    pipeline = line.pipeline(listener=None if line.quiet else bar)
    program = reported(pipeline, line.source)
    if not program.scans:
        misuse("the text reads no dataset", 'name one: `dataset photos = "photos/"`, and use it: `across(photos)`')
    prepare(line, program)
    try:
        with bar:
            bar.doing("loading the network")
            keep_freed_blocks()
            scanned = pipeline.scan()
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(
            "interrupted: finished shards are in the cache; the same command goes on"
        ) from interrupt
    for one in scanned:
        result(one.dataset.name if line.quiet else _scan_words(one))
    for words in pipeline.overlaps():
        tell(f"warning: {words}")
    if not line.quiet:
        result(duration(time.monotonic() - start))
    return FINE


def _scan_words(scanned: Scanned) -> str:
    """Summarize a scan: "photos: 800 examples · 4 shards computed, 0 kept before · 47 MB"."""
    parts = [f"{scanned.dataset.name}: {plural(len(scanned.rows), 'example')}"]
    if scanned.unreadable:
        parts[0] += f" and {len(scanned.unreadable):,} that cannot be read"
    shards = f"{plural(scanned.fresh, 'shard')} computed, {scanned.recalled} kept before"
    return " · ".join([*parts, shards, size(scanned.bytes)])
