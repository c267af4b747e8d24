"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

OUT = "Output"  # the panel of options that say where a result goes


def _allow_code(requested: bool) -> None:
    if requested:
        from bbilang.runtime.models.sources.permission import allow_code

        allow_code()


def _show_log(requested: bool) -> None:
    if requested:
        from bbilang.cli.log import show_log

        show_log()


File = Annotated[str | None, typer.Argument(metavar="FILE", help="a .bbi file, or - for stdin", show_default=False)]
Files = Annotated[list[str] | None, typer.Argument(metavar="FILES", help=".bbi files, folders of them, or - for stdin")]
Pipe = Annotated[str | None, typer.Option("-e", metavar="PIPE", help="a text, instead of a file")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="[NAME=]PICTURE", help="a file, glob, folder or sample:NAME; repeatable"),
]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", "-d", metavar="NAME=PATH", help="a dataset of the text, such as photos=folder/; repeatable"),
]
Model = Annotated[str | None, typer.Option("--model", "-m", metavar="NAME", help="a name from `bbi models`")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", metavar="[NAME=]MODEL", help="a name from `bbi models`; a=MODEL for a of the text"),
]
Weights = Annotated[
    list[str] | None,
    typer.Option(metavar="[NAME=]FILE", help="safetensors or a checkpoint; or the word random or download"),
]
Pin = Annotated[str | None, typer.Option(metavar="HASH", help="the SHA-256 that the weights file must have")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="NAME=VALUE", help="such as featvis.steps=64; repeatable")
]
Seed = Annotated[int | None, typer.Option(metavar="NUMBER", min=0, help="of everything random; 0 by default")]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps")]
Draft = Annotated[
    bool, typer.Option("--draft", metavar="", help="small icons of few steps, labelled as such on the page")
]
NoOptimize = Annotated[bool, typer.Option("--no-optimize", metavar="", help="run every pass as written")]
Force = Annotated[
    str | None,
    typer.Option(metavar="MODE", help="reverse or forward mode wherever both are possible, to override the cost model"),
]
NoCache = Annotated[bool, typer.Option("--no-cache", metavar="", help="recompute everything, and store nothing")]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER", min=1, max=1024, help="processes that scan datasets and make icons; by default this one"
    ),
]
Ray = Annotated[str | None, typer.Option(metavar="ADDRESS", help="a Ray cluster for that: local, auto or host:6379")]
Root = Annotated[str | None, typer.Option(metavar="FOLDER", help="files that a text uses must be inside it")]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=NUMBER", help="passes, seconds, memory, page, states or elements, as memory=2GB; repeatable"
    ),
]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", metavar="", callback=_allow_code, help="run the code of a model of your own")
]
Parents = Annotated[
    bool, typer.Option("--parents", metavar="", help="create missing folders of PATH", rich_help_panel="Output")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="print only the path, warnings and errors")]
Json = Annotated[bool, typer.Option("--json", metavar="", help="for programs")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", metavar="", callback=_show_log, help="print decisions and slower fallbacks"),
]
