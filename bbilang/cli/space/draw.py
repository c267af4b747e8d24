"""`bbi space`: write the page of where some texts lie in the space of interfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from bbilang.cli.console import plural, result, result_json
from bbilang.cli.errors import FINE, misuse
from bbilang.cli.files import named, writable, write
from bbilang.cli.request import SOME_PICTURE
from bbilang.cli.space.grid import grid
from bbilang.cli.space.page import html
from bbilang.compiler.check_text import may_need_no_input, names_its_input
from bbilang.compiler.ir.program import Program
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from bbilang.texts import read


def draw(files: Sequence[str], output: str, parents: bool, data: Mapping[str, str], json: bool) -> int:
    """Place the elements of texts, in a grid for each model, with links to their pages where these lie beside the
    output. Raises BbiError with the errors of a text."""
    if not files:
        misuse("no text to place", "give files: `bbi space page.bbi other.bbi`, or a folder")
    path = writable(Path(output), parents)
    pages: dict[str, list[tuple[str, str, Program]]] = {}  # of each model, in the order of the texts
    for file in named(list(files)):
        text = read(file)
        shown = None if names_its_input(text) or may_need_no_input(text, registry()) else SOME_PICTURE
        program = Pipeline(Request(text, input=shown, data=data)).program
        titles = [interface.title for interface in program.interfaces if interface.title]
        name = titles[0] if titles else Path(file).stem.replace("_", " ")
        made = path.with_name(f"{Path(file).stem}.html")
        link = quote(made.name) if made != path and made.is_file() else ""
        pages.setdefault(program.models[0].name, []).append((name, link, program))
    grids = [grid([each[2] for each in own], [each[0] for each in own], [each[1] for each in own])
             for own in pages.values()]  # fmt: skip
    if json:
        result_json([made.to_json() for made in grids])
        return FINE
    write(path, html(grids).encode(), parents)
    filled, empty = sum(made.filled for made in grids), sum(made.empty for made in grids)
    result(f"{path}  {plural(sum(map(len, pages.values())), 'page')} in {plural(filled, 'cell')}, {empty} empty")
    return FINE
