"""`split=fold`: a column whose two values say which examples are searched, and which the numbers are of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bbilang.compiler.check.datasets import MEASURED, SCORED
from bbilang.compiler.contract import Fail, Parameter, Run, did_you_mean
from bbilang.compiler.ir.program import Node
from bbilang.runtime.errors import error
from bbilang.runtime.statistics.grouping import number_groups

FIRST = ("train", "training")  # values that are searched, whatever the other one is
SECOND = ("test", "testing", "val", "valid", "validation", "dev", "holdout")  # values that are measured


def split_parameter(doc: str, of: str = "") -> Parameter:
    """Return the parameter `split`. ``of``: the argument whose examples the column is of; the pipe's own if empty."""
    return Parameter("split", "column", doc, None, of=of)


def check_split(name: str | None, datasets: tuple[Node, ...]) -> None:
    """Raise Fail for a column that cannot say which half an example belongs to."""
    if name is None:
        return
    if name in (*SCORED, *MEASURED):
        help = "name a column of the table, or `split` where the outermost folders are `train` and `test`"
        raise Fail("E215", f"`{name}` says of no example which half it belongs to", help, "split")
    for dataset in datasets:
        columns = [column for column, _ in dataset.type.columns]
        if name not in columns:
            called = dataset.get("called") or "this dataset"
            near = did_you_mean(name, columns, f"its columns are {', '.join(columns)}")
            raise Fail("E215", f"{called} has no column `{name}`", near, "split")


@dataclass(frozen=True)
class Split:
    """The halves that a column makes. first, second: its value there, for sentences."""

    column: str
    first: str
    second: str

    def sides(self, values: np.ndarray) -> np.ndarray:
        """Return the half of each value (example,): 0 or 1, and -1 where there is none or another."""
        numbers, groups = number_groups(values)
        of_group = [{self.first: 0, self.second: 1}.get(_word(group), -1) for group in groups]
        return np.array([*of_group, -1])[numbers]

    def notes(self, first: str, second: str, lost: int) -> tuple[str, ...]:
        """Say what is done where, as "found" and "measured", and how many examples are in neither half."""
        words = f'{first} where {self.column} is "{self.first}", {second} where it is "{self.second}"'
        some = f"{lost:,} examples are" if lost != 1 else "1 example is"
        return (words, f"{some} left out: without a {self.column}") if lost else (words,)


def split_of(name: str, datasets: tuple[Node, ...], run: Run) -> Split:
    """Return the halves of the examples of some datasets. `train` is searched, `test` and the like are measured; of
    other values the first in their order is searched. Raises BbiError E467 unless there are two values."""
    columns = [run.value(dataset).columns[name].data for dataset in datasets]
    values = list(dict.fromkeys(value for column in columns for value in number_groups(column)[1]))
    words = list(dict.fromkeys(map(_word, sorted(values, key=lambda value: (isinstance(value, str), value)))))
    if len(words) != 2:
        listing = ", ".join(words[:8]) + (", ..." if len(words) > 8 else "")
        held = f"holds {len(words)} value{'' if len(words) == 1 else 's'} ({listing})" if words else "holds nothing"
        raise error("E467", f"the column `{name}` {held}, and a split has two", "keep the examples of two of them")
    if words[1].lower() in FIRST or (words[0].lower() in SECOND and words[1].lower() not in SECOND):
        words.reverse()
    return Split(name, *words)


def _word(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else value
