"""The goals of an interface as its results have them: what a run found in place of what its plan says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bbilang.compiler.complete.goals import WORDS, Goals
from bbilang.compiler.explain.units import seconds_words, si
from bbilang.grammar.frozen import frozen


class HasGoals(Protocol):
    """What can be ranked: planned goals, or measured ones."""

    def key(self, goal: str, /) -> tuple[float, ...]: ...
    def said(self, goal: str, /) -> str: ...


@frozen
class MeasuredGoals:
    """What a run found of one interface.

    ``share``: of the content, by the sum of magnitudes, that is left by what keeps some of the atoms; ``pictured``: of
    it, what is shown as icons or examples; None where no such numbers were kept, and the planned share of atoms counts.
    ``items``, ``states``, ``words``: on the screen at once, reached by a choice, in the legends. ``checks``, ``held``:
    that the page makes of its numbers, and those of them that do not contradict it. ``seconds``, ``passes``: of the
    steps that its elements need, those that it shares with others included. ``bytes``: of the numbers and icons that it
    draws.
    """

    planned: Goals
    share: float | None
    pictured: float | None
    items: int
    states: int
    words: int
    checks: int
    held: int
    passes: int
    icons: int
    seconds: float
    bytes: int

    @property
    def shown(self) -> tuple[float, float]:
        """(share as pictures, share) of the content, or of the atoms where the content was not measured."""
        if self.share is None or self.pictured is None:
            return self.planned.pictured, self.planned.what
        return self.pictured, self.share

    def key(self, goal: str) -> tuple[float, ...]:
        """Return what is compared for a goal; smaller is better. Shares count in steps of a thousandth. Seconds are not
        compared: they differ from run to run."""
        match goal:
            case "what":
                return tuple(-round(share, 3) for share in self.shown)
            case "how":
                return (-self.planned.how,)
            case "human_scale":
                return (self.items, self.states, self.planned.reading, self.words)
            case "trust":
                return (self.checks - self.held, -self.held)
        return (self.icons, self.passes)

    def said(self, goal: str) -> str:
        """Return the number of a goal in words."""
        match goal:
            case "what":
                what = "atoms" if self.share is None else "content"
                pictures, share = self.shown
                return f"{_percent(share)} of the {what}{', as pictures' if pictures else ''}"
            case "human_scale":
                states = f", {self.states:,} states" if self.states > 1 else ""
                legend = f", {_counted(self.words, 'word')} of legend" if self.words else ""
                return f"{_counted(self.items, 'item')}{states}{legend}"
            case "trust":
                return f"{self.held} of {_counted(self.checks, 'check')} held" if self.checks else "nothing checked"
            case "cost":
                icons = f", {_counted(self.icons, 'icon')}" if self.icons else ""
                passes = _counted(self.passes, "pass", "passes")
                return f"{passes}{icons}, {seconds_words(self.seconds)}, {si(self.bytes, 'B')}"
        return self.planned.said(goal)

    def to_json(self) -> dict[str, object]:
        """Return the numbers for programs."""
        pictures, share = self.shown
        return {
            "what": {"share": share, "pictured": pictures, "of": "atoms" if self.share is None else "content"},
            "how": self.planned.how,
            "human_scale": {"items": self.items, "states": self.states, "words": self.words},
            "trust": {"checks": self.checks, "held": self.held},
            "cost": {"passes": self.passes, "icons": self.icons, "seconds": self.seconds, "bytes": self.bytes},
        }


PHRASES = {  # goal -> (what is said of the better one, of the worse one)
    "what": ("shows more of the content", "shows less of the content"),
    "how": ("connects more layers", "connects fewer layers"),
    "human_scale": ("has less to look at", "has more to look at"),
    "trust": ("its checks held better", "its checks held less"),
    "cost": ("costs less", "costs more"),
}


def why_measured(above: MeasuredGoals, below: MeasuredGoals, by: Sequence[str] = ()) -> str:
    """Say why one interface is ranked above another: "shows more of the content (82 % against 40 %) at the same cost,
    but has more to look at (20 items against 8)".

    by: the goals that count, the first most; then only the one that decides is said.
    """
    if by:
        decides = next((goal for goal in by if above.key(goal) != below.key(goal)), None)
        if decides is None:
            return "equal in these goals, and first as planned"
        return _compared(decides, 0, above, below)
    better = [_compared(goal, 0, above, below) for goal in WORDS if above.key(goal) < below.key(goal)]
    worse = [_compared(goal, 1, above, below) for goal in WORDS if above.key(goal) > below.key(goal)]
    if not better and not worse:
        return "equal in all goals, and first in the order of the language"
    same = " at the same cost" if better and above.key("cost") == below.key("cost") else ""
    first = f"{' and '.join(better)}{same}" if better else ""
    second = f"{'but ' if better else 'better on average, but '}{' and '.join(worse)}" if worse else ""
    return ", ".join(part for part in (first, second) if part)


def _compared(goal: str, which: int, above: MeasuredGoals, below: MeasuredGoals) -> str:
    (pictures, share), (other_pictures, other_share) = above.shown, below.shown
    if goal == "what" and bool(pictures) != bool(other_pictures):
        if pictures:
            return f"shows pictures ({_percent(pictures)} of the content, against numbers of {_percent(other_share)})"
        return f"shows numbers alone ({_percent(share)} of the content, against pictures of {_percent(other_pictures)})"
    own, other = _short(goal, above, below), _short(goal, below, above)
    sizes, others = (above.items, above.states), (below.items, below.states)
    if goal == "human_scale" and sizes == others and above.planned.reading != below.planned.reading:
        return f"{('is easier to read', 'is harder to read')[which]} ({own} against {other})"
    return f"{PHRASES[goal][which]} ({own} against {other})"


def _short(goal: str, own: MeasuredGoals, other: MeasuredGoals) -> str:
    """Return the number of a goal that differs between two."""
    match goal:
        case "what":
            pictures, share = own.shown
            return _percent(share if pictures == other.shown[0] else pictures)
        case "how":
            return str(own.planned.how)
        case "human_scale":
            for name, noun in (("items", "item"), ("states", "state")):
                if getattr(own, name) != getattr(other, name):
                    return _counted(getattr(own, name), noun)
            if own.planned.reading != other.planned.reading:
                return f"read by {own.planned.read}"
            return _counted(own.words, "word")
        case "cost":
            return _counted(own.icons, "icon") if own.icons != other.icons else _counted(own.passes, "pass", "passes")
    return own.said(goal).removesuffix(" held")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _counted(number: int, noun: str, many: str = "") -> str:
    return f"{number:,} {noun if number == 1 else many or f'{noun}s'}"
