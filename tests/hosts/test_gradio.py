"""An app of Gradio on the loopback, driven in a browser: a text and a picture become a page."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from sites import FINE

import bbilang

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
gr = pytest.importorskip("gradio", reason="gradio (tests/peers.txt) is not installed")


@pytest.fixture(scope="module")
def address():
    from bbilang.hosts.gradio import BbiPage

    with gr.Blocks(analytics_enabled=False) as app:
        text, picture = gr.Textbox(label="Text", lines=4), gr.Image(type="pil", label="Picture")
        page = BbiPage(limits=replace(bbilang.Limits.strangers(), seconds=900))
        gr.Button("Show").click(page.make, [text, picture], page.component(elem_id="page"))
    _, address, _ = app.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, share=False, inbrowser=False, ssr_mode=False
    )
    yield address.rstrip("/")
    app.close()


@pytest.mark.browser
def test_a_text_and_a_picture_become_a_page(address: str, chromium, tmp_path) -> None:
    from PIL import Image
    from skimage import data

    Image.fromarray(data.chelsea()).save(tmp_path / "cat.png")
    tab = chromium.new_page(viewport={"width": 1200, "height": 1000})
    tab.set_default_timeout(240_000)  # on a busy machine
    outside: list[str] = []
    own = (address, "data:", "blob:", "about:")
    tab.on("request", lambda request: None if request.url.startswith(own) else outside.append(request.url))
    try:
        tab.goto(address)
        tab.get_by_label("Text").first.wait_for(timeout=180_000)
        tab.locator("input[type=file]").first.set_input_files(tmp_path / "cat.png", timeout=180_000)
        tab.locator("img[src*='/file']").first.wait_for(timeout=180_000)
        tab.get_by_label("Text").first.fill(FINE.split("\n", 1)[1].strip())
        tab.get_by_role("button", name="Show").click()
        inside = tab.frame_locator("#page iframe.bbi-page")
        inside.locator(".chart svg").first.wait_for(timeout=240_000)
        assert inside.locator("h1").inner_text() == "Why a cat?"
        tab.wait_for_function(
            "() => document.querySelector('#page iframe').getBoundingClientRect().height !== 640", timeout=60_000
        )
        body = inside.locator("body").evaluate("node => node.getBoundingClientRect().height")
        assert abs(tab.locator("#page iframe").bounding_box()["height"] - body) < 3, "as high as the page"
        chart = inside.locator(".chart svg").first
        before = chart.inner_html()
        inside.locator("select").first.select_option(index=1)
        tab.wait_for_timeout(500)
        assert chart.inner_html() != before
        assert tab.locator("#page iframe").get_attribute("sandbox") == "allow-scripts allow-downloads"

        tab.get_by_label("Text").first.fill("head.chanel | top(3) | present(bars)")
        tab.get_by_role("button", name="Show").click()
        problem = tab.locator("#page .bbi-problem")
        problem.wait_for(timeout=240_000)
        assert "E208" in problem.inner_text() and "^^^^^^" in problem.inner_text()
    finally:
        tab.close()
    assert not [url for url in outside if not url.startswith("https://fonts")], outside


def test_strangers_are_bounded(tmp_path, monkeypatch) -> None:
    from bbilang.hosts.gradio import BbiPage

    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.png").write_bytes(b"x")
    show = 'input "sample:chelsea"\ninput | present(image)\n'
    texts = {
        f'input "{tmp_path}/secret.png"\ninput | present(image)': "E244",
        'input "secret.png"\ninput | present(image)': "E411",  # not in the folder of the texts
        f'model "os:system"\n{show}': "E409",
        'input "sample:chelsea"\nhead.channel | top(1000) | present(featvis)': "E380",
        "": "E420",
        'input "sample:chelsea"\n' + "head.channel | top(3) | present(bars)\n" * 51: "E435",
    }
    page = BbiPage()
    for text, code in texts.items():
        made = page.make(text)
        assert f"error[{code}]" in made and "<iframe" not in made, text
    assert "<script>alert" not in page.make('<script>alert("x")</script>')
    small = BbiPage(limits=bbilang.Limits(page=1000))
    assert "error[E589]" in small.make(show)
    assert "<iframe" in BbiPage(root=tmp_path, height=300).make(show) and "<script" not in BbiPage().make(show)
