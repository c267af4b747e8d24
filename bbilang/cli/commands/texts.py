"""The command lines of `bbi check`, `bbi explain`, `bbi fmt`, `bbi new` and `bbi lsp`."""

from __future__ import annotations

import gc
from typing import Annotated, Any

import typer

from bbilang.cli.options import (
    OUT,
    AllowCode,
    Data,
    Device,
    Draft,
    File,
    Files,
    Force,
    Inputs,
    Json,
    Limit,
    Model,
    Models,
    NoCache,
    NoOptimize,
    Parents,
    Pipe,
    Root,
    Settings,
    Verbose,
    Weights,
)


def check(
    files: Files = None,
    pipe: Pipe = None,
    input: Inputs = None,
    data: Data = None,
    model: Models = None,
    settings: Settings = None,
    root: Root = None,
    limit: Limit = None,
    allow_code: AllowCode = False,
    json: Annotated[bool, typer.Option("--json", metavar="", help="the list of diagnostics, for editors")] = False,
) -> Any:
    """Check texts and list all errors.

    Checks syntax, names, layers, shapes and unspent axes in one go; each error comes with its position and a fix. The
    network is not run.

    $ bbi check teaser.bbi
    $ bbi check specs --json
    $ bbi check page.bbi --limit passes=1000 --limit elements=20
    """
    from bbilang.cli.check import check as check_texts
    from bbilang.cli.errors import errors_as
    from bbilang.cli.request import data_of, limits_named, settings_of

    with errors_as(json):
        return check_texts(
            files or [], pipe, tuple(input) if input else None, model, settings_of(settings), json, root,
            data_of(data), limits_named(limit),
        )  # fmt: skip


def explain(
    file: File = None,
    pipe: Pipe = None,
    input: Inputs = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="PATH", help="a file to write, such as plan.svg",
                                 rich_help_panel=OUT)] = None,
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="text, json, svg, png or pdf; by default from PATH's suffix",
                                 rich_help_panel=OUT)] = None,
    parents: Parents = False,
    analyze: Annotated[bool, typer.Option("--analyze", metavar="", help="run it too, and measure each step")] = False,
    data: Data = None,
    model: Models = None,
    weights: Weights = None,
    settings: Settings = None,
    root: Root = None,
    limit: Limit = None,
    allow_code: AllowCode = False,
    device: Device = "auto",
    draft: Draft = False,
    no_optimize: NoOptimize = False,
    force: Force = None,
    no_cache: NoCache = False,
    json: Json = False,
    verbose: Verbose = False,
) -> Any:  # fmt: skip
    """Show the plan: what will run, and what it costs.

    Shows what the page is made of, the passes through the network, and the lines that need them, both as written and
    optimized. The network runs only with --analyze, which adds the time and memory of each step.

    $ bbi explain teaser.bbi
    $ bbi explain teaser.bbi -o plan.svg
    $ bbi explain teaser.bbi --analyze --draft
    """
    from bbilang.cli.errors import errors_as
    from bbilang.cli.explain import FORMATS
    from bbilang.cli.explain import explain as explain_plan
    from bbilang.cli.request import command_line

    with errors_as(json or format == "json"):
        line = command_line(
            file, pipe, settings=settings, data=data, root=root, limit=limit, some_picture=not analyze, formats=FORMATS,
            inputs=input, model=model, weights=weights, device=device, draft=draft, optimized=not no_optimize,
            force=force, cache=not no_cache, quiet=json or format == "json", output=output,
            format="json" if json else format, parents=parents,
        )  # fmt: skip
        return explain_plan(line, analyze)


def test(
    files: Files = None,
    input: Inputs = None,
    data: Data = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="[NAME=]MODEL",
                     help="a name, or a file of weights; several are tested one after the other")] = None,
    weights: Weights = None,
    settings: Settings = None,
    root: Root = None,
    limit: Limit = None,
    allow_code: AllowCode = False,
    device: Device = "auto",
    no_cache: NoCache = False,
    json: Json = False,
    junit: Annotated[
        str | None, typer.Option(metavar="PATH", help="JUnit XML, for continuous integration", rich_help_panel=OUT)
    ] = None,
    verbose: Verbose = False,
) -> int:  # fmt: skip
    """Test the claims of texts.

    Explanations as regression tests: every `claim` of the texts is computed, for each model, and the exit code is 1 if
    one does not hold. p-values are corrected for all claims of the command. Nothing else of the pages is computed.

    $ bbi test claims/ --input 'photos/*.jpg'
    $ bbi test claims.bbi --model before.safetensors --model after.safetensors --junit claims.xml
    """
    from bbilang.cli.errors import errors_as
    from bbilang.cli.request import data_of, limits_named, root_of, settings_of
    from bbilang.cli.test import test as test_texts
    from bbilang.given_inputs import inputs_of
    from bbilang.given_models import of_words
    from bbilang.grammar.source import Source
    from bbilang.pipeline import Request
    from bbilang.runtime.cache.disk import Cache

    with errors_as(json):
        gc.enable()
        request = Request(
            Source("", ""), input=inputs_of(input), data=data_of(data),
            weights=of_words(None, weights)[1], settings=settings_of(settings), root=root_of(root), device=device,
            cache=None if no_cache else Cache(), limits=limits_named(limit),
        )  # fmt: skip
        return test_texts(files or [], model or [], request, json, junit)


def format_texts(
    files: Files = None,
    check: Annotated[
        bool, typer.Option("--check", metavar="", help="change nothing; exit code 1 if something would change")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", metavar="", help="change nothing; print what would change")] = False,
) -> Any:
    """Format texts.

    Files are changed in place, atomically; comments, line endings and permissions are preserved. - reads stdin and
    writes stdout.

    $ bbi fmt teaser.bbi
    $ bbi fmt --check --diff specs
    """
    from bbilang.cli.format import format_texts

    return format_texts(files or [], check, diff)


def names(
    file: File = None,
    keep: Annotated[
        bool, typer.Option("--keep", metavar="", help="keep all names for the weights in use, stale ones too")
    ] = False,
    input: Inputs = None,
    data: Data = None,
    model: Models = None,
    weights: Weights = None,
    settings: Settings = None,
    root: Root = None,
    allow_code: AllowCode = False,
    device: Device = "auto",
    no_cache: NoCache = False,
    json: Json = False,
) -> int:
    """List the names that a text gives to channels, and for which weights.

    `bbi run` keeps names beside the text, in page.names.json, with a digest of the weights. With other weights they are
    stale, and pages say so, until you have looked again: --keep keeps them for the weights in use.

    $ bbi names page.bbi
    $ bbi names page.bbi --keep
    """
    from bbilang.cli.check import names as list_names
    from bbilang.cli.errors import errors_as
    from bbilang.cli.request import command_line

    with errors_as(json):
        line = command_line(
            file, None, settings=settings, data=data, root=root, some_picture=True, inputs=input, model=model,
            weights=weights, device=device, cache=not no_cache, quiet=json,
        )  # fmt: skip
        return list_names(line, keep, json)


def new(
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="to write; first.bbi by default")] = None,
    model: Model = None,
    input: Annotated[
        str | None, typer.Option("--input", "-i", metavar="PICTURE", help="a file, glob, folder or sample:NAME")
    ] = None,
    show: Annotated[str | None, typer.Option(metavar="WORD", help="what to look at: channels, classes, ...")] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="of `bbi layers`; chosen for you by default")
    ] = None,
    force: Annotated[bool, typer.Option("--force", metavar="", help="overwrite an existing file")] = False,
    parents: Parents = False,
    allow_code: AllowCode = False,
) -> Any:
    """Write a first text, after three questions.

    It asks for the network, the picture, and what to look at. Options answer a question in advance; without a terminal,
    it uses the defaults. The text has no errors, and its comments explain each line.

    $ bbi new
    $ bbi new cat.bbi --model efficientnet_lite0 --input cat.jpg --show channels
    """
    from bbilang.cli.new import new as write

    gc.enable()
    return write(file, model, input, show, layer, force, parents)


def lsp(
    stdio: Annotated[
        bool, typer.Option("--stdio", metavar="", help="the standard streams, which is the default")
    ] = False,
    tcp: Annotated[int | None, typer.Option(metavar="PORT", min=0, max=65535, help="a local port")] = None,
    websocket: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65535, help="a local port for a websocket"),
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="a page that may open the websocket; repeatable")
    ] = None,
) -> Any:
    """Start the language server for an editor.

    It offers diagnostics while typing, completion, hover, rename and quick fixes. Editors start it themselves;
    docs/editors.md explains how. It needs pip install 'bbilang[lsp]'.

    $ bbi lsp
    """
    from bbilang.lsp.start import start

    return start(tcp, websocket, origin or [])
