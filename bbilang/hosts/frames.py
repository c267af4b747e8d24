"""The HTML of a block: the page in a frame without rights, a link to it alone and its text; or a box that says what is
wrong."""

from __future__ import annotations

import html

from bbilang.hosts.pages import Made
from bbilang.runtime.page.iframe import frame, framed_file

BOX = (
    "border:1px solid #c4553b;border-left-width:6px;padding:.2em 1em;margin:1em 0;background:rgba(196,85,59,.08);"
    "overflow-x:auto"
)


def block_html(made: Made, address: str | None) -> str:
    """Return the HTML of a block. ``address``: of the page's file, seen from the document; None for a page inside the
    document itself, which brings no script with it (`runtime.page.iframe.SCRIPT`)."""
    if made.problem is not None:
        return problem_html(made)
    title, height = made.options.title or made.title, made.options.height
    if address is None:
        shown, link = frame(made.html.decode(), title, height), ""
    else:
        shown = framed_file(address, title, height)
        to = html.escape(address, quote=True)
        label = html.escape(f"Open this page alone: {title}", quote=True)
        link = f'<a href="{to}" target="_blank" rel="noopener" aria-label="{label}">Open this page alone</a>'
    return f'<div class="bbi-block">{shown}{link}{_text(made)}</div>'


def problem_html(made: Made) -> str:
    """Return a box with what is wrong with a text, and the text."""
    words = html.escape(made.report)
    said = "<strong>This page could not be made.</strong>"
    report = f'<pre style="white-space:pre;overflow-x:auto">{words}</pre>'
    return f'<div class="bbi-block bbi-problem" role="note" style="{BOX}"><p>{said}</p>{report}{_text(made)}</div>'


def _text(made: Made) -> str:
    """Return the text of a block, in the colours of the host's own code."""
    if made.options.text == "none":
        return ""
    opened = " open" if made.options.text == "open" else ""
    return f"<details{opened}><summary>The text</summary>{highlighted(made.block.text)}</details>"


def highlighted(text: str) -> str:
    """Return a text as HTML with the classes of Pygments, which MkDocs and Sphinx have colours for."""
    try:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter

        from bbilang.pygments_lexer import BbiLexer
    except ImportError:
        return f"<pre><code>{html.escape(text)}</code></pre>"
    made: str = highlight(text, BbiLexer(), HtmlFormatter(cssclass="highlight", wrapcode=True))
    return made
