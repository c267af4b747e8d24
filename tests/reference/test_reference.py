"""The reference agrees with the registry, documents everything in it, and every example checks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bbilang.compiler.check.present import PARAMETERS as PRESENT
from bbilang.compiler.check.selections import SELECTIONS
from bbilang.compiler.check.settings import SETTINGS
from bbilang.compiler.contract import Parameter
from bbilang.reference import pages as reference
from bbilang.reference.error_pages import checked
from bbilang.registry import BUILT_IN, registry

DOCS = Path(__file__).parents[2] / "docs"
PAGES = reference.pages()
LINK = re.compile(r"\]\(([^)\s]+\.md)(?:#([\w-]+))?\)|\]\(#([\w-]+)\)")


def things(group: str) -> list[Any]:
    """Return what is built in, without what has its own syntax."""
    return [
        thing
        for thing in getattr(registry(), group).values()
        if not getattr(thing, "head", False) and type(thing).__module__.startswith(BUILT_IN[group])
    ]


EVERYTHING = [(group, thing) for group in ("operations", "styles", "methods") for thing in things(group)]
OWNERS: list[tuple[str, tuple[Parameter, ...]]] = [
    *((f"{group}: {thing.name}", thing.parameters) for group, thing in EVERYTHING),
    *((f"set {name}", own) for name, own in SETTINGS.items()),
    *((name, own) for name, (_, _, own) in reference.SELECTIONS.items()),
    ("present", PRESENT),
]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    path = DOCS / name
    assert path.is_file() and path.read_text(encoding="utf-8") == PAGES[name], "run `make reference`"


def test_there_are_no_other_pages() -> None:
    assert {f"reference/{path.name}" for path in (DOCS / "reference").iterdir()} | {"mistakes.md"} == set(PAGES)


def test_the_reference_is_the_same_every_time() -> None:
    assert reference.pages() == PAGES


def test_writing_changes_only_what_differs(tmp_path: Path) -> None:
    assert len(reference.write(tmp_path)) == len(PAGES)
    (tmp_path / "mistakes.md").write_text("old")
    assert reference.write(tmp_path) == [tmp_path / "mistakes.md"]


@pytest.mark.parametrize("group, thing", EVERYTHING, ids=lambda value: getattr(value, "name", ""))
def test_it_is_documented(group: str, thing: Any) -> None:
    own = vars(type(thing)).get("__doc__") or ""
    assert len(own.split()) >= 3, f"{thing.name} has no docstring"
    assert thing.source if group == "methods" else thing.example, (
        f"{thing.name} has no {'source' if group == 'methods' else 'example'}"
    )
    if group == "styles":
        assert thing.spends, f"{thing.name} does not say what it spends"


@pytest.mark.parametrize("owner, parameters", OWNERS, ids=lambda value: value if isinstance(value, str) else "")
def test_its_parameters_are_documented(owner: str, parameters: tuple[Parameter, ...]) -> None:
    for parameter in parameters:
        assert len(parameter.doc.split()) >= 2, f"{owner}: {parameter.name} has no doc"
        assert parameter.kind in reference.KINDS, f"{owner}: the kind {parameter.kind} has no words"
        bounds = (parameter.minimum, parameter.maximum)
        if parameter.kind == "integer" and parameter.name != "value":
            assert None not in bounds, f"{owner}: {parameter.name} has no range"


def example_of(group: str, thing: Any) -> str:
    return reference.method_example(thing) if group == "methods" else thing.example


@pytest.mark.parametrize("group, thing", EVERYTHING, ids=lambda value: getattr(value, "name", ""))
def test_its_example_checks(group: str, thing: Any) -> None:
    text = example_of(group, thing)
    if getattr(thing, "example_needs", ""):
        pytest.skip(f"its example needs {thing.example_needs}: its own tests run it")
    assert re.search(rf"\b{thing.name}\b", text)
    checker, diagnostics, _ = checked(text)
    assert not diagnostics
    nodes = checker.resolver.origins
    if group == "operations":
        assert any(node.op == thing.name for node in nodes)
    if group == "styles":
        assert any(node.op == "present" and node["style"] == thing.name for node in nodes)


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_is_documented(name: str) -> None:
    words, example, _ = reference.SELECTIONS[name]
    _, diagnostics, _ = checked(example)
    assert words and f"{name}(" in example
    assert not diagnostics


@pytest.mark.parametrize("name", SETTINGS)
def test_the_example_of_a_setting_checks(name: str) -> None:
    text = f"{reference.setting_example(name)}\ninput | present(image)"
    files = {"names.txt": "\n".join(f"class {number}" for number in range(1000))}
    assert checked(text, files)[1] == ()


@pytest.mark.parametrize("name", [*PAGES, "language.md"])
def test_links_lead_somewhere(name: str) -> None:
    path = DOCS / name
    for page, anchor, here in LINK.findall(path.read_text(encoding="utf-8")):
        target = (path.parent / page) if page else path
        assert target.is_file(), f"{name} links to {page}"
        if anchor or here:
            assert f'<a id="{anchor or here}"></a>' in target.read_text(encoding="utf-8"), (
                f"{name} links to #{anchor or here}"
            )
