"""`Page`: a compiled page, which can be saved, shown in a notebook, or read as numbers."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang.compiler.ir.program import Program
from bbilang.compiler.ir.types import FieldType
from bbilang.compiler.plan.limits import NO_LIMITS, Limits
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.registry import registry
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.arguments import file_name, words
from bbilang.runtime.view.element_data import Data, data_of
from bbilang.runtime.write_errors import unwritten

if TYPE_CHECKING:
    from bbilang.compiler.plan.plan import Plan
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.view.model import View

__all__ = ["FORMATS", "Data", "NoElement", "Page"]

FORMATS = ("html", "json", "png", "svg", "pdf", "csv")


class NoElement(BbiError, KeyError):
    """No element has that name."""

    def __str__(self) -> str:
        return Exception.__str__(self)


@frozen
class Page:
    """A compiled page, which notebooks display. `save` writes it; `data` returns an element's numbers."""

    view: View
    results: Results
    plan: Plan
    limits: Limits = NO_LIMITS

    def html(self) -> str:
        """Return the standalone page as HTML. Raises BbiError E589 for a page beyond its limit."""
        text = rendered(self.view)
        check_size(len(text.encode()), self.limits, self.results.program)
        return text

    def save(self, path: str | Path, format: str | None = None, parents: bool = False) -> Path:
        """Write the page: html, json, png, svg, pdf or csv, by default the format of the file's suffix.

        A regular file is written atomically; pipes and terminals are written to directly. `~` is expanded. parents:
        create missing folders. A table (csv) has every number, including those of maps that the page shows only as
        pictures. Raises BbiError E430 for an unknown format, E431 if it cannot be written, E311 for a table with too
        many rows.
        """
        from bbilang.runtime.page.export import export

        path = file_name("path", path) or "page.html"
        chosen = words("format", format) if format is not None else ""
        chosen = chosen or Path(path).suffix.lstrip(".").lower() or "html"
        if chosen not in FORMATS:
            raise error("E430", f"there is no format `{chosen}`", f"formats are {', '.join(FORMATS)}")
        try:
            if chosen == "html" and self.limits:
                self.html()  # before anything is written
            view = view_of(self.results, self.view.title, whole=True) if chosen == "csv" else self.view
            return export(view, path, chosen, registry().styles, parents)
        except OSError as reason:
            raise unwritten(path, reason, "`parents=True` makes it") from reason

    def to_dict(self) -> dict[str, Any]:
        """Return the view model as plain dictionaries and lists, with pictures as bytes."""
        return asdict(self.view)

    @property
    def answers(self) -> dict[str, str]:
        """What the page says when it opens: the sentence of each element that has one, by the element's name; first
        those that the interfaces open with."""
        from bbilang.runtime.view.states import answer_of, elements, start_states

        states = start_states(self.view)
        said = {element.id: answer_of(element, states[element.id]) for element in elements(self.view)}
        leading = [interface.lead for interface in self.view.interfaces]
        return {name: said[name] for name in dict.fromkeys([*leading, *said]) if said.get(name)}

    def data(self, name: str) -> Data:
        """Return the numbers that an element draws, by its name in the text (or `element-1` ...). Raises NoElement
        (E424), which is a KeyError, for another name.

        A curve of a measure has the axis that it runs along (`step` ...). A flow has axes `from` and `to` over all its
        nodes, column by column, NaN where no link is; ``labels`` names them, ``coords`` has each one's `column`.
        """
        if not isinstance(name, str) or name not in self.results.fields:
            message = f"no element is called {name!r}; there are {', '.join(self.results.fields)}"
            raise NoElement(Diagnostic("E424", message))
        return data_of(self.results, name, registry())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the whole page for notebooks, in a frame of its own, so that neither's styles reach the other."""
        from bbilang.runtime.page.iframe import framed

        return {"text/html": framed(self.html(), self.view.title), "text/plain": repr(self)}

    def __repr__(self) -> str:
        count = sum(len(i.elements) for i in self.view.interfaces)
        return f"<bbilang page {self.view.title!r}: {count} elements, {self.view.provenance.passes}>"


def check_size(count: int, limits: Limits, program: Program) -> None:
    """Raise BbiError E589 for a page of more bytes than are allowed, at the element with most marks in all states."""
    if limits.page is None or count <= limits.page:
        return
    largest = max(program.elements, key=lambda each: each.node.type.state_count * _atoms(each.node.type))
    spans = program.spans(largest.node)
    message = f"the page has {count / 10**6:,.3g} MB, and {limits.page / 10**6:,.3g} MB is allowed"
    help = f"`{largest.id}` has most marks in all of its states: show fewer, or smaller pictures"
    raise BbiError(Diagnostic("E589", message, spans[0] if spans else None, help), program.source)


def _atoms(type: FieldType) -> int:
    return math.prod(axis.size for axis in type.axes)


def view_of(results: Results, title: str = "", whole: bool = False) -> View:
    """Return results as a view model. ``whole``: with every number of maps that a page shows only as pictures."""
    from bbilang.runtime.view.build import view
    from bbilang.runtime.view.provenance import provenance_of

    return view(results, registry(), provenance_of(results, registry()), title, whole)


def rendered(view: View) -> str:
    """Render a view model as a standalone HTML page."""
    from bbilang.runtime.page.html import render

    return render(view, registry().styles)
