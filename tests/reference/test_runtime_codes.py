"""Codes that only occur at run time, provoked: pictures, weights, devices, the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.parse import MAX_BYTES, parse
from bbilang.runtime.inputs.images import read

PHOTO = "input | present(image)"


def empty_picture(folder: Path) -> None:
    (folder / "cat.jpg").write_bytes(b"")
    read(folder / "cat.jpg")


def damaged_picture(folder: Path) -> None:
    from PIL import Image

    path = folder / "cat.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    read(path)


def another_device(folder: Path) -> None:
    from bbilang.runtime.models.adapter import device_named

    device_named("cuda:77")


def no_weights(folder: Path) -> None:
    from bbilang.runtime.models.loading import load

    load("inceptionv1")


def weights_that_are_text(folder: Path) -> None:
    from bbilang.runtime.models.weights.load import read_state

    (folder / "weights.pt").write_text("no weights")
    read_state(folder / "weights.pt")


def other_weights(folder: Path) -> None:
    import torch

    from bbilang.runtime.models.weights.load import fit

    fit(torch.nn.Linear(2, 3), {"weight": torch.zeros(4, 2), "bias": torch.zeros(4)}, "weights.pt")


def infinite_weights(folder: Path) -> None:
    import torch

    from bbilang.runtime.models.weights.load import fit

    fit(torch.nn.Linear(2, 1), {"weight": torch.full((1, 2), torch.inf), "bias": torch.zeros(1)}, "weights.pt")


def crop_larger_than_size(folder: Path) -> None:
    from bbilang.runtime.models.preprocess import Preprocess

    Preprocess(224, (256, 256))


def module_without_images(folder: Path) -> None:
    import torch

    bbilang.adapt(torch.nn.Linear(10, 2), (32, 32))


def tensor_of_another_shape(folder: Path) -> None:
    import torch

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 2, 3)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.layer(image).mean((2, 3))

    bbilang.run(PHOTO, model=Tiny(), input=torch.full((3, 8, 8), 2.0))


def direction_that_is_not_finite(folder: Path) -> None:
    from bbilang.runtime.featvis.engine import Objective

    Objective("layer", (0.0, float("nan")))


def archive_that_is_a_text(folder: Path) -> None:
    from bbilang.cli.cache import take

    (folder / "icons.bbicache").write_text("no records")
    take(str(folder / "icons.bbicache"))


def page_without_text(folder: Path) -> None:
    from bbilang.cli.extract import extract

    (folder / "page.png").write_bytes(b"")
    extract(str(folder / "page.png"), None)


def text_that_is_not_there(folder: Path) -> None:
    from bbilang.texts import read as read_text

    read_text(str(folder / "page.bbi"))


def place_that_is_none(folder: Path) -> None:
    from bbilang.cli.files import write

    (folder / "file").write_text("")
    write(folder / "file" / "page.html", b"")


def folder_of_nobody(folder: Path) -> None:
    from bbilang.runtime.cache.disk import Cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BBI_CACHE_DIR", "~nobody.of.this.name/cache")
        Cache()


def missing_module(folder: Path) -> None:
    from bbilang.cli.errors import explained

    raise explained(ModuleNotFoundError("no", name="skimage"))


def full_disk(folder: Path) -> None:
    from bbilang.cli.errors import explained

    raise explained(OSError(28, "No space left on device"))


def no_memory(folder: Path) -> None:
    from bbilang.cli.errors import explained

    raise explained(MemoryError())


def fault_of_ours(folder: Path) -> None:
    from bbilang.cli.errors import explained

    raise explained(KeyError("x"))


def two_texts(folder: Path) -> None:
    from bbilang.cli.files import source_of

    source_of("page.bbi", PHOTO)


def tree_without_kinds(folder: Path) -> None:
    from bbilang.grammar.serialize import from_json

    from_json({"kind": "File"})


def name_of_two_words(folder: Path) -> None:
    from bbilang.grammar.serialize import from_json, to_json

    tree = to_json(parse("two = 1"))
    tree["statements"][0]["name"]["text"] = "two words"
    from_json(tree)


def labels_in_one_text(folder: Path) -> None:
    from torch import nn

    import bbilang

    bbilang.adapt(nn.Flatten(), (2, 2), labels="cat, dog")


CASES: dict[str, Callable[[Path], None]] = {
    "E101": lambda folder: parse("# much\n" * (MAX_BYTES // 6)),
    "E132": tree_without_kinds,
    "E133": name_of_two_words,
    "E402": no_weights,
    "E403": weights_that_are_text,
    "E404": other_weights,
    "E405": infinite_weights,
    "E406": another_device,
    "E407": crop_larger_than_size,
    "E408": module_without_images,
    "E411": lambda folder: read(folder / "cat.jpg"),
    "E412": empty_picture,
    "E413": damaged_picture,
    "E418": tensor_of_another_shape,
    "E423": labels_in_one_text,
    "E431": place_that_is_none,
    "E432": folder_of_nobody,
    "E440": two_texts,
    "E441": text_that_is_not_there,
    "E442": page_without_text,
    "E443": archive_that_is_a_text,
    "E510": direction_that_is_not_finite,
    "E900": fault_of_ours,
    "E902": no_memory,
    "E903": missing_module,
    "E904": full_disk,
}


@pytest.mark.parametrize("code", CASES)
def test_it_is_raised(code: str, tmp_path: Path) -> None:
    with pytest.raises(BbiError) as raised:
        CASES[code](tmp_path)
    assert [d.code for d in raised.value.diagnostics] == [code]
