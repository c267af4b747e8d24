"""The page of `bbi space`: one standalone file with the grids that `present(space)` has within a page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

from bbilang.compiler.complete.grid import Grid
from bbilang.runtime.page.html import environment, style_sheet
from bbilang.runtime.page.script import SPACE, joined

QUESTION = "What do these pages show, and what is empty?"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{{ hash }}'">
<title>The space of interfaces</title><style>{{ style }}</style></head><body><main>
<header><button type="button" id="theme" hidden>dark</button><h1>{{ question }}</h1>
<p class="caption">Rows are layers from the input to the output, columns kinds of atoms. Point, click, or move with the
arrow keys.</p></header>
{% from "space.html" import space %}
<section class="interface">{{ space(grids, question) }}</section>
</main><script type="module">{{ script }}</script>
</body></html>
"""


def html(grids: Sequence[Grid]) -> str:
    """Return the grids as a page, with names and texts escaped."""
    script = joined((*SPACE, "theme.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .from_string(PAGE)
        .render(
            grids=grids, question=QUESTION, hash=Markup(digest), style=style_sheet(space=True), script=Markup(script)
        )
    )
