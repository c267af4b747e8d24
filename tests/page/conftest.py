"""Pages in one headless Chromium that report whatever a page must not do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bbilang.registry import registry
from bbilang.runtime.page.html import render
from bbilang.runtime.view.model import View


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[], View]], Path]:
    """Renders a view once per session."""
    folder, made = tmp_path_factory.mktemp("pages"), {}

    def write(view: Callable[[], View]) -> Path:
        if view not in made:
            made[view] = folder / f"{view.__name__}.html"
            made[view].write_bytes(render(view(), registry().styles).encode())
        return made[view]

    return write


@pytest.fixture
def show(chromium, written) -> Iterator[Callable[..., object]]:
    """Opens a view; at the end, any request, error or refused script of it fails the test."""
    contexts, troubles = [], []
    ours = "GPU stall due to ReadPixels"  # Chromium's word on a test that takes a picture of a WebGL canvas

    def open_page(view: Callable[[], View], hash: str = "", width: int = 1280, script: str = "", **options: object):
        context = chromium.new_context(viewport={"width": width, "height": 1000}, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        if script:  # runs before the page's own
            page.add_init_script(script)
        address = written(view).as_uri()
        page.on("console", lambda message: ours in message.text or troubles.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: request.url.startswith(("data:", "blob:", address)) or troubles.append(request.url[:200]),
        )
        page.goto(address + hash)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []
