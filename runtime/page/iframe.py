"""Embed a page in a notebook as an iframe of the height that it needs, isolated from the notebook's styles."""

from __future__ import annotations

import html

FIRST = 640  # pixels high until the page has reported its height
MOST = 6000

# The page has no rights in its frame and reports one number. Only the frame that it came from changes.
LISTENER = f"""<script>
(() => {{
  if (window.bbiFrames) return;
  window.bbiFrames = true;
  addEventListener("message", ({{ data, source }}) => {{
    const pixels = data && data.bbi === "height" ? Number(data.pixels) : NaN;
    if (!(pixels > 0)) return;
    for (const frame of document.querySelectorAll("iframe.bbi-page:not([data-fixed])"))
      if (frame.contentWindow === source) frame.style.height = Math.min(Math.ceil(pixels), {MOST}) + "px";
  }});
}})();
</script>"""


def framed(page: str, title: str, height: int | None = None) -> str:
    """Return HTML that embeds a page, ``height`` pixels high or as high as the page reports."""
    fixed = " data-fixed" if height else ""
    return (
        f'{LISTENER}<iframe class="bbi-page"{fixed} srcdoc="{html.escape(page, quote=True)}" '
        f'sandbox="allow-scripts allow-downloads" title="{html.escape(title, quote=True)}" '
        f'style="width:100%;height:{height or FIRST}px;border:0"></iframe>'
    )
