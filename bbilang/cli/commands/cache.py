"""The command lines of `bbi cache`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bbilang.cli.options import Device, Draft, Inputs, Json, Model, Parents, Seed, Settings, Weights


def cache(
    context: typer.Context,
    limit: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="the most room, as 2GB: kept, and applied at once")
    ] = None,
    json: Json = False,
) -> Any:
    """What is kept on disk: icons, numbers, finished pages.

    What was computed before, by any text, is not computed again. Alone, it says where that is, how many entries of each
    kind there are, and how much room they take.

    $ bbi cache
    $ bbi cache --limit 2GB
    $ bbi cache export icons.bbicache teaser.bbi
    $ bbi cache import icons.bbicache
    """
    from bbilang.cli import cache as store

    if limit is not None:
        store.limit(limit)
    elif context.invoked_subcommand is None:
        store.show(json)


def show_cache(json: Json = False) -> Any:
    """Say where the entries are, how many of each kind, and how much room they take."""
    from bbilang.cli import cache as store

    return store.show(json)


def clear_cache() -> Any:
    """Forget everything that is kept. Pages that were made stay as they are."""
    from bbilang.cli import cache as store

    return store.clear()


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
    from bbilang.cli import cache as store

    return store.export(
        target, texts or [], parents, settings=settings, seed=seed, inputs=input, model=model, weights=weights,
        device=device, draft=draft,
    )  # fmt: skip


def import_cache(
    source: Annotated[str, typer.Argument(metavar="FILE", help="a file of `bbi cache export`")],
) -> Any:
    """Take icons and numbers from a file that another machine wrote.

    Each entry is looked at first: its checksum, and that it is an icon or numbers. Nothing in the file is run. A page
    that shows some of it says so at its foot.

    $ bbi cache import icons.bbicache
    """
    from bbilang.cli import cache as store

    return store.take(source)
