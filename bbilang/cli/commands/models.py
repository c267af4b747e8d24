"""The command lines of `bbi examples`, `bbi models` and `bbi layers`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bbilang.cli.options import AllowCode, Json, Parents, Pin, Quiet


def examples(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="of one text; by default all are listed")] = None,
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="copy it into a file")] = None,
    force: Annotated[bool, typer.Option("--force", metavar="", help="overwrite an existing file")] = False,
    parents: Parents = False,
) -> Any:
    """List the texts of the gallery, print one, or copy one.

    $ bbi examples
    $ bbi examples teaser
    $ bbi examples teaser -o teaser.bbi
    """
    from bbilang.cli.examples import examples as show

    return show(name, output, force, parents)


def models(context: typer.Context, json: Json = False) -> Any:
    """List the models and the sources of their weights.

    Weights are downloaded only by `bbi models fetch` and `--weights download`.

    $ bbi models
    $ bbi models fetch inceptionv1
    """
    from bbilang.cli import tables
    from bbilang.cli.console import result_json

    if context.invoked_subcommand is not None:
        return
    if json:
        result_json(tables.models_json())
    else:
        tables.show_models()


def fetch_weights(
    model: Annotated[str, typer.Argument(metavar="NAME", help="inceptionv1 or googlenet")],
    sha256: Pin = None,
    quiet: Quiet = False,
) -> Any:
    """Download the weights of a model from their known address into the cache.

    The same as --weights download, ahead of time. An interrupted download resumes. The file is validated before it is
    stored: its hash, names, shapes and numbers.

    $ bbi models fetch inceptionv1
    """
    from bbilang.cli.fetch import fetch

    return fetch(model, sha256, quiet)


def layers(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="a name from `bbi models`, timm:NAME, ...")],
    json: Json = False,
    format: Annotated[str | None, typer.Option(metavar="NAME", help="table or json")] = None,
    allow_code: AllowCode = False,
) -> Any:
    """List the layers of a model.

    Prints a tree in forward order, each block before its parts. For each layer: its shape, its number of values,
    whether they can be negative, whether every path from the input to the scores passes through it (cut) or some path
    bypasses it (branch), and the atoms that a text can use.

    $ bbi layers efficientnet_lite0
    $ bbi layers timm:vit_base_patch16_224
    $ bbi layers my_networks:make_network --allow-code
    """
    from bbilang.cli import tables
    from bbilang.cli.console import result_json
    from bbilang.cli.errors import errors_as, misuse
    from bbilang.runtime.models.descriptions import describe

    if format not in (None, "table", "json"):
        misuse(f"there is no format `{format}`", "formats are table and json")
    json = json or format == "json"
    with errors_as(json):
        description = describe(model)
    if json:
        result_json(tables.layers_json(description))
    else:
        tables.show_layers(description)
    return 0
