"""Models that the server cannot describe without torch: a subprocess describes them, and checking waits."""

import threading

import pytest

from bbilang.lsp import model_descriptions as describing
from bbilang.lsp.completion import complete
from bbilang.lsp.document import Document
from bbilang.lsp.hover import hover
from bbilang.lsp.model_descriptions import Describer

PAGE = 'input "sample:chelsea"\nblock5c.expand.channel | attribute(output) | top(8) | present(bars)\n'


def codes(document):
    return [d.code for d in document.state.diagnostics]


@pytest.mark.slow
def test_another_size_is_described_beside_the_server():
    """It takes torch; until it is ready no pipe is reported, and then the shapes are those of that size."""
    ready = threading.Event()
    document = Document("<text>", "set preprocess(crop=160)\n" + PAGE, Describer(ready.set))
    assert codes(document) == [] and document.state.checker is None
    offset = document.text.index("block5c") + 9
    assert complete(document, offset)[0] == [] or all(c.kind != "layer" for c in complete(document, offset)[0])
    assert ready.wait(120)
    document.invalidate()
    assert codes(document) == []
    details = {c.label: c.detail for c in complete(document, offset)[0]}
    assert details["block5c.expand"].startswith("channel: 672, y: 10, x: 10")


def test_a_model_that_cannot_be_described_is_an_error_at_its_name(monkeypatch):
    """The subprocess's error in its own words; here one that fails at once."""
    said = """print('{"diagnostics": [["E410", "torchvision is not installed", "install it"]]}')"""
    monkeypatch.setattr(describing, "DESCRIBE_SCRIPT", said)
    ready = threading.Event()
    document = Document("<text>", 'model "torchvision:no_such_network"\n' + PAGE, Describer(ready.set))
    assert codes(document) == []
    assert ready.wait(120)
    document.invalidate()
    (error,) = document.state.diagnostics
    assert (error.code, error.help) == ("E410", "install it")
    assert document.text[error.span.start : error.span.end] == '"torchvision:no_such_network"'


def test_a_process_that_fails_is_an_error_too(monkeypatch):
    monkeypatch.setattr(describing, "DESCRIBE_SCRIPT", "import sys; sys.exit('no room left')")
    ready = threading.Event()
    document = Document("<text>", 'model "timm:anything"\n' + PAGE, Describer(ready.set))
    assert codes(document) == []
    assert ready.wait(60)
    document.invalidate()
    assert codes(document) == ["E408"]


def test_code_of_the_reader_is_refused(tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text("raise SystemExit('code was run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    document = Document(str(tmp_path / "page.bbi"), 'model "trap:network"\n' + PAGE)
    assert codes(document) == ["E409"]


def test_an_unknown_name_of_the_registry():
    document = Document("<text>", "model efficientnet\n" + PAGE)
    assert codes(document) == ["E401"]
    document.update("model efficientnet_lite0\n" + PAGE)
    assert codes(document) == []


@pytest.mark.parametrize(
    ("alias", "own", "other"), [("a", "block5c.expand", "mixed4d"), ("b", "mixed4d", "block5c.expand")]
)
def test_behind_the_name_of_a_model_are_its_own_layers(alias, own, other):
    models = "model a = efficientnet_lite0, b = inceptionv1\n"
    text = f'{models}input "sample:chelsea"\na:head.channel | present(bars)\n{alias}:'
    labels = {choice.label for letter in (own[0], other[0])
              for choice in complete(Document("<text>", text + letter), len(text) + 1)[0]}  # fmt: skip
    assert f"{alias}:{own}" in labels and f"{alias}:{other}" not in labels


def test_the_layer_of_a_model_is_described_as_that_of_its_network():
    text = "model a = efficientnet_lite0, b = inceptionv1\n"
    text += 'input "sample:chelsea"\nb:mixed4d.channel | activation | top(3) | present(bars)\nlate = b:mixed4d'
    words, *_ = hover(Document("<text>", text), text.rindex("mixed4d") + 2)
    assert words.startswith("layer **b:mixed4d**: channel: 528") and "module `" in words
