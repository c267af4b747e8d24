"""A component of Gradio that shows the page of a text and a picture, safe for texts of strangers.

with gr.Blocks() as app:
    text, picture = gr.Textbox(lines=5), gr.Image(type="pil")
    page = BbiPage()
    gr.Button("Show").click(page.make, [text, picture], page)
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from bbilang.compiler.plan.limits import Limits
from bbilang.hosts.frames import block_html
from bbilang.hosts.options import BlockOptions, HostSettings
from bbilang.hosts.pages import Block, make
from bbilang.runtime.page.iframe import SCRIPT


class BbiPage:
    """Makes the page of a text, in a frame of its own height, or a box that says what is wrong with the text.

    limits: what a page may cost, by default `Limits.strangers()`. model, settings, draft, cache: as in `bbilang.run`.
    root: the folder whose files texts may name; by default an empty one, so that none can be named. height: of the
    frame in pixels; by default the page's own.
    """

    # It has a component and is none: for a subclass of a component, Gradio writes a file beside the module.

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        model: object = None,
        settings: Mapping[str, object] | None = None,
        draft: bool = False,
        cache: str | Path | bool | None = None,
        root: str | Path | None = None,
        height: int | None = None,
    ):
        if root is None:
            self._empty = tempfile.TemporaryDirectory(prefix="bbi-")
            root = self._empty.name
        allowed = Limits.strangers() if limits is None else limits
        self._host = HostSettings(Path(root), allowed, dict(settings or {}), draft, model, cache)
        self._options = BlockOptions(height=height, text="none")

    def component(self, **options: object) -> gr.HTML:
        """Return a component that shows what `make` returns. options: those of `gr.HTML`."""
        own: dict[str, Any] = {"js_on_load": SCRIPT, "min_height": 40, **options}
        return gr.HTML(**own)

    def make(self, text: str | None, picture: object = None) -> str:
        """Return the HTML that shows the page of a text: the value of a `component`. picture: a PIL picture, an array
        (y, x, 3) of uint8, or the name of a file; None leaves it to the text."""
        block = Block(text or "", self._host.root / "text", "text")
        return block_html(make(block, self._options, self._host, picture), None)
