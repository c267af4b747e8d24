"""`bbi space`: write the page of where some texts lie in the space of interfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from bbilang.cli.console import plural, result, result_json
from bbilang.cli.errors import FINE, misuse
from bbilang.cli.files import named, writable, write
from bbilang.cli.request import SOME_PICTURE
from bbilang.cli.space.page import html
from bbilang.compiler.check.statements.places import OPERATION, Placed, parameters_of, placed_program, type_of
from bbilang.compiler.check_text import may_need_no_input, names_its_input
from bbilang.compiler.complete.grid import grids
from bbilang.compiler.ir.program import Node
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from bbilang.texts import read


def draw(files: Sequence[str], output: str, parents: bool, data: Mapping[str, str], json: bool) -> int:
    """Place the elements of texts, in a grid for each model, with links to their pages where these lie beside the
    output. Raises BbiError with the errors of a text."""
    if not files:
        misuse("no text to place", "give files: `bbi space page.bbi other.bbi`, or a folder")
    path = writable(Path(output), parents)
    pages: list[Placed] = []
    links: list[str] = []
    for file in named(list(files)):
        text = read(file)
        shown = None if names_its_input(text) or may_need_no_input(text, registry()) else SOME_PICTURE
        placed = placed_program(Pipeline(Request(text, input=shown, data=data)).program, file, registry())
        if not placed.places:
            continue
        made = path.with_name(f"{Path(file).stem}.html")
        pages.append(placed)
        links.append(quote(made.name) if made != path and made.is_file() else "")
    parameters = parameters_of(pages)
    node = Node(OPERATION, (), tuple(sorted(parameters.items())), type_of(parameters, ""))
    all_grids = grids(node, registry(), files=links)
    if json:
        result_json([made.to_json() for made in all_grids])
        return FINE
    write(path, html(all_grids).encode(), parents)
    filled, empty = sum(made.filled for made in all_grids), sum(made.empty for made in all_grids)
    result(f"{path}  {plural(len(pages), 'page')} in {plural(filled, 'cell')}, {empty} empty")
    return FINE
