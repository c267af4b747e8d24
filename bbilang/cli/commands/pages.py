"""The command lines of `bbi run`, `bbi watch` and `bbi extract`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bbilang.cli.options import (
    OUT,
    AllowCode,
    Data,
    Device,
    Draft,
    File,
    Force,
    Inputs,
    Limit,
    Models,
    NoCache,
    NoOptimize,
    Parents,
    Pin,
    Pipe,
    Quiet,
    Ray,
    Root,
    Seed,
    Settings,
    Verbose,
    Weights,
    Workers,
)


def run(
    file: File = None,
    pipe: Pipe = None,
    input: Inputs = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="PATH", help="the page to write; FILE.html by default",
                                 rich_help_panel=OUT)] = None,
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="html, json, png, svg, pdf or csv; by default from PATH's suffix",
                                 rich_help_panel=OUT)] = None,
    title: Annotated[str, typer.Option(metavar="WORDS", help="of the page", rich_help_panel=OUT)] = "",
    each: Annotated[
        bool, typer.Option("--each", metavar="", help="a page for every picture, and index.html, in the folder PATH",
                           rich_help_panel=OUT)] = False,
    parents: Parents = False,
    data: Data = None,
    model: Models = None,
    weights: Weights = None,
    sha256: Pin = None,
    settings: Settings = None,
    root: Root = None,
    limit: Limit = None,
    allow_code: AllowCode = False,
    seed: Seed = None,
    device: Device = "auto",
    workers: Workers = None,
    ray: Ray = None,
    draft: Draft = False,
    no_optimize: NoOptimize = False,
    force: Force = None,
    no_cache: NoCache = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> Any:  # fmt: skip
    """Compile a text to a page.

    Icons take most of the time; it first prints how many there are and estimates the time. Results are cached, so a
    second run is fast, and after Ctrl-C the same command resumes. --draft gives a first look in seconds.

    $ bbi run teaser.bbi
    $ bbi run -e 'input | present(image)' --input sample:chelsea -o page.html
    $ bbi run teaser.bbi --input 'photos/*.jpg' --each -o pages --draft
    $ bbi run teaser.bbi --format csv -o numbers.csv
    """
    from bbilang.cli import run as running
    from bbilang.cli.request import command_line

    line = command_line(
        file, pipe, settings=settings, data=data, seed=seed, root=root, limit=limit, inputs=input, model=model,
        weights=weights, device=device, draft=draft, optimized=not no_optimize, force=force, cache=not no_cache,
        quiet=quiet, title=title, output=output, format=format, sha256=sha256, parents=parents,
        workers=workers, ray=ray,
    )  # fmt: skip
    return running.run_each(line) if each else running.run(line)


def scan(
    file: File = None,
    pipe: Pipe = None,
    input: Inputs = None,
    data: Data = None,
    model: Models = None,
    weights: Weights = None,
    sha256: Pin = None,
    settings: Settings = None,
    root: Root = None,
    limit: Limit = None,
    allow_code: AllowCode = False,
    seed: Seed = None,
    device: Device = "auto",
    workers: Workers = None,
    ray: Ray = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Read the datasets of a text, and keep what its page needs of them.

    The part of `bbi run` that takes long for a large dataset, by itself: each example is read and run once, and what is
    found is kept in the cache. After Ctrl-C or a crash the same command goes on where it was; `bbi run` then needs
    nothing of it again.

    $ bbi scan photos.bbi
    $ bbi scan photos.bbi --workers 4
    $ bbi scan photos.bbi --ray auto
    """
    from bbilang.cli import run as running
    from bbilang.cli.request import command_line

    line = command_line(
        file, pipe, settings=settings, data=data, seed=seed, root=root, limit=limit, inputs=input, model=model,
        weights=weights, device=device, quiet=quiet, sha256=sha256, workers=workers, ray=ray, some_picture=True,
    )  # fmt: skip
    return running.scan(line)


def watch(
    file: Annotated[str, typer.Argument(metavar="FILE", help="a .bbi file")],
    input: Inputs = None,
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="of 127.0.0.1; a free one by default",
                          rich_help_panel=OUT, show_default=False)] = 0,
    open_it: Annotated[
        bool, typer.Option("--open", metavar="", help="open the browser", rich_help_panel=OUT)] = False,
    title: Annotated[str, typer.Option(metavar="WORDS", help="of the page", rich_help_panel=OUT)] = "",
    data: Data = None,
    model: Models = None,
    weights: Weights = None,
    settings: Settings = None,
    root: Root = None,
    limit: Limit = None,
    allow_code: AllowCode = False,
    seed: Seed = None,
    device: Device = "auto",
    draft: Draft = False,
    verbose: Verbose = False,
) -> Any:  # fmt: skip
    """Show the page in the browser while you write.

    The page is rebuilt whenever FILE is saved: unchanged results are reused, icons appear as they are finished, and
    errors are shown in the page with their position. The address contains a token, and only this machine can reach it.
    Stop it with Ctrl-C.

    $ bbi watch page.bbi
    $ bbi watch page.bbi --draft --open
    """
    from bbilang.cli.request import command_line
    from bbilang.preview.watch import watch as begin

    line = command_line(
        file, settings=settings, data=data, seed=seed, root=root, limit=limit, inputs=input, model=model,
        weights=weights, device=device, draft=draft, title=title,
    )  # fmt: skip
    return begin(line, port, open_it)


def extract(
    page: Annotated[str, typer.Argument(metavar="PAGE", help="a page that bbi made, or - for stdin")],
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="stdout by default")] = None,
    parents: Parents = False,
) -> Any:
    """Extract the text that a page was made from.

    The text is the same, byte for byte. No code in the page is run.

    $ bbi extract page.html -o page.bbi
    """
    from bbilang.cli.extract import extract

    return extract(page, output, parents)
