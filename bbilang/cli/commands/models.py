"""The command lines of `bbi examples`, `bbi models` and `bbi layers`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bbilang.cli.options import AllowCode, Json, Parents, Pin, Quiet


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


def models(context: typer.Context, json: Json = False) -> Any:
    """List the models, and where their weights come from.

    Nothing is fetched but by `bbi models fetch` and the word download.

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
    """Fetch the weights of a model from their known address, and keep them.

    What --weights download does, ahead of time. What broke off goes on where it was. The file is looked at before it is
    kept: its hash, names, shapes and numbers.

    $ bbi models fetch inceptionv1
    """
    from bbilang.cli.fetch import fetch

    return fetch(model, sha256, quiet)


def layers(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="a name of `bbi models`, timm:NAME, ...")],
    json: Json = False,
    format: Annotated[str | None, typer.Option(metavar="NAME", help="table or json")] = None,
    allow_code: AllowCode = False,
) -> Any:
    """List the layers of a model.

    A tree in forward order, a block before its parts: sizes, how many numbers there are, whether they are ever
    negative, whether every path from the input to the scores passes them (cut) or some path goes past (branch), and
    which atoms a text can ask for.

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
