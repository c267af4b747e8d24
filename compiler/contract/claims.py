"""What the node of a page's claims holds: sentences, and comparisons of its inputs."""

from __future__ import annotations

from bbilang.grammar.frozen import frozen

CASES = ("input", "example")  # axes over which a claim takes the mean, with its interval


@frozen
class Condition:
    """``left``: which input of the node; ``right``: another one that it is compared with, or -1 for ``bound``.
    ``text``: as the text has it."""

    left: int
    comparison: str
    right: int
    bound: float
    text: str


@frozen
class Claim:
    """A sentence that holds if all of its conditions do."""

    sentence: str
    conditions: tuple[Condition, ...]

    @property
    def plain(self) -> tuple[object, ...]:
        """Return it as a parameter of a node holds it."""
        return (self.sentence, tuple((c.left, c.comparison, c.right, c.bound, c.text) for c in self.conditions))


def claims_of(plain: tuple[tuple[str, tuple[tuple[int, str, int, float, str], ...]], ...]) -> tuple[Claim, ...]:
    """Return the claims that a node's parameter holds."""
    return tuple(Claim(sentence, tuple(Condition(*each) for each in conditions)) for sentence, conditions in plain)
