"""The example notebook, executed in its own kernel; its pages are viewed in a browser."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="without the test extra")
nbclient = pytest.importorskip("nbclient", reason="without the test extra")
pytest.importorskip("ipykernel", reason="without the test extra")
ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
        client = nbclient.NotebookClient(
            notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        )
        client.execute()
    return {cell.id: cell for cell in notebook.cells}


def test_it_is_stored_without_outputs():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def test_each_page_is_one_output(executed):
    for name in ("hover", "named", "variables"):
        [output] = executed[name].outputs
        assert output.output_type == "display_data" and "<iframe" in output.data["text/html"]
        assert output.data["text/plain"].startswith("<bbilang page")
    assert "('channel',)" in executed["data"].outputs[0].data["text/plain"]


def test_the_mistake_is_shown_with_its_span(executed):
    errors = [output for output in executed["wrong"].outputs if output.output_type == "error"]
    [error] = errors
    text = "\n".join(error.traceback)
    assert "error[E208]" in text and "--> <cell>:1:5" in text and "help: did you mean `channel`?" in text
    line, caret = text.splitlines()[2:4]
    assert line.index("chanel") == caret.index("^") and "Traceback" not in text and ".py" not in text


@pytest.mark.browser
def test_the_pages_live(executed, chromium, tmp_path):
    """In a document, as Jupyter and VS Code put them there: frames without rights, as high as their pages."""
    parts = [executed[name].outputs[0].data["text/html"] for name in ("hover", "variables")]
    (tmp_path / "outputs.html").write_text("<!doctype html><meta charset=utf-8>" + "<hr>".join(parts), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1000, "height": 800})
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto((tmp_path / "outputs.html").as_uri())
    frames = page.frames[1:]
    assert len(frames) == 2
    for frame in frames:
        frame.wait_for_selector("html[data-ready]")
    for number, frame in enumerate(frames):
        for _ in range(100):
            high = page.evaluate(f"document.querySelectorAll('iframe')[{number}].getBoundingClientRect().height")
            needed = frame.evaluate("document.body.getBoundingClientRect().height")
            if abs(high - needed) <= 1:
                break
            page.wait_for_timeout(50)
        assert abs(high - needed) <= 1 and needed > 300, "as high as the page, without a second scroll bar"
        assert frame.evaluate("origin") == "null", "the page has no rights in the notebook"
    before = frames[0].text_content('[data-now="words"]')
    frames[0].focus('[data-chart="photo"]')
    page.keyboard.press("ArrowRight")
    for _ in range(100):
        if frames[0].text_content('[data-now="words"]') != before:
            break
        page.wait_for_timeout(50)
    assert frames[0].text_content('[data-now="words"]') == "row 6, column 5"
    assert troubles == []
    page.close()
