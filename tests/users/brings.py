"""Marks a test as one row of docs/users.md: what users bring, and what happens."""

from __future__ import annotations

import pytest


def brings(group: str, what: str, happens: str) -> pytest.MarkDecorator:
    """A row of the table. group: its heading, one of those in `scripts/users_table.py`. what: what a user brings, in a
    few words. happens: `right`, perhaps with how ("right: rows run one at a time"), or `refused: E508` and why.

    All three are literals: the table is made from the source, without running it.
    """
    return pytest.mark.brings(group, what, happens)
