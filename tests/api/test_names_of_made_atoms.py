"""Names of groups and directions: shown wherever they are, kept with what makes them, and stale where that is another.
Neither times nor places of files are part of that."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bbilang
from bbilang.cli.app import main
from bbilang.compiler.ir.serialize import from_json, to_json
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.recall import atom_names

sys.path.insert(0, str(Path(__file__).parent))

from test_atom_names import labels, network, source

SMALL = {"featvis.size": 16, "featvis.steps": 1, "preprocess.size": 12, "preprocess.crop": 12}
HEAD = """input "photo.png"
dataset photos = "photos/"
dataset day = photos | filter(label == "bright")
dataset night = photos | filter(label == "dark")
dataset plain = "plain/"
groups = "1" | factorize(nmf, 3)
c = "1" | concept([day, night], against=plain)
d = c[0] - c[1]
"""
NAMES = 'name groups[2] "fur"\nname c["night"] "stars"\nname d[0] "sun, no stars"\nname "1".channel[3] "stripes"\n'
PAGES = {
    "icons": "groups | present(featvis)",
    "matrix": "groups | attribute(output[top(2)]) | present(matrix)",
    "flow": "[groups, output[top(2)]] | link() | present(sankey)",
    "to groups": 'name "0".channel[3] "stripes"\n"0".channel | attribute(groups) | top(24) | present(table)',
    "chosen": "groups | attribute(output[1]) | at(pick(groups)) | present(number)",
    "chosen direction": "c | activation | at(pick(c)) | present(number)",
    "over a dataset": "groups | across(photos) | mean(example) | present(bars)",
    "examples": "groups | activation | examples(photos, 2) | present(image, facet=concept)",
    "directions": "c | across(photos) | mean(example) | present(bars)",
    "maps": "c.spatial | present(heatmap, facet=concept)",
    "a difference": "d | across(photos) | mean(example) | present(bars)",
    "a sum": '(groups[2] - c[1] + "1".channel[3]) | activation | present(bars)',
}
ENDS = {"group 2": ' "fur"', "night": ' "stars"', "channel 3": ' "stripes"', "day − night": ' "sun, no stars"'}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder with the pictures of the texts: two labels, others, and an input."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(16):
        level = {0: 200, 1: 20}.get(number % 4, 110)
        pixels = rng.integers(level - 20, level + 20, (12, 12, 3), dtype=np.uint8)
        path = folder / {0: "photos/bright", 1: "photos/dark"}.get(number % 4, "plain") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    Image.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(folder / "photo.png")
    return folder


@pytest.fixture
def folder(pictures, tmp_path) -> Path:
    return Path(shutil.copytree(pictures, tmp_path / "page"))


def page(folder: Path, text: str = "", seed: int = 0, cache=False, **options):
    """The page of a folder's text, which is written first if it is given."""
    path = folder / "page.bbi"
    if text:
        path.write_text(text)
    return bbilang.run(source(path), model=network(seed), settings=SMALL, cache=cache, **options)


def warnings(made) -> tuple[str, ...]:
    return made.to_dict()["warnings"]


@pytest.mark.parametrize("style", PAGES)
def test_a_name_is_shown_wherever_the_group_or_direction_is(folder, style):
    plain, named = (labels(page(folder, HEAD + names + PAGES[style])) for names in ("", NAMES))
    words = "|".join(map(re.escape, ENDS.values()))
    plain = [label.replace(' "stripes"', "") for label in plain]
    assert [re.sub(words, "", label) for label in named] == plain, "numbers and order do not depend on names"
    assert any(label != own for label, own in zip(named, plain, strict=True)), "one of them is on the page"
    for own, label in zip(plain, named, strict=True):
        for known in ("group 2", "night", "channel 3"):
            assert (re.search(rf"\b{known}\b", own) is not None) == (known + ENDS[known] in label), (own, label)
        if own == "day − night":
            assert label == 'day − night "stars" "sun, no stars"'


def test_a_menu_of_directions_has_the_names_of_their_sets(folder):
    (menu,) = page(folder, HEAD + NAMES + PAGES["chosen direction"]).view.selections
    assert [atom.label for atom in menu.atoms] == ["day", 'night "stars"']


def test_two_factorizations_of_one_layer_have_names_of_their_own(folder):
    other = 'others = "1" | factorize(pca, 3)\nname others[2] "edge"\n'
    shown = labels(page(folder, HEAD + NAMES + other + "groups | present(featvis)\nothers | present(featvis)"))
    assert {'group 2 "fur"', 'component 2 "edge"', "group 1", "component 1"} <= set(shown)


def test_names_are_kept_with_what_makes_them_where_the_page_shows_it(folder):
    page(folder, HEAD + NAMES + PAGES["icons"] + "\n" + PAGES["directions"])
    kept = json.loads((folder / "page.names.json").read_text())["names"]
    assert set(kept) == {"groups[2]", "c[1]", "1.channel[3]"}, "d is not shown, so its pictures are not read"
    assert "made" not in kept["1.channel[3]"] and len({kept[it]["made"] for it in ("groups[2]", "c[1]")}) == 2


def test_names_are_those_of_a_copy_of_the_folder_with_other_times(folder, tmp_path):
    text = HEAD + NAMES + PAGES["icons"] + "\n" + PAGES["directions"] + "\n" + PAGES["a difference"]
    page(folder, text)
    before = (folder / "page.names.json").read_bytes()
    assert len(json.loads(before)["names"]) == 4
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "clone", copy_function=shutil.copyfile))
    for number, path in enumerate(sorted(copy.rglob("*.png"))):
        os.utime(path, (number, number))
    made = page(copy)
    assert warnings(made) == () and 'group 2 "fur"' in labels(made)
    assert (copy / "page.names.json").read_bytes() == before


@pytest.mark.parametrize(("change", "stale"), [
    ("a picture of a set", {"c[1]", "d[0]"}), ("a label", {"c[1]", "d[0]"}), ("one picture more", {"c[1]", "d[0]"}),
    ("the other pictures", {"c[1]", "d[0]"}), ("the input", {"groups[2]"}), ("the number of groups", {"groups[2]"}),
    ("the method", {"groups[2]"}), ("the order of the sets", {"c[1]", "d[0]"}),
    ("the seed", {"groups[2]", "c[1]", "d[0]"}), ("the weights", {"groups[2]", "c[1]", "d[0]", "1.channel[3]"}),
    ("the name of a set", set()), ("the name of a file", set()), ("a comment", set()),
])  # fmt: skip
def test_a_name_is_stale_where_something_else_is_made(folder, change, stale):
    text = HEAD + NAMES + PAGES["icons"] + "\n" + PAGES["directions"] + "\n" + PAGES["a difference"]
    assert warnings(page(folder, text)) == ()
    dark = sorted((folder / "photos/dark").iterdir())
    grey = Image.new("RGB", (12, 12), (90, 90, 90))
    match change:
        case "a picture of a set":
            grey.save(dark[0])
        case "a label":
            dark[0].rename(folder / "photos/bright/moved.png")
        case "one picture more":
            grey.save(folder / "photos/dark/more.png")
        case "the other pictures":
            grey.save(next((folder / "plain").iterdir()))
        case "the input":
            shutil.copy(dark[0], folder / "photo.png")
        case "the number of groups":
            text = text.replace("nmf, 3", "nmf, 4")
        case "the method":
            text = text.replace("nmf", "pca")
        case "the order of the sets":
            text = text.replace("[day, night]", "[night, day]").replace('c["night"]', "c[1]")
        case "the seed":
            text = "set seed 3\n" + text
        case "the name of a set":
            text = re.sub(r"\bnight\b", "gloom", text)
        case "the name of a file":
            dark[0].rename(dark[0].with_name("zz.png"))
        case "a comment":
            text = "# the same\n" + text
    made = page(folder, text, seed=9 if change == "the weights" else 0)
    assert {name.key for name in made.results.stale} == stale
    said = " ".join(warnings(made))
    assert sum(f"`{key}`" in said for key in stale) >= min(3, len(stale)), "three at most are named"
    assert ("bbi names page.bbi --keep" in said) == bool(stale)
    assert ("for other weights" in said) == (change == "the weights")
    assert ("made otherwise" in said) == (bool(stale) and change != "the weights")
    assert any('(stale "stars")' in label for label in labels(made)) == ("c[1]" in stale)
    assert any('(stale "fur")' in label for label in labels(made)) == ("groups[2]" in stale)


def test_names_of_files_count_where_a_sample_is_drawn_by_them(folder):
    text = HEAD.replace('label == "dark")', 'label == "dark") | sample(3)') + NAMES + PAGES["directions"]
    assert warnings(page(folder, text)) == ()
    first = min((folder / "photos/dark").iterdir())
    first.rename(first.with_name("zz.png"))
    assert {name.key for name in page(folder, text).results.stale} == {"c[1]"}


def test_pictures_are_read_once_for_their_digest(folder, tmp_path, monkeypatch):
    """A second run asks the cache what the files are by their path, size and time."""
    from bbilang.runtime.data import facts

    cache = Cache(tmp_path / "cache")
    for path in folder.rglob("*.png"):
        os.utime(path, (1e9, 1e9))  # not just written
    page(folder, HEAD + NAMES + PAGES["directions"], cache=cache)
    read = []
    monkeypatch.setattr(facts.Facts, "note_digest", lambda self, row, digest: read.append(row))
    assert warnings(page(folder, cache=cache)) == () and read == []


def test_a_name_whose_dataset_has_gone_is_said(folder):
    made = page(folder, HEAD + NAMES + PAGES["directions"])
    shutil.rmtree(folder / "plain")
    weights = atom_names.weights_of(made.results)
    states = atom_names.states(_job(made, folder), weights)
    assert {state.name.key: (state.made is None, state.stale) for state in states} == {
        "c[1]": (True, True), "1.channel[3]": (False, False)
    }  # fmt: skip
    (folder / "page.names.json").unlink()
    states = atom_names.states(_job(made, folder), weights)
    (said,) = atom_names.keep(_job(made, folder), states)
    assert said.startswith("the name of `c[1]` is not kept")


def test_a_page_from_the_cache_knows_what_is_stale(folder, capsys):
    lines = HEAD.replace('"1"', "block2a.expand") + NAMES.replace('"1"', "block2a.expand")
    lines += "c | activation | present(bars)\n"
    path, out = folder / "page.bbi", str(folder / "page.html")
    path.write_text("set preprocess(size=32, crop=32)\n" + lines)

    def bbi(*arguments: str) -> tuple[int, str]:
        return main([arguments[0], str(path), "--weights", "random", *arguments[1:]]), "".join(capsys.readouterr())

    assert bbi("run", "-o", out)[0] == 0
    code, said = bbi("run", "-o", out)
    assert code == 0 and "reused: the whole page" in said
    Image.new("RGB", (12, 12)).save(folder / "photos/dark/01.png")
    code, said = bbi("run", "-o", out)
    assert code == 0 and "made otherwise" in said and "reused: the whole page" not in said
    code, said = bbi("names", "--json")
    state = {it["atom"]: it["state"] for it in json.loads(said)}
    assert code == 1 and state == {
        "groups[2]": "new",
        "c[1]": "stale",
        "d[0]": "new",
        "block2a.expand.channel[3]": "kept",
    }
    assert "made otherwise" in bbi("names")[1]
    assert bbi("names", "--keep")[0] == 0
    code, said = bbi("run", "-o", out)
    assert code == 0 and "made otherwise" not in said and "(stale" not in Path(out).read_text()


def test_a_program_with_names_of_groups_is_written_and_read_as_it_is(folder):
    program = page(folder, HEAD + NAMES + PAGES["directions"]).results.program
    again = from_json(json.loads(json.dumps(to_json(program))))
    assert again.names == program.names and [name.family for name in again.names] == [it.family for it in program.names]


@pytest.mark.parametrize(("lines", "code"), [
    ('input "photo.png", "photo2.png"\ng = "1" | factorize(nmf, 3)\nname g[1] "fur"', "E297"),
    ('input "photo.png"\nlate = "2" | factorize(pca, 2)\nshift = slider(0, 1)\n'
     'g = "1" | factorize(nmf, 3, compatible=late, align=shift)\nname g[1] "fur"', "E297"),
    ('input "photo.png"\ng = "1" | factorize(nmf, 3)\nname g[1] "fur"\nother = g\nname other[1] "hair"', "E253"),
    ('input "photo.png"\ng = "1" | factorize(nmf, slider(2, 3, 1))\nname g[1] "fur"', "E236"),
])  # fmt: skip
def test_what_has_no_name_of_its_own_is_refused(folder, lines, code):
    shutil.copy(folder / "photo.png", folder / "photo2.png")
    with pytest.raises(BbiError) as raised:
        page(folder, f"{lines}\ng | present(featvis)\n")
    assert [it.code for it in raised.value.diagnostics] == [code]


def test_groups_of_all_inputs_together_have_names(folder):
    shutil.copy(folder / "photo.png", folder / "photo2.png")
    text = 'input "photo.png", "photo2.png"\ng = "1" | factorize(nmf, 3, along=input)\nname g[1] "fur"\n'
    assert 'group 1 "fur"' in labels(page(folder, text + "g | present(featvis)"))


def test_names_of_two_models_are_each_for_their_weights(folder):
    (folder / "page.bbi").write_text(
        'input "photo.png"\nname a:act.channel[3] "ours"\nname b:act.channel[3] "theirs"\n'
        "a:act.channel | attribute(output[1]) | top(8) | present(bars)\n"
        "b:act.channel | attribute(output[1]) | top(8) | present(bars)\n"
    )

    def both(a: int, b: int):
        names = ("conv", "act", "late", "pool", "flat", "head")
        models = {
            alias: torch.nn.Sequential(OrderedDict(zip(names, network(seed), strict=True)))
            for alias, seed in (("a", a), ("b", b))
        }
        return bbilang.run(source(folder / "page.bbi"), model=models, settings=SMALL, cache=False)

    first = " ".join(labels(both(0, 1)))
    assert 'channel 3 "ours"' in first and 'channel 3 "theirs"' in first
    made = both(0, 2)
    assert [name.name for name in made.results.stale] == ["theirs"]
    assert 'channel 3 "ours"' in " ".join(labels(made)) and 'channel 3 (stale "theirs")' in " ".join(labels(made))


def _job(made, folder):
    from bbilang.registry import registry
    from bbilang.runtime.execution.job import Job

    assert made.plan is not None
    return Job(made.plan, registry(), input=torch.zeros(3, 12, 12))
