"""Count the passes that ran."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Passes:
    """Counters of the passes that ran.

    ``forwards``: whole or stopped; ``resumed``: forwards that take what is alike from another network's;
    ``backwards``: one per cotangent; ``tangents``: one per tangent; ``reruns``:
    forwards of the network above a layer. ``*_rows``: images in forwards and backwards, inputs in tangents, rows in
    reruns. ``calls``: batched calls that backwards, tangents and reruns took. ``probes``: runs, once per model, that
    detect modules that run twice, and, once per layer, that check that the network above it reproduces the forward.
    ``removals``: inputs that ran with a layer at zero, for the budget line, apart from the others. ``cached_icons``:
    icons taken from the cache without a pass.
    """

    forwards: int = 0
    resumed: int = 0
    backwards: int = 0
    tangents: int = 0
    reruns: int = 0
    forward_rows: int = 0
    backward_rows: int = 0
    tangent_rows: int = 0
    rerun_rows: int = 0
    calls: int = 0
    probes: int = 0
    removals: int = 0
    cached_icons: int = 0

    @property
    def total(self) -> int:
        """The number of passes of all kinds."""
        return self.forwards + self.resumed + self.backwards + self.tangents + self.reruns

    @property
    def rows(self) -> int:
        """The number of images, inputs and rows in passes of all kinds."""
        return self.forward_rows + self.backward_rows + self.tangent_rows + self.rerun_rows

    def add(self, other: Passes) -> None:
        """Count the passes of another counter, too."""
        for each in fields(Passes):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def forward(self, rows: int, resumed: bool = False) -> None:
        self.forwards += not resumed
        self.resumed += resumed
        self.forward_rows += rows

    def backward(self, rows: int, cotangents: int = 1) -> None:
        """Count one call for some cotangents, each over all rows."""
        self.backwards += cotangents
        self.backward_rows += rows * cotangents
        self.calls += 1

    def tangent(self, rows: int, tangents: int = 1) -> None:
        """Count one call for some tangents, each over all rows."""
        self.tangents += tangents
        self.tangent_rows += rows * tangents
        self.calls += 1

    def rerun(self, rows: int) -> None:
        self.reruns += 1
        self.rerun_rows += rows
        self.calls += 1
