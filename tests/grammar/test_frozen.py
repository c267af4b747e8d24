"""`frozen` behaves as `dataclass(frozen=True)`."""

import pickle
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


def made(make):
    calls = []

    @make
    class Parts:
        one: int
        many: list[int] = field(default_factory=list)
        seen: dict[str, int] = field(default_factory=dict, init=False, compare=False)
        kind: str = field(default="part", init=False)
        last: int = field(default=3, kw_only=True)

        def __post_init__(self):
            calls.append(self.one)

    @make
    class More(Parts):
        two: int = 2

    return Parts, More, calls


@pytest.mark.parametrize("make", [frozen, dataclass(frozen=True)], ids=["frozen", "dataclass"])
def test_objects_are_made_as_a_dataclass_makes_them(make):
    """Factories, fields that are not parameters, keyword-only fields, inheritance, `__post_init__`, wrong calls."""
    Parts, More, calls = made(make)
    assert vars(Parts(1)) == {"one": 1, "many": [], "seen": {}, "last": 3}
    assert Parts(1).many is not Parts(1).many and Parts(1, [2], last=4).last == 4
    more = More(1, [2], 5)
    assert (more.one, more.many, more.two, more.last, more.kind) == (1, [2], 5, 3, "part")
    assert calls == [1] * 5 and replace(more, one=9).one == 9 and pickle.loads(pickle.dumps(Whole(3))) == Whole(3)
    for wrong in (lambda: Parts(), lambda: Parts(1, [], 3), lambda: Parts(1, seen={}), lambda: Parts(1, what=2)):
        with pytest.raises(TypeError, match=r"Parts\.__init__\(\)"):
            wrong()


@frozen
class Whole:
    a: int


def test_a_field_may_have_any_name():
    """What `__init__` uses itself has names that no field has."""

    @frozen
    class Odd:
        own: int
        values: int = 2

    assert (Odd(1).own, Odd(1, 3).values) == (1, 3)
