"""`bbi test`: the claims of texts as tests, in a table, as JSON and as JUnit XML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree

from bbilang.claims import ClaimRun, Tested, has_claims, tested
from bbilang.cli.console import plural, result, result_json, result_table
from bbilang.cli.errors import FINE, WRONG, misuse
from bbilang.cli.files import named, writable, write
from bbilang.cli.progress_bar import ProgressBar
from bbilang.given_models import alternatives
from bbilang.grammar.diagnostic import BbiError
from bbilang.pipeline import Request
from bbilang.texts import read


def test(files: Sequence[str], models: Sequence[str], request: Request, json: bool, junit: str | None) -> int:
    """Test the claims of all texts, for all models. The exit code is 1 where one does not hold."""
    if not files:
        misuse("no text to test", "give files or folders: `bbi test claims/`")
    path = writable(junit) if junit is not None else None
    runs = _runs(files, models, request)
    with ProgressBar(quiet=json):
        results = tested(runs)
    if path is not None:
        write(path, junit_xml(results))
    if json:
        result_json([each.to_json() for each in results])
    else:
        _show(results)
    return FINE if all(each.holds for each in results) else WRONG


def _runs(files: Sequence[str], models: Sequence[str], request: Request) -> list[ClaimRun]:
    """Return a run for each text with claims and each model; all texts are checked before any runs."""
    runs = []
    for name in named(files):
        source = read(name)
        if has_claims(source):
            runs += [ClaimRun(replace(request, text=source), model) for model in alternatives(models)]
    if not runs:
        raise _nothing(files)
    for run in runs:
        _ = run.program
    return runs


def _nothing(files: Sequence[str]) -> BbiError:
    from bbilang.runtime.errors import error

    help = 'a claim is a line such as `claim "It is a tabby" = output["tabby"] > 5`'
    return error("E441", f"{', '.join(files)} state{'s' * (len(files) == 1)} no claims", help)


def _show(results: Sequence[Tested]) -> None:
    from bbilang.cli.tables import table

    several = len({each.model for each in results}) > 1
    columns = [
        ("", "left"),
        ("claim", "left"),
        *([("model", "left")] if several else []),
        ("value", "right"),
        ("p", "right"),
    ]
    made = table(*columns)
    for each in results:
        p = f"{each.p:.2g}" if math.isfinite(each.p) else ""
        words = "\n".join(c.words for c in each.conditions)
        made.add_row(each.verdict, each.sentence, *([each.model] if several else []), words, p)
    result_table(made)
    failed = sum(not each.holds for each in results)
    result(f"{plural(len(results), 'claim')}: {len(results) - failed} hold, {failed} do not" if failed
           else f"{plural(len(results), 'claim')}: all hold")  # fmt: skip


def junit_xml(results: Sequence[Tested]) -> bytes:
    """Return the results as JUnit XML: a suite for each file, a case for each claim and model."""
    root = ElementTree.Element("testsuites", tests=str(len(results)), failures=str(sum(not r.holds for r in results)))
    for file in dict.fromkeys(each.file for each in results):
        own = [each for each in results if each.file == file]
        suite = ElementTree.SubElement(
            root, "testsuite", name=file, tests=str(len(own)), failures=str(sum(not r.holds for r in own)), errors="0"
        )
        for each in own:
            named = {"classname": f"{file}.{each.model}", "name": _legal(each.sentence)}
            case = ElementTree.SubElement(suite, "testcase", named, file=file, line=str(each.line))
            said = "\n".join(f"{c.text}\n  value {c.words}" for c in each.conditions)
            if not each.holds:
                failure = ElementTree.SubElement(case, "failure", message=each.verdict)
                failure.text = _legal(said)
            else:
                ElementTree.SubElement(case, "system-out").text = _legal(said)
    return ElementTree.tostring(root, "utf-8", xml_declaration=True)


def _legal(words: str) -> str:
    """Drop what no XML may contain."""
    return "".join(c for c in words if c.isprintable() or c in "\n\t")
