"""A real editor component in Chromium, connected to the real server over a local websocket.

`BBI_SCREENSHOTS=docs/images python -m pytest tests/lsp/test_editor.py` takes the pictures of docs/editors.md anew.
"""

import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlencode

import pytest

PAGE = Path(__file__).parent / "page"
HEAD = 'model efficientnet_lite0\ninput "sample:chelsea"\n\n'
EVIDENCE = "evidence = block5c.expand.channel | attribute([output[281], output[282]])\n"
pytestmark = pytest.mark.browser
pytest.importorskip("websockets", reason="without the test extra")


@pytest.fixture(scope="module")
def site():
    """The folder of the page, served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=PAGE))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()


@pytest.fixture(scope="module")
def server(site):
    """Start `bbi lsp` on its own port; only this page may connect."""
    command = [sys.executable, "-m", "bbilang.cli", "lsp", "--websocket", "0", "--origin", site]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip().rpartition(":")[2]
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture
def opened(chromium, site, server):
    """Opens a text in the editor; the server has looked at it when this returns."""
    contexts = []

    def open_text(text, height=420):
        context = chromium.new_context(viewport={"width": 940, "height": height}, device_scale_factor=2)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{site}/editor.html?{urlencode({'port': server, 'text': text})}")
        page.wait_for_selector(".cm-editor[data-checked]")
        return page

    yield open_text
    for context in contexts:
        context.close()


def put_cursor(page, words, typed=""):
    """Behind the words; then as if typed."""
    script = "words => { const at = view.state.doc.toString().lastIndexOf(words) + words.length;"
    page.evaluate(script + "view.focus(); view.dispatch({selection: {anchor: at}}); }", words)
    if typed:
        page.keyboard.type(typed, delay=25)


def text_of(page):
    return page.evaluate("view.state.doc.toString()")


def picture(page, name):
    if folder := os.environ.get("BBI_SCREENSHOTS"):
        page.wait_for_timeout(400)
        page.screenshot(path=str(Path(folder) / f"editor-{name}.png"))


def test_completion(opened):
    """After a `|`: the operations that fit the field; the choice is written with its brackets."""
    page = opened(HEAD + EVIDENCE + "evidence", height=470)
    put_cursor(page, "\nevidence", " | bo")
    page.wait_for_selector(".cm-tooltip-autocomplete li >> text=both")
    labels = page.locator(".cm-tooltip-autocomplete .cm-completionLabel").all_inner_texts()
    assert "both" in labels and "block5c" not in labels
    while page.locator("li[aria-selected=true] .cm-completionLabel").inner_text() != "both":
        page.keyboard.press("ArrowDown")
    page.wait_for_selector(".cm-completionInfo >> text=The k strongest and the k weakest atoms")
    picture(page, "completion")
    page.keyboard.press("Enter")
    page.keyboard.type("3")
    assert text_of(page).endswith("evidence | both(3)")


def test_completion_of_layers_and_classes(opened):
    page = opened(HEAD + "x = ")
    put_cursor(page, "x = ", "block5c.")
    page.wait_for_selector(".cm-tooltip-autocomplete li >> text=block5c.spatial")
    assert (
        page.locator("li", has_text="block5c.expand")
        .first.inner_text()
        .endswith("channel: 672, y: 14, x: 14 · inner · never negative")
    )
    page = opened(HEAD + "x = block5c.expand.channel | attribute(output[])")
    put_cursor(page, "output[", '"tab')
    page.wait_for_selector(".cm-tooltip-autocomplete li >> text=tabby")
    picture(page, "classes")
    page.wait_for_timeout(300)  # CodeMirror takes no key for a list that has just come
    page.keyboard.press("Enter")
    page.wait_for_function("view.state.doc.toString().includes('attribute(output[\"tabby\"])')")


def test_hover(opened):
    page = opened(HEAD + EVIDENCE + "evidence | both(3, by=difference) | present(featvis)\n", height=640)
    word = page.get_by_text("attribute", exact=True)
    word.hover()
    tip = page.wait_for_selector(".bbi-words")
    assert "channel: 672 · attribution to 2 classes" in tip.inner_text()
    picture(page, "hover")


def test_quick_fix(opened):
    """An error is underlined, says what `bbi check` says, and is mended by a click."""
    page = opened(HEAD + EVIDENCE + "evidence | topp(3) | present(bars, facet=class)\n", height=300)
    wrong = page.wait_for_selector(".cm-lintRange-error")
    assert wrong.inner_text() == "topp"
    wrong.hover()
    page.wait_for_selector(".cm-tooltip-lint .cm-diagnosticAction")
    words = page.locator(".cm-tooltip-lint").inner_text()
    assert "`topp` is not an operation" in words and "did you mean `top`?" in words and "E210" in words
    picture(page, "quick-fix")
    page.locator(".cm-tooltip-lint .cm-diagnosticAction").click()
    page.wait_for_selector(".cm-lintRange-error", state="detached")
    assert "evidence | top(3) | present" in text_of(page)


def test_format(opened):
    page = opened(HEAD + 'input|present(image,title="x")\n')
    put_cursor(page, "input|")
    page.keyboard.press("Shift+Alt+F")
    page.wait_for_function("view.state.doc.toString().includes('input | present(image, title=')")


def test_other_pages_are_refused(server):
    """A page of another origin, which a browser lets ask any port of the machine, is turned away."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with pytest.raises(InvalidStatus):
        with connect(f"ws://127.0.0.1:{server}", origin="https://example.org"):
            pass
    with connect(f"ws://127.0.0.1:{server}") as allowed:  # a program, which sends no origin
        assert allowed.protocol.state.name == "OPEN"
