"""The page's own renderer against Vega: the same names, the same values, the same marks."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import planted
import pytest
import views
from same_drawing import TREE, differences, twins, walked

from bbilang.registry import registry
from bbilang.runtime.page import html
from bbilang.runtime.page import javascript as bundle
from bbilang.runtime.page.script import DRAW, joined
from bbilang.runtime.vega import drawable
from bbilang.runtime.vega.specification import layouts
from bbilang.runtime.view.model import View

pytestmark = pytest.mark.browser
LISTS = {"a": [3, None, 1, 2], "s": "a, group 7", "n": None, "x": -2.5, "o": {"k": [1, {"z": 4}]}, "t": ""}
EXPRESSIONS = r"""
1 + 2 * 3 - 4 / 5 % 3 ; -x * 2 + +x ; !n || x > 0 && 1 ; x < 0 ? 'under' : "over" ; n == null ; n === null
a[1 + 2] ; o.k[1].z ; o['k'][0] ; [1, [2, 3]][1][0] ; a[0] >= 3 && a[0] <= 3 ; 1 ? 2 ? 3 : 4 : 5
'it\'s \u00e9' + '\n' ; 1e3 + .5 + 2.5e-1 ; 7 - 2 - 1 ; 2 * (3 + 4) ; x != -2.5 ; x !== -2.5 ; true && false ; abs(x)
ceil(x) ; floor(x) ; round(2.5) ; round(-2.5) ; sqrt(2) ; max(1, 3, 2) ; min(1, 3, x) ; pow(2, 10) ; exp(1) ; log(10)
sin(1) + cos(1) ; clamp(x, 0, 1) ; clamp(7, 0, 1) ; isArray(a) ; isArray(s) ; isNumber(x) ; isString(s)
isDefined(n) ; isValid(n) ; isValid(0 / 0) ; isFinite(1 / 0) ; toNumber('7') ; toNumber('') ; toString(7) ; length(a)
length(s) ; length(t) ; indexof(a, 1) ; indexof(a, 9) ; indexof(s, ', group ') ; slice(a, 1, 3) ; slice(s, 3)
lastindexof(s, ' ') ; lastindexof(a, 1) ; lastindexof(a, 9)
join(a, '-') ; lower('Ab') ; upper('Ab') ; trim(' a ') ; replace('a, a', 'a', 'b') ; extent(a) ; a[0] + '' + s
PI + E
"""
FORMATS = "+.2f .2f .1f .0f +.1r .1r .3r ,.1f , .2% .1e .3g d +.0f .2~f .4~g ,.0f".split()
NUMBERS = [0, -0.0, 1, -1, 0.004, -0.004, 0.05, 0.95, 1.005, 2.5, -2.5, 123.456, 1234.5, -12345.678, 0.00012345]
NUMBERS += [987654321, 9.96, 0.0996, 99.5]
VIEWS = [
    views.teaser,
    views.dictionary,
    views.survey,
    views.atlas,
    views.hostile,
    planted.flows,
    planted.neuron_groups,
    planted.quiet_grids,
]


def scope(result: str) -> str:
    """An expression that sees the renderer's own names."""
    return f"(() => {{ {joined(DRAW)}; return {result}; }})()"


def test_both_sides_know_the_same_names(chromium):
    page = chromium.new_page()
    kinds = "Object.entries(MARKS).map(([kind, it]) => [kind, it.attributes.flatMap(([, channels]) => channels)])"
    names = ("FUNCTIONS", "WORDS", "{...PAINT, ...LOOKS}")
    functions, words, paint, marks = page.evaluate(
        scope(f"[{', '.join(f'Object.keys({name})' for name in names)}, Object.fromEntries({kinds})]")
    )
    page.close()
    assert set(functions) == drawable.FUNCTIONS and set(words) == drawable.WORDS
    assert {*paint, "color"} == drawable.PAINT
    lines = {"x", "y", "detail", "order", "interpolate", "tension"}
    assert {kind: set(channels) or lines for kind, channels in marks.items()} == drawable.MARKS


def test_expressions_have_vegas_values(chromium):
    texts = EXPRESSIONS.strip().replace("\n", " ; ").split(" ; ")
    called = {name for text in texts for name in drawable.FUNCTIONS if f"{name}(" in text}
    assert called == drawable.FUNCTIONS - {"format"}
    texts += [f"format({number!r}, '{form}')" for form in FORMATS for number in NUMBERS]
    page = chromium.new_page()
    page.add_script_tag(content=bundle.announced(), type="module")
    page.wait_for_function("() => window.vegaEmbed")
    signals = [{"name": name, "value": value} for name, value in LISTS.items()]
    signals += [{"name": f"made{i}", "update": text} for i, text in enumerate(texts)]
    vegas = page.evaluate(
        """async (signals) => {
            document.body.append(Object.assign(document.createElement("div"), {id: "here"}));
            const {view} = await vegaEmbed("#here", {signals}, {mode: "vega"});
            return signals.filter((it) => it.update).map((it) => String(JSON.stringify(view.signal(it.name))));
        }""",
        signals,
    )
    ours = page.evaluate(
        scope("""(signals) => {
            const params = new Params(signals.map(({name, value, update}) => ({name, value, expr: update})));
            params.settle();
            return signals.filter((it) => it.update).map((it) => String(JSON.stringify(params.get(it.name))));
        }"""),
        signals,
    )
    page.close()
    assert [(text, a, b) for text, a, b in zip(texts, ours, vegas, strict=True) if a != b] == []


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_marks_are_vegas(view: Callable[[], View], chromium, tmp_path):
    with twins(chromium, tmp_path, view(), 1280, "dark" if view is views.survey else "light") as pages:
        assert walked(pages) > 150


def test_a_difference_is_found(chromium, tmp_path):
    """The comparison sees three hundredths of a pixel, a colour, an opacity and a mark that is missing."""
    with twins(chromium, tmp_path, views.teaser(), 900) as pages:
        assert_differences_are_found(pages)


def assert_differences_are_found(pages):
    for change in (
        "n => n.setAttribute('d', n.getAttribute('d').replace(/\\d+/, (it) => Number(it) + 0.03))",
        "n => n.setAttribute('fill', '#123457')",
        "n => n.setAttribute('opacity', 0.5)",
        "n => n.remove()",
    ):
        assert not differences(*[page.evaluate(TREE) for page in pages])[1]
        pages[0].locator("[data-chart=blocks] .mark-rect path").first.evaluate(change)
        assert differences(*[page.evaluate(TREE) for page in pages])[1]
        pages[0].reload()
        pages[0].wait_for_selector("html[data-ready]")


# ---- what the renderer leaves to Vega --------------------------------------------------------------------------------

BEYOND = {
    "an area": lambda it: it["mark"].update(type="area"),
    "a scale": lambda it: it["encoding"]["x"].pop("scale"),
    "an aggregate": lambda it: it["encoding"]["x"].update(aggregate="mean"),
    "another transform": lambda it: it["transform"].append({"window": [{"op": "sum", "as": "s"}]}),
    "another function": lambda it: it["transform"].append({"calculate": "sequence(3)", "as": "s"}),
    "an unknown name": lambda it: it["transform"].append({"calculate": "windowSize", "as": "s"}),
    "another format": lambda it: it["transform"].append({"calculate": "format(1, '$.2f')", "as": "s"}),
    "an operator": lambda it: it["transform"].append({"calculate": "1 & 2", "as": "s"}),
    "a tooltip": lambda it: it["mark"].update(tooltip=True),
    "a gradient": lambda it: it["mark"].update(fill={"gradient": "linear"}),
    "a corner of its own": lambda it: it["mark"].update(cornerRadiusTopLeft=3),
    "an interpolation": lambda it: it["mark"].update(interpolate="monotone"),
    "data from elsewhere": lambda it: it.update(data={"url": "a.csv"}),
    "layers in layers": lambda it: it.update(layer=[]),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_beyond(name):
    specification = layouts(views.teaser(), registry().styles)["blocks"]
    assert drawable.beyond(specification) == ""
    changed = deepcopy(specification)
    BEYOND[name](next(layer for layer in changed["layer"] if layer["mark"]["type"] == "rect"))
    assert drawable.beyond(changed)


def test_a_style_that_needs_more_is_drawn_by_vega(chromium, tmp_path, monkeypatch):
    """Bars on scales of Vega-Lite's own, as a plug-in may draw them."""
    style = type(registry().styles["featvis"])()
    bars = {
        "data": {"values": [{"name": "a", "size": 3}, {"name": "b", "size": 5}]},
        "mark": {"type": "bar", "color": "#0a7"},
        "encoding": {"x": {"field": "size", "type": "quantitative"}, "y": {"field": "name", "type": "nominal"}},
    }

    def chart(element, theme):
        theme.geometry(element).flow(1, 300, 120, labelled=False)
        return bars

    monkeypatch.setattr(style, "chart", chart)
    text = html.render(views.teaser(), {**registry().styles, "featvis": style})
    assert 'id="bbi-vega"' in text and "blob:" not in text.split("script-src")[1].split(";")[0]
    (tmp_path / "page.html").write_text(text, "utf-8")
    page = chromium.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    widths = page.locator("[data-chart=blocks] [fill='#0a7']").evaluate_all("all => all.map((n) => n.getBBox().width)")
    page.close()
    assert len(widths) == 2 and widths[1] / widths[0] == pytest.approx(5 / 3) and troubles == []
