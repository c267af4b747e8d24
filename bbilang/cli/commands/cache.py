"""The command lines of `bbi cache`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bbilang.cli.options import Data, Device, Draft, Inputs, Json, Models, Parents, Seed, Settings, Weights


def cache(
    context: typer.Context,
    limit: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="the size limit, such as 2GB; saved and applied at once")
    ] = None,
    json: Json = False,
) -> Any:
    """Show the cache on disk: icons, numbers, finished pages.

    Results that any text computed before are reused. Without a command, it prints where the cache is, how many entries
    of each kind it has, and how much space they take.

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
    """Print where the cache is, how many entries of each kind it has, and how much space they take."""
    from bbilang.cli import cache as store

    return store.show(json)


def clear_cache() -> Any:
    """Delete everything in the cache. Pages that you saved are not touched."""
    from bbilang.cli import cache as store

    return store.clear()


def export_cache(
    target: Annotated[str, typer.Argument(metavar="FILE", help="the file to write, such as icons.bbicache")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXTS", help="only what these .bbi files need")] = None,
    input: Inputs = None,
    data: Data = None,
    model: Models = None,
    weights: Weights = None,
    settings: Settings = None,
    seed: Seed = None,
    device: Device = "auto",
    draft: Draft = False,
    parents: Parents = False,
) -> Any:
    """Export icons and numbers to one file, for another machine.

    Exports everything, or only what the given texts need, with the options that `bbi run` had. The other machine needs
    the same weights and, for the numbers, the same version of bbi.

    $ bbi cache export icons.bbicache teaser.bbi
    """
    from bbilang.cli import cache as store

    return store.export(
        target, texts or [], parents, settings=settings, data=data, seed=seed, inputs=input, model=model,
        weights=weights, device=device, draft=draft,
    )  # fmt: skip


def import_cache(
    source: Annotated[str, typer.Argument(metavar="FILE", help="a file from `bbi cache export`")],
) -> Any:
    """Import icons and numbers from a file that another machine exported.

    Each entry is validated first: its checksum, and that it holds an icon or numbers. No code in the file is run. A
    page that uses imported entries says so in its footer.

    $ bbi cache import icons.bbicache
    """
    from bbilang.cli import cache as store

    return store.take(source)
