"""The claims of texts as tests: what `bbi test` and `pytest --bbi` run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bbilang.compiler.check.statements.claims import CLAIMS
from bbilang.compiler.ir.program import Program
from bbilang.compiler.optimize.restrict import restricted
from bbilang.given_models import of_words
from bbilang.grammar import ast
from bbilang.grammar.frozen import frozen
from bbilang.grammar.parse import parse_recovering
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry

if TYPE_CHECKING:
    from bbilang.runtime.fields.verdicts import Verdicts
    from bbilang.runtime.statistics.claims import Outcome


@frozen
class Measured:
    """One condition: ``text`` as written; the mean, its interval, the p-value before any correction, and how many
    random sets there were."""

    text: str
    value: float
    low: float
    high: float
    p: float
    sets: int
    checkpoint: str = ""

    @property
    def words(self) -> str:
        """Return the number with its interval: "-1.2 (-1.5 to -0.9)"."""
        interval = f" ({self.low:.3g} to {self.high:.3g})" if math.isfinite(self.low) else ""
        return f"{self.value:.3g}{interval}" + (f" in {self.checkpoint}" if self.checkpoint else "")


@frozen
class Tested:
    """A claim of a text for one model, and its verdict. ``p``: after the correction for all claims that were tested
    together; NaN without random sets. ``line``: of the statement, from 1."""

    file: str
    line: int
    model: str
    sentence: str
    verdict: str
    p: float
    conditions: tuple[Measured, ...]

    @property
    def holds(self) -> bool:
        from bbilang.runtime.statistics.claims import HOLDS

        return self.verdict == HOLDS

    def to_json(self) -> dict[str, object]:
        """Return plain values; numbers that are not there are None."""

        def number(value: float) -> float | None:
            return value if math.isfinite(value) else None

        conditions = [
            {"text": c.text, "value": number(c.value), "from": number(c.low), "to": number(c.high), "sets": c.sets,
             **({"checkpoint": c.checkpoint} if c.checkpoint else {})}
            for c in self.conditions
        ]  # fmt: skip
        return {
            "file": self.file, "line": self.line, "model": self.model, "claim": self.sentence, "verdict": self.verdict,
            "holds": self.holds, "p": number(self.p), "conditions": conditions,
        }  # fmt: skip


def has_claims(text: Source) -> bool:
    """Return whether a text states claims. Nothing is checked."""
    return bool(statements(text))


def statements(text: Source) -> list[ast.Claim]:
    """Return the claims of a text, in its order."""
    return [s for s in parse_recovering(text)[0].statements if isinstance(s, ast.Claim)]


class ClaimRun:
    """The claims of one text, without the rest of its page. ``models``: the values of `--model` for this run."""

    def __init__(self, request: Request, models: Sequence[str] = ()):
        assert isinstance(request.text, Source)
        model, weights = of_words(models)
        self.text = request.text
        self.request = replace(request, model=model or request.model, weights=weights or request.weights)
        self.pipeline = Pipeline(self.request)
        self.model = ", ".join(models)

    @classmethod
    def of(cls, pipeline: Pipeline) -> ClaimRun:
        """Return the claims of a page: where it was run, they are not computed again."""
        run = cls(pipeline.request)
        run.pipeline = pipeline
        return run

    @property
    def program(self) -> Program | None:
        """The program of the claims alone; None where the text states none. Raises BbiError with all errors."""
        return restricted(self.pipeline.program, CLAIMS, registry())

    def verdicts(self) -> Verdicts | None:
        """Compute the numbers of all claims, or take them from the cache."""
        from bbilang.runtime.fields.verdicts import Verdicts

        program = self.program
        if program is None:
            return None
        whole = self.pipeline if self.pipeline.has_run else self.pipeline.alone(program)
        field = whole.results.fields[CLAIMS]
        assert isinstance(field, Verdicts)
        return field


def tested(runs: Iterable[ClaimRun]) -> list[Tested]:
    """Test all claims of some runs together: p-values are corrected for all of them."""
    from bbilang.runtime.statistics.claims import corrected, verdicts

    known = [(run, field) for run in runs if (field := run.verdicts()) is not None]
    claims = [(run, field, number) for run, field in known for number in range(len(field.sentences))]
    outcomes = [_outcomes(field, number) for _, field, number in claims]
    results = []
    for (run, field, number), rows, verdict, p in zip(
        claims, outcomes, verdicts(outcomes), corrected(outcomes), strict=True
    ):
        of = field.checkpoints or ("",) * len(field.conditions)
        texts = [(text, it) for (claim, text), it in zip(field.conditions, of, strict=True) if claim == number]
        measured = tuple(Measured(text, o.value, o.low, o.high, o.p, o.sets, checkpoint)
                         for (text, checkpoint), o in zip(texts, rows, strict=True))  # fmt: skip
        statement = statements(run.text)[number]
        line = run.text.position(statement.span.start)[0]
        name = run.model or next(iter(run.pipeline.program.models)).name
        results.append(Tested(run.text.name, line, name, field.sentences[number], verdict, p, measured))
    return results


def _outcomes(field: Verdicts, number: int) -> Sequence[Outcome]:
    from bbilang.runtime.statistics.claims import Outcome

    assert field.outcomes is not None
    rows = [row for (claim, _), row in zip(field.conditions, field.outcomes.data.tolist(), strict=True)
            if claim == number]  # fmt: skip
    return [Outcome(value, low, high, p, int(sets), bool(satisfied)) for value, low, high, p, sets, satisfied in rows]
