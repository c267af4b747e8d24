"""`bbilang.complete`: what the holes of a text could be, as values, as text and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from bbilang.compiler.complete.completions import NO_LIMITS, Completion, Limits, complete, known_words
from bbilang.compiler.complete.goals import WORDS
from bbilang.compiler.complete.side_by_side import side_by_side
from bbilang.compiler.contract import did_you_mean
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.format import format_file
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from bbilang.runtime.watch import before_running

SHOWN = 20  # completions in a table


class Completions(Sequence[Completion]):
    """The completions of a request's text, the best first."""

    def __init__(self, request: Request, by: Sequence[str] = (), limits: Limits = NO_LIMITS):
        """Raises BbiError E440 for goals or words that are not known, and those of `fill`."""
        for goal in by:
            _check("goal", goal, tuple(WORDS))
        for word in limits.without:
            _check("word for what a completion may be without", word, known_words(registry()))
        self.request, self.by, self.limits = request, tuple(by), limits

    @cached_property
    def every(self) -> tuple[Completion, ...]:
        """Find the completions. Raises BbiError of the text, and E587, E380 to E382, E435 beyond the limits."""
        text = self.request.text
        file = parse(text) if isinstance(text, Source) else text
        limits = replace(self.limits, of_page=self.request.limits)
        with before_running(self.request.limits, file.source, "filling the holes of this text"):
            return complete(file, registry(), Pipeline(self.request).options, self.by, limits)

    def __len__(self) -> int:
        return len(self.every)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as of a tuple
        return self.every[index]

    def __iter__(self) -> Iterator[Completion]:
        return iter(self.every)

    def text(self, count: int) -> str:
        """Return one text with the best of them side by side. Raises BbiError E364 where nothing is within the
        limits."""
        if not self.every:
            raise self._beyond()
        return side_by_side(self.every[:count])

    def _beyond(self) -> BbiError:
        """Return the error for limits that no completion is within, with what the cheapest takes."""
        free = Completions(self.request, (), Limits(None, self.limits.without))
        least = min((each.goals.passes for each in free), default=None)
        if least is None:
            words = ", ".join(f"`{word}`" for word in self.limits.without)
            message, help = f"every completion has one of {words}", "leave out a `--without`"
        else:
            message = f"no completion takes {self.limits.max_passes} passes or fewer"
            help = f"the cheapest takes {least}: `--max-passes {least}`"
        return BbiError(Diagnostic("E364", message, help=help))

    def to_json(self) -> list[dict[str, object]]:
        """Return a list for programs."""
        return [_json(completion) for completion in self.every]

    def __str__(self) -> str:
        return "\n".join(line for completion in self.every[:SHOWN] for line in lines(completion))

    def _repr_html_(self) -> str:
        rows = []
        for each in self.every[:SHOWN]:
            pipes = "<br>".join(f"<code>{html.escape(pipe)}</code>" for pipe in each.filled.pipes)
            cells = [str(each.number), f"{pipes}<br>{html.escape(each.sentence)}"]
            cells += [html.escape(each.goals.said(goal)) for goal in WORDS]
            rows.append("".join(f'<td style="text-align:left">{cell}</td>' for cell in cells))
        heads = "".join(f"<th>{word.replace('_', ' ')}</th>" for word in ("", "completion", *WORDS))
        more = f"<p>{len(self.every) - SHOWN} more</p>" if len(self.every) > SHOWN else ""
        return f"<table><tr>{heads}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>{more}"


def lines(completion: Completion) -> list[str]:
    """Describe a completion on a few lines."""
    first, *more = completion.filled.pipes or ("the text has no holes",)
    mark = " (on the front)" if completion.front else ""
    said = [*more, completion.sentence, " · ".join(completion.goals.said(goal) for goal in WORDS) + mark]
    said += [f"above {completion.number + 1}: {completion.why}"] if completion.why else []
    return [f"{completion.number:>3}  {first}", *(f"     {line}" for text in said for line in text.splitlines())]


def _json(completion: Completion) -> dict[str, object]:
    goals = completion.goals
    return {
        "number": completion.number,
        "front": completion.front,
        "pipes": list(completion.filled.pipes),
        "fillings": list(completion.filled.fillings),
        "sentence": completion.sentence,
        "goals": {
            "what": {"pictured": goals.pictured, "shown": goals.shown, "share": goals.what},
            "how": goals.how,
            "human_scale": {"items": goals.items, "states": goals.states, "words": goals.words},
            "trust": goals.trust,
            "cost": {
                "passes": goals.passes, "flops": goals.flops, "bytes": goals.bytes, "icons": goals.icons,
                "estimated_seconds": goals.seconds,
            },
        },
        "why_above_the_next": completion.why,
        "text": format_file(completion.filled.file),
    }  # fmt: skip


def _check(what: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        help = did_you_mean(word, known, f"as in {', '.join(known[:6])}")
        raise BbiError(Diagnostic("E440", f"`{word}` is no {what}", help=help))
