"""Findings about many examples: rows of several numbers, and what they come to in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named


@dataclass
class Findings(Field):
    """A field over (a row for each finding, `measure`). title: of the element. finding: one or two sentences that
    overstate nothing. formats: of each measure, as d3 writes them (`.0%`, `d`)."""

    title: str = ""
    finding: str = ""
    formats: tuple[str, ...] = ()

    def with_values(self, values: Named, type: FieldType) -> Field:
        """Keep the sentence only where every finding is kept."""
        if set(values.sizes.items()) != set(self.values.sizes.items()):
            return super().with_values(values, type)
        return replace(self, values=values, type=type)
