"""`Explanation`: what a page is made of and what runs for it, before and after the optimizer.

Each form is imported when it is written: `bbi explain` starts with one of them."""

from __future__ import annotations

from typing import Any

from bbilang.compiler.explain.comparison import PlanComparison
from bbilang.grammar.frozen import frozen


@frozen
class Explanation(PlanComparison):
    """A program's plan as written (one pass for every node that needs one) and as the optimizer leaves it.

    `str()` is for people; `to_json()` for tools (plan.schema.json); `to_svg()` a picture for a slide. A notebook shows
    the picture.
    """

    def text(self, width: int = 100) -> str:
        """Write it for people, in lines of at most ``width`` cells (below 80, lines may be wider)."""
        from bbilang.compiler.explain.text import text

        return text(self, width)

    def to_json(self) -> dict[str, Any]:
        """Write everything for tools, as plan.schema.json beside this file describes it."""
        from bbilang.compiler.explain.json_form import to_json

        return to_json(self)

    def to_svg(self, theme: str = "auto") -> str:
        """Draw the plan as a standalone SVG whose text stays text.

        ``theme``: `auto` (the reader's preference), `light` or `dark`. Raises ValueError for another.
        """
        from bbilang.compiler.explain.diagram import svg

        return svg(self, theme)

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": str(self)}

    def _repr_html_(self) -> str:
        """Return the picture for notebooks, as wide as the cell."""
        return f'<div style="max-width:100%;overflow-x:auto">{self.to_svg()}</div>'
