"""The player of a page whose inputs are frames: it plays, pauses, scrubs, and everything follows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from playwright.sync_api import expect

import bbilang

TEXT = """
input "sample:pan"
set video(most=8)
photo = input | present(image)
rows = head.channel | activation | top(3, joint=input) | present(bars)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    page = bbilang.run(TEXT, device="cpu")
    path = tmp_path_factory.mktemp("film") / "film.html"
    page.save(path)
    return page, path


@pytest.fixture
def tab(made, chromium):
    context = chromium.new_context()
    page = context.new_page()
    troubles = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(made[1].as_uri())
    page.wait_for_selector("html[data-ready]")
    yield page
    context.close()
    assert troubles == []


def said(tab):
    return tab.locator(".prediction:visible .label").all_inner_texts()


def test_scrubbing_moves_everything(made, tab):
    page, _ = made
    values = page.results.fields["rows"].values.data
    assert values.shape == (8, 3) and not np.allclose(values[0], values[-1])
    for number in (0, 7, 3):
        tab.locator(".player input").fill(str(number))
        expect(tab.locator(".player output")).to_have_text(page.results.pictures[number].name)
        assert said(tab) == [words for words, _ in page.view.predictions[number].top]
        for value in values[number]:
            expect(tab.locator("#element-rows svg")).to_contain_text(f"{value:.1f}")
    assert "input=input+3" in tab.url


def test_it_plays_pauses_and_ends_nothing(made, tab):
    play, shown = tab.get_by_role("button", name="Play"), tab.locator(".player output")
    tab.evaluate("""() => {
        window.seen = [];
        new MutationObserver(() => seen.push(document.querySelector(".player output").textContent))
            .observe(document.querySelector(".player output"), { childList: true });
    }""")
    steps = tab.evaluate("history.length")
    expect(shown).to_have_text(made[0].results.pictures[0].name)  # nothing plays by itself
    play.focus()
    tab.keyboard.press("Space")
    tab.wait_for_function("() => new Set(seen).size > 4")
    tab.get_by_role("button", name="Pause").click()
    expect(tab.get_by_role("button", name="Play")).to_be_visible()
    names = [picture.name for picture in made[0].results.pictures]
    seen = [names.index(name) for name in tab.evaluate("seen")]
    turns = sum(after < before for before, after in pairwise(seen))
    assert turns <= 1 + len(seen) // len(names), "in order, and from the start again"
    still = shown.inner_text()
    assert tab.evaluate("history.length") == steps and f"input+{names.index(still)}" in tab.url
    expect(tab.locator("#status")).to_contain_text(still)


def test_the_end_leads_to_the_beginning(made, tab):
    tab.locator(".player input").fill("7")
    tab.locator("[data-speed]").select_option("4")
    tab.get_by_role("button", name="Play").click()
    expect(tab.locator(".player output")).to_have_text(made[0].results.pictures[0].name)


def test_reaching_for_the_slider_pauses(tab):
    tab.get_by_role("button", name="Play").click()
    tab.locator(".player input").fill("2")
    expect(tab.get_by_role("button", name="Play")).to_be_visible()
    assert tab.locator(".player input").input_value() == "2"


def test_icons_are_stored_once(made):
    page, _ = made
    (rows,) = (e for i in page.view.interfaces for e in i.elements if e.id == "rows")
    assert len({frame.atoms for frame in rows.panels[0].frames}) == 1, "joint=input keeps the channels"


def test_several_pictures_have_a_menu_and_a_folder_can_be_a_film(tmp_path, chromium):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (5, 48, 48, 3), dtype=np.uint8)
    menu = bbilang.run("input | present(image)", input=pictures, device="cpu")
    film = bbilang.run("input | present(image)", input=pictures, device="cpu", settings={"video.rate": 4})
    assert menu.view.selections[0].times == () and film.view.selections[0].times == (0.0, 0.25, 0.5, 0.75, 1.0)
    menu.save(tmp_path / "menu.html")
    tab = chromium.new_page()
    tab.goto((tmp_path / "menu.html").as_uri())
    tab.wait_for_selector("html[data-ready]")
    assert tab.locator(".prediction:visible").count() == 1
    tab.locator("select[data-selection]").select_option("4")
    expect(tab.locator(".prediction:visible")).to_contain_text("picture 5")
    tab.close()
