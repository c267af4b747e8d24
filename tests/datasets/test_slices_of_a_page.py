"""`slices`: from a text to a page, on pictures of which one source has wrong labels."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.view.states import elements

TEXT = """dataset photos = "photos.csv"
found = photos | slices(3{more}) | present(table)
"""


class Brightness(nn.Module):
    """Right about every picture: `seen` has the channels "dark" and "bright"."""

    def __init__(self):
        super().__init__()
        self.seen = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
        with torch.no_grad():
            self.seen[0].weight.copy_(torch.tensor([-20.0, 20.0])[:, None, None, None].expand(2, 3, 1, 1) / 3)
            self.seen[0].bias.copy_(torch.tensor([10.0, -10.0]))

    def forward(self, images):
        return self.seen(images).mean((2, 3))


@pytest.fixture
def folder(tmp_path):
    """300 pictures; those from the web have their labels exchanged, but for one in eight."""
    source = np.random.default_rng(0)
    rows = []
    for i in range(300):
        light = int(source.choice([40, 210])) + int(source.integers(-30, 30))
        Image.fromarray(np.full((8, 8, 3), light, np.uint8)).save(tmp_path / f"{i}.png")
        origin = str(source.choice(["web", "phone", "camera", "scan"]))
        bright = (light > 127) ^ (origin == "web" and source.random() < 7 / 8)
        rows.append((f"{i}.png", "bright" if bright else "dark", origin, int(source.integers(1, 100))))
    rows += [("0.png", "twilight", "phone", 5)]  # a label that is no class
    with (tmp_path / "photos.csv").open("w") as file:
        csv.writer(file).writerows([("file", "label", "origin", "shot"), *rows])
    return tmp_path


def page(folder, more=""):
    (folder / "page.bbi").write_text(TEXT.format(more=more))
    model = bbilang.adapt(Brightness(), 8, labels=("dark", "bright"))
    return bbilang.run(folder / "page.bbi", model=model, cache=folder / "cache")


def plain(made):
    return made.answers["found"].replace("\u00a0", " ")


def test_the_spoiled_source_is_found(folder):
    made = page(folder)
    data = made.data("found")
    names, columns = data.labels["slice"][1].tolist(), data.labels["measure"][1].tolist()
    assert names[0] == "origin == web" and columns == ["wrong", "from", "to", "the rest", "examples", "p"]
    wrong, low, high, rest, examples, p = data.values[0].tolist()
    assert 0.75 < wrong <= 1 and low < wrong <= high and rest == 0 and 25 < examples < 50 and p == pytest.approx(0.001)
    answer = plain(made)
    assert answer.startswith(f"Worst where origin == web: {100 * wrong:.0f} % of {examples:.0f} are wrong, against 0 %")
    assert "their label is no class of the network" in made.html() and made.html().count("<script") > 0


@pytest.mark.browser
def test_each_column_has_its_own_form(folder, chromium):
    made = page(folder)
    numbers = made.data("found").values[0].tolist()
    (folder / "page.html").write_text(made.html(), "utf-8")
    tab = chromium.new_page()
    try:
        tab.goto((folder / "page.html").as_uri())
        tab.wait_for_selector("#element-found svg text")
        words = tab.eval_on_selector_all("#element-found svg text", "all => all.map(n => n.textContent)")
    finally:
        tab.close()
    expected = [*(f"{100 * share:.0f}\u00a0%" for share in numbers[:4]), f"{numbers[4]:.0f}", "0.001"]
    assert set(expected) <= set(words), words
    assert {"origin == web", "wrong", "the rest", "p"} <= set(words)
    assert len(made.html()) < 400_000  # drawn by the page itself, without Vega


def test_channels_make_conditions_too(folder):
    """The network sees light where the label says dark: that is what is wrong, more exactly than where it is from."""
    data = page(folder, ", features=seen.channel").data("found")
    first = data.labels["slice"][1][0]
    assert first.startswith("label == dark and channel[1] > q") and data.values[0, 0] == 1


def named_page(folder, name: str, text: str):
    (folder / "page.bbi").write_text(name + text)
    model = bbilang.adapt(Brightness(), 8, labels=("dark", "bright"))
    return bbilang.run(folder / "page.bbi", model=model, cache=folder / "cache")


def words_on(made) -> list[str]:
    """Everything that is said on the element: atoms, sentence and legend."""
    own = next(it for it in elements(made.view) if it.id == "found")
    return [
        *(atom.label for atom in own.atoms),
        *own.legend.notes,
        made.answers.get("found", "").replace("\u00a0", " "),
    ]


NAME = 'name seen.channel[1] "daylight"\n'
WORST = """dataset photos = "photos.csv"
dataset worst = photos | slice(1, features=seen.channel)
found = seen.channel | across(worst) | mean(example) | present(bars)
"""


@pytest.mark.parametrize("text", [TEXT.format(more=", features=seen.channel"), WORST], ids=["slices", "slice"])
def test_conditions_say_what_the_text_calls_a_channel(folder, text):
    plain, named = named_page(folder, "", text), named_page(folder, NAME, text)
    conditions = [words.replace("channel[1] >", 'channel[1] "daylight" >') for words in words_on(plain)]
    expected = [re.sub(r"(?i)channel 1\b", r'\g<0> "daylight"', words) for words in conditions]
    assert words_on(named) == expected and conditions != words_on(plain)
    fields = [made.results.fields["found"] for made in (plain, named)]
    assert np.array_equal(fields[0].values.data, fields[1].values.data, equal_nan=True)
    again = NAME.replace("daylight", "sun")
    assert any('channel[1] "sun" >' in words for words in words_on(named_page(folder, again, text)))
    other = named_page(folder, 'name seen.channel[0] "night"\n', text)
    assert not any('channel[1] "' in words for words in words_on(other)), "the name of another channel"


@pytest.mark.browser
def test_a_browser_shows_the_name_in_a_condition(folder, chromium):
    made = named_page(folder, NAME, TEXT.format(more=", features=seen.channel"))
    (folder / "page.html").write_text(made.html(), "utf-8")
    tab = chromium.new_page()
    try:
        tab.goto((folder / "page.html").as_uri())
        tab.wait_for_selector("html[data-ready]")
        tab.wait_for_function("""() => document.body.innerText.includes('channel[1] "daylight" > q')""")
    finally:
        tab.close()


@pytest.mark.parametrize(("values", "searched"), [(("fit", "test"), "fit"), (("2", "10"), "2"), (("b", "a"), "a")])
def test_a_column_says_which_half_is_which(folder, values, searched):
    """Every number is of the half that was not searched; examples without a value are in neither, and counted."""
    header, *rows = (folder / "photos.csv").read_text().splitlines()
    folds = [values[number % 3 == 0] if number % 10 else "" for number in range(len(rows))]
    table = [f"{header},fold", *(f"{row},{fold}" for row, fold in zip(rows, folds, strict=True))]
    (folder / "photos.csv").write_text("\n".join(table))
    made = page(folder, ", split=fold")
    other = next(value for value in values if value != searched)
    measured = [row.split(",") for row, fold in zip(rows[:300], folds, strict=False) if fold == other]
    bright = [int(np.asarray(Image.open(folder / row[0])).mean()) > 127 for row in measured]
    wrong = [(row[1] == "bright") != seen for row, seen in zip(measured, bright, strict=True) if row[2] == "web"]
    data = made.data("found")
    assert data.labels["slice"][1][0] == "origin == web" and not any("fold" in str(n) for n in data.labels["slice"][1])
    assert data.values[0, 4] == len(wrong) and data.values[0, 0] == pytest.approx(np.mean(wrong))
    notes = made.results.fields["found"].notes
    assert f'found where fold is "{searched}", measured where it is "{other}"' in notes
    assert "31 examples are left out: without a fold" in notes


def test_a_kind_of_examples_with_the_same_halves(folder):
    lines = (folder / "photos.csv").read_text().splitlines()
    table = [f"{line},{'fold' if number == 0 else 'ab'[number % 2]}" for number, line in enumerate(lines)]
    (folder / "photos.csv").write_text("\n".join(table))
    (folder / "page.bbi").write_text(
        'dataset photos = "photos.csv"\ndataset worst = photos | slice(1, split=fold)\nworst | present(image)\n'
    )
    made = bbilang.run(
        folder / "page.bbi", model=bbilang.adapt(Brightness(), 8, labels=("dark", "bright")), cache=False
    )
    notes = made.results.fields["element-1"].notes
    assert 'found where fold is "a", measured where it is "b"' in notes and "origin == web" in " ".join(notes)


def test_again_from_the_cache(folder):
    assert page(folder).data("found").values.tolist() == page(folder).data("found").values.tolist()


def test_losses(folder):
    made = page(folder, ", by=loss")
    data = made.data("found")
    assert data.labels["measure"][1].tolist() == ["mean loss", "the rest", "examples", "p"]
    assert data.labels["slice"][1][0] == "origin == web" and made.answers["found"].startswith(
        "Worst where origin == web: the mean"
    )


def test_where_nothing_is_wrong(folder):
    rows = (folder / "photos.csv").read_text().splitlines()
    (folder / "photos.csv").write_text("\n".join(row for row in rows if ",web," not in row))
    assert (
        plain(page(folder))
        == "No kind of example was found that is worse than chance explains; 0 % of the examples are wrong."
    )


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (", features=seen.neuron", "E235", "channels of a layer"),
        (", by=size", "E215", "error"),
        (", split=origin", "E467", "holds 4 values (camera, phone, scan, web)"),
        (", split=orign", "E215", "no column `orign`"),
        (", split=label", "E215", "which half"),
        (", split=one", "E264", "leave out `split=`"),
        (", split=few", "E464", "10 examples with the few"),
        ("", "E464", "have a label"),
    ],
)
def test_refused(folder, more, code, words):
    if "one" in more or "few" in more:
        lines = (folder / "photos.csv").read_text().splitlines()
        cells = ["one,few", *(f"x,{'ab'[number < 10]}" for number in range(len(lines) - 1))]
        (folder / "photos.csv").write_text("\n".join(f"{a},{b}" for a, b in zip(lines, cells, strict=True)))
    elif code == "E464":
        (folder / "photos.csv").write_text("file,label\n" + "\n".join(f"{i}.png,cat" for i in range(60)))
    with pytest.raises(BbiError) as caught:
        page(folder, more)
    assert code in [each.code for each in caught.value.diagnostics] and words in str(caught.value)
