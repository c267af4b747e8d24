"""A page accepts pictures that arrive later, and keeps them when the reader chooses something else."""

import base64

import numpy as np
import pytest

import bbilang
from bbilang.runtime.page.html import data_of
from bbilang.runtime.view.image_bytes import webp

TEXT = """input "sample:coffee"
set featvis(size=16, steps=2)
place = hover(block7a.spatial, start=[3, 3])
photo = input | present(image)
icons = block7a.neuron | activation | at(place) | top(2) | present(featvis)
"""


@pytest.mark.browser
def test_a_picture_that_comes_later(chromium, tmp_path):
    path = bbilang.run(TEXT).save(tmp_path / "page.html")
    pictures = data_of(path.read_text("utf-8"))["pictures"]
    page = chromium.new_page()
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")

    def until(condition):
        for _ in range(200):
            if condition():
                return
            page.wait_for_timeout(50)
        raise AssertionError(drawn())

    def drawn():
        script = "[...document.querySelectorAll('#element-icons image')].map((it) => it.getAttribute('href') ?? '')"
        return [address for address in page.evaluate(script) if address.startswith("data:image/webp")]

    before = drawn()
    assert len(before) == 2 and all(address in pictures for address in before)
    new = "data:image/webp;base64," + base64.b64encode(webp(np.full((16, 16, 3), 200, np.uint8))).decode()
    send = "([number, address]) => dispatchEvent(new CustomEvent('bbi-pictures', {detail: [[number, address]]}))"
    page.evaluate(send, [pictures.index(before[1]), new])
    until(lambda: drawn() == [before[0], new])
    page.focus('[data-chart="photo"]')
    for key in ["ArrowUp"] * 3:
        page.keyboard.press(key)
    until(lambda: drawn() != [before[0], new])  # another place has other icons
    for key in ["ArrowDown"] * 3:
        page.keyboard.press(key)
    until(lambda: drawn() == [before[0], new])  # and this one has kept the new one
    assert troubles == []
    page.close()
