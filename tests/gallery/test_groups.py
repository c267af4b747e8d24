"""The group interfaces: how many, where, and what they contribute to the classes."""

from __future__ import annotations

import numpy as np
import pytest
from closeness import close_to

import bbilang

pytestmark = pytest.mark.browser


def test_neuron_groups(read, shown):
    """The slider by its keys; a single group on the photo; groups that are inactive at the position fade."""
    reader = read("neuron_groups")
    icons, effects = reader.data("icons"), reader.data("effects")
    shown(reader.numbers("icons"), icons.values[2])
    shown(reader.numbers("effects"), effects.values[2].T)
    before, drawn = reader.pictures("photo"), reader.pictures("icons")
    reader.tab.locator("input[type=range]").focus()
    reader.tab.keyboard.press("ArrowLeft")
    reader.rest()
    assert reader.tab.locator("output").inner_text() == "4"
    shown(reader.numbers("icons"), icons.values[1])
    shown(reader.numbers("effects"), effects.values[1].T)
    assert reader.tab.locator(".chip").count() == 4
    blank = "data:image/gif"  # of the slots that this state leaves empty
    assert [sum(not p.startswith(blank) for p in icons) for icons in (drawn, reader.pictures("icons"))] == [6, 4]
    four = reader.pictures("photo")
    assert four[0] == before[0] and four[1:] != before[1:]
    reader.point("icons", 1)  # only this group's map
    alone = reader.pictures("photo")
    assert alone[0] == four[0] and alone[1:] != four[1:]
    reader.away()
    assert reader.pictures("photo") == four
    where = reader.data("where").values[1, :4]
    y, x = np.unravel_index(
        np.argmax(where[0] / where[0].max() - (where[1:] / where[1:].max((1, 2), keepdims=True)).max(0)), (7, 7)
    )
    reader.point_at_cell("photo", int(y), int(x), (7, 7))
    opacity = reader.tab.eval_on_selector_all(
        "#element-icons svg image", "all => all.map(n => Number(n.getAttribute('opacity') ?? 1))"
    )[:4]
    assert opacity[0] == max(opacity) and min(opacity) < 0.5


def test_principal_components(read, shown):
    """Three colours over the photo, an icon for each component; the numbers of the map are the layer's own."""
    reader = read("principal_components")
    shown(reader.numbers("components"), reader.data("components").values)
    assert len(reader.pictures("photo")) == 2 and len(reader.pictures("components")) == 3
    overview = reader.data("overview").values.reshape(-1, 3)
    norms = np.sqrt((overview**2).sum(0))
    close_to(norms, reader.data("components").values, digits=4)  # |W| |H| with |H| = 1
    assert "component 2" in reader.words("photo")


def test_groups_across_layers(read, shown):
    """Clicking a class leaves what flows into it; pointing at a group shows its icon and its map."""
    reader = read("groups_across_layers")
    shown(reader.numbers("late_icons"), reader.data("late_icons").values)
    shown(reader.numbers("early_icons"), reader.data("early_icons").values[1])

    def widths():
        return reader.tab.eval_on_selector_all(
            "#element-flow svg path[stroke-width]", "all => all.map(n => Number(n.getAttribute('stroke-width')))"
        )

    linked = reader.compiled.page.results.fields["flow"]
    shapes = [{d: s for d, s in pair.values.sizes.items() if d != "input"} for pair in linked.pairs]
    assert list(shapes[0].values()) == [2, 6, 6] and list(shapes[1].values()) == [6, 5]
    menu, switch = reader.tab.get_by_label("What leads to"), reader.tab.get_by_label("Match the later groups")
    first = menu.evaluate("node => node.selectedOptions[0].textContent")
    followed = widths()
    assert first == reader.compiled.page.view.predictions[0].top[0][0] and "#" not in reader.tab.url
    budget = reader.tab.locator("[data-budget=flow]")
    assert budget.inner_text().startswith(f"{first}: groups ") and "\n" not in budget.inner_text()
    given = linked.pairs[1].values.data.reshape(6, 5)[:, 0]
    score = float(linked.nodes[2].values.data.ravel()[0])
    words = " ".join(reader.texts("flow"))
    assert f"{given.sum():+.2f} of {score:.2f}".replace("-", "\u2212") in words  # what the groups give, of the score
    assert all(f"{value:+.2f}".replace("-", "\u2212") in words for value in given)
    menu.focus()
    reader.tab.keyboard.press("End")
    reader.rest()
    before = widths()
    assert menu.evaluate("node => node.selectedOptions[0].textContent") == "all of them"
    assert sum(followed) < sum(before) and "flow=every" in reader.tab.url
    box = reader.text_mark("flow", first)
    reader.tab.mouse.click(box["x"] + 4, box["y"] + box["height"] / 2)
    reader.away()
    assert widths() == followed  # a click on the class is the same
    assert menu.evaluate("node => node.selectedOptions[0].textContent") == first
    reader.tab.locator("#element-flow .chart").focus()
    reader.tab.keyboard.press("Escape")
    reader.away()
    assert widths() == followed  # as the page opens
    menu.select_option(label="all of them")
    reader.rest()
    early, icons = reader.data("early_icons"), reader.pictures("early_icons")
    assert switch.get_attribute("role") == "switch" and switch.is_checked()
    switch.focus()
    reader.tab.keyboard.press("Space")
    reader.rest()
    assert not switch.is_checked() and "Match+the+later+groups=0" in reader.tab.url
    assert widths() != before and reader.pictures("early_icons") != icons
    shown(reader.numbers("early_icons"), early.values[0])  # plain groups
    plain = bbilang.run("block7a.expand | factorize(nmf, 6) | present(bars)", input="sample:chelsea")
    close_to(early.values[0], plain.data("element-1").values, digits=4)
    switch.click()
    reader.rest()
    assert switch.is_checked() and widths() == before and reader.pictures("early_icons") == icons
    shown(reader.numbers("early_icons"), early.values[1])
    reader.point_at_words("flow", "tabby")
    box = reader.text_mark("flow", "tabby")
    reader.tab.mouse.click(box["x"] + 4, box["y"] + box["height"] / 2)
    reader.rest()
    after = widths()
    assert after != before and sum(after) < sum(before) / 2
    reader.tab.keyboard.press("Escape")
    reader.away()
    photo = reader.pictures("photo")
    reader.point("late_icons", 2)
    assert reader.pictures("photo")[1:] != photo[1:]
    reader.away()
    assert reader.pictures("photo") == photo
