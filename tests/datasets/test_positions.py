"""A map of positions: the vectors are the network's at the positions drawn, the same after a kill, and are kept."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from closeness import close_to
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.scan.samples import drawn, samples

COUNT, EACH = 17, 5
PHOTOS = 'dataset photos = "photos/"\n'
MAP = f"{PHOTOS}b.spatial | across(photos) | project(pca, 2, positions={EACH}) | present(scatter)"


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    top = tmp_path_factory.mktemp("positions")
    random = np.random.default_rng(3)
    for number in range(COUNT):
        own = top / "photos" / ("ant", "bee")[number % 2]
        own.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(own / f"{number:02}.png")
    return top


def run(folder: Path, text: str, network, **options):
    (folder / "page.bbi").write_text(text)
    return bbilang.run(folder / "page.bbi", model=network, **options)


def field(page):
    return page.results.fields[page.results.program.elements[-1].id]


def raw(folder: Path, network) -> tuple[np.ndarray, list[str]]:
    """Activations (example, channel, y, x) of `b`, one picture at a time, in the order of the names."""
    files = sorted((folder / "photos").rglob("*.png"))
    images = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None] / 255 for path in files]
    with torch.no_grad():
        every = [network.module.b(network.module.a(network.preprocess.normalize(image))) for image in images]
    return torch.cat(every).numpy(), [path.name for path in files]


def places(folder: Path) -> np.ndarray:
    """Positions (example, sample), drawn with numpy alone."""
    rows = []
    for path in sorted((folder / "photos").rglob("*.png")):
        pixels = np.ascontiguousarray(np.array(Image.open(path)).transpose(2, 0, 1))
        number = int.from_bytes(hashlib.blake2b(pixels.tobytes(), digest_size=8).digest(), "little")
        rows.append(np.sort(np.random.default_rng([0, number]).choice(64, EACH, replace=False)))
    return np.stack(rows)


def test_the_vectors_are_those_of_the_network(folder, network):
    page = run(folder, MAP, network, cache=False)
    made, (every, names), at = field(page), raw(folder, network), places(folder)
    y, x = np.divmod(at.ravel(), 8)
    assert made.coords["y"].data.tolist() == y.tolist() and made.coords["x"].data.tolist() == x.tolist()
    assert made.coords["example"].data.tolist() == np.repeat(np.arange(COUNT), EACH).tolist()
    assert made.names["example"].data[0].endswith(f"{names[0]}, row {y[0]}, column {x[0]}")
    rows = every[np.repeat(np.arange(COUNT), EACH), :, y, x]
    centred = rows - rows.mean(0)
    left, sizes, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    values = made.values.ordered(("example", "component")).data
    assert values.shape == (COUNT * EACH, 2)
    close_to(np.abs(values), np.abs(left[:, :2] * sizes[:2]), terms=np.abs(rows).max())
    norms = made.columns["activation"].data
    close_to(norms, np.linalg.norm(rows, axis=1), terms=np.abs(rows).max())
    assert any(f"{EACH} random positions of each example" in note for note in made.notes)


def test_a_position_has_the_attribution_that_it_has_on_a_page_of_its_own(folder, network):
    text = MAP.replace("across", "attribute(output) | across")
    made = field(run(folder, text, network, cache=False))
    for number, path in list(enumerate(sorted((folder / "photos").rglob("*.png"))))[::6]:
        alone = bbilang.run("b.spatial | attribute(output) | present(heatmap)", model=network, input=str(path),
                            cache=False)  # fmt: skip
        expected = field(alone).values.ordered(("input", "y", "x")).data[0]
        own = made.coords["example"].data == number
        y, x = (made.coords[name].data[own] for name in ("y", "x"))
        close_to(made.columns["attribution"].data[own], expected[y, x], terms=np.abs(expected).max())


def test_positions_depend_on_the_picture_and_the_seed_alone():
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.integers(0, 256, (4, 3, 8, 8), np.uint8))
    activation = torch.from_numpy(random.normal(size=(4, 6, 7, 7)).astype(np.float32))
    whole, last = samples(activation, images, 9, 0), samples(activation[2:], images[2:], 9, 0)
    assert (whole["positions"][2:] == last["positions"]).all() and (whole["vectors"][2:] == last["vectors"]).all()
    assert (samples(activation, images, 9, 1)["positions"] != whole["positions"]).any()
    flat = activation.flatten(2).numpy()
    for example, own in enumerate(whole["positions"]):
        assert len(set(own.tolist())) == 9
        assert (whole["vectors"][example] == flat[example][:, own].T).all()
    assert samples(activation, images, 99, 0)["positions"].tolist() == [list(range(49))] * 4
    counts = np.zeros(49)
    for number in range(400):
        counts[drawn(np.full((3, 2, 2), number, np.int16), 49, 9, 0)] += 1
    assert counts.min() > 40 and counts.max() < 115  # 73 of each are expected, with a deviation of 8


SCRIPT = """
import sys, bbilang
from pathlib import Path
page = bbilang.run(Path(sys.argv[1]), cache=sys.argv[2])
(field,) = page.results.fields.values()
print("torch" in sys.modules, field.values.data.tolist(), field.coords["y"].data.tolist())
"""


def test_another_map_needs_neither_torch_nor_the_network(tmp_path, folder):
    def answer(method: str, cache: str) -> str:
        text = f"{PHOTOS}block6a.expand.spatial | across(photos) | project({method}, 2, positions=3) | present(scatter)"
        (folder / "page.bbi").write_text(text)
        arguments = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(folder / "page.bbi"), str(tmp_path / cache)]
        return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout

    assert answer("pca", "kept").startswith("True")
    second = answer("nmf", "kept")
    assert second.startswith("False")
    assert second.removeprefix("False") == answer("nmf", "new").removeprefix("True")


REFUSED = [
    ("b.spatial | across(photos) | project(pca, 2, fit=a)", "E235"),
    ("b.channel | across(photos) | project(pca, 2)", "E238"),
    ("[a, b].spatial | across(photos) | project(pca, 2)", "E238"),
    ("b.spatial | across([photos, some]) | project(pca, 2)", "E238"),
    ("b.spatial | across(photos) | project(pca, 2, positions=0)", "E214"),
    ("b.channel | across(photos) | project(pca, 2, along=channel, positions=2)", "E231"),
    ("b.spatial | across(photos) | sum(y) | project(pca, 2)", "E238"),
]


@pytest.mark.parametrize(("pipe", "code"), REFUSED)
def test_what_is_refused(pipe, code, folder, network):
    with pytest.raises(BbiError) as caught:
        run(folder, f"{PHOTOS}dataset some = photos | sample(4)\n{pipe} | present(scatter)", network, cache=False)
    found = {d.code: d.span for d in caught.value.diagnostics}
    assert found.get(code) is not None
