"""The notebook extension: after `%load_ext bbilang`, a cell that begins with `%%bbi` is compiled as a text.

    %%bbi --model net --input photo
    block4b.channel | attribute(output) | top(8) | present(featvis)

What stands after an option is a variable of the notebook where there is one of that name, and the words themselves
elsewhere. The page is bound to `_bbi`, or to the name after `--name`. A cell with holes (`?`) gives the list of its
completions instead.
"""

from __future__ import annotations

import argparse
import html
import shlex
import time
from typing import TYPE_CHECKING, Any, NoReturn

from bbilang.cli.console import duration, plural
from bbilang.grammar.diagnostic import BbiError, Diagnostic

if TYPE_CHECKING:
    from bbilang.completions import Completions

EVERY = 0.25  # seconds between two reports
NAME = "_bbi"


class CellError(BbiError):
    """An error in a cell, shown like on the command line, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython prints instead of a traceback."""
        from bbilang.cli.console import printed

        return printed(str(self)).splitlines()


def load(shell: Any) -> None:
    """Register `%%bbi` for `%load_ext bbilang`."""

    def bbi(line: str, cell: str) -> None:
        run_cell(shell, line, cell)

    bbi.__doc__ = _parser().format_help()
    shell.register_magic_function(bbi, "cell", "bbi")


def run_cell(shell: Any, line: str, cell: str) -> None:
    """Compile a cell, show its page and bind it to a name. Raises CellError."""
    from bbilang.cli.errors import explained
    from bbilang.completions import Completions

    shown = _Shown()
    try:
        name, page, height = _page(shell.user_ns, line, cell, shown)
        shell.user_ns[name] = page
        shown.completions(page) if isinstance(page, Completions) else shown.page(page, height)
    except KeyboardInterrupt:
        shown.say("interrupted: finished icons are in the cache; the same cell continues from there")
        raise
    except Exception as error:  # the notebook shows the diagnostic alone, without a traceback of bbilang
        reason = explained(error)
        shown.say("")
        raise CellError(reason.diagnostics, reason.source) from None


def _page(variables: dict[str, Any], line: str, cell: str, shown: _Shown) -> tuple[str, Any, int | None]:
    from bbilang import api
    from bbilang.cli.request import data_of, limits_named, settings_of
    from bbilang.given_inputs import inputs_of
    from bbilang.grammar.holes import has_hole
    from bbilang.grammar.parse import parse_recovering
    from bbilang.grammar.source import Source

    try:
        options = _parser().parse_args(shlex.split(line))
    except ValueError as error:  # a quote that is not closed
        _misused(str(error))
    if options.name and not options.name.isidentifier():
        _misused(f"`{options.name}` is not a valid variable name")
    source = Source(cell, "<cell>")
    inputs = inputs_of(options.input, lambda word: _meant(variables, word))
    model = _meant(variables, options.model) if options.model else _named_model(variables, source)
    data = {name: _meant(variables, word) for name, word in data_of(options.data).items()}
    if has_hole(parse_recovering(source)[0]):
        every = api.complete(
            source, model=model, input=inputs, data=data, settings=settings_of(options.set),
            limits=limits_named(options.limit),
        )  # fmt: skip
        return options.name or NAME, every, None
    page = api.run(
        source, model=model, input=inputs, data=data, weights=options.weights, device=options.device,
        settings=settings_of(options.set, options.seed), draft=options.draft, title=options.title, progress=shown,
        limits=limits_named(options.limit),
    )  # fmt: skip
    return options.name or NAME, page, options.height


def _meant(variables: dict[str, Any], word: str) -> Any:
    """Return the variable of that name, else the word."""
    return variables.get(word, word) if word.isidentifier() else word


def _named_model(variables: dict[str, Any], source: Any) -> Any:
    """Return the network that a cell names in `model net`, if the registry has no model of that name."""
    from bbilang.grammar import ast
    from bbilang.grammar.parse import parse_recovering
    from bbilang.registry import registry
    from bbilang.runtime.models.adapter import Adapter

    file, _ = parse_recovering(source)
    named = [item.name for s in file.statements if isinstance(s, ast.Model) for item in s.items]
    if len(named) != 1 or not isinstance(named[0], ast.Path):
        return None
    name = source.text[named[0].span.start : named[0].span.end]
    value = variables.get(name)
    network = isinstance(value, Adapter) or hasattr(value, "named_modules")
    return value if network and name not in registry().models() else None


# --- the line after %%bbi -------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises BbiError E440 instead of exiting."""

    def error(self, message: str) -> NoReturn:
        _misused(message)


def _misused(message: str) -> NoReturn:
    raise BbiError(Diagnostic("E440", f"%%bbi: {message}", help="`%%bbi?` lists the options"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("%%bbi", description="The page of a text.", add_help=False, allow_abbrev=False)
    parser.add_argument("-m", "--model", metavar="NAME", help="a variable with a network, or a name from `bbi models`")
    parser.add_argument("-i", "--input", metavar="NAME", action="append",
                        help="a variable with a picture, an array or a tensor, or a file; repeatable")  # fmt: skip
    parser.add_argument("--data", metavar="NAME=DATASET", action="append",
                        help="a variable with a dataset, or a path, for a name of the text; repeatable")  # fmt: skip
    parser.add_argument("--weights", metavar="FILE", help="safetensors or a checkpoint; or the word random or download")
    parser.add_argument(
        "-s", "--set", metavar="NAME=VALUE", action="append", help="such as featvis.steps=64; repeatable"
    )
    parser.add_argument("--limit", metavar="NAME=NUMBER", action="append",
                        help="passes, seconds, memory, page or states, such as seconds=60; repeatable")  # fmt: skip
    parser.add_argument("--seed", metavar="NUMBER", type=int, help="of everything random")
    parser.add_argument("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    parser.add_argument("--draft", action="store_true", help="small icons of few steps, labelled as such on the page")
    parser.add_argument("--title", metavar="WORDS", default="", help="of the page")
    parser.add_argument("--height", metavar="PIXELS", type=int, help="of the frame; by default the page's own")
    parser.add_argument("--name", metavar="NAME", help=f"the variable for the page; {NAME} by default")
    return parser


# --- what stands below the cell -------------------------------------------------------------------------------------


class _Shown:
    """The output of a cell: first the progress, then the page."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._reported = 0.0

    def __call__(self, event: Any) -> None:
        """Show an event of the run."""
        from bbilang.cli.progress_bar import DOING

        if event.kind == "pass":
            self.say(DOING.get(event.words, event.words), seldom=True)
        elif event.kind == "estimate" and event.total:
            about = f", about {duration(event.seconds)}" if event.seconds is not None else ""
            self.say(f"making {plural(event.total, 'icon')} ({event.words}){about}", event.done / event.total)
        elif event.kind == "icons":
            left = f", about {duration(event.seconds)} left" if event.seconds else ""
            self.say(f"{event.done} of {plural(event.total, 'icon')}{left}", event.done / event.total, True)

    def say(self, words: str, share: float | None = None, seldom: bool = False) -> None:
        now = time.monotonic()
        if seldom and now - self._reported < EVERY:
            return
        self._reported = now
        bar = "" if share is None else f'<progress value="{share:.3f}"></progress> '
        self._show({"text/plain": words, "text/html": f"{bar}{html.escape(words)}" if words else ""})

    def page(self, page: Any, height: int | None) -> None:
        from bbilang.runtime.page.iframe import framed

        bundle = {"text/html": framed(page.html(), page.view.title, height), "text/plain": repr(page)}
        self._show(bundle)

    def completions(self, every: Completions) -> None:
        """Show what the holes of the cell could be."""
        self._show({"text/html": every._repr_html_(), "text/plain": str(every)})

    def _show(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
