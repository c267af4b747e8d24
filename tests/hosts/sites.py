"""What the tests of hosts share: texts, a reader in a browser, and a server for a folder."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FINE = """input "sample:chelsea"

interface "Why a cat?" {
    cats = head.channel | attribute(output[pick(output[top(3)])]) | top(5) | present(bars)
}
"""
WRONG = """input "sample:chelsea"
head.chanel | attribute(output) | top(5) | present(bars)
"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextmanager
def reading(chromium, address: str, **options) -> Iterator:
    """Open an address; fails if the page complains or asks another host for anything."""
    tab = chromium.new_page(**{"viewport": {"width": 1200, "height": 900}, **options})
    tab.set_default_timeout(240_000)  # on a busy machine
    base = "file:" if address.startswith("file:") else address.split("/", 3)[2]
    complaints: list[str] = []
    tab.on(
        "request",
        lambda request: (
            None
            if base in request.url or request.url.startswith(("data:", "blob:", "about:"))
            else complaints.append(request.url)
        ),
    )

    def said(message) -> None:
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            complaints.append(message.text)

    tab.on("console", said)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        tab.goto(address)
        yield tab
    finally:
        tab.close()
    assert not complaints, complaints


def works(tab, title: str, frame: str = "iframe.bbi-page >> nth=0") -> None:
    """Check that a reader sees the page in its frame, as high as it is, and that a choice changes it."""
    tab.locator(frame).scroll_into_view_if_needed()
    inside = tab.frame_locator(frame)
    inside.locator("h1", has_text=title).wait_for()
    chart = inside.locator(".chart svg").first
    chart.wait_for()
    before = chart.inner_html()
    inside.locator("select").first.select_option(index=1)
    tab.wait_for_timeout(300)  # for the height to be reported
    body = inside.locator("body").evaluate("node => node.getBoundingClientRect().height")
    assert abs(tab.locator(frame).bounding_box()["height"] - body) < 3
    for _ in range(200):
        if chart.inner_html() != before:
            break
        tab.wait_for_timeout(50)
    assert chart.inner_html() != before, "choosing another class changed nothing"
