"""Pictures that the datasets of a page share, or the splits of one: a test set that holds pictures of the training set
misleads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import Node, Program, source_dataset
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.execution.results import Results
from bbilang.runtime.execution.shared import Files

if TYPE_CHECKING:
    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.data.duplicates import Overlap

SHOWN = 2  # pairs that are named


def with_overlaps(results: Results, files: Files) -> Results:
    """Return results that say which pictures the datasets of the page share."""
    said = tuple(overlaps(results.program, files))
    return replace(results, noticed=(*results.noticed, *said)) if said else results


def overlaps(program: Program, files: Files) -> Iterator[str]:
    """Describe what the datasets that a program scans share, two by two, and what the splits of each do.

    Compared is what is known of their examples after the scan: nothing is read or decoded for it, and it takes time in
    proportion to the number of examples.
    """
    sources: dict[str, Node] = {}
    for scan in program.scans:
        source = source_dataset(scan.dataset)
        sources.setdefault(source.digest, source)
    split = any("split" in dict(source.type.columns) for source in sources.values())
    if len(sources) < 2 and not split:
        return
    from bbilang.runtime.data.duplicates import overlap, split_overlaps

    opened = {digest: known for digest, node in sources.items() if (known := _opened(node, program, files))}
    for dataset in opened.values():
        for (later, earlier), found in split_overlaps(dataset, read=False).items():
            yield _words(f"the splits `{earlier}` and `{later}` of {dataset.name}", found, dataset, dataset)
    for first, second in combinations(opened.values(), 2):
        found = overlap(second, first, read=False)
        if len(found.exact) or len(found.near):
            yield _words(f"the datasets {first.name} and {second.name}", found, second, first)


def _opened(node: Node, program: Program, files: Files) -> Dataset | None:
    try:
        return files.dataset(node, program.folder)
    except BbiError:  # it has gone since its numbers were computed
        return None


def _words(who: str, found: Overlap, first: Dataset, second: Dataset) -> str:
    """Say how many pictures two datasets share, and name some. ``found``: pairs (example of the first, of the
    second)."""
    counts = {"equal": len(found.exact), "nearly equal": len(found.near)}
    count = sum(counts.values())
    kinds = [f"{number:,} {kind}" if number < count else kind for kind, number in counts.items() if number]
    pairs = np.concatenate([found.exact, found.near])[:SHOWN].tolist()
    named = "; ".join(f"{first.files[one]} and {second.files[other]}" for one, other in pairs)
    pictures = "1 picture" if count == 1 else f"{count:,} pictures"
    more = f" and {count - SHOWN:,} more" if count > SHOWN else ""
    return f"{who} share {pictures} ({', '.join(kinds)}): {named}{more}"
