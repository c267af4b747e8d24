"""Cached results are reused: the same numbers, the same bytes, and only what is missing runs."""

import json
import re

import numpy as np
import pytest
from closeness import close_to

import bbilang
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.execution.results import Reused

ASKS = """
import sys
from bbilang.cli.app import main
assert main(sys.argv[1:]) == 0
print(sorted({"torch", "altair", "vl_convert", "pydantic"} & set(sys.modules)))
"""
ONE = "where = block2b.spatial | attribute(output) | present(heatmap)\n"
TWO = ONE + "what = block2b.channel | activation | top(2) | present(bars)\n"
THREE = TWO + "other = block3b.spatial | attribute(output[2]) | present(heatmap)\n"


def run(text, **options):
    return bbilang.run(text, input="sample:chelsea", **options)


def forget(cache, *kinds):
    """Remove the records of some kinds. Returns their number."""
    keys = [key for key in cache.keys() if json.loads(cache.raw(key).split(b"\n", 2)[1])["kind"] in kinds]
    for key in keys:
        cache._path(key).unlink()
    return len(keys)


def without_work(html):
    """A page without the line of its footer on the run that made it."""
    return re.sub(r"<dt>Work</dt><dd>.*?</dd>", "", html)


def test_icons_that_were_there_are_named_apart(folder):
    """Numbers, icons or both may be there; the passes of another run, which may have made more, are never counted."""
    icons = "what = block2b.channel | attribute(output) | top({}) | present(featvis)\n"
    tiny = {"settings": {"featvis.size": 16, "featvis.steps": 1}}
    pages = [run(icons.format(n), **tiny) for n in (2, 3, 3)]
    assert [page.view.provenance.passes for page in pages] == [
        "1 forward, 1 backward, 1 with a layer removed, 2 icons",
        "1 forward, 1 backward, 1 with a layer removed, 1 icon; reused: predictions, 2 icons",
        "nothing ran; reused: all numbers, 3 icons",
    ]
    assert bbilang.execute(pages[2].plan, recall=False).reused == Reused(icons=3), "numbers run, icons are there"


def assert_equal(page, full):
    """The fields of two runs, every number of them."""
    assert page.results.fields.keys() == full.results.fields.keys()
    for name, field in full.results.fields.items():
        other = page.results.fields[name]
        assert other.type == field.type and other.values.dims == field.values.dims
        close_to(other.values.data, field.values.data)
        assert {c: a.dims for c, a in other.coords.items()} == {c: a.dims for c, a in field.coords.items()}
        for component, array in field.coords.items():
            np.testing.assert_array_equal(other.coords[component].data, array.data)
        for axis, words in field.names.items():
            assert other.names[axis].data.tolist() == words.data.tolist()
    assert page.results.layers == full.results.layers and page.results.icon_sets.keys() == full.results.icon_sets.keys()
    for name, icons in full.results.icon_sets.items():
        np.testing.assert_array_equal(page.results.icon_sets[name].index.data, icons.index.data)
    close_to(page.results.probabilities, full.results.probabilities)


def test_a_page_from_the_cache_is_the_same_without_torch(folder, process):
    """First all is made; then the page is there; then the page is gone, and its results are there."""
    # In a process of its own: this one may hold the JavaScript of pages already, and then would not keep it.
    first = process("run", "page.bbi", "-o", "made.html", program=ASKS)
    assert first.communicate(timeout=300) and first.returncode == 0
    made = (folder / "made.html").read_text(encoding="utf-8")
    assert "<dd>1 forward, 1 backward, 1 with a layer removed, 3 icons</dd>" in made
    for number, kinds in enumerate([(), ("page",)]):
        assert forget(Cache(), *kinds) == len(kinds)
        done = process("run", "page.bbi", "-o", f"{number}.html", program=ASKS)
        out, err = done.communicate(timeout=300)
        assert done.returncode == 0, err
        page = (folder / f"{number}.html").read_text(encoding="utf-8")
        assert without_work(page) == without_work(made)
        assert (page == made) == (number == 0), "the page itself, or a page made now, from numbers"
        assert "nothing ran; reused: all numbers, 3 icons" in page or number == 0
        imported = out.splitlines()[-1]
        assert "torch" not in imported and (number == 1 or imported == "[]"), imported
        assert "icons (16 px, 4 steps), all in the cache\n" in err and "chelsea: " in err


def test_only_what_is_missing_is_run(folder):
    first = run(ONE)
    assert (first.results.passes.forwards, first.results.passes.backwards) == (1, 1)
    second = run(TWO)  # activations of one layer: no gradient is asked for again
    assert (second.results.passes.forwards, second.results.passes.backwards) == (1, 0)
    third = run(THREE)
    assert third.results.passes.backwards == 1
    assert third.results.model_passes == (1, 1), "of this run, whatever ran before"
    assert third.results.reused == Reused(("where", "what"), predictions=True)
    again = run(THREE)
    assert again.results.passes is None and without_work(again.html()) == without_work(third.html())
    work = [page.view.provenance.passes for page in (first, second, third, again)]
    assert work == [
        "1 forward, 1 backward, 1 with a layer removed",
        "1 forward, 0 backward; reused: numbers of 1 of 2 elements, predictions",
        "1 forward, 1 backward, 1 with a layer removed; reused: numbers of 2 of 3 elements, predictions",
        "nothing ran; reused: all numbers",
    ]
    full = run(THREE, cache=False)
    assert full.results.model_passes[0] == 1
    assert_equal(again, full)


@pytest.mark.parametrize("optimized", [True, False])
def test_recalled_results_are_those_of_a_full_run(folder, optimized):
    """Any part may be missing: each record is removed in turn."""
    text = (folder / "page.bbi").read_text()
    full = bbilang.run(text, cache=False, optimized=optimized)
    whole = bbilang.run(text, optimized=optimized)
    assert_equal(whole, full)
    assert [icon.picture.tobytes() for icon in whole.results.icons] == [
        icon.picture.tobytes() for icon in full.results.icons
    ]
    cache = Cache()
    numbers = [k for k in cache.keys() if json.loads(cache.raw(k).split(b"\n", 2)[1])["kind"] == "numbers"]
    assert len(numbers) == 4, "three elements and the predictions"
    for key in numbers:
        cache._path(key).unlink()
        page = bbilang.run(text, optimized=optimized)
        assert page.results.passes is not None and cache.raw(key) is not None, "made again, and kept again"
        assert_equal(page, full)


def test_what_numbers_depend_on_is_in_the_key(folder):
    run(ONE)
    for options in ({"settings": {"seed": 3}}, {"settings": {"preprocess.mean": 0.4}}, {"optimized": False},
                    {"weights": "random"}):  # fmt: skip
        assert run(ONE, **options).results.passes is not None, options
    assert bbilang.run(ONE, input="sample:coffee").results.passes is not None
    assert run(ONE).results.passes is None
    assert run(ONE, settings={"featvis.steps": 5}).results.passes is None, "numbers do not depend on icons"


def test_changed_sources_make_new_numbers(folder, monkeypatch):
    from bbilang.runtime.recall import identity as subject
    from bbilang.runtime.recall import results_store as store

    run(ONE)
    for module in (store, subject):
        monkeypatch.setattr(module, "code_digest", lambda: "another version")
    assert run(ONE).results.passes is not None


def test_analyze_runs_every_pass(bbi):
    text = ("explain", "-e", ONE.partition("= ")[2], "-i", "sample:chelsea", "--analyze", "--json")
    for _ in range(2):
        plan = json.loads(bbi(*text).out)
        assert plan and "ms" not in plan
    assert not [k for k in Cache().keys() if b'"numbers"' in Cache().raw(k)[:300]]


def test_a_page_for_each_picture_shares_its_numbers(bbi, folder):
    """The model is loaded once for several pictures, and is the same model by name: each page is recalled alone."""
    from PIL import Image
    from skimage.data import chelsea, coffee

    for name, picture in (("a.png", chelsea()), ("b.png", coffee())):
        Image.fromarray(picture).save(folder / name)
    pipe = ("run", "-e", ONE.partition("= ")[2].strip())
    assert bbi(*pipe, "-i", "*.png", "--each", "-o", "pages").code == 0
    before = set(Cache().keys())
    page = bbilang.run(ONE.partition("= ")[2], input="b.png")
    assert page.results.passes is None and set(Cache().keys()) == before
