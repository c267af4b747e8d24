"""What a run gives: a page to save, show and compute with."""

from __future__ import annotations

from dataclasses import asdict, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.registry import registry
from bbilang.runtime.fields.field import Linked
from bbilang.runtime.inputs.arguments import file_name, words
from bbilang.runtime.view.linked_table import matrix_of
from bbilang.runtime.write_errors import unwritten

if TYPE_CHECKING:
    from bbilang.compiler.plan.plan import Plan
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.view.model import View

FORMATS = ("html", "json", "png", "svg", "pdf", "csv")


class NoElement(BbiError, KeyError):
    """There is no element of that name."""

    def __str__(self) -> str:
        return Exception.__str__(self)


@frozen
class Data:
    """The numbers of an element. ``values`` has one axis for each name in ``axes``; NaN where there is no atom.

    coords: component ("channel", "y", "x", "class") -> (names of the axes it depends on, integers): which atom stands
    at each place. labels: axis -> (names of axes, words), for classes.
    """

    content: str
    unit: str
    axes: tuple[str, ...]
    values: np.ndarray
    coords: dict[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)
    labels: dict[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)


@frozen
class Page:
    """A compiled page. In a notebook it shows itself; `save` writes it, `data` gives an element's numbers."""

    view: View
    results: Results
    plan: Plan

    def html(self) -> str:
        """The standalone page."""
        from bbilang.runtime.page.html import render

        return render(self.view, registry().styles)

    def save(self, path: str | Path, format: str | None = None, parents: bool = False) -> Path:
        """Write the page: html, json, png, svg, pdf or csv, by the file's ending unless said.

        The file is there whole or not at all; a pipe or a terminal is written into. `~` is expanded. parents: make
        folders that are missing. A table (csv) has every number, also of maps that the page shows as pictures only.
        Raises BbiError E430 for an unknown format, E431 where it cannot be written, E311 for a table of too many rows.
        """
        from bbilang import api
        from bbilang.runtime.page.export import export

        path = file_name("path", path) or "page.html"
        said = words("format", format) if format is not None else ""
        wanted = said or Path(path).suffix.lstrip(".").lower() or "html"
        if wanted not in FORMATS:
            help = f"formats are {', '.join(FORMATS)}"
            raise BbiError(Diagnostic("E430", f"there is no format `{wanted}`", help=help))
        try:
            shown = api.view(self.results, self.view.title, whole=True) if wanted == "csv" else self.view
            return export(shown, path, wanted, registry().styles, parents)
        except OSError as error:
            raise unwritten(path, error, "`parents=True` makes it") from error

    def to_dict(self) -> dict[str, Any]:
        """The view model as plain dictionaries and lists; pictures as bytes."""
        return asdict(self.view)

    def data(self, name: str) -> Data:
        """The numbers of an element, by its name in the text (or `element-1` ...): what it draws. Raises NoElement
        (E424), which is a KeyError, for another name.

        A curve of a measure has the axis that it runs along (`step` ...). A flow has axes `from` and `to` over all its
        nodes, column by column, NaN where no link is; ``labels`` names them, ``coords`` has each one's `column`.
        """
        if not isinstance(name, str) or name not in self.results.fields:
            message = f"no element is called {name!r}; there are {', '.join(self.results.fields)}"
            raise NoElement(Diagnostic("E424", message))
        node = next(element.node for element in self.results.program.elements if element.id == name)
        found = registry().styles[node["style"]].drawn(self.results.fields[name])
        if isinstance(found, Linked):
            found = matrix_of(found, self.results.labels)
        values = found.values
        if "input" in values.dims and values.sizes["input"] == 1:
            found = found.take("input", _first())
            values = found.values
        coords = {c: (a.dims, a.data) for c, a in found.coords.items() if c != "input" or a.data.ndim}
        labels = {n: (a.dims, a.data) for n, a in found.names.items()}
        return Data(found.type.content, found.type.unit, values.dims, values.data, coords, labels)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks: the whole page in a frame of its own, so that neither's styles reach the other."""
        from bbilang.runtime.page.iframe import framed

        return {"text/html": framed(self.html(), self.view.title), "text/plain": repr(self)}

    def __repr__(self) -> str:
        count = sum(len(i.elements) for i in self.view.interfaces)
        return f"<bbilang page {self.view.title!r}: {count} elements, {self.view.provenance.passes}>"


def _first() -> Any:
    from bbilang.runtime.fields.field import Named

    return Named((), np.array(0))
