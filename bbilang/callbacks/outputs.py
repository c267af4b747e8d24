"""What a `Recorder` writes: a page with a row for each epoch, a page for each epoch, or the verdicts of claims."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bbilang.callbacks.rows import in_rows
from bbilang.claims import ClaimRun, Tested, tested
from bbilang.page import Page, rendered
from bbilang.pipeline import Pipeline
from bbilang.runtime.errors import error
from bbilang.runtime.files import write

if TYPE_CHECKING:
    from bbilang.runtime.view.model import View

SHARE = 0.005  # of the time since the beginning, which drawing the page of all rows may take before the end


class Recorded:
    """What a text says of the network after one epoch; computed when it is first needed. ``numbers``: of the epoch, as
    its loss."""

    def __init__(self, epoch: int, numbers: Mapping[str, float], pipeline: Pipeline):
        self.epoch, self.numbers, self.pipeline = epoch, {name: float(one) for name, one in numbers.items()}, pipeline

    @cached_property
    def page(self) -> Page:
        return self.pipeline.page

    @cached_property
    def html(self) -> str:
        return self.page.html()

    @cached_property
    def claims(self) -> list[Tested]:
        """The claims with their verdicts, corrected for all claims of this epoch; none where the text states none."""
        return tested([ClaimRun.of(self.pipeline)])

    @property
    def has_page(self) -> bool:
        """Whether the page was made."""
        return "page" in vars(self)

    @property
    def words(self) -> str:
        """The title of its row: "Epoch 3 · loss 0.312 · says cat, 61 %"."""
        parts = [f"Epoch {self.epoch}", *(f"{name} {number:.4g}" for name, number in self.numbers.items())]
        predictions = self.page.view.predictions
        if len(predictions) == 1 and predictions[0].top and predictions[0].shares:
            label, probability = predictions[0].top[0]
            parts.append(f"says {label}, {predictions[0].words(probability)}")
        return " · ".join(parts)


class Output(Protocol):
    """Writes what was recorded of each epoch."""

    def write(self, recorded: Recorded) -> None: ...

    def close(self) -> None:
        """Write what is not yet written."""


class Pages:
    """`epoch-0003.html`, a page for each epoch."""

    def __init__(self, folder: Path, title: str):
        self.folder = folder

    def write(self, recorded: Recorded) -> None:
        """Write the page of an epoch."""
        write(self.folder / f"epoch-{recorded.epoch:04}.html", recorded.html.encode(), parents=True)

    def close(self) -> None: ...


class Rows:
    """`training.html`, one page with a row for each epoch. Drawing it takes as long as it has rows, so that it is not
    drawn after every epoch of a short one: see `SHARE`."""

    def __init__(self, folder: Path, title: str):
        self.path, self.title = folder / "training.html", title
        self.rows: dict[int, tuple[str, View]] = {}
        self._begun, self._drawing, self._current = time.monotonic(), 0.0, True

    def write(self, recorded: Recorded) -> None:
        """Add a row to the page, and write it if that has been quick so far."""
        self.rows[recorded.epoch] = recorded.words, recorded.page.view
        self._current = False
        if self._drawing <= SHARE * (time.monotonic() - self._begun):
            start = time.monotonic()
            self._draw()
            self._drawing += time.monotonic() - start

    def close(self) -> None:
        if not self._current:
            self._draw()

    def _draw(self) -> None:
        first, last = min(self.rows), max(self.rows)
        after = f"after epoch {last}" if first == last else f"after epochs {first} to {last}"
        titles, views = zip(*(self.rows[epoch] for epoch in sorted(self.rows)), strict=True)
        page = in_rows(views, titles, self.title, f"{views[-1].provenance.weights}, {after}", f"epoch {last}")
        write(self.path, rendered(page).encode(), parents=True)
        self._current = True


class Claims:
    """`claims.jsonl`, a line for each claim and epoch. Lines of later epochs, from an earlier training, go."""

    def __init__(self, folder: Path, title: str):
        self.path = folder / "claims.jsonl"
        self._lines: list[str] | None = None

    def write(self, recorded: Recorded) -> None:
        """Add a line for each claim. Raises BbiError E362 where there is none."""
        if not recorded.claims:
            raise error("E362", "the text states no claims to record", 'as in `claim "..." = output["cat"] > 5`, or '
                        "`write=\"rows\"`")  # fmt: skip
        if self._lines is None:
            self._lines = [line for line in _lines(self.path) if _epoch(line) < recorded.epoch]
        for each in recorded.claims:
            line = {"epoch": recorded.epoch, **recorded.numbers, **each.to_json()}
            self._lines.append(json.dumps(line, ensure_ascii=False))
        write(self.path, "".join(f"{line}\n" for line in self._lines).encode(), parents=True)

    def close(self) -> None: ...


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _epoch(line: str) -> float:
    try:
        return float(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


OUTPUTS: dict[str, Callable[[Path, str], Output]] = {"rows": Rows, "pages": Pages, "claims": Claims}
