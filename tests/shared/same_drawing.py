"""Two charts compared mark by mark: what the page's renderer drew and what Vega drew from the same specification."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from at_rest import at_rest

from bbilang.registry import registry
from bbilang.runtime.page import html
from bbilang.runtime.view.model import View

TREE = """() => {
    const mark = (node) => ({
        tag: node.tagName, text: node.textContent,
        paint: ["fill", "stroke"].map((name) => getComputedStyle(node)[name]).join(" "),
        blend: node.style.mixBlendMode, rendering: node.style.imageRendering,
        ...Object.fromEntries([...node.attributes].map((it) => [it.localName, it.value])), style: "",
    });
    const layer = (group) => [group.getAttribute("class"), [...group.children].map(mark)];
    const drawn = [...document.querySelectorAll("[data-chart]")].filter((chart) => !chart.points);
    return drawn.map((chart) => [
        chart.dataset.chart, chart.querySelector("svg").getAttribute("viewBox"),
        [...chart.querySelectorAll("g[class*=role-mark]")].map(layer),
    ]);
}"""
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
CLOSE = 0.02  # pixels


def differences(ours: Any, vegas: Any) -> tuple[int, list[str]]:
    """Return (marks compared, differences) between two pages' charts as `TREE` gives them."""
    count, unequal = 0, []
    for (name, box, layers), (name_2, box_2, layers_2) in zip(ours, vegas, strict=True):
        if name != name_2 or not alike(box, box_2):
            unequal.append(f"{name}: {box} is {name_2}: {box_2}")
        one, two = joined(layers), joined(layers_2)
        if list(one) != list(two):
            unequal.append(f"{name}: layers {list(one)} are {list(two)}")
        for layer in one.keys() & two.keys():
            if len(one[layer]) != len(two[layer]):
                unequal.append(f"{name}, {layer}: {len(one[layer])} marks are {len(two[layer])}")
            for number, (a, b) in enumerate(zip(one[layer], two[layer], strict=False)):
                count += 1
                unequal += [
                    f"{name}, {layer}, mark {number}: {key} {str(a.get(key))[:80]} is {str(b.get(key))[:80]}"
                    for key in sorted(a.keys() | b.keys())
                    if not alike(a.get(key), b.get(key))
                ]
    return count, unequal


def joined(layers: Any) -> dict[str, list[dict[str, str]]]:
    """Join marks by layer: Vega gives each line its own group."""
    result: dict[str, list[dict[str, str]]] = {}
    for name, marks in layers:
        result.setdefault(name, []).extend(marks)
    return result


def alike(one: str | None, other: str | None) -> bool:
    """Equal, numbers to a fiftieth of a pixel."""
    if one == other:
        return True
    if one is None or other is None or "data:" in one + other or NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(map(float, NUMBER.findall(one)), map(float, NUMBER.findall(other)), strict=True)
    return all(abs(a - b) <= CLOSE for a, b in pairs)


@contextmanager
def twins(chromium: Any, folder: Path, view: View, width: int, colours: str = "light") -> Iterator[list[Any]]:
    """The page of a view in two tabs, drawn by us and by Vega."""
    ours, vegas = folder / "ours.html", folder / "vegas.html"
    ours.write_bytes(html.render(view, registry().styles).encode())
    with pytest.MonkeyPatch.context() as forced:
        forced.setattr(html, "beyond", lambda specification: "everything")
        vegas.write_bytes(html.render(view, registry().styles).encode())
    assert b'id="bbi-vega"' in vegas.read_bytes() and b'id="bbi-vega"' not in ours.read_bytes()
    contexts, pages = [], []
    for path in (ours, vegas):
        contexts.append(chromium.new_context(viewport={"width": width, "height": 1000}, color_scheme=colours))
        pages.append(contexts[-1].new_page())
        pages[-1].goto(path.as_uri())
        pages[-1].wait_for_selector("html[data-ready]")
    yield pages
    for context in contexts:
        context.close()


POINT = """([hits, number, kind]) => {
    const node = document.querySelectorAll(hits)[number], box = node.getBoundingClientRect();
    const at = { clientX: box.x + box.width * 0.37, clientY: box.y + box.height * 0.61, bubbles: true };
    node.dispatchEvent(new PointerEvent(kind, { pointerType: "mouse", ...at }));
}"""


def walked(pages: list[Any]) -> int:
    """Points, clicks, moves by keyboard, chooses and narrows on both pages; after each step they draw the same.
    Returns how many marks were compared."""
    seen = 0

    def same(what: str) -> None:
        nonlocal seen
        count, unequal = differences(*[page.evaluate(TREE) for page in pages])
        assert not unequal, (what, unequal[:6], len(unequal))
        seen += count

    same("start")
    hits = "[class*=front_hit_] > path"
    count = pages[0].locator(hits).count()
    for number in sorted({0, count // 2, count - 1} & set(range(count))):
        for kind in ("pointermove", "click"):
            for page in pages:
                page.evaluate(POINT, [hits, number, kind])
            same(f"{kind} {number}")
    for chart in range(pages[0].locator("[data-chart][tabindex]").count()):
        for key in ("ArrowRight", "ArrowDown", "Escape"):
            for page in pages:
                page.locator("[data-chart][tabindex]").nth(chart).press(key)
            same(f"{key} in chart {chart}")
    for menu in range(pages[0].locator("select").count()):
        for page in pages:
            options = page.locator("select").nth(menu)
            options.select_option(index=options.locator("option").count() - 1)
        same(f"menu {menu}")
    for page in pages:
        page.set_viewport_size({"width": 430, "height": 900})
        at_rest(page)
    same("narrow")
    return seen
