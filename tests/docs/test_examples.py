"""The Python examples of the documentation run as written, block after block of a file in one namespace."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
PAGES = [
    path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if BLOCK.search(path.read_text("utf-8"))
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_of(path, tmp_path, monkeypatch):
    if path.name == "hosts.md":
        pytest.importorskip("gradio", reason="gradio (tests/peers.txt) is not installed")
    monkeypatch.chdir(tmp_path)
    text = path.read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "example"}
    for match in BLOCK.finditer(text):
        line = text[: match.start()].count("\n") + 1
        code = "\n" * line + match.group(1)  # so that a failure names the line of the page
        exec(compile(code, str(path), "exec"), namespace)


def test_pages_have_examples():
    assert any(path.name == "embedding.md" for path in PAGES)


BBI = re.compile(r"^```bbi\n(.*?)^```", re.M | re.S)
LANGUAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")


FILE = re.compile(r"^```bbi (\S+)\n(.*?)^```", re.M | re.S)  # a text that others `use`, under its name


@pytest.mark.parametrize("text", BBI.findall(LANGUAGE), ids=lambda text: text.split("\n")[0][:40])
def test_language_example(text, tmp_path, monkeypatch):
    import bbilang

    monkeypatch.chdir(tmp_path)
    for name, content in FILE.findall(LANGUAGE):
        (tmp_path / name).write_text(content, encoding="utf-8")
    program = bbilang.check(bbilang.parse(text), input=None if "\ninput " in text else "sample:chelsea")
    assert program.elements


INTERVENTIONS = (ROOT / "docs" / "interventions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", BBI.findall(INTERVENTIONS), ids=lambda text: text.split("\n")[0][:40])
def test_intervention_example(text):
    """Every block runs; at the last layer, where a change costs least, and over a dataset with one channel."""
    import bbilang

    text = re.sub(r"block\w+\.(project|expand)", "head", text).replace("effect(head.channel[447])", "effect(output)")
    if "across" in text:
        text = text.replace("head.channel | ablate", "head.channel[7] | ablate").replace(" | top(8, by=magnitude)", "")
    own = "input cat" in text or ("across" in text and "attribute" not in text)
    page = bbilang.run(text, input=None if own else "sample:chelsea", cache=False)
    assert page.view.interfaces[0].elements


CLAIMS = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", BBI.findall(CLAIMS), ids=lambda text: text.split("\n")[-2][:40])
def test_claims_example(text):
    """Every block runs, at the last layer, and each of its claims has a verdict."""
    import bbilang

    text = re.sub(r"block\w+\.(project|expand)", "head", text)
    claims = bbilang.run(text, cache=False).results.fields["claims"]
    assert len(claims.verdicts) == text.count("claim ") and "undefined" not in claims.verdicts


WEIGHTS = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", BBI.findall(WEIGHTS), ids=lambda text: text.split("\n")[0][:40])
def test_weights_example(text):
    """Every block runs without an input; icons with few steps."""
    import bbilang

    page = bbilang.run(text, settings={"featvis.size": 32, "featvis.steps": 4}, cache=False)
    assert page.view.interfaces[0].elements and not page.results.program.inputs


MENDING = (ROOT / "docs" / "mending.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", BBI.findall(MENDING), ids=lambda text: text.split("\n")[0][:40])
def test_mending_example(text):
    """Every block runs; with one epoch."""
    import bbilang

    assert "epochs=20" in text
    page = bbilang.run(text.replace("epochs=20", "epochs=1"))
    assert page.data("mended_report").values.shape == (6, 6)


MODELS = (ROOT / "docs" / "models-side-by-side.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", BBI.findall(MODELS), ids=lambda text: text.split("\n")[1][:40])
def test_models_example(text):
    """Every block runs each of its models, and shows every one, or channels of it that others are matched with."""
    import bbilang

    page = bbilang.run(text, cache=False)
    titles = {element.title[:2] for interface in page.view.interfaces for element in interface.elements}
    every = [element.title for interface in page.view.interfaces for element in interface.elements]
    titles |= {found for title in every for found in re.findall(r"to ([ab]:)", title)}  # `similarity` names both
    titles |= {f"{field.type.partner[0]}:" for field in page.results.fields.values() if field.type.partner}
    names = {f"{model.name}:" for model in page.view.provenance.models}
    checkpoints = any("model" in field.values.dims for field in page.results.fields.values())
    if checkpoints:  # of one model with checkpoints no title says which, only what they are compared with
        assert all(any(name in title for title in every) for name in names - {"runs:"})
    else:
        assert titles == names


INFLUENCE = (ROOT / "docs" / "influence.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", BBI.findall(INFLUENCE), ids=lambda text: text.split("\n")[-2][:40])
def test_influence_example(text):
    """Every block runs, over 120 of the examples."""
    import bbilang

    page = bbilang.run(text.replace('== "biased")\n', '== "biased") | sample(120)\n'))
    assert all(field.type.content.endswith("influence") for field in page.results.fields.values())


def test_what_the_language_guide_lists_is_there():
    from bbilang.registry import registry

    known = registry()
    operations = [name for name, operation in known.operations.items() if not operation.head]
    for name in [*operations, *known.styles]:
        assert re.search(rf"`[^`]*\b{name}\b", LANGUAGE), f"docs/language.md does not mention {name}"


@pytest.mark.parametrize("group", ["operations", "styles"])
def test_examples_of_the_registry(group):
    """Every operation and style has an example, and it compiles."""
    import bbilang
    from bbilang.registry import registry

    for name, thing in getattr(registry(), group).items():
        if not getattr(thing, "head", False):
            assert thing.example, f"{name} has no example"
            if not getattr(thing, "available", True):
                continue
            if getattr(thing, "example_needs", ""):
                bbilang.parse(thing.example)
                continue
            own = thing.example.startswith("input ")  # names its inputs
            given = {} if own else {"input": "sample:chelsea"}
            assert bbilang.check(bbilang.parse(thing.example), **given).elements, name
