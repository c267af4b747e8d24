"""What ran: every pass adds to a counter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Passes:
    """What was run: whole or stopped forwards, backwards, and the rows (images) in them. Every function adds to it.

    ``probes`` are single-image forwards made once per model to learn which of its modules run twice.
    """

    forwards: int = 0
    backwards: int = 0
    forward_rows: int = 0
    backward_rows: int = 0
    probes: int = 0

    def forward(self, rows: int) -> None:
        self.forwards += 1
        self.forward_rows += rows

    def backward(self, rows: int) -> None:
        self.backwards += 1
        self.backward_rows += rows
