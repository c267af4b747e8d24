"""The command line of `bbi export`."""

from __future__ import annotations

from typing import Annotated

import typer

from bbilang.cli.options import AllowCode, Data, Device, File, Models, NoCache, Parents, Quiet, Root, Settings, Weights


def export(context: typer.Context) -> None:
    """Write what a text makes besides its page.

    $ bbi export model page.bbi --name mended -o mended.safetensors
    """


def model(
    file: File = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="of the model in the text, such as mended")] = "",
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="the safetensors to write")] = "",
    overwrite: Annotated[bool, typer.Option("--force", metavar="", help="overwrite an existing file")] = False,
    data: Data = None,
    model: Models = None,
    weights: Weights = None,
    settings: Settings = None,
    device: Device = "auto",
    root: Root = None,
    allow_code: AllowCode = False,
    no_cache: NoCache = False,
    parents: Parents = False,
    quiet: Quiet = False,
) -> int:
    """Write the weights of a derived model as safetensors.

    They load as those of the original do: --weights, and `from` in a text. The network is trained if it was not before.

    $ bbi export model page.bbi --name mended -o mended.safetensors
    $ bbi run other.bbi --weights mended.safetensors
    """
    from bbilang.cli.commands.weights_file import export_model
    from bbilang.cli.request import command_line

    line = command_line(
        file, settings=settings, data=data, root=root, model=model, weights=weights, device=device,
        cache=not no_cache, quiet=quiet, some_picture=True,
    )  # fmt: skip
    return export_model(line, name, output, overwrite, parents)
