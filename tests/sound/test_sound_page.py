"""The page in a browser: nothing plays by itself, a button plays, a slider and a click on the picture go elsewhere."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

import bbilang

pytestmark = pytest.mark.browser
TEXT = """photo = input | present(image)
listen.frame | activation | present(heatmap)
listen.neuron | activation | present(heatmap)
"""


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.listen = nn.Conv1d(1, 5, 400, stride=160, padding=120)
        self.head = nn.Linear(5, 2)

    def forward(self, sound):
        return self.head(self.listen(sound).relu().mean(2))


def page_of(seconds: float) -> str:
    time = np.arange(round(16_000 * seconds)) / 16_000
    sound = (0.4 * np.sin(2 * np.pi * 440 * time * (1 + 0.2 * time))).astype(np.float32)
    adapter = bbilang.adapt_audio(Listener().eval(), 16_000)
    return bbilang.run(TEXT, model=adapter, input=sound, cache=False).html()


@pytest.fixture(scope="module")
def tab(chromium, tmp_path_factory):
    file = tmp_path_factory.mktemp("sound") / "page.html"
    file.write_text(page_of(1.5), encoding="utf-8")
    tab = chromium.new_page(viewport={"width": 1100, "height": 900})
    tab.said = []
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda problem: tab.said.append(str(problem)))
    tab.on("request", lambda request: tab.said.append(request.url) if request.url.startswith("http") else None)
    tab.goto(file.as_uri())
    tab.wait_for_selector("html[data-ready]")
    yield tab
    tab.close()


def place(tab, player: int = 1) -> float:
    return float(tab.locator(".player.along input").nth(player).input_value())


def test_nothing_plays_by_itself(tab):
    assert tab.locator(".player.along").count() == 2  # of the input, and of the frames: a map of neurons is none
    assert tab.locator(".play.on").count() == 0 and tab.locator(".playhead:visible").count() == 0
    assert tab.locator("audio").count() == 0


def test_a_button_plays_and_stops(tab):
    button = tab.locator(".play").nth(1)
    assert re.fullmatch(r"Play Frames of listen: 1\.5 s, .*", button.get_attribute("aria-label"))
    button.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("() => document.querySelectorAll('.play.on').length === 2")  # one sound, shown twice
    assert button.get_attribute("aria-label").startswith("Pause ")
    tab.wait_for_function("() => Number(document.querySelectorAll('.player.along input')[1].value) > 0.1")
    assert tab.locator(".playhead:visible").count() == 2
    button.click()
    tab.wait_for_selector(".play.on", state="detached")


def test_a_slider_scrubs_by_keyboard(tab):
    slider = tab.locator(".player.along input").nth(1)
    slider.focus()
    tab.keyboard.press("Home")
    tab.keyboard.press("End")
    tab.wait_for_function("() => Number(document.querySelectorAll('.player.along input')[0].value) > 1.4")
    assert slider.get_attribute("aria-valuetext") == "1.50 s of 1.50 s"


def test_a_click_on_the_map_goes_there(tab):
    box = tab.locator("[data-chart='element-2'] [class*='front_hit_'] path").first.bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    tab.wait_for_function("() => Math.abs(document.querySelectorAll('.player.along input')[1].value - 0.5) < 0.03")
    head = tab.locator("[data-chart='element-2'] .playhead").bounding_box()
    assert abs(head["x"] + head["width"] / 2 - (box["x"] + box["width"] / 3)) < 4
    assert abs(head["height"] - box["height"]) < 2


def test_p_plays_what_the_map_is_of(tab):
    tab.locator("[data-chart='element-2']").focus()
    tab.keyboard.press("p")
    tab.wait_for_selector(".play.on")
    tab.keyboard.press("p")
    tab.wait_for_selector(".play.on", state="detached")


def test_a_part_of_the_sound_is_read_in_seconds(tab):
    box = tab.locator("[data-chart='element-3'] [class*='front_hit_'] path").first.bounding_box()
    tab.mouse.move(box["x"] + 0.505 * box["width"], box["y"] + box["height"] - 3)
    words = tab.locator("[data-readout='element-3']")
    tab.wait_for_function(
        "() => document.querySelector(\"[data-readout='element-3']\").textContent.includes('channel 0')"
    )
    assert re.match(r"0\.\d+ to 0\.\d+ s, channel 0: ", words.inner_text())


def test_nothing_was_requested_and_nothing_failed(tab):
    assert tab.said == []


def test_the_policy_allows_sounds_only_where_there_are_some():
    html = page_of(0.2)
    assert "media-src data:;" in html and "autoplay" not in html
    assert html.count("data:audio/") == 1  # shown by two elements, there once
    silent = bbilang.run("listen.channel | activation | present(bars)", model=bbilang.adapt_audio(Listener(), 16_000),
                         input=np.zeros(800, np.float32), cache=False).html()  # fmt: skip
    assert "media-src" not in silent and "new Audio" not in silent


def test_the_page_of_ten_seconds_stays_small():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 160_000).astype(np.float32)  # which no codec makes smaller
    adapter = bbilang.adapt_audio(Listener().eval(), 16_000)
    assert len(bbilang.run(TEXT, model=adapter, input=noise, cache=False).html().encode()) < 3_000_000
