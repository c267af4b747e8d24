"""Two charts compared mark by mark: what the page's renderer drew and what Vega drew from the same specification."""

from __future__ import annotations

import re
from typing import Any

TREE = """() => {
    const mark = (node) => ({
        tag: node.tagName, text: node.textContent,
        blend: node.style.mixBlendMode, rendering: node.style.imageRendering,
        ...Object.fromEntries([...node.attributes].map((it) => [it.localName, it.value])), style: "",
    });
    const layer = (group) => [group.getAttribute("class"), [...group.children].map(mark)];
    return [...document.querySelectorAll("[data-chart]")].map((chart) => [
        chart.dataset.chart, chart.querySelector("svg").getAttribute("viewBox"),
        [...chart.querySelectorAll("g[class*=role-mark]")].map(layer),
    ]);
}"""
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
CLOSE = 0.02  # pixels


def differences(ours: Any, vegas: Any) -> tuple[int, list[str]]:
    """(marks compared, what differs) between two pages' charts as `TREE` gives them."""
    count, found = 0, []
    for (name, box, layers), (name_2, box_2, layers_2) in zip(ours, vegas, strict=True):
        if name != name_2 or not alike(box, box_2):
            found.append(f"{name}: {box} is {name_2}: {box_2}")
        one, two = joined(layers), joined(layers_2)
        if list(one) != list(two):
            found.append(f"{name}: layers {list(one)} are {list(two)}")
        for layer in one.keys() & two.keys():
            if len(one[layer]) != len(two[layer]):
                found.append(f"{name}, {layer}: {len(one[layer])} marks are {len(two[layer])}")
            for number, (a, b) in enumerate(zip(one[layer], two[layer], strict=False)):
                count += 1
                found += [
                    f"{name}, {layer}, mark {number}: {key} {str(a.get(key))[:80]} is {str(b.get(key))[:80]}"
                    for key in sorted(a.keys() | b.keys())
                    if not alike(a.get(key), b.get(key))
                ]
    return count, found


def joined(layers: Any) -> dict[str, list[dict[str, str]]]:
    """Marks by layer: Vega gives each line a group of its own."""
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
