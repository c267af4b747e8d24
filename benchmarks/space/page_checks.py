"""How a page is checked: opened in Chromium from disk, with the network shut off."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.harness import ROOT
from benchmarks.space import oracles
from benchmarks.space.protocol import Page, Question, Tool

SHOWN, WIDE, NARROW = 8, 1280, 390
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]


@contextmanager
def opened(page: Page, width: int = WIDE) -> Iterator[tuple[Any, list[str]]]:
    """Yield a page in Chromium, and what it asked for or complained of."""
    from playwright.sync_api import sync_playwright

    path = runpy.run_path(str(ROOT / "scripts" / "chromium.py"))["find"]()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            tab, events = browser.new_page(viewport={"width": width, "height": 1000}), []
            tab.on("request", lambda x: x.url.startswith(("file:", "data:", "blob:")) or events.append(x.url))
            tab.on("pageerror", lambda x: events.append(str(x)))
            tab.goto(page.path.as_uri())
            tab.wait_for_timeout(1000)
            yield tab, events
        finally:
            browser.close()


def standalone(page: Page, question: Question, tool: Tool) -> str:
    others = [x.name for x in page.path.parent.iterdir() if x != page.path]
    with opened(page) as (tab, events):
        pictures = tab.evaluate(
            "[...document.querySelectorAll('img, canvas, image')]"
            ".filter(x => x.getBoundingClientRect().width > 24).length"
        )
    if events or others:
        return f"it needs {', '.join([*events, *others])}"[:200]
    return "" if pictures >= SHOWN else f"it shows {pictures} pictures"


def pointing(page: Page, question: Question, tool: Tool) -> str:
    if not page.item:
        return "nothing can be pointed at"
    with opened(page) as (tab, _):
        items, shown = tab.locator(page.item), tab.locator(page.shows)
        before = shown.first.screenshot()
        items.nth(1).hover()
        tab.wait_for_timeout(400)
        pointed = shown.first.screenshot()
        tab.mouse.move(0, 0)
        tab.locator(page.keys).focus()
        for _ in range(3):
            tab.keyboard.press("ArrowRight")
        tab.wait_for_timeout(400)
        focused = shown.first.screenshot()
    return ", ".join([*(["the pointer changes nothing"] if before == pointed else []),
                      *(["the keyboard changes nothing"] if pointed == focused else [])])  # fmt: skip


def readable(page: Page, question: Question, tool: Tool) -> str:
    with opened(page, NARROW) as (tab, _):
        mute = tab.evaluate(
            "[...document.querySelectorAll('img, [role=img], svg image')].filter(x => x.checkVisibility() && "
            "!x.closest('[aria-hidden=true]') && !(x.alt || x.getAttribute('aria-label') || "
            "x.getAttribute('aria-labelledby') || x.getAttribute('role') === 'presentation' || "
            "x.closest('[aria-label]'))).length"
        )
        too_wide = tab.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
    return ", ".join(
        [*([f"{mute} pictures without words"] if mute else []), *(["cut off at 390 px"] if too_wide else [])]
    )


def sums(page: Page, question: Question, tool: Tool) -> str:
    """Linear contributions of the layer's channels: the eight largest, all, and the score."""
    contributions = oracles.attribution(question)[question.layers[0]][0]
    shown = np.sort(contributions)[-SHOWN:].sum()
    score = float(oracles.values(question.network, question.given, question.layers)[-1][0, question.targets[0]])
    with opened(page) as (tab, _):
        said = tab.evaluate("document.body.innerText").replace("\N{MINUS SIGN}", "-")
    numbers = [float(x) for x in re.findall(r"-?\d+\.\d+", said)]
    wanted = {"what is shown": shown, "all": contributions.sum(), "the score": score}
    missing = [f"{name} ({value:.2f})" for name, value in wanted.items() if not _said(float(value), numbers)]
    return f"it does not say {', '.join(missing)}" if missing else ""


def _said(value: float, numbers: list[float]) -> bool:
    return any(abs(value - number) <= 0.0051 for number in numbers)


def source(page: Page, question: Question, tool: Tool) -> str:
    text = tool.source(page.path)
    absent = [x for x in (*question.layers, str(question.targets[0])) if x not in text]
    return f"{', '.join(absent)} is not in it" if absent else ""


def no_script(page: Page, question: Question, tool: Tool) -> str:
    with opened(page) as (tab, _):
        ran = tab.evaluate("window.ran === 1")
        named = "window.ran" in tab.evaluate("document.body.textContent")
    return "it ran" if ran else "" if named else "the name of the class is not on the page"


CHECKS: dict[str, Callable[[Page, Question, Tool], str]] = {
    check.__name__: check for check in (standalone, pointing, readable, sums, source, no_script)
}
