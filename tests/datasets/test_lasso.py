"""What a reader encloses in a map is a part of the dataset, and what follows it has the numbers of those examples."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from PIL import Image
from saved_tables import table, values_of

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.statistics.spectrum import edges_of
from bbilang.runtime.styles.histogram import counted
from bbilang.runtime.view.states import elements

HEAD = """
set featvis(size=16, steps=2)
dataset shapes = "sample:shapes" | sample(40)
dataset striped = shapes | filter(texture == "striped")
points = b.channel | across(shapes) | project(pca, 2, along=channel)
map = points | present(scatter)
mine = lasso(map, title="mine")
"""
TEXT = (
    HEAD
    + """
every = b.channel | across(shapes) | mean(example) | present(bars)
mean = b.channel | across(shapes) | at(mine) | mean(example) | present(bars)
spread = b.channel | across(shapes) | at(mine) | std(example) | present(bars)
most = b.channel | across(shapes) | at(mine) | max(example) | present(table)
quantile = b.channel | across(shapes) | at(mine) | quantile(example, 0.8) | present(table)
above = b.channel | across(shapes) | at(mine) | fraction(example, above=0.5) | present(table)
best = b.channel | across(shapes) | at(mine) | mean(example) | top(3) | present(bars)
least = b.channel | across(shapes) | at(mine) | mean(example) | bottom(2) | present(bars)
subsets = b.channel | across([shapes, striped, mine]) | mean(example) | only(every) | present(matrix)
kinds = b.channel | across(shapes) | at(mine) | mean(example, per=label) | present(matrix)
pointed = b.channel | across(shapes) | at(mine) | mean(example) | at(hover(every)) | present(number)
bins = b.channel[1] | across(shapes) | at(mine) | present(histogram)
row = shapes | at(mine) | present(image)
icon = points | at(mine) | present(featvis, bins=3)
"""
)
CHART = 'document.querySelector("[data-chart=map]").points'


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def made(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lasso")
    (folder / "page.bbi").write_text(TEXT)
    page = bbilang.run(folder / "page.bbi", model=network)
    return page, page.save(folder / "page.html")


@pytest.fixture(scope="module")
def numbers(network, tmp_path_factory) -> np.ndarray:
    """(example, channel), of a page that draws every one of them."""
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "page.bbi").write_text(
        'dataset shapes = "sample:shapes" | sample(40)\nb.channel | across(shapes) | present(matrix)'
    )
    field = bbilang.run(folder / "page.bbi", model=network).results.fields["element-1"]
    return field.values.ordered(("example", "channel")).data.astype(np.float64)


@pytest.fixture
def tab(chromium, made):
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": 1200, "height": 1600}, accept_downloads=True)
    tab = context.new_page()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.goto(made[1].as_uri())
    tab.wait_for_selector("html[data-ready]")
    yield tab
    context.close()
    assert not complaints


def drawn(tab) -> np.ndarray:
    """Draw a lasso around the left half of the map with the mouse. Returns whether each point is inside."""
    plot = tab.locator('[data-chart="map"] .points')
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    left, top, right, bottom = (
        box["x"] + 56,
        box["y"] + 4,
        box["x"] + 0.55 * box["width"],
        box["y"] + box["height"] - 46,
    )
    tab.keyboard.down("Shift")
    tab.mouse.move(left, top)
    tab.mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom)):
        tab.mouse.move(*corner, steps=3)
    tab.mouse.up()
    tab.keyboard.up("Shift")
    tab.wait_for_function(f"() => {CHART}.chose !== null")
    return inside_of(tab)


def inside_of(tab) -> np.ndarray:
    return np.array(tab.evaluate(f"() => [...{CHART}.set.mask()]"), bool)


@pytest.mark.browser
def test_numbers_in_the_page_are_those_of_the_enclosed_examples(tab, numbers, made):
    mask = drawn(tab)
    assert 5 < mask.sum() < 35
    own = numbers[mask]
    close = {"rtol": 1e-3, "atol": 1e-6}  # four digits on the page
    for element, expected in {
        "mean": own.mean(0),
        "spread": own.std(0),
        "most": own.max(0),
        "quantile": np.quantile(own, 0.8, axis=0),
        "above": (own > 0.5).mean(0),
        "every": numbers.mean(0),
    }.items():
        np.testing.assert_allclose(values_of(table(tab, element)), expected, **close, err_msg=element)
    rows = table(tab, "best")
    order = np.argsort(-own.mean(0), kind="stable")
    assert [row["channel"] for row in rows] == [f"channel {channel}" for channel in order[:3]]
    np.testing.assert_allclose(values_of(rows), own.mean(0)[order[:3]], **close)
    assert [row["channel"] for row in table(tab, "least")] == [f"channel {channel}" for channel in order[::-1][:2]]
    subsets = table(tab, "subsets")
    named = next(key for key in subsets[0] if subsets[0][key] == "shapes")
    chosen = [row for row in subsets if row[named] == "mine"]
    np.testing.assert_allclose(values_of(chosen), own.mean(0), **close)
    others = [row for row in subsets if row[named] != "mine"]
    before = made[0].data("subsets").values  # (subset, channel)
    np.testing.assert_allclose(values_of(others), before[:2].T.ravel(), **close)


@pytest.mark.browser
def test_groups_bins_and_rows_are_those_of_the_enclosed_examples(tab, numbers, made):
    mask = drawn(tab)
    field = made[0].results.fields["map"]
    labels = field.columns["label"].data.astype(str)
    groups = np.unique(labels)
    missing = np.full(numbers.shape[1], np.nan)
    parts = [numbers[mask & (labels == group)] for group in groups]
    expected = np.stack([part.mean(0) if len(part) else missing for part in parts])
    kinds = values_of(table(tab, "kinds")).reshape(numbers.shape[1], len(groups))
    np.testing.assert_allclose(kinds, expected.T, rtol=1e-3, atol=1e-6)
    one = numbers[:, 1].astype(np.float32)
    zeros, counts, full, _, _ = counted(one[mask], edges_of(one))
    bins = np.nan_to_num(values_of(table(tab, "bins")))
    assert bins.tolist() == [*filter(None, [zeros]), *counts.tolist(), *filter(None, [full])]
    assert f"{mask.sum()} of 40 examples in the lasso" in tab.locator('[data-remark="bins"]').inner_text()
    shown = tab.locator('[data-chart="row"] image').evaluate_all(
        "(all) => all.filter((it) => it.getAttribute('href').startsWith('data:image/webp')).length"
    )
    assert shown == min(mask.sum(), 24)
    titles = tab.locator('[data-chart="row"]').get_attribute("aria-label")
    assert all(label in titles for label in labels[mask][:8])
    tab.locator("#element-map").get_by_role("button", name="Let go of the chosen points").click()
    tab.wait_for_function(f"() => {CHART}.chose === null")
    np.testing.assert_allclose(values_of(table(tab, "mean")), numbers.mean(0), rtol=1e-3)
    assert "all 40 examples: draw around points" in tab.locator('[data-remark="mean"]').inner_text().lower()


@pytest.mark.browser
def test_the_icon_is_that_of_the_bin_at_the_smallest_angle_to_the_mean_of_what_is_enclosed(tab, numbers, made):
    places = made[0].results.fields["map"].values.ordered(("example", "component")).data.astype(float)
    low, high = np.quantile(places, (0.01, 0.99), axis=0)
    inside = ((places >= low - 0.1 * (high - low)) & (places <= high + 0.1 * (high - low))).all(1)
    corner, far = places[inside].min(0), places[inside].max(0)
    side = float((far - corner).max())
    corner = (corner + far) / 2 - side / 2
    bins = {}  # (row from the top, column) -> examples
    for example in np.flatnonzero(inside):
        x, y = np.minimum((places[example] - corner) / side * 3, 2).astype(int)
        bins.setdefault((2 - int(y), int(x)), []).append(example)
    means = {place: numbers[own].mean(0) for place, own in bins.items()}
    element = next(one for one in elements(made[0].view) if one.id == "icon")
    assert element.follows.vectors == len(bins) == len(made[0].results.icons)

    def nearest(mask) -> tuple[str, int]:
        mean = numbers[mask].mean(0)
        cosines = {place: mean @ own / np.linalg.norm(mean) / np.linalg.norm(own) for place, own in means.items()}
        row, column = max(cosines, key=cosines.get)
        return f"row {row + 1}, column {column + 1}", int(mask[bins[row, column]].sum())

    remark, chart = tab.locator('[data-remark="icon"]'), tab.locator('[data-chart="icon"]')
    label, count = nearest(np.ones(len(numbers), bool))
    assert f"at {label}, and {count} of them" in "".join(piece.words for piece in element.answers[0])
    assert label in chart.inner_text() and "nearest to the mean of all 40 examples" in remark.inner_text()
    seen = set()
    for half in ([0, 0, 0.45, 1], [0.55, 0, 1, 1], [0, 0, 1, 0.4]):
        left, top, right, bottom = (round(65535 * part) for part in half)  # of the range of all places
        ring = [left, top, right, top, right, bottom, left, bottom]
        tab.evaluate(f"ring => {CHART}.choose({{polygon: ring}})", ring)
        mask = inside_of(tab)
        assert mask.any() and not mask.all()
        label, count = nearest(mask)
        own = "document.querySelector('[data-chart=icon]').textContent"
        tab.wait_for_function(f"label => {own}.includes(label)", arg=label)
        assert f"{count} of your {mask.sum()} points" in remark.inner_text()
        seen.add(chart.locator("image").first.get_attribute("href"))
    assert len(seen) > 1


@pytest.mark.browser
def test_keys_and_the_address_choose_as_the_mouse_does(tab, numbers):
    chart = tab.locator('[data-chart="map"]')
    chart.focus()
    for key in ("r", "+", "+", "+", "Shift+ArrowRight", "Enter"):
        chart.press(key)
    tab.wait_for_function(f"() => {CHART}.chose !== null && {CHART}.set.chosen > 0")
    mask = inside_of(tab)
    np.testing.assert_allclose(values_of(table(tab, "mean")), numbers[mask].mean(0), rtol=1e-3)
    status = tab.locator("#status").text_content()
    assert f"{mask.sum()} of 40 points" in status and "In the lasso, the largest number is" in status
    address = tab.evaluate("() => location.href")
    tab.goto("about:blank")
    tab.goto(address)
    tab.wait_for_selector("html[data-ready]")
    assert inside_of(tab).tolist() == mask.tolist()
    np.testing.assert_allclose(values_of(table(tab, "mean")), numbers[mask].mean(0), rtol=1e-3)


@pytest.mark.browser
def test_a_part_without_points_has_no_numbers(tab):
    tab.evaluate(f"() => {CHART}.choose({{polygon: [-900, -900, -900, -800, -800, -800]}})")
    assert not inside_of(tab).any()
    assert np.isnan(values_of(table(tab, "mean"))).all()
    assert "0 of 40 examples" in tab.locator('[data-remark="mean"]').inner_text()


def test_a_page_stores_each_number_once_and_scans_once(made):
    view = made[0].view
    by_id = {element.id: element for element in elements(view)}
    assert len(made[0].results.program.scans) == 1
    assert by_id["kinds"].follows.vectors == by_id["mean"].follows.vectors == 8
    assert by_id["subsets"].follows.vectors == 8 and {-1} < {
        c for row in by_id["subsets"].follows.cells[0] for c in row
    }
    assert by_id["every"].follows is None and by_id["row"].follows.slots == tuple(range(40))


def test_recalled_numbers_follow_too(network, tmp_path):
    (tmp_path / "page.bbi").write_text(
        HEAD + "b.channel | across(shapes) | at(mine) | mean(example) | top(3) | present(bars)"
    )
    first, second = (bbilang.run(tmp_path / "page.bbi", model=network, cache=tmp_path / "cache") for _ in range(2))
    (one,), (other,) = ([e.follows for e in elements(page.view) if e.follows] for page in (first, second))
    assert one == other


ACROSS = "b.channel | across(shapes) | "
REFUSED = {
    f"{ACROSS}at(mine) | project(pca, 2, along=channel) | present(scatter)": ("E265", "project"),
    f"{ACROSS}at(mine) | top(3) | mean(example) | present(bars)": ("E265", "top"),
    f"{ACROSS}at(mine) | mean(example) | top(3) | only(x) | present(bars)": ("E265", "only"),
    f"{ACROSS}at(mine) | mean(example) | both(2) | present(bars)": ("E265", "both"),
    f"{ACROSS}at(mine) | mean(example) | present(featvis)": ("E265", "featvis"),
    f"{ACROSS}at(mine) | mean(example) | top(1) | present(number)": ("E265", "number"),
    "b.channel | tcav([mine], against=shapes) | present(table)": ("E265", "[mine]"),
    "b.channel | at(mine) | present(bars)": ("E309", "mine"),
    "shapes | at(lasso(x)) | present(image)": ("E306", "x"),
    "shapes | at(mine) | filter(size > 3) | present(image)": ("E265", "filter"),
    "points | at(mine) | present(featvis, bins=40)": ("E214", "40"),
    "points | at(mine) | present(featvis, size=value)": ("E265", "size=value"),
    "points | at(mine) | mean(example) | present(featvis)": ("E304", "featvis"),
    "b.channel | activation | present(featvis, bins=4)": ("E231", "bins=4"),
    "b.channel | across(shapes) | project(pca, 3, along=channel) | at(mine) | present(featvis)": ("E304", "featvis"),
    "b.channel | attribute(output) | across(shapes) | project(pca, 2, along=channel) | at(mine) | present(featvis)": (
        "E304",
        "featvis",
    ),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_the_page_cannot_compute_is_refused_at_its_place(line, network):
    code, at = REFUSED[line]
    text = f"{HEAD}x = {ACROSS}mean(example) | present(bars)\n{line}"
    with pytest.raises(BbiError) as caught:
        bbilang.check(text, model=network)
    first = next(one for one in caught.value.diagnostics if one.severity == "error")
    assert first.code.startswith(code), first
    assert text[first.span.start : first.span.end].startswith(at)


def test_a_lasso_is_of_examples_of_the_same_files(network, tmp_path):
    for number, name in enumerate(("one", "two")):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.csv").write_text("file,label\n" + "".join(f"{name}.png,{n % 2}\n" for n in range(6)))
    text = (
        'dataset one = "one.csv"\ndataset two = "two.csv"\n'
        "map = b.channel | across(one) | project(pca, 2, along=channel) | present(scatter)\n"
        "b.channel | across({}) | at(lasso(map)) | mean(example) | present(bars)"
    )
    (tmp_path / "page.bbi").write_text(text.format("two"))
    with pytest.raises(BbiError, match=r"E309.*another dataset"):
        bbilang.run(tmp_path / "page.bbi", model=network)


def test_more_than_a_page_stores_is_refused_before_anything_runs(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "one.png")
    (tmp_path / "many.csv").write_text("file,label\n" + "".join(f"one.png,{n % 2}\n" for n in range(2_000)))
    text = (
        'model efficientnet_lite0\ndataset many = "many.csv"\n'
        "map = head.channel | across(many) | project(pca, 2, along=channel) | present(scatter)\n"
        "head.channel | across(many) | at(lasso(map)) | mean(example) | {}present(bars)"
    )
    (tmp_path / "page.bbi").write_text(text.format("top(8) | "))
    with pytest.raises(BbiError, match=r"E312.*1,280 numbers of each of 2,000 examples \(10 MB\), and 8 MB"):
        bbilang.check(tmp_path / "page.bbi")
    few = "few = head.channel | across(many) | mean(example) | top(8)\n"
    (tmp_path / "page.bbi").write_text(
        text.format("only(few) | ").replace("head.channel", few + "head.channel", 2).replace(few, "", 1)
    )
    bbilang.check(tmp_path / "page.bbi")


def test_the_colours_of_a_mean_reach_as_far_as_the_mean_of_any_half(made, numbers):
    legend = next(one for one in elements(made[0].view) if one.id == "subsets").legend
    ordered = np.sort(numbers, axis=0)
    assert legend.domain[1] == pytest.approx(ordered[20:].mean(0).max(), rel=5e-3)
    assert any("mean of any half" in note for note in legend.notes)
    bars = next(one for one in elements(made[0].view) if one.id == "mean").legend  # lengths hold every example
    assert bars.domain[1] == pytest.approx(numbers.max(), rel=5e-3)
