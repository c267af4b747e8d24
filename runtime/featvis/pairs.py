"""Icons of matched channels: of each channel and of its partner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.models import CHECKPOINT_AXIS
from bbilang.compiler.ir.types import PARTNER
from bbilang.runtime.fields.field import Field, Named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bbilang.runtime.featvis.icon import Objective

PAIR = "pair"  # the axis of an index of icons: the channel's own, and its partner's


def side_by_side(own: Named, partners: Named) -> Named:
    """Return the icons of channels and of their partners, along the axis `pair`."""
    return Named((*own.dims, PAIR), np.stack([own.data, partners.ordered(own.dims).data], -1))


def along_checkpoints(each: Sequence[Named]) -> Named:
    """Return the icons of the same atoms of several checkpoints, along the axis `model`."""
    dims = each[0].dims
    return Named((CHECKPOINT_AXIS, *dims), np.stack([one.ordered(dims).data for one in each]))


def with_partners(
    field: Field, made: Callable[[Field, bool], tuple[Named, list[Objective]]]
) -> tuple[Named, list[Objective]]:  # fmt: skip
    """Return the objectives of channels and of their partners in the same network. made: objectives of a field, of the
    channels themselves or of the partners."""
    own, objectives = made(field, False)
    coords = {**{name: array for name, array in field.coords.items() if name != PARTNER},
              "channel": field.coords[PARTNER]}  # fmt: skip
    partners, more = made(Field(field.type, field.values, coords), True)
    shifted = Named(partners.dims, partners.data + len(objectives) * (partners.data >= 0))
    return side_by_side(own, shifted), [*objectives, *more]
