"""Packages respect their layers, are imported under one name, and stay light until something runs."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("grammar", "compiler", "runtime")
HEAVY = ("torch", "altair", "sklearn", "vl_convert", "PIL")


def python(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, **options)


@pytest.mark.parametrize("name", PACKAGES)
def test_bare_names_are_refused(name):
    """A second identity of every class would follow."""
    done = python(f"import {name}")
    assert done.returncode and f"import this package as bbilang.{name}, never as {name}" in done.stderr


def test_one_identity():
    """Through the links in bbilang or around them: each module is there once."""
    code = "import sys, bbilang.grammar.ast, bbilang.compiler.ir.program, bbilang.runtime.models.registry;"
    code += "print([m for m in sys.modules if m.partition('.')[0] in ('grammar', 'compiler', 'runtime')]);"
    code += "print(bbilang.grammar.ast is sys.modules['bbilang.grammar.ast'])"
    assert python(code).stdout.split() == ["[]", "True"]


@pytest.mark.parametrize(
    "code",
    [
        "import bbilang.grammar.parse",
        "import bbilang.compiler.check.check",
        "from bbilang.registry import registry; registry()",
        "from bbilang.runtime.models.descriptions import describe; describe('inceptionv1')",
    ],
)
def test_heavy_packages_wait(code):
    loaded = f"import sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = python(f"{code}\n{loaded}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_layers_between_packages():
    """The contracts of import-linter in pyproject.toml: runtime over compiler over grammar, and what those two load."""
    pytest.importorskip("importlinter", reason="without the test extra")
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = python(code)
    assert done.returncode == 0, done.stdout


def imported(path):
    """Names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "bbilang":
            yield from (f"bbilang.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("name", PACKAGES)
def test_nothing_reaches_up_to_the_front_door(name):
    """`bbilang/*.py` imports all three packages; none of them imports it."""
    up = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in (ROOT / name).rglob("*.py")
        for module in imported(path)
        if module.partition(".")[0] == "bbilang" and module.partition(".")[2].partition(".")[0] not in PACKAGES
    }
    assert not up


def test_the_linter_is_content():
    pytest.importorskip("ruff", reason="without the test extra")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise", "."],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize(
    ("code", "given", "already_set"),
    [
        ("import bbilang.runtime", None, "PASSIVE"),
        ("import bbilang; bbilang.run", None, "PASSIVE"),
        ("import bbilang.runtime", "ACTIVE", "ACTIVE"),
        ("import sys, types; sys.modules['torch'] = types.ModuleType('torch'); import bbilang.runtime", None, "None"),
        ("import bbilang, bbilang.grammar.parse", None, "None"),
    ],
)
def test_threads_sleep_while_they_wait_where_torch_comes_after_us(code, given, already_set):
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = python(f"{code}; import os; print(os.environ.get('OMP_WAIT_POLICY'))",
                  env=own | ({"OMP_WAIT_POLICY": given} if given else {}))  # fmt: skip
    assert done.stdout.split() == [already_set], done.stderr
