"""Datasets that ship with the project, as `dataset shapes = "sample:shapes"`. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bbilang.runtime.data.listing import Column, Listing, Options
from bbilang.runtime.data.resolve import fail
from bbilang.runtime.data.tables import known
from bbilang.runtime.inputs.images import PREFIX

NAMES = ("shapes", "marks")


def is_sample(name: str) -> bool:
    return name.startswith(PREFIX)


def list_sample(name: str, options: Options) -> Listing:
    """List the pictures of a sample. Raises BbiError E450 for another name, E457 for an option that names no column."""
    from bbilang.runtime.samples import marks, shapes

    own = {"shapes": shapes, "marks": marks}.get(name.removeprefix(PREFIX))
    if own is None:
        samples = ", ".join(f"`{PREFIX}{each}`" for each in NAMES)
        fail("E450", f"there is no dataset `{name}`", f"those that ship with bbilang: {samples}")
    columns: Mapping[str, Column] = own.columns()
    for role, wanted in (("label", options.label), ("split", options.split)):
        if wanted is not None:
            known(wanted, columns, name)
            columns = {**columns, role: columns[wanted]}
    names = own.names()
    nothing = [0] * len(names)
    return Listing("sample", Path(name), Path(), names, nothing, [own.VERSION] * len(names), columns)
