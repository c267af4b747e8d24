"""The diagram of a plan is well-formed, safe and readable: in Chromium no labels overlap or overflow."""

import itertools
import os
import re
from xml.etree import ElementTree

import pytest
from closeness import within
from explanations import AGAIN, COMPLETE, DERIVED, HEAD, HOSTILE, MANY, MODES, ROOT, SPECS, explanation, measured

from bbilang.compiler.explain.diagram_rows import MOST_ROWS
from bbilang.compiler.explain.svg import COLOURS, clean, fit, text_width
from bbilang.compiler.explain.units import si
from bbilang.compiler.plan.plan import COUNTED

SVG = "{http://www.w3.org/2000/svg}"
SPEC = {path.stem: path.read_text(encoding="utf-8") for path in SPECS}
STRANGE = (
    HEAD
    + """
interface TITLE {
    photo = input | present(image, title=TITLE)
    a_name_that_is_much_longer_than_any_box_has_room_for = head.channel | attribute(output) | top(3) | present(bars)
}
""".replace("TITLE", '"' + HOSTILE.replace('"', "'").replace("\x07", "").replace("\u202e", "") + '"')
)
MENDED = (ROOT / "specs" / "mended_for_the_right_reasons.bbi").read_text(encoding="utf-8")
SEVERAL = {"derived": DERIVED, "loaded again": AGAIN, "mended": MENDED}
TEXTS = {**SPEC, **SEVERAL, "modes": MODES, "many": MANY, "strange": STRANGE}
MODELS = {"derived": ["a", "b"], "loaded again": ["b", "a", "b, icons"], "mended": ["a", "mended"]}
KINDS = ["plain", "measured", "not optimized"]


def drawn(name, kind="plain", theme="auto"):
    explained = explanation(TEXTS[name], "page.bbi", kind != "not optimized")
    return (measured(explained) if kind == "measured" else explained).to_svg(theme)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_well_formed_and_named(name, kind):
    root = ElementTree.fromstring(drawn(name, kind))
    ids = {each.get("id") for each in root.iter() if each.get("id")}
    assert root.tag == f"{SVG}svg" and root.get("role") == "img"
    assert set(root.get("aria-labelledby").split()) == ids
    assert root.find(f"{SVG}title").text and root.find(f"{SVG}desc").text
    tags = {each.tag.removeprefix(SVG) for each in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "path", "circle", "text", "tspan"}
    attributes = {name for each in root.iter() for name in each.attrib}
    assert not [a for a in attributes if a.startswith("on") or "href" in a]
    panels = [text.text for text in root.iter(f"{SVG}text") if text.text in ("As written", "Optimized")]
    of_each = ["As written"] if kind == "not optimized" else ["As written", "Optimized"]
    assert panels == of_each * len(MODELS.get(name, [""]))


@pytest.mark.parametrize("name", SEVERAL)
def test_each_model_has_its_panels_in_the_order_in_which_they_run(name):
    root = ElementTree.fromstring(drawn(name))
    spans = [list(text.iter(f"{SVG}tspan")) for text in root.iter(f"{SVG}text")]
    assert [span[1].text for span in spans if span and span[0].text == "model "] == MODELS[name]
    assert f"the networks of the models {', '.join(MODELS[name])} " in root.find(f"{SVG}desc").text
    explained = explanation(TEXTS[name])
    shown = [text.text for text in root.iter(f"{SVG}text") if re.fullmatch(r"[\d.]+ .?FLOP", text.text or "")]
    plans = [plan for own in explained.of_models.values() for plan in (own.before, own.after)]
    assert shown == [si(sum(plan.total(kind)[1] for kind in COUNTED), "FLOP") for plan in plans]


def test_a_derived_model_starts_where_it_differs():
    """Its arrow begins at the changed layer, on the scale of the same bars; the golden file is the whole picture."""
    shown = drawn("derived") + "\n"
    golden = ROOT / "tests" / "explain" / "golden" / "derived.svg"
    if os.environ.get("BBI_WRITE_GOLDEN"):
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")
    assert "up to block5c.expand it is the forward of a" in shown and "derived from a" in shown


def test_strangers_words_are_words():
    shown = drawn("strange")
    assert "<script" not in shown and "&lt;script&gt;" in shown
    hidden = clean(HOSTILE)
    assert "\u202e" not in hidden and "\x07" not in hidden and "猫" in hidden
    for code in (0, 8, 0x0B, 0x1F, 0x7F, 0xD800, 0xFFFE, 0xFFFF):
        ElementTree.fromstring(f"<a>{clean(chr(code))}</a>")


def test_two_pictures_on_one_page_do_not_meddle():
    """Ids and style rules are of one picture alone."""
    first, second = drawn("teaser"), drawn("modes")
    names = [re.search(r'class="(bbi-plan-\w+)"', each)[1] for each in (first, second)]
    assert names[0] != names[1]
    for name, each in zip(names, (first, second), strict=True):
        rules = re.search(r"<style>(.*?)</style>", each, re.DOTALL)[1]
        assert all(rule.startswith(f".{name} ") for rule in re.findall(r"[^{}]+(?=\{[^{}]*\})", rules))
        assert all(name in identifier for identifier in re.findall(r'id="([^"]+)"', each))


def test_notebooks_show_the_picture():
    explained = explanation(MODES)
    assert explained.to_svg() in explained._repr_html_()
    assert explained._repr_mimebundle_()["text/plain"] == str(explained)


def test_themes():
    light, dark = drawn("teaser", theme="light"), drawn("teaser", theme="dark")
    assert "<style" not in light + dark
    assert COLOURS["paper"][0] in light and COLOURS["paper"][0] not in dark and COLOURS["paper"][1] in dark
    with pytest.raises(ValueError, match="`pink` is not a theme"):
        drawn("teaser", theme="pink")


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("role", ["ink", "muted", "forward", "backward", "tangents", "reruns", "icons"])
def test_words_stand_out(role, theme):
    """WCAG 2.2, 1.4.3: a contrast of 4.5 between words and what is behind them."""
    for behind in ("paper", "panel", "chip"):
        pair = sorted((luminance(COLOURS[role][theme]), luminance(COLOURS[behind][theme])))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def test_the_arrows_are_as_long_as_the_work():
    """Of the optimized backward in the picture, as a share of the forward: FLOPs above the layer over all FLOPs."""
    explained = explanation(SPEC["spatial_and_channel"].replace(COMPLETE, ""))
    description = explained.after.program.description
    share = 1 - description.by_name["block6a.expand"].flops / description.flops
    root = ElementTree.fromstring(explained.to_svg("light"))
    forward, backward = COLOURS["forward"][0], COLOURS["backward"][0]
    lengths = {forward: [], backward: []}
    for path in root.iter(f"{SVG}path"):
        level = re.fullmatch(r"M([\d.]+) [\d.]+H([\d.]+)", path.get("d"))
        if level and path.get("stroke") in lengths and path.get("stroke-width") == "2.4":
            lengths[path.get("stroke")].append(abs(float(level[2]) - float(level[1])) + 9 * 0.8)
    within(
        min(lengths[backward][:-1]) / max(lengths[forward]), share, absolute=0.01, because="lengths are whole pixels"
    )


def test_a_slide_has_room_for_twelve_rows():
    root = ElementTree.fromstring(drawn("many"))
    words = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert sum(bool(re.match(r"(\d+ × )?(forward|backward)( to|\b.*keeps)", each)) for each in words) <= 2 * MOST_ROWS
    assert "192 more" in words and any(re.fullmatch(r"and \d+ more passes in \d+ steps", each) for each in words)
    assert float(root.get("height")) <= float(root.get("width")) * 3 / 4


def test_words_are_cut_to_their_room():
    assert fit("short", 14, 100) == "short"
    cut = fit("a much longer name than that", 14, 80)
    assert cut.endswith("…") and text_width(cut, 14) <= 80
    assert text_width("猫" * 3, 10) > text_width("i" * 3, 10)


BOXES = """() => [...document.querySelectorAll('svg text')].map(t => {
  const b = t.getBBox(); return [b.x, b.y + b.height * 0.15, b.width, b.height * 0.7, t.textContent]
})"""
CHIPS = """() => [...document.querySelectorAll('svg rect[rx="8"]')].map(r => {
  const b = r.getBBox(); return [b.x, b.y, b.width, b.height]
})"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "measured") for name in TEXTS), ("teaser", "plain"), ("teaser", "not optimized"), ("strange", "plain")],
)
def test_nothing_lies_over_other_words(chromium, tmp_path, name, kind):
    path = tmp_path / "plan.svg"
    path.write_text(drawn(name, kind), encoding="utf-8")
    page = chromium.new_page()
    try:
        page.goto(path.as_uri())
        boxes, chips = page.evaluate(BOXES), page.evaluate(CHIPS)
        width, height = page.evaluate(
            "() => { const v = document.rootElement.viewBox.baseVal; return [v.width, v.height] }"
        )
    finally:
        page.close()
    assert len(boxes) > 20
    for x, y, wide, tall, words in boxes:
        assert x >= 0 and y >= 0 and x + wide <= width and y + tall <= height, words
    for one, other in itertools.combinations(boxes, 2):
        apart = (
            one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0] or one[1] + one[3] <= other[1]
            or other[1] + other[3] <= one[1]
        )  # fmt: skip
        assert apart, (one[4], other[4])
    for x, y, wide, tall, words in boxes:
        for left, top, chip_wide, chip_tall in chips:
            if left <= x < left + chip_wide and top <= y < top + chip_tall:
                assert x + wide <= left + chip_wide and y + tall <= top + chip_tall, words


@pytest.mark.browser
def test_dark_where_the_reader_prefers_it(chromium, tmp_path):
    path = tmp_path / "plan.svg"
    path.write_text(drawn("teaser"), encoding="utf-8")
    seen = {}
    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(path.as_uri())
        seen[scheme] = page.evaluate("() => getComputedStyle(document.querySelector('rect')).fill")
        context.close()
    assert seen == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}
