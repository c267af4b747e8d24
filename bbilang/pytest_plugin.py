"""A pytest plug-in: `pytest --bbi` collects the claims of .bbi files, each as a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bbilang.claims import Tested


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--bbi`, and `--bbi-input` and `--bbi-model` for texts that leave these open."""
    group = parser.getgroup("bbilang")
    group.addoption("--bbi", action="store_true", help="collect .bbi files with claims")
    group.addoption("--bbi-input", action="append", metavar="PICTURE", help="a picture of the texts; repeatable")
    group.addoption("--bbi-model", action="append", metavar="[NAME=]MODEL",
                    help="a model, or a file of weights, for a name of the text; repeatable")  # fmt: skip


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ClaimFile | None:
    """Collect a .bbi file that states claims."""
    if file_path.suffix != ".bbi" or not parent.config.getoption("--bbi"):
        return None
    from bbilang.claims import has_claims
    from bbilang.texts import read

    if not has_claims(read(str(file_path))):
        return None
    file: ClaimFile = ClaimFile.from_parent(parent, path=file_path)
    return file


class ClaimFile(pytest.File):
    """A text with claims, which run together when the first of them does."""

    _results: list[Tested] | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test for each claim and model."""
        from bbilang.claims import statements
        from bbilang.texts import read

        for model in self.models:
            for number, claim in enumerate(statements(read(str(self.path)))):
                name = claim.sentence.value + (f" [{model}]" if model else "")
                yield ClaimItem.from_parent(self, name=name, number=number, model=model)

    @property
    def models(self) -> list[str]:
        return [", ".join(model) for model in self._alternatives]

    @property
    def _alternatives(self) -> list[tuple[str, ...]]:
        from bbilang.given_models import alternatives

        return alternatives(self.config.getoption("--bbi-model") or [])

    @property
    def results(self) -> list[Tested]:
        """The results of all claims of the text, for each model in turn."""
        if self._results is None:
            from bbilang.claims import ClaimRun, tested
            from bbilang.pipeline import Request
            from bbilang.runtime.cache.disk import Cache
            from bbilang.texts import read

            given = self.config.getoption("--bbi-input")
            request = Request(read(str(self.path)), input=tuple(given) if given else None, cache=Cache())
            self._results = tested([ClaimRun(request, model) for model in self._alternatives])
        return self._results


class DoesNotHold(Exception):
    """A claim that does not hold."""


class ClaimItem(pytest.Item):
    """One claim of a text, for one model."""

    def __init__(self, *, number: int, model: str, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.number, self.model = number, model

    def runtest(self) -> None:
        """Fail where the claim does not hold. Raises BbiError for a text with errors."""
        assert isinstance(self.parent, ClaimFile)
        each = len(self.parent.results) // len(self.parent.models)
        result = self.parent.results[self.parent.models.index(self.model) * each + self.number]
        if not result.holds:
            numbers = "\n".join(f"  {c.text}\n    value {c.words}" for c in result.conditions)
            raise DoesNotHold(f"{result.verdict}: {result.sentence}\n{numbers}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """Return what went wrong, without a traceback through bbilang."""
        from bbilang.grammar.diagnostic import BbiError

        if isinstance(excinfo.value, DoesNotHold | BbiError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the file, the line and the sentence."""
        from bbilang.claims import statements
        from bbilang.texts import read

        text = read(str(self.path))
        line = text.position(statements(text)[self.number].span.start)[0] - 1
        return self.path, line, f"claim: {self.name}"
