"""`frozen` is `dataclass(frozen=True)` in everything that a reader of the code relies on."""

from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from bbilang.grammar.frozen import frozen


def classes(make):
    @make
    class Base:
        place: int = field(default=0, compare=False, repr=False, kw_only=True)

    @make
    class Two(Base):
        a: Any
        b: Any = ()

    @make
    class Other(Base):
        a: Any
        b: Any = ()

    @make
    class Empty(Base):
        pass

    @make
    class Own:
        a: Any

        def __repr__(self):
            return "mine"

    return Two, Other, Empty, Own


OURS, THEIRS = classes(frozen), classes(dataclass(frozen=True))


@pytest.mark.parametrize("kinds", [OURS, THEIRS], ids=["frozen", "dataclass"])
def test_equal_by_the_fields_that_compare(kinds):
    Two, Other, Empty, _ = kinds
    assert Two(1, (2,)) == Two(1, (2,), place=5) and hash(Two(1, (2,))) == hash(Two(1, (2,), place=5))
    assert Two(1) != Two(2) and Two(1) != Other(1) and Two(1) != (1, ()) and Empty() == Empty(place=3) != Two(1)
    assert len({Two(1), Two(1, ()), Two(1, (0,)), Other(1), Empty(), Empty()}) == 4
    with pytest.raises(TypeError, match="unhashable"):
        hash(Two([]))


def test_printed_matched_and_changed_as_a_dataclass():
    for ours, theirs in zip(OURS, THEIRS, strict=True):
        values = {f.name: 7 for f in fields(ours)}
        assert repr(ours(**values)) == repr(theirs(**values))
        assert ours.__match_args__ == theirs.__match_args__ and [f.name for f in fields(theirs)] == list(values)
    two = OURS[0](1, "x")
    assert replace(two, b=2) == OURS[0](1, 2)
    for change in (lambda: setattr(two, "a", 2), lambda: delattr(two, "a")):
        with pytest.raises(FrozenInstanceError):
            change()
