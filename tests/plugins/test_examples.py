"""The example plug-ins of CONTRIBUTING.md: built as wheels, installed, run and drawn."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bbilang.runtime.vega.colours import series_colour

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "plugins"
KINDS = ("operation", "style", "method", "model")
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
    """Its values are those of the formula, its words are in the legend, and a menu chooses among its states."""
    view, html = page(site, "operation", tmp_path)
    assert "signed logarithm" in legend(view)
    assert "signed_log(scale=0.1)" in html
    code = """
import bbilang, numpy
text = 'block5c.expand.channel | attribute(output) | top(8)'
a, b = (bbilang.run(text + end + ' | present(bars)', input="sample:chelsea").data("element-1").values
        for end in ("", " | signed_log(scale=0.1)"))
print(numpy.abs(numpy.sign(a) * numpy.log(1 + numpy.abs(a) / 0.1) - b).max() < 1e-5)
"""
    assert python(site, code, tmp_path).strip() == "True"


def test_method(site: Path, tmp_path: Path) -> None:
    """Its values are those of plain autograd, and its note is in the legend."""
    view, html = page(site, "method", tmp_path)
    assert "magnitudes: contributions for and against the class are not distinguished" in legend(view)
    assert "magnitude of the change" in legend(view) and "taylor_magnitude" in html
    code = """
import bbilang, numpy, torch
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3))
image = torch.rand(3, 8, 8)
page = bbilang.run('"1".channel | attribute(output[2], method=taylor_magnitude) | present(bars)',
                   model=network, input=image)
activation = network[:2](page_input := image[None]).detach().requires_grad_()
network[2:](activation)[0, 2].backward()
expected = (activation * activation.grad).abs().sum((2, 3))[0].detach().numpy()
print(numpy.allclose(page.data("element-1").values, expected, rtol=1e-5))
"""
    assert python(site, code, tmp_path).strip() == "True"


def test_style(site: Path, tmp_path: Path) -> None:
    """Its note is in the legend, and the names of atoms are in its chart."""
    view, _ = page(site, "style", tmp_path)
    assert "the line is zero" in legend(view)
    assert '"style": "dots"' in legend(view)
    assert "altair" not in python(
        site, "import bbilang_dots; print(*(m for m in sys.modules if m == 'altair'))", tmp_path
    )


@contextmanager
def opened(chromium: Any, file: Path) -> Iterator[Any]:
    """A page in the browser. Fails if it reports an error."""
    reports: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    try:
        tab = context.new_page()
        tab.on("console", lambda message: reports.append(message.text))
        tab.on("pageerror", lambda error: reports.append(str(error)))
        tab.goto(file.as_uri())
        tab.wait_for_selector("html[data-ready]")
        yield tab
    finally:
        context.close()
    assert reports == []


@pytest.mark.browser
def test_style_in_a_browser(site: Path, tmp_path: Path, chromium: Any) -> None:
    """The menu changes the dots; pointing at an atom changes the map of the other element; nothing is reported."""
    page(site, "style", tmp_path)
    with opened(chromium, tmp_path / "page.html") as tab:
        dots, now = tab.locator("[data-chart=dots]"), tab.locator("[data-now=where]")
        assert "tiger cat" in dots.inner_text() and dots.inner_text().count("channel ") == 6
        fills = dots.locator("path[fill]").evaluate_all("marks => marks.map((mark) => mark.getAttribute('fill'))")
        assert {series_colour(0), series_colour(1)} <= set(fills), "a colour for each class, those of every style"
        tab.locator("select").first.select_option(index=1)
        tab.wait_for_function("document.querySelector('[data-chart=dots]').innerText.includes('Egyptian cat')")
        tab.locator("[data-chart=dots] [class*=front_hit_] path").nth(4).hover()
        fifth = [line for line in dots.inner_text().splitlines() if line.startswith("channel ")][4]
        assert now.inner_text() == fifth


@pytest.mark.browser
@pytest.mark.parametrize(
    ("kind", "note"),
    [("operation", "signed logarithm"), ("method", "contributions for and against"), ("model", "")],
)
def test_others_in_a_browser(site: Path, tmp_path: Path, chromium: Any, kind: str, note: str) -> None:
    """Every element is drawn, with its legend; the menu changes the numbers; nothing is reported."""
    view, _ = page(site, kind, tmp_path)
    with opened(chromium, tmp_path / "page.html") as tab:
        for element in view["interfaces"][0]["elements"]:
            if element["style"] == "bars":
                bars = tab.locator(f"[data-chart={element['id']}]")
                assert bars.locator("path").count() >= len(element["panels"][0]["frames"][0]["values"]) > 0
                assert note in tab.locator(f"#element-{element['id']}").text_content()
        before = bars.inner_text()
        if kind != "model":  # its page has no menu
            tab.locator("select").first.select_option(index=1)
            tab.wait_for_function("([id, old]) => document.querySelector(`[data-chart=${id}]`).innerText !== old",
                                  arg=[bars.get_attribute("data-chart"), before])  # fmt: skip


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
