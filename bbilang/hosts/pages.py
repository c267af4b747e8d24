"""Make the page of a block: checked, within limits, from the cache where it is there; or say what is wrong with it, at
its place in the document."""

from __future__ import annotations

import hashlib
import html
import os
import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from bbilang.grammar.diagnostic import BbiError, Diagnostic, render
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span
from bbilang.hosts.options import BlockOptions, HostSettings
from bbilang.page import Page
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.files import write

TITLE = re.compile(r"<title>(.*?)</title>", re.S)


@frozen
class Block:
    """A text in a document. ``document``: its file; ``shown``: what the host calls that; ``line``: of the text's first
    line, from 1; ``indent``: the characters before each of its lines."""

    text: str
    document: Path
    shown: str
    line: int = 1
    indent: int = 0

    @cached_property
    def source(self) -> Source:
        """The text as a file beside the document, for the files that it names."""
        try:
            folder = os.path.relpath(self.document.parent)
        except ValueError:  # another drive
            folder = str(self.document.parent)
        return Source(self.text, str(Path(folder) / f"{self.document.stem}.bbi"))

    def placed(self, problem: BbiError) -> BbiError:
        """Return an error with the places that it has in the document."""
        if problem.source is not None and problem.source.text != self.text:  # of a text that this one uses
            return problem
        lines = self.text.split("\n")
        whole = "\n" * (self.line - 1) + "\n".join(" " * self.indent + line for line in lines)
        own, new = f"{self.source.folder}{os.sep}", Source(whole, self.shown)

        def moved(span: Span) -> Span:
            ends = (span.start, min(span.end, len(self.text)))
            before = [self.line - 1 + self.indent * (self.text.count("\n", 0, end) + 1) for end in ends]
            return Span(ends[0] + before[0], ends[1] + before[1])

        def told(words: str | None) -> str | None:
            return words.replace(own, "") if words and own != f".{os.sep}" else words

        found = [
            Diagnostic(
                one.code, told(one.message) or "", moved(one.span) if one.span else None, told(one.help), one.severity,
                tuple((moved(span), note) for span, note in one.related),
            )
            for one in problem.diagnostics
        ]  # fmt: skip
        return BbiError(found, new)


@frozen
class Made:
    """The page of a block, or what is wrong with it. ``files``: that the text reads."""

    block: Block
    options: BlockOptions
    html: bytes = b""
    problem: BbiError | None = None
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the page's file: a hash of its content, and so of text, inputs, weights and versions."""
        return f"{hashlib.sha256(self.html).hexdigest()[:20]}.html"

    @property
    def title(self) -> str:
        found = TITLE.search(self.html.decode("utf-8", "replace"))
        return html.unescape(found[1]) if found else "bbilang"

    @property
    def report(self) -> str:
        """What is wrong, as the command line says it, with file, line and caret."""
        return "" if self.problem is None else render(self.problem.diagnostics, self.problem.source)

    @property
    def line(self) -> int:
        """The line of the document that is wrong, from 1."""
        spans = [one.span for one in self.problem.diagnostics if one.span] if self.problem else []
        source = self.problem.source if self.problem else None
        return source.position(spans[0].start)[0] if spans and source else self.block.line

    @property
    def where(self) -> str:
        return f"{self.block.shown}:{self.line}"

    def keep(self, folder: Path) -> Path:
        """Write the page into a folder, unless it is there: whole or not at all. Raises OSError."""
        path = folder / self.name
        if not path.exists():
            write(path, self.html, parents=True, sync=False)
        return path


def make(block: Block, options: BlockOptions, host: HostSettings, input: object = None) -> Made:
    """Make the page of a block. ``input``: as in `bbilang.run`, in place of the text's own. Whatever is wrong is in the
    result; Ctrl-C and the like are raised."""
    from bbilang.cli.errors import explained

    try:
        return _made(block, options, host, input)
    except Exception as problem:  # a host goes on with the next block
        return Made(block, options, problem=block.placed(explained(problem)))


def _made(block: Block, options: BlockOptions, host: HostSettings, input: object) -> Made:
    from bbilang.api import _cache
    from bbilang.cli.run import summarized

    request = Request(
        text=block.source, model=host.model, input=input, settings=dict(host.settings),
        draft=host.draft or options.draft, title=options.title, cache=_cache(host.cache), root=host.root,
        limits=host.limits,
    )  # fmt: skip
    pipeline = Pipeline(request)
    program = pipeline.program

    def page() -> Page:
        made = pipeline.page
        return replace(made, view=replace(made.view, source_name=Path(made.view.source_name).name))

    if request.cache is None:
        data = page().html().encode()
    else:
        data = pipeline.stored_page(page, summarized)[0].html
    files = [name for name in program.inputs if not name.startswith(("sample:", "text:"))]
    return Made(block, options, data, files=(*files, *(slot.weights for slot in program.models if slot.weights)))
