"""The example plug-ins of CONTRIBUTING.md: built as wheels, installed, run and drawn."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "plugins"
KINDS = ("operation", "model")
LEFT_OUT = {".json", ".safetensors", ".pyc"}  # generated files


def sources(kind: str) -> list[Path]:
    files = (path for path in (EXAMPLES / kind).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path for path in files if path.suffix not in LEFT_OUT)


CONTRIBUTING = ROOT / "CONTRIBUTING.md"
FILES = [path for kind in KINDS for path in sources(kind)]


def fence(path: Path) -> re.Pattern[str]:
    """Where CONTRIBUTING.md shows a file; group 2 is the content."""
    name = re.escape(str(path.relative_to(ROOT)))
    return re.compile(rf"(^`{name}`:\n\n```\w*\n)(.*?)(^```$)", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_contributing_shows_the_file(path: Path) -> None:
    shown = fence(path).search(CONTRIBUTING.read_text(encoding="utf-8"))
    assert shown is not None, f"{path.name} is not shown"
    assert shown[2] == path.read_text(encoding="utf-8"), "run `python tests/plugins/test_examples.py`"


def show_files() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    for path in FILES:
        content = path.read_text(encoding="utf-8")
        text = fence(path).sub(lambda match, content=content: match[1] + content + match[3], text)
    CONTRIBUTING.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plug-ins installed from wheels that are built without a network."""
    import shutil

    pytest.importorskip("setuptools", minversion="77", reason="without the test extra")
    folder = tmp_path_factory.mktemp("plugins")
    copies = [folder / "source" / kind for kind in KINDS]
    for kind, copy in zip(KINDS, copies, strict=True):
        shutil.copytree(EXAMPLES / kind, copy, ignore=shutil.ignore_patterns("__pycache__"))
    wheels, installed = folder / "wheels", folder / "site"
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(wheels), *map(str, copies))
    pip("install", "--target", str(installed), *map(str, sorted(wheels.glob("*.whl"))))
    return installed


def pip(command: str, *options: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, "--quiet", "--no-index", "--no-deps", *options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def python(site: Path, code: str, folder: Path) -> str:
    """Run code where the plug-ins are installed; return what it prints."""
    path = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(site)!r}]\n"
    done = subprocess.run([sys.executable, "-c", path + code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def page(site: Path, kind: str, folder: Path) -> tuple[dict[str, Any], str]:
    """The view model and the HTML of a plug-in's example page."""
    code = f"""
import bbilang, json
from pathlib import Path
page = bbilang.run(Path({str(EXAMPLES / kind / "page.bbi")!r}).read_text())
page.save("page.html")
print(json.dumps(page.to_dict(), default=str))
"""
    return json.loads(python(site, code, folder).splitlines()[-1]), (folder / "page.html").read_text(encoding="utf-8")


def legend(view: dict[str, Any]) -> str:
    return json.dumps(view["interfaces"][0]["elements"], ensure_ascii=False)


def test_without_the_plugin_the_name_is_unknown() -> None:
    from bbilang.grammar.diagnostic import BbiError
    from bbilang.runtime.models.registry import entry_of

    with pytest.raises(BbiError) as raised:
        entry_of("edges")
    assert raised.value.diagnostics[0].code == "E401"


def test_operation(site: Path, tmp_path: Path) -> None:
    """Its name and its parameter are known, its words are in the legend, and the menu chooses among its states."""
    view, html = page(site, "operation", tmp_path)
    assert "signed logarithm" in legend(view)
    assert "signed_log(scale=0.1)" in html
    help = python(
        site, "from bbilang.registry import registry; print(registry().find('operations', 'signed_log'))", tmp_path
    )
    assert "SignedLog" in help


def test_model(site: Path, tmp_path: Path) -> None:
    """It runs by its name with its own weights, and is described without torch."""
    view, html = page(site, "model", tmp_path)
    assert "Oriented edges" in html and "bbilang-edges 1.0" in html
    assert "vertical" in legend(view)
    described = python(
        site,
        "from bbilang.runtime.models.descriptions import describe\n"
        "print([layer.name for layer in describe('edges').layers], 'torch' in sys.modules)",
        tmp_path,
    )
    assert described.strip() == "['filters', 'relu'] False"
    assert "edges" in python(site, "from bbilang.cli.app import main; main(['models'])", tmp_path)


def test_the_description_of_the_model_is_current(site: Path, tmp_path: Path) -> None:
    code = """
from bbilang.runtime.models.registry import entry_of
from bbilang.runtime.models.ship_descriptions import text
print(text(entry_of("edges")), end="")
"""
    shipped = (EXAMPLES / "model" / "bbilang_edges" / "edges.json").read_text(encoding="utf-8")
    assert python(site, code, tmp_path) == shipped, "python -m bbilang.runtime.models.ship_descriptions edges"


if __name__ == "__main__":
    show_files()
