"""The command `bbi`. Each command reads its arguments, calls what does the work, and gives an exit code."""

from __future__ import annotations

import contextvars
import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from bbilang.cli.lazy_import import import_lazily
from bbilang.cli.typer_help import USAGE_ERROR, Command, Commands, misused, taught

ABOUT = """
    From a few lines of text to a page that shows what a network saw.

    A .bbi text names what to look at, what to ask of it and how to draw it; `bbi run` makes one standalone HTML page of
    it. For a start:

    $ bbi run -e 'block5c.expand.channel | attribute(output) | top(8)
    $             | present(featvis)' --input cat.jpg
"""
EPILOG = taught("""
    Exit codes: 0 all is well; 1 there is an error, and error[CODE] says where and what to do; 2 the command line cannot
    be understood; 130 interrupted with Ctrl-C.

    Environment: BBI_CACHE_DIR, the folder of what is kept; BBI_DEBUG=1, tracebacks; NO_COLOR=1, no colours.
""")

app = typer.Typer(
    name="bbi", cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode="rich",
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG,
)  # fmt: skip
listed = typer.Typer(cls=Commands, invoke_without_command=True)
stored = typer.Typer(cls=Commands, invoke_without_command=True)


def command(name: str, panel: str, among: typer.Typer = app) -> Callable[[Any], Any]:
    """A command whose docstring is its help."""

    def added(function: Any) -> Any:
        return among.command(name, cls=Command, help=taught(function.__doc__), rich_help_panel=panel or None)(function)

    return added


File = Annotated[str | None, typer.Argument(metavar="FILE", help="a .bbi file, or - for stdin", show_default=False)]
Files = Annotated[list[str] | None, typer.Argument(metavar="FILES", help=".bbi files, folders of them, or - for stdin")]
Pipe = Annotated[str | None, typer.Option("-e", metavar="PIPE", help="the text itself, in place of a file")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="PICTURE", help="a file, glob, folder or sample:NAME; repeatable"),
]
Model = Annotated[str | None, typer.Option("--model", "-m", metavar="NAME", help="a name of `bbi models`")]
Weights = Annotated[
    str | None, typer.Option(metavar="FILE", help="safetensors or a checkpoint; or the words random, download")
]
Pin = Annotated[str | None, typer.Option(metavar="HASH", help="the SHA-256 that the file of weights must have")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="NAME=VALUE", help="as featvis.steps=64; repeatable")
]
Seed = Annotated[int | None, typer.Option(metavar="NUMBER", min=0, help="of everything random; 0 unless said")]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps")]
Draft = Annotated[bool, typer.Option("--draft", metavar="", help="small icons of few steps, marked on the page")]
NoOptimize = Annotated[bool, typer.Option("--no-optimize", metavar="", help="run every pass as written")]
Force = Annotated[
    str | None, typer.Option(metavar="MODE", help="reverse or forward mode wherever both would do, for doubt")
]
NoCache = Annotated[bool, typer.Option("--no-cache", metavar="", help="compute everything anew, keep nothing")]
Root = Annotated[str | None, typer.Option(metavar="FOLDER", help="files that a text uses must lie in it")]


def _allow(wanted: bool) -> None:
    if wanted:
        from bbilang.runtime.models.sources.permission import allow_code

        allow_code()


AllowCode = Annotated[
    bool, typer.Option("--allow-code", metavar="", callback=_allow, help="run the code of a model of your own")
]
Parents = Annotated[
    bool, typer.Option("--parents", metavar="", help="make folders of PATH that are missing", rich_help_panel="Output")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="print the path, warnings and errors alone")]
Json = Annotated[bool, typer.Option("--json", metavar="", help="for programs")]
OUT = "Output"


def _version(wanted: bool) -> None:
    if wanted:
        import bbilang

        print(f"bbi {bbilang.__version__}")
        raise typer.Exit


@app.callback(help=taught(ABOUT))
def bbi(
    version: Annotated[
        bool, typer.Option("--version", "-V", metavar="", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """From a few lines of text to a page that shows what a network saw."""


@command("run", "Pages")
def run(
    file: File = None,
    pipe: Pipe = None,
    input: Inputs = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="PATH", help="the page; FILE.html unless said",
                                 rich_help_panel=OUT)] = None,
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="html, json, png, svg, pdf or csv; by PATH's ending unless said",
                                 rich_help_panel=OUT)] = None,
    title: Annotated[str, typer.Option(metavar="WORDS", help="of the page", rich_help_panel=OUT)] = "",
    each: Annotated[
        bool, typer.Option("--each", metavar="", help="a page for every picture, and index.html, in the folder PATH",
                           rich_help_panel=OUT)] = False,
    parents: Parents = False,
    model: Model = None,
    weights: Weights = None,
    sha256: Pin = None,
    settings: Settings = None,
    root: Root = None,
    allow_code: AllowCode = False,
    seed: Seed = None,
    device: Device = "auto",
    draft: Draft = False,
    no_optimize: NoOptimize = False,
    force: Force = None,
    no_cache: NoCache = False,
    quiet: Quiet = False,
) -> Any:  # fmt: skip
    """Compile a text to a page.

    Icons take most of the time: first it says how many, and about how long. What was computed is kept, so a second run
    is quick, and after Ctrl-C the same command goes on from where it was. --draft gives a first look in seconds.

    $ bbi run teaser.bbi
    $ bbi run -e 'input | present(image)' --input sample:chelsea -o page.html
    $ bbi run teaser.bbi --input 'photos/*.jpg' --each -o pages --draft
    $ bbi run teaser.bbi --format csv -o numbers.csv
    """
    from bbilang.cli import run as running
    from bbilang.cli.request import command_line

    gc.enable()
    line = command_line(
        file, pipe, settings=settings, seed=seed, root=root, inputs=input, model=model, weights=weights, device=device,
        draft=draft, optimized=not no_optimize, force=force, cache=not no_cache, quiet=quiet, title=title,
        output=output, format=format, sha256=sha256, parents=parents,
    )  # fmt: skip
    return running.run_each(line) if each else running.run(line)


@command("watch", "Pages")
def watch(
    file: Annotated[str, typer.Argument(metavar="FILE", help="a .bbi file")],
    input: Inputs = None,
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="of 127.0.0.1; a free one unless said",
                          rich_help_panel=OUT, show_default=False)] = 0,
    open_it: Annotated[
        bool, typer.Option("--open", metavar="", help="open the browser", rich_help_panel=OUT)] = False,
    title: Annotated[str, typer.Option(metavar="WORDS", help="of the page", rich_help_panel=OUT)] = "",
    model: Model = None,
    weights: Weights = None,
    settings: Settings = None,
    root: Root = None,
    allow_code: AllowCode = False,
    seed: Seed = None,
    device: Device = "auto",
    draft: Draft = False,
) -> Any:  # fmt: skip
    """Show the page in the browser while you write.

    It is made anew whenever FILE is saved: what did not change is not computed again, icons appear as they are made,
    and an error stands in the page, with its place. The address holds a token, and only this machine can reach it.
    Ctrl-C ends it.

    $ bbi watch page.bbi
    $ bbi watch page.bbi --draft --open
    """
    from bbilang.cli.request import command_line
    from bbilang.preview.watch import watch as begin

    gc.enable()
    line = command_line(
        file, settings=settings, seed=seed, root=root, inputs=input, model=model, weights=weights, device=device,
        draft=draft, title=title,
    )  # fmt: skip
    return begin(line, port, open_it)


@command("check", "Texts")
def check(
    files: Files = None,
    pipe: Pipe = None,
    input: Inputs = None,
    model: Model = None,
    settings: Settings = None,
    root: Root = None,
    allow_code: AllowCode = False,
    json: Annotated[bool, typer.Option("--json", metavar="", help="the list of diagnostics, for editors")] = False,
) -> Any:
    """Say everything that is wrong with texts.

    Syntax, names, layers, shapes, axes left over: all of it in one run, each with its place and what to do. Nothing
    runs.

    $ bbi check teaser.bbi
    $ bbi check specs --json
    """
    from bbilang.cli import check as texting
    from bbilang.cli.request import settings_of

    return texting.check(files or [], pipe, _tuple(input), model, settings_of(settings), json, root)


@command("explain", "Texts")
def explain(
    file: File = None,
    pipe: Pipe = None,
    input: Inputs = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="PATH", help="a file; plan.svg is a picture of the plan",
                                 rich_help_panel=OUT)] = None,
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="text, json, svg, png or pdf; by PATH's ending unless said",
                                 rich_help_panel=OUT)] = None,
    parents: Parents = False,
    analyze: Annotated[bool, typer.Option("--analyze", metavar="", help="run it too, and measure each step")] = False,
    model: Model = None,
    weights: Weights = None,
    settings: Settings = None,
    root: Root = None,
    allow_code: AllowCode = False,
    device: Device = "auto",
    draft: Draft = False,
    no_optimize: NoOptimize = False,
    force: Force = None,
    no_cache: NoCache = False,
    json: Json = False,
) -> Any:  # fmt: skip
    """Show the plan: what will run, and what it costs.

    What the page is made of, which passes go through the network, and which lines asked for them: once as written, once
    as the optimizer leaves it. Nothing runs, but with --analyze, which adds the time and the memory of each step.

    $ bbi explain teaser.bbi
    $ bbi explain teaser.bbi -o plan.svg
    $ bbi explain teaser.bbi --analyze --draft
    """
    from bbilang.cli import explain as explaining
    from bbilang.cli.errors import errors_as
    from bbilang.cli.request import command_line

    gc.enable()
    with errors_as(json or format == "json"):
        line = command_line(
            file, pipe, settings=settings, root=root, some_picture=not analyze, formats=explaining.FORMATS,
            inputs=input, model=model, weights=weights, device=device, draft=draft, optimized=not no_optimize,
            force=force, cache=not no_cache, quiet=json or format == "json", output=output,
            format="json" if json else format, parents=parents,
        )  # fmt: skip
        return explaining.explain(line, analyze)


@command("fmt", "Texts")
def format_texts(
    files: Files = None,
    check: Annotated[
        bool, typer.Option("--check", metavar="", help="change nothing; exit code 1 if something would change")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", metavar="", help="change nothing; print what would change")] = False,
) -> Any:
    """Bring texts into the one form.

    Files are changed in place, whole or not at all; comments, line ends and permissions stay. - reads stdin and writes
    stdout.

    $ bbi fmt teaser.bbi
    $ bbi fmt --check --diff specs
    """
    from bbilang.cli import check as texting

    return texting.format_texts(files or [], check, diff)


@command("new", "Texts")
def new(
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="to write; first.bbi unless said")] = None,
    model: Model = None,
    input: Annotated[
        str | None, typer.Option("--input", "-i", metavar="PICTURE", help="a file, glob, folder or sample:NAME")
    ] = None,
    show: Annotated[str | None, typer.Option(metavar="WORD", help="what to look at: channels, classes, ...")] = None,
    layer: Annotated[str | None, typer.Option(metavar="NAME", help="of `bbi layers`; a good one unless said")] = None,
    force: Annotated[bool, typer.Option("--force", metavar="", help="write over a file that is there")] = False,
    parents: Parents = False,
    allow_code: AllowCode = False,
) -> Any:
    """Write a first text, after three questions.

    Which network, which picture, what to look at. What an option says is not asked; without a terminal nothing is, and
    the rest takes its default. The text checks, and its comments say what each line does.

    $ bbi new
    $ bbi new cat.bbi --model efficientnet_lite0 --input cat.jpg --show channels
    """
    from bbilang.cli.new import new as write

    gc.enable()
    return write(file, model, input, show, layer, force, parents)


@command("lsp", "Texts")
def lsp(
    stdio: Annotated[
        bool, typer.Option("--stdio", metavar="", help="the standard streams, as without options")
    ] = False,
    tcp: Annotated[int | None, typer.Option(metavar="PORT", min=0, max=65535, help="a port of this machine")] = None,
    websocket: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65535, help="a port of this machine, for a page")
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="a page that may open the websocket; repeatable")
    ] = None,
) -> Any:
    """Serve an editor: what is wrong, what is possible, what is meant.

    The language server: diagnostics while typing, completion at every character, hover, rename, quick fixes. An editor
    starts it; docs/editors.md says how. It needs pip install 'bbilang[lsp]'.

    $ bbi lsp
    """
    from bbilang.lsp.start import start

    return start(tcp, websocket, origin or [])


@command("extract", "Pages")
def extract(
    page: Annotated[str, typer.Argument(metavar="PAGE", help="a page that bbi made, or - for stdin")],
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="stdout unless said")] = None,
    parents: Parents = False,
) -> Any:
    """Give the text that a page was made from.

    The same, byte by byte; nothing in the page is run.

    $ bbi extract page.html -o page.bbi
    """
    from bbilang.cli import check as texting

    return texting.extract(page, output, parents)


@command("examples", "What there is")
def examples(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="of one; all are listed unless said")] = None,
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="copy it into a file")] = None,
    force: Annotated[bool, typer.Option("--force", metavar="", help="write over a file that is there")] = False,
    parents: Parents = False,
) -> Any:
    """List the texts of the gallery, print one, or copy one.

    $ bbi examples
    $ bbi examples teaser
    $ bbi examples teaser -o teaser.bbi
    """
    from bbilang.cli.examples import examples as show

    return show(name, output, force, parents)


MODELS = """
    List the models, and where their weights come from.

    Nothing is fetched but by `bbi models fetch` and the word download.

    $ bbi models
    $ bbi models fetch inceptionv1
"""


@listed.callback(help=taught(MODELS))
def models(context: typer.Context, json: Json = False) -> Any:
    from bbilang.cli import tables as listing
    from bbilang.cli.console import result_json

    if context.invoked_subcommand is not None:
        return
    if json:
        result_json(listing.models_json())
    else:
        listing.show_models()


@command("fetch", "", listed)
def fetch_weights(
    model: Annotated[str, typer.Argument(metavar="NAME", help="inceptionv1 or googlenet")],
    sha256: Pin = None,
    quiet: Quiet = False,
) -> Any:
    """Fetch the weights of a model from their known address, and keep them.

    What --weights download does, ahead of time. What broke off goes on where it was. The file is looked at before it is
    kept: its hash, names, shapes and numbers.

    $ bbi models fetch inceptionv1
    """
    from bbilang.cli.fetch import fetch

    return fetch(model, sha256, quiet)


app.add_typer(listed, name="models", rich_help_panel="What there is")


@command("layers", "What there is")
def layers(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="a name of `bbi models`, timm:NAME, ...")],
    json: Json = False,
    format: Annotated[str | None, typer.Option(metavar="NAME", help="table or json")] = None,
    allow_code: AllowCode = False,
) -> Any:
    """List the layers of a model.

    A tree in forward order, a block before its parts: sizes, how many numbers there are, whether they are ever
    negative, and which atoms a text can ask for.

    $ bbi layers efficientnet_lite0
    $ bbi layers timm:vit_base_patch16_224
    $ bbi layers my_networks:make_network --allow-code
    """
    from bbilang.cli import tables as listing
    from bbilang.cli.console import result_json
    from bbilang.cli.errors import errors_as, misuse
    from bbilang.runtime.models.descriptions import describe

    if format not in (None, "table", "json"):
        misuse(f"there is no format `{format}`", "formats are table and json")
    json = json or format == "json"
    with errors_as(json):
        description = describe(model)
    if json:
        result_json(listing.layers_json(description))
    else:
        listing.show_layers(description)
    return 0


STORED = """
    What is kept on disk: icons, numbers, finished pages.

    What was computed before, by any text, is not computed again. Alone, it says where that is, how many entries of each
    kind there are, and how much room they take.

    $ bbi cache
    $ bbi cache --limit 2GB
    $ bbi cache export icons.bbicache teaser.bbi
    $ bbi cache import icons.bbicache
"""


@stored.callback(help=taught(STORED))
def cache(
    context: typer.Context,
    limit: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="the most room, as 2GB: kept, and applied at once")
    ] = None,
    json: Json = False,
) -> Any:
    from bbilang.cli import cache as caching

    if limit is not None:
        caching.limit(limit)
    elif context.invoked_subcommand is None:
        caching.show(json)


@command("show", "", stored)
def show_cache(json: Json = False) -> Any:
    """Say where the entries are, how many of each kind, and how much room they take."""
    from bbilang.cli import cache as caching

    return caching.show(json)


@command("clear", "", stored)
def clear_cache() -> Any:
    """Forget everything that is kept. Pages that were made stay as they are."""
    from bbilang.cli import cache as caching

    return caching.clear()


@command("export", "", stored)
def export_cache(
    target: Annotated[str, typer.Argument(metavar="FILE", help="the file to write, as icons.bbicache")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXTS", help="only what these .bbi files need")] = None,
    input: Inputs = None,
    model: Model = None,
    weights: Weights = None,
    settings: Settings = None,
    seed: Seed = None,
    device: Device = "auto",
    draft: Draft = False,
    parents: Parents = False,
) -> Any:
    """Write icons and numbers into one file, for another machine.

    All of them, or what some texts need; options as `bbi run` had them. The other machine needs the same version of bbi
    for the numbers, and the same weights.

    $ bbi cache export icons.bbicache teaser.bbi
    """
    from bbilang.cli import cache as caching

    return caching.export(
        target, texts or [], parents, settings=settings, seed=seed, inputs=input, model=model, weights=weights,
        device=device, draft=draft,
    )  # fmt: skip


@command("import", "", stored)
def import_cache(
    source: Annotated[str, typer.Argument(metavar="FILE", help="a file of `bbi cache export`")],
) -> Any:
    """Take icons and numbers from a file that another machine wrote.

    Each entry is looked at first: its checksum, and that it is an icon or numbers. Nothing in the file is run. A page
    that shows some of it says so at its foot.

    $ bbi cache import icons.bbicache
    """
    from bbilang.cli import cache as caching

    return caching.take(source)


app.add_typer(stored, name="cache", rich_help_panel="What there is")


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return tuple(values) if values else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `bbi`; gives the exit code."""
    # Reading one text makes many small objects that live to the end: looking among them for garbage takes an eighth of
    # the time of `bbi check`. What runs a model, or reads several texts, collects as usual.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return contextvars.copy_context().run(_main, arguments)  # what is allowed, is allowed to this call
    finally:
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
