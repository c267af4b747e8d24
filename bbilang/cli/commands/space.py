"""The command lines of `bbi complete` and `bbi space`."""

from __future__ import annotations

from typing import Annotated

import typer

from bbilang.cli.options import (
    OUT,
    AllowCode,
    Data,
    Device,
    Draft,
    File,
    Files,
    Inputs,
    Json,
    Limit,
    Model,
    NoCache,
    Parents,
    Pipe,
    Quiet,
    Root,
    Settings,
    Weights,
)


def complete(
    file: File = None,
    pipe: Pipe = None,
    input: Inputs = None,
    by: Annotated[str | None, typer.Option(metavar="GOALS", help="that count, such as human_scale,trust")] = None,
    max_passes: Annotated[int | None, typer.Option(metavar="NUMBER", min=0, help="passes that a page may take")] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="icons, a style, an operation; repeatable")] = None,
    show: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="how many to print")] = 20,
    run: Annotated[
        int | None, typer.Option("--run", metavar="NUMBER", min=1, max=24, help="make one page of so many of the best")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="PATH", help="of that page", rich_help_panel=OUT)] = None,
    parents: Parents = False,
    data: Data = None,
    model: Model = None,
    weights: Weights = None,
    settings: Settings = None,
    root: Root = None,
    limit: Limit = None,
    allow_code: AllowCode = False,
    device: Device = "auto",
    draft: Draft = False,
    no_cache: NoCache = False,
    quiet: Quiet = False,
    json: Json = False,
) -> int:  # fmt: skip
    """List what the holes of a text could be.

    Every way to fill them that type-checks, equal ones once, each with a sentence, its cost and its goals, the best
    first, and why each is above the next. The network runs only with --run, which makes one page of the best.

    $ bbi complete -e 'block5c.expand.? | attribute(output) | present(?)'
    $ bbi complete page.bbi --by human_scale,trust --max-passes 10 --without icons
    $ bbi complete page.bbi --run 6 -o best.html
    """
    from bbilang.cli.errors import errors_as
    from bbilang.cli.request import command_line
    from bbilang.cli.space.complete import complete as list_completions
    from bbilang.compiler.complete.completions import Limits

    with errors_as(json):
        line = command_line(
            file, pipe, settings=settings, data=data, root=root, limit=limit, some_picture=run is None,
            inputs=input, model=model, weights=weights,
            device=device, draft=draft, cache=not no_cache, quiet=quiet or json, output=output,
            parents=parents,
        )  # fmt: skip
        return list_completions(line, by, Limits(max_passes, tuple(without or ())), show, run, json)


def draw(
    files: Files = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="PATH", help="of the page", rich_help_panel=OUT)] = "space.html",
    parents: Parents = False,
    data: Data = None,
    allow_code: AllowCode = False,
    json: Json = False,
) -> int:  # fmt: skip
    """Draw where pages lie in the space of interfaces.

    The grid of layers and kinds of atoms as a page: each element of each text is a point, and each empty cell offers a
    text that fills it. Each model has a grid of its own; nothing runs.

    $ bbi space page.bbi other.bbi
    $ bbi space specs -o space.html
    """
    from bbilang.cli.errors import errors_as
    from bbilang.cli.request import data_of
    from bbilang.cli.space.draw import draw as draw_space

    with errors_as(json):
        return draw_space(files or [], output, parents, data_of(data), json)
