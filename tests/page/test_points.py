"""Point sets in the browser: what is drawn, pointed at, chosen and said, by WebGL2 and without it."""

from __future__ import annotations

import re

import numpy as np
import point_views
import pytest
from at_rest import at_rest
from PIL import Image

pytestmark = pytest.mark.browser
PLOT = "#element-map .points"
CHART = "document.querySelector('[data-chart=map]').points"
# WebGL2 by software is left alone, since a plain canvas is faster: here it has another name. Or there is none at all.
SOFTWARE = """{
    const own = WebGL2RenderingContext.prototype.getParameter;
    WebGL2RenderingContext.prototype.getParameter = function (name) {
        const value = own.call(this, name);
        return String(value).includes("SwiftShader") ? "a graphics processor" : value;
    };
    const getContext = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, options) {
        const any = kind === "webgl2" ? {...options, failIfMajorPerformanceCaveat: false} : options;
        return getContext.call(this, kind, any);
    };
}"""
NONE = """{
    const own = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, options) {
        return kind === "webgl2" ? null : own.call(this, kind, options);
    };
}"""


def pixel(page, i: int) -> tuple[float, float]:
    """Where point i is, in pixels of the page."""
    x, y = page.evaluate(f"(i) => {CHART}.view.pixel({CHART}.set.places[2 * i], {CHART}.set.places[2 * i + 1])", i)
    box = page.locator(PLOT).bounding_box()
    return box["x"] + page.evaluate(f"{CHART}.inner.left") + x, box["y"] + y


def lasso(page, corners: list[tuple[float, float]], shift: bool = True) -> None:
    if shift:
        page.keyboard.down("Shift")
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    if shift:
        page.keyboard.up("Shift")


def around(page, share: float = 0.5) -> list[tuple[float, float]]:
    """A rectangle over the left share of the plot."""
    box = page.locator(PLOT).bounding_box()
    left, top, right, bottom = (
        box["x"] + 60,
        box["y"] + 5,
        box["x"] + 60 + share * (box["width"] - 60),
        box["y"] + box["height"] - 50,
    )
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def picture(page) -> np.ndarray:
    """The plot inside its axes, in RGB."""
    from io import BytesIO

    box, inner = page.locator(PLOT).bounding_box(), page.evaluate(f"{CHART}.inner")
    clip = {
        "x": box["x"] + inner["left"] + 2,
        "y": box["y"] + 2,
        "width": inner["wide"] - 4,
        "height": inner["high"] - 4,
    }
    return np.asarray(Image.open(BytesIO(page.screenshot(clip=clip))).convert("RGB")).astype(float)


def test_webgl_and_plain_canvas_draw_the_same(show):
    page = show(point_views.thousands, script=SOFTWARE)
    assert page.evaluate(f"{CHART}.kind") == "webgl2"
    first = picture(page)
    page.evaluate(f"{CHART}.paper(true)")
    assert page.evaluate(f"{CHART}.kind") == "canvas"
    second = picture(page)
    assert (np.abs(first - 255).max(-1) > 40).mean() > 0.1, "points are drawn"
    assert np.abs(first - second).mean() < 6
    blocks = [
        it[: it.shape[0] // 16 * 16, : it.shape[1] // 16 * 16]
        .reshape(it.shape[0] // 16, 16, it.shape[1] // 16, 16, 3)
        .mean((1, 3))
        for it in (first, second)
    ]
    assert np.abs(blocks[0] - blocks[1]).max() < 25, "over blocks of 16 pixels, where a disc's rim does not count"


@pytest.mark.parametrize("script", [SOFTWARE, NONE], ids=["webgl2", "canvas"])
def test_pointing_and_choosing_with_each_painter(show, script):
    page = show(point_views.thousands, script=script)
    assert page.evaluate(f"{CHART}.kind") == ("canvas" if script is NONE else "webgl2")
    page.mouse.move(*pixel(page, 77))
    page.wait_for_selector(".tip:not([hidden])")
    before = picture(page)
    lasso(page, around(page))
    assert "chosen" in page.locator(".points-status").inner_text()
    after = picture(page)
    half = after.shape[1] // 2
    near, far = slice(half - 40), slice(half + 40, None)
    ink = [[np.abs(it[:, side] - 255).mean() for side in (near, far)] for it in (before, after)]
    assert ink[1][1] < 0.5 * ink[0][1] and ink[1][0] > 0.9 * ink[0][0], "the rest fades"


def test_a_lost_context_is_painted_without_and_comes_back(show):
    page = show(point_views.thousands, script=SOFTWARE)
    before = picture(page)
    page.evaluate(f"window.lose = {CHART}.painter.gl.getExtension('WEBGL_lose_context'); lose.loseContext()")
    page.wait_for_function(f"{CHART}.kind === 'canvas'")
    assert np.abs(picture(page) - before).mean() < 6
    page.evaluate("lose.restoreContext()")
    page.wait_for_function(f"{CHART}.kind === 'webgl2'")
    assert np.abs(picture(page) - before).mean() < 0.5


def test_the_nearest_point_is_pointed_at(show):
    page, points = show(point_views.thousands), point_views.cloud(12_000)
    i = int(np.argmax(points.x))  # nothing lies near
    x, y = pixel(page, i)
    page.mouse.move(x + 3, y + 2)
    page.wait_for_selector(".tip:not([hidden])")
    tip = page.locator(".tip").inner_text()
    assert f"photo {i}.jpg" in tip and str(points.columns["label"][i]) in tip
    page.mouse.move(x + 60, y - 60)
    page.wait_for_selector(".tip", state="hidden")


def test_hover_against_all_distances(show):
    """The grid gives the same point as comparing all of them, also zoomed in and with a filter."""
    page = show(point_views.thousands)
    for setup in (
        "",
        f"{CHART}.zoomAt(7, ...{CHART}.view.pixel(...{CHART}.set.places.slice(0, 2)))",
        f"{CHART}.all(), {CHART}.filter({{column: 'label', code: 3}}, false)",
    ):
        page.evaluate(setup or "0")
        wrong = page.evaluate(f"""() => {{
            const chart = {CHART}, {{ set, view, inner }} = chart, nearest = chart.nearest.bind(chart);
            let wrong = 0, hits = 0;
            for (let k = 0; k < 60; k++) {{
                const x = ((k * 37) % 100) / 100 * inner.wide, y = ((k * 61) % 100) / 100 * inner.high;
                let best = -1, least = 144;
                for (let i = 0; i < set.count; i++) {{
                    const [px, py] = view.pixel(set.places[2 * i], set.places[2 * i + 1]);
                    const far = (px - x) ** 2 + (py - y) ** 2;
                    if (!(set.flags[i] & 1) && far < least) least = far, best = i;
                }}
                if (best >= 0) hits++;
                if (nearest(x, y, 12) !== best) wrong++;
            }}
            return [wrong, hits];
        }}""")
        assert wrong[0] == 0 and wrong[1] > 0


def test_lasso_counts_and_means_against_numpy(show):
    page, points = show(point_views.thousands), point_views.cloud(12_000)
    told = page.evaluate(
        f"""() => {{
            window.told = [];
            const numbers = (mask) => mask && [...mask.keys()].filter((i) => mask[i]);
            {CHART}.on("choose", (mask, count) => told.push([numbers(mask), count]));
        }}"""
    )
    assert told is None
    corners = around(page, 0.4)
    lasso(page, [*corners[:2], (corners[2][0] - 70, corners[2][1]), corners[3]])
    ((chosen, count),) = page.evaluate("told")
    polygon = np.array(page.evaluate(f"{CHART}.chose.polygon")).reshape(-1, 2)
    places = np.stack([np.rint((v - v.min()) / (v.max() - v.min()) * 65535) for v in (points.x, points.y)], 1)
    inside = np.zeros(len(places), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, 1, 0), strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= ((y0 > places[:, 1]) != (y1 > places[:, 1])) & (
                places[:, 0] < (x1 - x0) * (places[:, 1] - y0) / (y1 - y0) + x0
            )
    assert 2_000 < count == inside.sum() and chosen == np.flatnonzero(inside).tolist()
    score, correct, label = (points.columns[name] for name in ("score", "correct", "label"))
    own = page.evaluate(
        f"""() => Object.fromEntries([...{CHART}.summary.of(true)].map(
            ([name, it]) => [name, {{...it, counts: [...it.counts ?? []], bins: [...it.bins ?? []]}}]))"""
    )
    known = score[inside & np.isfinite(score)].astype(np.float32).astype(float)
    assert own["score"]["mean"] == pytest.approx(known.mean(), rel=1e-9) and own["score"]["deviation"] == pytest.approx(
        known.std(), rel=1e-6
    )
    assert own["score"]["missing"] == (inside & np.isnan(score)).sum() > 0
    low, high = (float(np.float32(it)) for it in (np.nanmin(score), np.nanmax(score)))
    assert np.abs(np.histogram(known, 24, (low, high))[0] - own["score"]["bins"]).max() <= 1, (
        "but for values on an edge"
    )
    assert own["correct"]["counts"] == [int((~correct[inside]).sum()), int(correct[inside].sum())]
    names = sorted(set(label) - {""})
    assert own["label"]["counts"] == [int((label[inside] == name).sum()) for name in names]
    status = page.locator(".points-status").inner_text()
    assert status == f"{count:,} of 12,000 points are chosen."
    assert f"mean {known.mean():.4g}".replace("-", "\u2212") in page.locator(".points-chosen").inner_text()


def test_a_click_beside_lets_go_and_escape_does(show):
    page = show(point_views.thousands)
    lasso(page, around(page))
    box = page.locator(PLOT).bounding_box()
    page.mouse.click(box["x"] + 70, box["y"] + 15)
    assert page.locator(".points-status").inner_text() == "12,000 points."
    lasso(page, around(page))
    page.keyboard.press("Escape")
    assert page.evaluate(f"{CHART}.chose") is None and page.locator(".points-chosen").is_hidden()


def test_the_lasso_of_a_finger(show):
    page = show(point_views.thousands, width=390, has_touch=True)
    page.get_by_role("button", name=re.compile("Draw around")).tap()
    box = page.locator(PLOT).bounding_box()
    page.evaluate(
        f"""(box) => {{
        const plot = document.querySelector("{PLOT}"), touch = {{pointerId: 5, pointerType: "touch", bubbles: true}};
        const send = (kind, x, y) => plot.dispatchEvent(
            new PointerEvent(kind, {{...touch, clientX: box.x + x, clientY: box.y + y}}));
        plot.setPointerCapture = () => {{}};
        send("pointerdown", 60, 5);
        for (const [x, y] of [[200, 5], [200, 150], [200, 300], [60, 300]]) send("pointermove", x, y);
        send("pointerup", 60, 300);
    }}""",
        box,
    )
    assert "chosen" in page.locator(".points-status").inner_text()


def test_two_fingers_zoom(show):
    page = show(point_views.thousands, width=390, has_touch=True)
    zoom = page.evaluate(f"""() => {{
        const plot = document.querySelector("{PLOT}"), box = plot.getBoundingClientRect();
        plot.setPointerCapture = () => {{}};
        const touch = {{pointerType: "touch", bubbles: true, clientY: box.y + 100}};
        const send = (kind, id, x) => plot.dispatchEvent(
            new PointerEvent(kind, {{...touch, pointerId: id, clientX: box.x + x}}));
        send("pointerdown", 1, 150), send("pointerdown", 2, 200);
        for (let i = 1; i <= 10; i++) send("pointermove", 1, 150 - 5 * i), send("pointermove", 2, 200 + 5 * i);
        send("pointerup", 1, 100), send("pointerup", 2, 250);
        return {CHART}.view.zoom;
    }}""")
    assert zoom == pytest.approx(3, rel=0.01), "from 50 pixels apart to 150"


def test_wheel_buttons_and_dragging(show):
    page = show(point_views.thousands)
    x, y = pixel(page, 5)
    page.mouse.move(x, y)
    page.mouse.wheel(0, 100)
    at_rest(page)
    assert page.evaluate(f"{CHART}.view.zoom") == 1, "the page scrolls"
    page.evaluate("scrollTo(0, 0)")
    page.mouse.click(x, y)
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"{CHART}.view.zoom > 1.5")
    assert pixel(page, 5) == pytest.approx((x, y), abs=1.5), "what is under the pointer stays"
    page.mouse.down()
    page.mouse.move(x + 40, y + 25, steps=5)
    page.mouse.up()
    assert pixel(page, 5) == pytest.approx((x + 40, y + 25), abs=1.5)
    page.get_by_role("button", name=re.compile("All points in view")).click()
    assert page.evaluate(f"{CHART}.view.zoom") == 1


def test_keys_go_from_point_to_point_and_draw_a_rectangle(show):
    page = show(point_views.hundreds)
    chart = page.locator("[data-chart=map]")
    chart.focus()
    page.keyboard.press("ArrowRight")
    first = page.evaluate(f"{CHART}.hovered")
    page.keyboard.press("ArrowRight")
    second = page.evaluate(f"{CHART}.hovered")
    assert first >= 0 and pixel(page, second)[0] > pixel(page, first)[0]
    assert (
        f"photo {second}.jpg" in page.locator("#status").inner_text()
        or f"photo {second}" in page.locator("#status").inner_text()
    )
    page.keyboard.press("+")
    assert page.evaluate(f"{CHART}.view.zoom") == 1.5
    page.keyboard.press("0")
    page.keyboard.press("r")
    said = page.locator("#status").inner_text()
    assert "arrows move it" in said and re.search(r"\d+ points? inside", said)
    for key in ("ArrowLeft", "Shift+ArrowRight", "+", "+", "+", "+"):
        page.keyboard.press(key)
    inside = int(re.search(r"(\d+) points? inside", page.locator("#status").inner_text())[1])
    page.keyboard.press("Enter")
    assert inside > 0 and page.evaluate(f"{CHART}.set.chosen") == inside
    assert f"{inside} of 600 points" in page.locator("#status").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.evaluate(f"[{CHART}.hovered, {CHART}.chose]") == [-1, None]


def test_the_table_of_the_chosen(show):
    page = show(point_views.thousands)
    lasso(page, around(page))
    page.get_by_text(re.compile("The first 50 of")).click()
    rows = page.locator(".points-table tbody tr")
    rows.nth(49).wait_for(state="attached")
    assert rows.count() == 50
    name = rows.nth(0).locator("button").inner_text()
    rows.nth(0).locator("button").click()
    assert page.locator(".tip strong").inner_text() == name
    assert page.locator(".points-table thead th").all_inner_texts() == ["point", "label", "score", "correct"]


def test_colours_filter_and_labels(show):
    page, points = show(point_views.thousands), point_views.cloud(12_000)
    chips = page.locator(".key.chips > *").all_inner_texts()
    assert len(chips) == 12 and chips[10] == "2 other labels" and chips[11] == "no label" and "<b>bold</b>" in chips
    page.locator(".tools").get_by_label("Show").select_option("label")
    page.locator(".range select").select_option(label=f"lynx ({(points.columns['label'] == 'lynx').sum():,})")
    assert (
        page.locator(".points-status").inner_text()
        == f"{(points.columns['label'] == 'lynx').sum():,} of 12,000 points shown (label is lynx)."
    )
    page.locator(".tools").get_by_label("Show").select_option("score")
    page.locator(".range input").nth(0).fill("1.5")
    page.locator(".range input").nth(0).press("Tab")
    shown = int((points.columns["score"].astype(np.float32) >= 1.5).sum())
    assert page.evaluate(f"{CHART}.set.shown") == shown
    page.locator(".tools").get_by_label("Show").select_option("")
    page.locator(".tools").get_by_label("Colour").select_option("score")
    low, high = page.locator(".key .scale > span").all_inner_texts()
    q = [np.nanquantile(points.columns["score"], it) for it in (0.01, 0.99)]
    assert "percentile" in page.locator(".key .quantity").inner_text()
    assert float(high) == pytest.approx(max(abs(q[0]), q[1]), rel=1e-3) and low == f"\u2212{high}"
    page.locator(".tools").get_by_label("Colour").select_option("label")
    page.get_by_role("button", name="lynx").click()
    assert page.evaluate(f"{CHART}.set.chosen") == (points.columns["label"] == "lynx").sum()
    assert page.get_by_role("button", name="lynx").get_attribute("aria-pressed") == "true"


def test_the_address_keeps_lasso_filter_and_colour(show):
    page = show(point_views.thousands)
    page.locator(".tools").get_by_label("Colour").select_option("score")
    lasso(page, around(page))
    page.locator(".tools").get_by_label("Show").select_option("label")
    now = page.evaluate(f"[{CHART}.colour.name, {CHART}.only, {CHART}.chose, {CHART}.set.chosen]")
    again = show(point_views.thousands, hash=page.evaluate("location.hash"))
    assert again.evaluate(f"[{CHART}.colour.name, {CHART}.only, {CHART}.chose, {CHART}.set.chosen]") == now
    page.go_back()
    page.wait_for_function(f"{CHART}.only === null")
    page.go_back()
    page.wait_for_function(f"{CHART}.chose === null")
    broken = show(point_views.thousands, hash="#chosen.map=zz+zz&only.map=nothing%09from%091%09x&colour.map=none")
    assert broken.evaluate(f"[{CHART}.only, {CHART}.chose, {CHART}.colour?.name ?? '']") == [None, None, ""]


def test_a_point_is_a_selection_like_any_mark(show):
    """Pointing at an example changes what follows the selection, and what is selected elsewhere has a ring."""
    page = show(point_views.hundreds)
    i = int(np.argmax(point_views.cloud(600).x))
    page.mouse.move(*pixel(page, i))
    page.wait_for_function(f"(i) => {CHART}.ringed.includes(i)", arg=i)
    assert page.evaluate("document.querySelector('[data-chart=bars]').getAttribute('aria-label')").count(str(i))
    assert "photo" in page.locator("#status").inner_text()
    page.mouse.move(5, 5)
    page.wait_for_function(f"{CHART}.hovered === -1")
    assert page.evaluate(f"{CHART}.ringed") == []


def test_dark_paper_and_saved_pictures(show, tmp_path):
    page = show(point_views.thousands, script=SOFTWARE, color_scheme="dark")
    assert picture(page).mean() < 110
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate(f"{CHART}.kind") == "canvas" and page.evaluate(f"{CHART}.extent[0]") <= 680
    assert (
        picture(page).mean() > 150
        and page.locator(".tools").is_hidden()
        and page.locator(".points-status").is_visible()
    )
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(f"{CHART}.kind") == "webgl2" and picture(page).mean() < 110
    page.locator("#theme").click()
    at_rest(page)
    assert picture(page).mean() > 150
    for kind in ("png", "svg", "csv"):
        page.locator(".save summary").first.click()
        with page.expect_download() as download:
            page.locator(f"[data-save={kind}]").first.click()
        path = tmp_path / f"points.{kind}"
        download.value.save_as(path)
        assert path.stat().st_size > 20_000
    rows = (tmp_path / "points.csv").read_text("utf-8-sig").splitlines()
    assert rows[0] == '"point","component 1","component 2","label","score","correct"' and len(rows) == 12_001
    saved = np.asarray(Image.open(tmp_path / "points.png").convert("RGB"))
    assert (np.abs(saved.astype(int) - 255).max(-1) > 40).mean() > 0.03


def test_screens_of_high_density(show):
    page = show(point_views.thousands, device_scale_factor=2)
    inner = page.evaluate(f"[{CHART}.inner.wide, {CHART}.canvas.width]")
    assert inner[1] == round(2 * inner[0])
