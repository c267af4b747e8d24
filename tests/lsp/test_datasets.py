"""What the server knows of datasets: it peeks at their files."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from bbilang.lsp.completion import complete
from bbilang.lsp.document import Document
from bbilang.lsp.hover import hover

TEXT = 'dataset photos = "photos/"\ndataset cats = photos | filter(label == "cat")\n'


@pytest.fixture
def folder(tmp_path) -> Path:
    for number, label in enumerate(("cat", "dog", "dog")):
        (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path


def labels(text: str, folder: Path) -> set[str]:
    document = Document(str(folder / "page.bbi"), text.replace("^", ""))
    return {choice.label for choice in complete(document, text.index("^"))[0]}


def test_mistakes_that_the_files_show(folder):
    document = Document(str(folder / "page.bbi"), TEXT)
    assert not [d for d in document.state.diagnostics if d.severity == "error" and d.code != "E301"]
    document.update(TEXT.replace('"cat"', '"cow"'))
    assert "E263" in [d.code for d in document.state.diagnostics]
    document.update(TEXT.replace("photos/", "fotos/"))
    assert "E450" in [d.code for d in document.state.diagnostics]


def test_typing_does_not_look_again(folder, monkeypatch):
    from bbilang.runtime.data import peek

    asked: list[str] = []
    plain = peek.peek
    monkeypatch.setattr(peek, "peek", lambda name, *rest: asked.append(name) or plain(name, *rest))
    document = Document(str(folder / "page.bbi"), TEXT)
    for typed in ("b", "bl", "blo", "bloc"):
        document.update(TEXT + typed)
        assert document.state is not None
    assert asked == ["photos/"]
    document.invalidate()
    assert document.state is not None and len(asked) == 2


def test_hover_says_what_a_dataset_holds(folder):
    document = Document(str(folder / "page.bbi"), TEXT)
    words = hover(document, TEXT.index("photos |") + 2)
    assert words is not None and "3 examples, 2 labels" in words[0]


def test_columns_and_datasets_are_completed(folder):
    assert {"label", "file", "width", "predicted"} <= labels(TEXT + "dataset few = photos | filter(^", folder)
    pipe = "block5c.expand.channel | across(photos) | mean(example, per=^"
    assert {"label", "width"} <= labels(TEXT + pipe, folder)
    found = labels(TEXT + "block5c.expand.channel | across(^", folder)
    assert {"photos", "cats"} <= found


def test_columns_of_two_values_are_completed_for_a_split(folder):
    rows = [f"photos/{name},{label},{fold},{weight}" for name, label, fold, weight in
            (("cat/0.png", "cat", "a", 1), ("dog/1.png", "dog", "b", 2), ("dog/2.png", "dog", "a", 3))]  # fmt: skip
    (folder / "photos.csv").write_text("\n".join(["file,label,fold,weight", *rows]))
    head = 'dataset photos = "photos.csv"\ndataset cats = photos | filter(label == "cat")\n'
    for pipe in (
        "photos | slices(5, split=^",
        "block6a.expand | concept([cats, photos], against=photos, split=^",
        "block6a.expand | concept(against=photos, concepts=cats, split=^",
        "block6a.expand.neuron | dissect(photos, split=^",
        "block6a.expand.channel | gradient(output[1]) | across(photos) | tcav(cats, against=photos, split=^",
    ):
        found = labels(head + pipe, folder)
        assert "fold" in found and not {"predicted", "width", "file"} & found, pipe
