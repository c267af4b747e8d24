"""The text sizes of a page, in a browser."""

from typing import Any

ALLOWED = {"13px", "16px", "20px", "32px"}
COMPUTED = """() => [...new Set([...document.querySelectorAll("main, main *")]
    .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()))
    .map((node) => getComputedStyle(node).fontSize))]"""


def sizes(page: Any) -> set[str]:
    """Of every element of the page that holds text itself; charts' texts too, and what is folded away."""
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    return set(page.evaluate(COMPUTED))
