"""Embed a page in a notebook or another page as an iframe of the height that it needs, isolated from its styles."""

from __future__ import annotations

import html

FIRST = 640  # pixels high until the page has reported its height
MOST = 6000

# The page has no rights in its frame and reports one number. Only the frame that it came from changes.
SCRIPT = f"""(() => {{
  if (window.bbiFrames) return;
  window.bbiFrames = true;
  addEventListener("message", ({{ data, source }}) => {{
    const pixels = data && data.bbi === "height" ? Number(data.pixels) : NaN;
    if (!(pixels > 0)) return;
    for (const frame of document.querySelectorAll("iframe.bbi-page:not([data-fixed])"))
      if (frame.contentWindow === source) frame.style.height = Math.min(Math.ceil(pixels), {MOST}) + "px";
  }});
}})();"""
LISTENER = f"<script>\n{SCRIPT}\n</script>"


def framed(page: str, title: str, height: int | None = None) -> str:
    """Return HTML that embeds a page, ``height`` pixels high or as high as the page reports."""
    return f"{LISTENER}{frame(page, title, height)}"


def frame(page: str, title: str, height: int | None = None) -> str:
    """Return a frame without rights that has a page inside. A script, `SCRIPT`, gives it the height of the page."""
    return _frame(f'srcdoc="{html.escape(page, quote=True)}"', title, height)


def framed_file(address: str, title: str, height: int | None = None) -> str:
    """Return HTML that embeds the page at an address, which is loaded when the reader comes near."""
    return LISTENER + _frame(f'src="{html.escape(address, quote=True)}" loading="lazy"', title, height)


def _frame(content: str, title: str, height: int | None) -> str:
    fixed = " data-fixed" if height else ""
    return (
        f'<iframe class="bbi-page"{fixed} {content} sandbox="allow-scripts allow-downloads" '
        f'title="{html.escape(title, quote=True)}" '
        f'style="width:100%;height:{height or FIRST}px;border:0"></iframe>'
    )
