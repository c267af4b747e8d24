"""The application `bbi`: registers its commands and runs one of them."""

from __future__ import annotations

import contextvars
import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from bbilang.cli.commands import cache, export, models, pages, space, texts
from bbilang.cli.lazy_import import import_lazily
from bbilang.cli.options import Verbose
from bbilang.cli.typer_help import USAGE_ERROR, Command, Commands, misused, taught

ABOUT = """
    Compile a few lines of text to a page that shows what a network saw.

    A .bbi text names what to look at, what to ask of it and how to draw it; `bbi run` makes one standalone HTML page of
    it. For a start:

    $ bbi run -e 'block5c.expand.channel | attribute(output) | top(8)
    $             | present(featvis)' --input cat.jpg
"""
EPILOG = taught("""
    Exit codes: 0 all is well; 1 there is an error, and error[CODE] says where and what to do; 2 the command line cannot
    be understood; 130 interrupted with Ctrl-C.

    Environment: BBI_CACHE_DIR, the folder of the cache; BBI_DEBUG=1, tracebacks; NO_COLOR=1, no colours.
""")

app = typer.Typer(
    name="bbi", cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode="rich",
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG,
)  # fmt: skip


def _version(requested: bool) -> None:
    if requested:
        import bbilang

        print(f"bbi {bbilang.__version__}")
        raise typer.Exit


@app.callback(help=taught(ABOUT))
def bbi(
    version: Annotated[
        bool, typer.Option("--version", "-V", metavar="", callback=_version, is_eager=True, help="print the version")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Compile a few lines of text to a page that shows what a network saw."""


def add(group: typer.Typer, name: str, function: Callable[..., Any], panel: str | None = None) -> None:
    """Register a command; its docstring is its help."""
    group.command(name, cls=Command, help=taught(function.__doc__), rich_help_panel=panel)(function)


def add_group(name: str, function: Callable[..., Any], panel: str) -> typer.Typer:
    """Register a command with subcommands. Without one, it runs the function."""
    group = typer.Typer(cls=Commands, invoke_without_command=True)
    group.callback(help=taught(function.__doc__))(function)
    app.add_typer(group, name=name, rich_help_panel=panel)
    return group


PAGES, TEXTS, LISTS = "Pages", "Texts", "What there is"
add(app, "run", pages.run, PAGES)
add(app, "watch", pages.watch, PAGES)
add(app, "scan", pages.scan, PAGES)
add(app, "space", space.draw, PAGES)
add(app, "check", texts.check, TEXTS)
add(app, "complete", space.complete, TEXTS)
add(app, "explain", texts.explain, TEXTS)
add(app, "test", texts.test, TEXTS)
add(app, "fmt", texts.format_texts, TEXTS)
add(app, "names", texts.names, TEXTS)
add(app, "new", texts.new, TEXTS)
add(app, "lsp", texts.lsp, TEXTS)
add(app, "extract", pages.extract, PAGES)
add(app, "examples", models.examples, LISTS)
add(add_group("models", models.models, LISTS), "fetch", models.fetch_weights)
add(app, "layers", models.layers, LISTS)
add(add_group("export", export.export, PAGES), "model", export.model)
stored = add_group("cache", cache.cache, LISTS)
add(stored, "show", cache.show_cache)
add(stored, "clear", cache.clear_cache)
add(stored, "export", cache.export_cache)
add(stored, "import", cache.import_cache)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `bbi` and return the exit code."""
    # Reading one text makes many small objects that live to the end: looking among them for garbage takes an eighth of
    # the time of `bbi check`. What runs a model, or reads several texts, collects as usual.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return contextvars.copy_context().run(_main, arguments)  # what is allowed, is allowed to this call
    finally:
        if "bbilang.cli.log" in sys.modules:
            sys.modules["bbilang.cli.log"].hide_log()
        if collecting:
            gc.enable()


def _main(arguments: Sequence[str] | None) -> int:
    import_lazily("numpy")
    import_lazily("regex")  # lark looks whether it is there, and needs it for other grammars than ours
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell
            setattr(sys, name, open(os.devnull, "w"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a dot gets a question mark
    command = typer.main.get_command(app)
    try:
        code = command.main(args=None if arguments is None else list(arguments), prog_name="bbi", standalone_mode=False)
        sys.stdout.flush()
    except USAGE_ERROR as error:
        code = misused(error)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        from bbilang.cli.errors import handle

        code = handle(error)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
