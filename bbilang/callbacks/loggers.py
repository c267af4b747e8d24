"""Pages and claims in the logs that a training writes anyway: TensorBoard and Weights & Biases."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from bbilang.runtime.inputs import arguments as givens

if TYPE_CHECKING:
    from bbilang.callbacks.outputs import Recorded

NAME = "bbilang"
MARKS = "\\`*_{}[]#|"  # of Markdown


class Logger(Protocol):
    """Takes what was recorded of each epoch."""

    def log(self, recorded: Recorded) -> None: ...


class Writer(Protocol):
    """What a recorder needs of TensorBoard's `SummaryWriter`."""

    def add_text(self, tag: str, text_string: str, global_step: int) -> None: ...
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...


class Logs(Protocol):
    """What a recorder needs of a run of Weights & Biases."""

    def log(self, data: dict[str, object], *, commit: bool) -> None: ...


class TensorBoard:
    """TensorBoard shows no page, since it removes every script: it gets the sentences of the page as text, and the
    number of each claim as a curve."""

    def __init__(self, writer: Writer):
        self.writer = writer

    def log(self, recorded: Recorded) -> None:
        """Add the sentences of a record, and a point to the curve of each claim."""
        if recorded.has_page:
            self.writer.add_text(NAME, _markdown(recorded), recorded.epoch)
        for claim in recorded.claims:
            for number, condition in enumerate(claim.conditions):
                name = f"{NAME}/{claim.sentence}" + f" ({number + 1})" * (len(claim.conditions) > 1)
                self.writer.add_scalar(name, condition.value, recorded.epoch)


class WeightsAndBiases:
    """Weights & Biases shows the page itself. What is logged belongs to the step that the training is at."""

    def __init__(self, run: Logs):
        self.run = run

    def log(self, recorded: Recorded) -> None:
        """Log the page of a record as HTML, and the numbers and verdicts of its claims."""
        import wandb

        values: dict[str, object] = {f"{NAME}/epoch": recorded.epoch}
        if recorded.has_page:
            values[f"{NAME}/page"] = wandb.Html(recorded.html, inject=False)
        for claim in recorded.claims:
            values[f"{NAME}/{claim.sentence}"] = claim.conditions[0].value
            values[f"{NAME}/{claim.sentence}: holds"] = int(claim.holds)
        self.run.log(values, commit=False)


def logger_of(given: object) -> Logger:
    """Return the logger of a TensorBoard writer or of a run of Weights & Biases. Raises BbiError E423."""
    if hasattr(given, "add_text") and hasattr(given, "add_scalar"):
        return TensorBoard(cast("Writer", given))
    if type(given).__module__.split(".")[0] == "wandb" and hasattr(given, "log"):
        return WeightsAndBiases(cast("Logs", given))
    return givens.wrong("log", given, "a TensorBoard `SummaryWriter` or a run of Weights & Biases")


def running(known: Iterable[Logger]) -> Sequence[Logger]:
    """Return the run of Weights & Biases that is active, if it is not among the known."""
    run = getattr(sys.modules.get("wandb"), "run", None)
    if run is None or any(isinstance(one, WeightsAndBiases) for one in known):
        return ()
    return (WeightsAndBiases(run),)


def _markdown(recorded: Recorded) -> str:
    """Return the sentences of a page, and its claims as a table."""
    lines = [recorded.words, *recorded.page.answers.values()]
    text = "\n\n".join(_plain(line) for line in lines)
    if recorded.claims:
        rows = [f"| {c.verdict} | {_plain(c.sentence)} | {' and '.join(one.words for one in c.conditions)} |"
                for c in recorded.claims]  # fmt: skip
        text += "\n\n" + "\n".join(["| verdict | claim | value |", "|---|---|---|", *rows])
    return text


def _plain(words: str) -> str:
    """Escape what Markdown and HTML would read as marks."""
    escaped = "".join(f"\\{character}" if character in MARKS else character for character in words)
    return escaped.replace("<", "&lt;").replace(">", "&gt;")
