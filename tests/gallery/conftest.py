"""The gallery's pages with tiny icons, and a reader who points, clicks and slides in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from at_rest import at_rest
from closeness import within

import bbilang

ROOT = Path(__file__).parents[2]
TINY = {"featvis.size": 16, "featvis.steps": 1}
NUMBER = re.compile(r"[+\u2212-]?\d+(\.\d+)?")


@dataclass
class Compiled:
    name: str
    text: str
    page: bbilang.Page
    path: Path


@dataclass
class Reader:
    """A tab with a compiled page."""

    compiled: Compiled
    tab: Any

    def data(self, element: str) -> Any:
        return self.compiled.page.data(element)

    def atoms(self, element: str, component: str) -> np.ndarray:
        """Return which atom is at each index of the element's numbers, over their axes."""
        data = self.data(element)
        axes, numbers = data.coords[component]
        order = [axes.index(axis) for axis in data.axes if axis in axes]
        shape = [data.values.shape[i] if axis in axes else 1 for i, axis in enumerate(data.axes)]
        return np.broadcast_to(np.transpose(numbers, order).reshape(shape), data.values.shape)

    def rest(self) -> None:
        at_rest(self.tab)

    def pictures(self, element: str) -> list[str]:
        """What the element's pictures are now."""
        return self.tab.eval_on_selector_all(f"#element-{element} svg image", "all => all.map(n => n.href.baseVal)")

    def texts(self, element: str) -> list[str]:
        """The words in the element's chart."""
        letters = f"#element-{element} svg g:not([class*=veil_]) > text"  # not the paper around them
        labels = self.tab.eval_on_selector_all(letters, "all => all.map(n => n.textContent)")
        return [text for text in labels if text]

    def numbers(self, element: str) -> list[float]:
        """The texts that are a number, in the chart's order."""
        shown = [text for text in self.texts(element) if NUMBER.fullmatch(text)]
        return [float(text.replace("\u2212", "-")) for text in shown]

    def words(self, element: str) -> str:
        return self.tab.locator(f"#element-{element}").inner_text()

    def box(self, element: str, picture: int = 0) -> dict[str, float]:
        mark = self.tab.locator(f"#element-{element} svg image").nth(picture)
        mark.scroll_into_view_if_needed()
        return mark.bounding_box()

    def point(self, element: str, picture: int, across: float = 0.5, down: float = 0.5) -> None:
        box = self.box(element, picture)
        self.tab.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
        self.rest()

    def point_at_cell(self, element: str, y: int, x: int, shape: tuple[int, int], picture: int = 0) -> None:
        self.point(element, picture, (x + 0.5) / shape[1], (y + 0.5) / shape[0])

    def click(self, element: str, picture: int) -> None:
        self.point(element, picture)
        box = self.box(element, picture)
        self.tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.rest()

    def text_mark(self, element: str, words: str) -> dict[str, float]:
        mark = self.tab.locator(f"#element-{element} svg text", has_text=re.compile(f"^{re.escape(words)}$")).first
        mark.scroll_into_view_if_needed()
        return mark.bounding_box()

    def point_at_words(self, element: str, words: str, aside: float = 0.0) -> None:
        """Points at a text of the chart, or ``aside`` pixels right of its end."""
        box = self.text_mark(element, words)
        across = box["width"] + aside if aside else box["width"] / 2
        self.tab.mouse.move(box["x"] + across, box["y"] + box["height"] / 2)
        self.rest()

    def away(self) -> None:
        self.tab.mouse.move(2, 2)
        self.rest()


def assert_shown(shown: list[float], expected: Any) -> None:
    """The page's numbers are these in this order, to the digits that it shows."""
    expected = [v for v in np.ravel(expected).tolist() if v == v]
    assert len(shown) == len(expected), (shown, expected)
    within(shown, expected, relative=0.006, absolute=0.006, because="a page prints two or three digits")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Compiled]:
    """Compiles a spec once, as it is or with words of it replaced."""
    known: dict[tuple[Any, ...], Compiled] = {}

    def make(name: str, *changes: tuple[str, str]) -> Compiled:
        if (name, changes) not in known:
            text = (ROOT / "specs" / f"{name}.bbi").read_text("utf-8")
            for old, new in changes:
                assert old in text
                text = text.replace(old, new)
            page = bbilang.run(text, settings=TINY)
            path = page.save(tmp_path_factory.mktemp("pages") / f"{name}.html")
            known[name, changes] = Compiled(name, text, page, path)
        return known[name, changes]

    return make


@pytest.fixture
def read(compiled, chromium) -> Iterator[Callable[..., Reader]]:
    """Opens a page; at the end nothing was asked of a network and nothing complained."""
    complaints: list[str] = []
    tabs = []

    def show(name: str, *changes: tuple[str, str], width: int = 1280, **options: Any) -> Reader:
        made = compiled(name, *changes)
        tab = chromium.new_page(viewport={"width": width, "height": 1000}, **options)
        tabs.append(tab)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request", lambda r: complaints.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None
        )
        tab.goto(made.path.as_uri())
        tab.wait_for_selector("html[data-ready]")
        at_rest(tab)
        return Reader(made, tab)

    yield show
    for tab in tabs:
        tab.close()
    assert not complaints


@pytest.fixture(scope="session")
def shown() -> Callable[[list[float], Any], None]:
    return assert_shown
