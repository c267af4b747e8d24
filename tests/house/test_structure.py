"""The source tree stays readable: no import circle; small folders, files and functions; folders state their purpose.

CONTRIBUTING.md states the limits. `if TYPE_CHECKING:` imports do not count.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_tree import ROOT, SOURCES

MAX_FILES, MAX_LINES, MAX_FUNCTION_LINES = 25, 400, 60
LONG_BECAUSE = "Long because "  # in the docstring of a longer function, or in a comment above it: the reason


def name_of(path: Path) -> str:
    """Module name without the leading `bbilang.`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "bbilang" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SOURCES}


def imports(path: Path) -> set[str]:
    """Modules that a file imports at any level, lazy imports included; `if TYPE_CHECKING:` is not an import."""
    modules: set[str] = set()

    class Visitor(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:
            if "TYPE_CHECKING" in ast.unparse(node.test):
                for each in node.orelse:
                    self.visit(each)
            else:
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            modules.update(alias.name.removeprefix("bbilang.") for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            if node.module == "bbilang" or (node.module or "").startswith("bbilang."):
                module = (node.module or "").removeprefix("bbilang").removeprefix(".")
                for alias in node.names:
                    full = f"{module}.{alias.name}".removeprefix(".")
                    modules.add(full if full in MODULES else module)

    Visitor().visit(ast.parse(path.read_text(encoding="utf-8")))
    return {name for name in modules if name in MODULES and name}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    result = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(sorted(graph[root])))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    work.append((target, iter(sorted(graph[target]))))
                    break
                if target in stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = stack[stack.index(node) :]
                    del stack[stack.index(node) :]
                    if len(component) > 1:
                        result.append(sorted(component))
    return result


def test_circles_are_recognized() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}, "g": set()}
    assert sorted(circles(graph)) == [["a", "b", "c"], ["d", "e"]]


def test_no_import_circle() -> None:
    graph = {name: imports(path) - {name} for name, path in MODULES.items() if name}
    assert not circles(graph), "move what both need into a third module"


def test_folders_are_small() -> None:
    files = [path.parent for path in SOURCES]
    large = {str(folder.relative_to(ROOT)) for folder in files if files.count(folder) > MAX_FILES}
    assert not large


def test_files_are_short() -> None:
    long = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES
    }
    assert not long, f"one idea a file, and at most {MAX_LINES} lines"


def long_functions() -> Iterator[str]:
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if (node.end_lineno or 0) - node.lineno + 1 <= MAX_FUNCTION_LINES:
                continue
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            above = "\n".join(lines[max(first - 4, 0) : first - 1])
            comments = "\n".join(line for line in above.splitlines() if line.lstrip().startswith("#"))
            if LONG_BECAUSE not in comments + (ast.get_docstring(node) or ""):
                yield f"{path.relative_to(ROOT)}: {node.name}"


def test_functions_are_short() -> None:
    assert not list(long_functions()), f"split it, or say `{LONG_BECAUSE}...` in its docstring or in a comment above it"


FOLDERS = sorted({path.parent for path in SOURCES})


@pytest.mark.parametrize(
    "folder", [f for f in FOLDERS if f != ROOT / "bbilang"], ids=lambda f: str(f.relative_to(ROOT))
)
def test_a_folder_says_its_purpose_and_its_imports(folder: Path) -> None:
    """The first paragraph of `__init__.py`; import-linter enforces the imports (pyproject.toml)."""
    init = folder / "__init__.py"
    assert init.is_file()
    first = (ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]
    assert re.search(r"\b(Imports|May import)\b", first) or "May import" in init.read_text(encoding="utf-8"), first


MAX_ANY = {
    "grammar": 46,
    "compiler": 131,
    "runtime": 38,
    "bbilang": 117,
}  # it only falls: name the type


def unnamed_types(package: str) -> list[str]:
    """Parameters and results of functions whose annotation contains `Any`."""
    found = []
    for path in (path for path in SOURCES if path.relative_to(ROOT).parts[0] == package):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                taken = [argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
                any_of = [each for each in (*taken, node.returns) if each and re.search(r"\bAny\b", ast.unparse(each))]
                found += [f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] * len(any_of)
    return found


@pytest.mark.parametrize("package", MAX_ANY)
def test_signatures_name_their_types(package: str) -> None:
    found = unnamed_types(package)
    assert len(found) <= MAX_ANY[package], found
