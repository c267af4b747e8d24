"""`bbi watch` as a process, viewed in a real browser: saves, errors, the reader's state, foreign requests, Ctrl-C."""

import re
import urllib.error
import urllib.request

import psutil
import pytest
from watching import Watched, until

pytest.importorskip("watchfiles", reason="without the test extra")
TEXT = """input "sample:coffee"
set featvis(size=16, steps=2, batch=1)

photo = input | present(image)
best = block4b.channel | attribute(output) | top(3) | present(bars, title="Best channels")
place = hover(block4b.spatial, start=[3, 3])
there = block4b.neuron | activation | at(place) | top(3) | present(bars)
"""
WRONG = TEXT.replace("block4b.channel", "block4x.channel").replace("Best channels", "<img src=x onerror=alert(1)>")


@pytest.fixture
def watched(tmp_path):
    (tmp_path / "page.bbi").write_text(TEXT)
    running = Watched(tmp_path)
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.stdout.close()


@pytest.fixture
def browser(chromium):
    context = chromium.new_context(viewport={"width": 900, "height": 500})
    context.set_default_timeout(60000)
    yield context
    context.close()


def inner(page):
    """The frame that is seen, made whole."""
    page.wait_for_selector("iframe:not(.next)")
    return page.frames[-1]


SEEN = "document.querySelector('iframe:not(.next)')?.contentDocument?.body?.textContent ?? ''"
ICONS = (
    "document.querySelector('iframe:not(.next)')?.contentDocument?.querySelectorAll('#element-icons image').length ?? 0"
)
FRAME = "url => new Promise((done) => { const it = document.createElement('iframe'); it.onload = done; it.src = url; "
FETCH = "([url, mode]) => fetch(url, {mode, credentials: 'include'}).then((it) => it.type).catch(() => 'refused')"


def seen(page, words):
    """Waits until the page that is seen says so."""
    until(lambda: words in page.evaluate(SEEN))


@pytest.mark.browser
@pytest.mark.slow
def test_write_and_look(watched, browser):
    page, troubles, elsewhere = browser.new_page(), [], []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text))
    page.on("request", lambda request: elsewhere.append(request.url))
    page.goto(watched.url)
    assert "token" not in page.url, "the token is not left in the address"
    seen(page, "Best channels")
    # the reader's place
    frame = inner(page)
    frame.focus('[data-chart="photo"]')
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    until(lambda: "place" in frame.evaluate("location.hash"))
    now, hash = frame.text_content('[data-now="there"]'), frame.evaluate("location.hash")
    assert now == "row 3, column 6"
    frame.evaluate("scrollTo(0, 200)")
    watched.save(TEXT.replace("Best channels", "Other words"))
    seen(page, "Other words")
    frame = inner(page)
    assert frame.text_content('[data-now="there"]') == now and frame.evaluate("location.hash") == hash
    assert frame.evaluate("scrollY") == 200
    # an error, and its end
    watched.save(WRONG)
    page.wait_for_selector("#errors:not([hidden])")
    words = page.text_content("#errors pre")
    assert "error[E204]: `block4x` is not a layer" in words and "--> page.bbi:5:8" in words
    line, caret = re.search(r"( *5 \| .*)\n( +\^+)", words).groups()
    assert line.index("block4x") == caret.index("^")
    assert "<img src=x" in words and page.locator("#errors img").count() == 0, "the text is shown, not run"
    seen(page, "Other words")  # the last page stays
    watched.save(TEXT)
    page.wait_for_selector("#errors", state="hidden")
    seen(page, "Best channels")
    # icons, each in its place
    watched.save(TEXT + "icons = block4b.channel | attribute(output) | top(12) | present(featvis)\n")
    until(lambda: page.evaluate(ICONS) >= 12)
    until(lambda: re.search(r"\b12 icons(; reused: [^·]+)? ·", page.text_content("#words")))
    # many saves at once: the last one counts
    for number in range(8):
        watched.save(TEXT.replace("Best channels", f"Save number {number}"))
    seen(page, "Save number 7")
    # the address can be loaded anew
    page.reload()
    seen(page, "Save number 7")
    assert troubles == []
    assert {url.split("/")[2] for url in elsewhere if url.startswith("http")} == {watched.url.split("/")[2]}
    assert watched.end() == 0
    until(lambda: "bbi watch has ended" in page.text_content("#words"))
    said = watched.log.read_text()
    assert "Traceback" not in said and said.endswith("stopped; computed results are in the cache\n")
    assert said.count("error[E204]") == 1


@pytest.mark.browser
def test_strangers(watched, browser, tmp_path):
    """What another page in the same browser can get: nothing."""
    port = watched.url.split(":")[2].split("/")[0]
    tcp = [c for c in psutil.Process(watched.process.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert [(c.laddr.ip, str(c.laddr.port)) for c in tcp] == [("127.0.0.1", port)]
    page = browser.new_page()
    page.goto(watched.url)
    seen(page, "Best channels")
    (tmp_path / "stranger.html").write_text("<!doctype html><title>stranger</title>")
    stranger = browser.new_page()
    stranger.goto((tmp_path / "stranger.html").as_uri())
    for path in ("", "page/1", "events", "shell.js"):
        for mode in ("cors", "no-cors"):  # to read it, and to have it without reading
            assert stranger.evaluate(FETCH, [f"http://127.0.0.1:{port}/{path}", mode]) == "refused"
    stranger.evaluate(FRAME + "document.body.append(it) })", f"http://127.0.0.1:{port}/")
    assert "shell.js" not in stranger.frames[-1].content(), "nor framed"
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {}):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/page/1", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code == 403
    assert watched.end() == 0
