"""`examples/which_it_gets_wrong.bbi` on pictures of CIFAR-10 with a ResNet-20: slices, and a lasso beside them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import bbilang
from bbilang.runtime.models.preprocess import Preprocess

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CHART = 'document.querySelector("[data-chart=map]").points'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if not (SHARED / "cifar10" / "pictures.tar.gz").exists() or not (SHARED / "models" / "networks.py").exists():
        pytest.skip("../shared/data has no cifar10/pictures.tar.gz or no models/networks.py")
    spec = importlib.util.spec_from_file_location("shared_networks", SHARED / "models" / "networks.py")
    networks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(networks)
    preprocess = Preprocess(32, (32, 32), "bilinear", networks.IMAGENET_MEAN, networks.IMAGENET_STD)
    model = bbilang.adapt(networks.cifar_resnet(20), (32, 32), labels=CLASSES, preprocess=preprocess, name="resnet20")
    text = (ROOT / "examples" / "which_it_gets_wrong.bbi").read_text("utf-8").replace("model efficientnet_lite0\n", "")
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "page.bbi").write_text(text.replace("head.channel", "layer3.2.channel"))
    return bbilang.run(folder / "page.bbi", model=model, data={"files": SHARED / "cifar10" / "pictures.tar.gz"})


def test_the_text_checks_for_the_default_network(tmp_path):
    from PIL import Image

    for label in ("tench", "goldfish"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (32, 32)).save(tmp_path / label / "one.png")
    text = (ROOT / "examples" / "which_it_gets_wrong.bbi").read_text("utf-8")
    bbilang.check(text, data={"files": tmp_path})


def test_the_worst_slice_is_a_part_of_the_dataset(page):
    found, subsets = page.results.fields["kinds"], page.results.fields["subsets"]
    first = str(found.names["slice"].data[0])
    rate, low, high, rest, size, p = found.values.data[0].tolist()
    assert low < rate < high and rate > rest and size >= 30 and p <= 0.05
    assert first in page.answers["kinds"]
    note = next(note for note in subsets.notes if note.startswith("worst: "))
    assert note.startswith(f"worst: {first}, ")
    assert subsets.names["subset"].data.tolist() == ["photos", "wrong", "worst", "in your lasso"]
    label = first.removeprefix("label == ")
    assert label in CLASSES
    map = page.results.fields["map"]
    assert int((map.columns["label"].data == label).sum()) == int(note.split(", ")[1].split()[0])


@pytest.mark.browser
def test_the_lasso_is_one_more_column(page, chromium, tmp_path):
    complaints: list[str] = []
    tab = chromium.new_page(viewport={"width": 1200, "height": 1600})
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(page.save(tmp_path / "page.html").as_uri())
    tab.wait_for_selector("html[data-ready]")
    tab.locator("#element-map .chips").get_by_role("button", name="ship").click()  # a label chooses its points
    tab.wait_for_function(f"() => {CHART}.chose !== null")
    mask = np.array(tab.evaluate(f"() => [...{CHART}.set.mask()]"), bool)
    ships = page.results.fields["map"].columns["label"].data == "ship"
    assert mask.tolist() == ships.tolist()
    assert f"first 24 of {ships.sum()} examples in the lasso" in tab.locator('[data-remark="inside"]').inner_text()
    labels = tab.locator('[data-chart="inside"]').get_attribute("aria-label")
    assert "ship" in labels and "bird" not in labels.partition("Point at")[0].replace("birds", "")
    assert not complaints
    tab.close()
