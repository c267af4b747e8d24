"""What a page copies for a mark: the text that asks about exactly this atom, with what the reader chose."""

from __future__ import annotations

from dataclasses import replace

import pytest
import views
from filled_pipes import filled

from bbilang.runtime.view.model import Atom, Element

pytestmark = pytest.mark.browser


def asking():
    """The teaser with texts, as the view of a text would have them."""
    view = views.teaser()
    (interface,) = view.interfaces
    photo, blocks = interface.elements
    blocks = replace(
        blocks,
        atoms=tuple(replace(a, text=f"mixed4d.channel[{a.key.split('=')[1]}]") for a in blocks.atoms),
        pipe=("", "", " | attribute(", "a", " - ", "b", ") | present(featvis)"),
    )
    selections = tuple(
        replace(s, atoms=tuple(Atom(a.key, a.label, f'output["{a.label}"]') for a in s.atoms))
        if s.kind == "pick"
        else s
        for s in view.selections
    )
    return replace(view, selections=selections, interfaces=(replace(interface, elements=(photo, blocks)),))


def copied(page) -> str:
    return page.evaluate("navigator.clipboard.readText()")


def test_the_menu_and_the_key_copy_the_pipe_of_the_atom(show):
    page = show(asking)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("b", exact=True).select_option(label="Egyptian cat")
    page.locator("[data-copies=blocks] summary").click()
    buttons = page.locator("[data-copies=blocks] button")
    buttons.first.wait_for()
    names = buttons.all_inner_texts()
    assert len(names) == 6 and names[0] == page.locator("[data-now=where]").inner_text()
    buttons.nth(2).click()
    end = ' | attribute(output["tiger cat"] - output["Egyptian cat"]) | present(featvis)'
    assert copied(page) == f"mixed4d.channel[{names[2].split()[1]}]{end}"
    assert copied(page) in page.locator("#told").inner_text()
    page.locator("[data-chart=blocks]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    number = page.locator("[data-now=where]").inner_text().split()[1]
    assert copied(page) == f"mixed4d.channel[{number}]{end}"


def objecting():
    """The same, whose numbers are evidence for what the menu `a` names."""
    view = asking()
    (interface,) = view.interfaces
    photo, blocks = interface.elements
    line = ("model mended = net | discourage(", "", " -> ", "a", ", data=photos)")
    return replace(view, interfaces=(replace(interface, elements=(photo, replace(blocks, objection=line))),))


def test_a_page_by_itself_copies_the_line_that_objects_to_a_mark(show):
    page = show(objecting)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[data-copies=blocks] summary").click()
    page.get_by_text("This should not count: copy the line for").wait_for()
    page.locator("[data-copies=blocks] button").last.click()
    start, end = "model mended = net | discourage(mixed4d.channel[", ' -> output["tiger cat"], data=photos)'
    page.wait_for_function("navigator.clipboard.readText().then(text => text.startsWith('model mended'))")
    assert copied(page).startswith(start) and copied(page).endswith(end)
    page.locator("[data-chart=blocks]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    number = page.locator("[data-now=where]").inner_text().split()[1]
    page.wait_for_function(
        "text => navigator.clipboard.readText().then(own => own === text)", arg=f"{start}{number}]{end}"
    )


def test_a_host_that_edits_the_text_gets_the_line(show):
    page = show(objecting)
    page.evaluate(
        "() => { window.lines = []; addEventListener('bbi-object', (it) => window.lines.push(it.detail));"
        " dispatchEvent(new CustomEvent('bbi-edits')); }"
    )
    page.locator("[data-copies=blocks] summary").click()
    page.get_by_text("This should not count", exact=True).wait_for()
    page.locator("[data-copies=blocks] button").last.click()
    (line,) = page.evaluate("window.lines")
    assert line.startswith("model mended = net | discourage(mixed4d.channel[")
    assert line in page.locator("#told").inner_text()


def test_a_mark_that_is_no_evidence_says_so(show):
    page = show(asking)
    page.locator("[data-chart=blocks]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    assert page.locator("#told").is_hidden()


def linked():
    """The same, of atoms that are linked to what the menu `a` names; one layer has a pipe of its own."""
    view = asking()
    (interface,) = view.interfaces
    photo, blocks = interface.elements
    atoms = tuple(
        replace(atom, key=f"other channel={i}", text=f"other.channel[{i}]") if i == 1 else atom
        for i, atom in enumerate(blocks.atoms)
    )
    pipe = ("", "", " | link(", "a", ") | present(featvis)")
    blocks = replace(blocks, atoms=atoms, pipe=pipe, layer_pipes={"other": ("", "", " | present(number)")})
    itself = atoms[blocks.panels[0].frames[0].atoms[2]].text
    texts = iter(("output", itself))
    start = next(s for s in view.selections if s.id == "a")
    chosen = replace(start, atoms=tuple(replace(a, text=next(texts, a.text)) for a in start.atoms))
    selections = tuple(chosen if s.id == "a" else s for s in view.selections)
    return replace(view, selections=selections, interfaces=(replace(interface, elements=(photo, blocks)),))


def pipes_of(page) -> list[str]:
    page.locator("[data-copies=blocks] summary").click()
    page.locator("[data-copies=blocks] button").first.wait_for()
    found = [button.get_attribute("title") for button in page.locator("[data-copies=blocks] button").all()]
    page.locator("[data-copies=blocks] summary").click()
    return found


def test_links_name_what_is_chosen_and_a_layer_may_have_a_pipe_of_its_own(show):
    page = show(linked)
    first = pipes_of(page)
    assert "other.channel[1] | present(number)" in first
    rest = [pipe for pipe in first if "number" not in pipe]
    assert rest and all(pipe.endswith("] | attribute(output) | present(featvis)") for pipe in rest)
    page.get_by_label("a", exact=True).select_option(index=1)
    assert any(pipe.endswith("] | present(featvis)") and "|" not in pipe[:-20] for pipe in pipes_of(page)), "itself"
    assert any("] | link(mixed4d.channel[" in pipe for pipe in pipes_of(page))


def test_where_the_page_may_not_copy_it_shows_the_pipe(show):
    page = show(asking)
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { value: { writeText: () => Promise.reject(new Error('no')) } })"
    )
    page.locator("[data-chart=blocks]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    assert "mixed4d.channel[" in page.locator("#told").inner_text()


def test_elements_without_texts_offer_none(show):
    page = show(views.teaser)
    assert page.locator(".copy").count() == 0
    page.locator("[data-chart=blocks]").focus()
    page.keyboard.press("c")
    assert "no pipe" in page.locator("#told").inner_text()


def test_a_pipe_with_nothing_chosen_is_none():
    element = Element("e", "bars", "", "", "", (), (), pipe=("", "", " | attribute(", "a", ") | present(featvis)"))
    channel, a_class, group = (Atom("k", "", text) for text in ("x.channel[1]", "output[1]", "7"))
    chosen = filled(element, channel, {"a": "output[3]"}.__getitem__)
    assert chosen == "x.channel[1] | attribute(output[3]) | present(featvis)"
    assert filled(element, channel, {"a": ""}.__getitem__) == ""
    assert filled(element, a_class, str) == filled(element, group, str) == "", "no pipe of this kind"
