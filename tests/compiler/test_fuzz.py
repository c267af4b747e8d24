"""Broken variants of valid texts give diagnostics only, when parsed and checked."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bbilang.compiler.check.check import Options, check_recovering
from bbilang.grammar.diagnostic import render
from bbilang.grammar.parse import lost_names, parse_recovering
from bbilang.grammar.source import Source
from bbilang.registry import registry

ROOT = Path(__file__).parents[2]
SPECS = [p.read_text("utf-8") for p in sorted([*ROOT.glob("specs/*.bbi"), *ROOT.glob("tests/grammar/specs/*.bbi")])]
THINGS = [thing for group in ("operations", "styles") for thing in getattr(registry(), group).values()]
EXAMPLES = [thing.example for thing in THINGS if thing.example and not getattr(thing, "example_needs", "")]
GOOD = SPECS + EXAMPLES
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|[^\W\d][\w.]*|\d[\d.]*|->|[<>=!]=|\n[ \t]*|[ \t]+|.', re.S)
KNOWN = registry()
WORDS = [
    *KNOWN.operations,
    *KNOWN.styles,
    *KNOWN.methods,
    "hover",
    "click",
    "pick",
    "slider",
    "weights",
    "start",
    "along",
    "by",
    "per",
    "over",
    "facet",
    "size",
    "title",
    "caption",
    "k",
    "n",
    "of",
    "to",
    "value",
    "magnitude",
    "difference",
    "none",
    "true",
    "input",
    "input.pixel",
    "output",
    "output.class",
    "block5c.expand",
    "block5c.expand.channel",
    "mixed4d",
    "mixed4d.spatial",
    "photo",
    "layers",
    "a",
    "b",
    "cell",
    "0",
    "1",
    "-1",
    "6",
    "0.5",
    "99999999999",
    '"tabby"',
    '"crane"',
    '""',
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "|",
    ",",
    "=",
    "..",
    "->",
    "+",
    "-",
    "*",
    "/",
    ">",
    "==",
    ".spatial",
    ".channel",
    "interface",
    "layout",
    "set",
    "def",
    "use",
    "dataset",
    "model",
    "\n",
    "from",
    "and",
    "not",
    "é",
    "\t",
]
COUNTS = {"texts": 0, "accepted": 0, "diagnostics": 0}


@pytest.fixture(autouse=True)
def counted(record_property):
    """Record what a test fuzzed in the test report: tests/conftest.py sums it up."""
    before = dict(COUNTS)
    yield
    for name, count in COUNTS.items():
        record_property(f"fuzzed {name}", count - before[name])


def checked(text: str) -> None:
    """Parse and check a text as `bbi check` does; every diagnostic can be printed."""
    began = time.process_time()
    source = Source(text, "fuzz.bbi")
    file, syntax = parse_recovering(source)
    program, reported = check_recovering(
        file,
        KNOWN,
        Options(model="inceptionv1" if "mixed" in text else None, inputs=("cat.jpg",)),
        **({"lost": lost_names(file)} if syntax else {}),
    )
    for diagnostic in (*syntax, *reported):
        assert re.fullmatch(r"[EW]\d{3}", diagnostic.code) and diagnostic.message
        if diagnostic.span is not None:
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(source.text) + 1
    render((*syntax, *reported), file.source)
    if program is None and not syntax:
        assert any(d.severity == "error" for d in reported)
    assert time.process_time() - began < 5
    COUNTS["texts"] += 1
    COUNTS["accepted"] += program is not None
    COUNTS["diagnostics"] += len(syntax) + len(reported)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """A good text with a few tokens dropped, doubled, exchanged or replaced."""
    tokens = TOKEN.findall(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 4))):
        if not tokens:
            break
        at = draw(st.integers(0, len(tokens) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "replace", "insert", "move"])):
            case "drop":
                del tokens[at]
            case "double":
                tokens.insert(at, tokens[at])
            case "swap":
                other = draw(st.integers(0, len(tokens) - 1))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case "replace":
                tokens[at] = draw(st.sampled_from(WORDS))
            case "insert":
                tokens.insert(at, draw(st.sampled_from(WORDS)))
            case "move":
                tokens.insert(draw(st.integers(0, len(tokens) - 1)), tokens.pop(at))
    return "".join(tokens)


@st.composite
def grown(draw: st.DrawFn) -> str:
    """A text of pipes made from the language's own words, well formed but seldom sensible."""
    name = st.sampled_from(["a", "b", "c", "photo"])
    atom = st.sampled_from(
        [
            "block5c.expand.channel",
            "block5c.expand.neuron",
            "block4c.expand.spatial",
            "stem.whole",
            "input",
            "output",
            "output.class",
            "output[top(5)]",
            "[block4c.expand, block5c.expand].channel",
            "a",
            "b",
            "c",
            "block5c.expand",
            "input.pixel",
            "block5c.expand.channel[3]",
            "a.spatial",
        ]
    )
    target = st.sampled_from(
        [
            "output",
            'output["tabby"]',
            "output.class",
            "output[top(3)]",
            "[output[1], output[2]]",
            "a",
            "output[a]",
            "output[1] - output[2]",
            "block6a.channel[3]",
            "output[pick(output[top(3)])]",
        ]
    )
    stage = st.one_of(
        st.builds("attribute({})".format, target),
        st.builds("gradient({})".format, target),
        st.sampled_from(
            [
                "activation",
                "activation(reduce=max)",
                "abs",
                "relu",
                "normalize",
                "normalize(scope=channel)",
                "sum(channel)",
                "mean(y)",
                "norm(x)",
                "difference(class)",
                "top(3)",
                "top(2, along=class)",
                "both(2, by=difference)",
                "bottom(4)",
                "sort",
                "filter(value > 0)",
                "only(a)",
                "at(a)",
                "at(hover(a))",
                "at(hover(block5c.expand.spatial))",
                "at(pick(output[top(3)]))",
                "factorize(nmf, 3)",
                "project(pca, 2)",
                "link(a)",
                "trust(deletion)",
                "ablate(zero)",
                "effect(output)",
                "match(b)",
                "similarity(b, source=a)",
            ]
        ),
    )
    end = st.sampled_from(
        [
            "",
            " | present(featvis)",
            " | present(bars)",
            " | present(heatmap)",
            " | present(heatmap, over=photo)",
            " | present(image)",
            " | present(swatches, facet=class)",
            " | present(featvis, size=norm, facet=layer)",
            " | present(matrix)",
            " | present(rgb)",
            " | present(table)",
        ]
    )
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        stages = draw(st.lists(stage, max_size=4))
        pipe = " | ".join([draw(atom), *stages]) + draw(end)
        lines.append(f"{draw(name)} = {pipe}" if draw(st.booleans()) else pipe)
    return "\n".join(lines)


SLOW = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(broken())
def test_broken_texts(text):
    checked(text)


@SLOW
@given(grown())
def test_grown_texts(text):
    checked(text)


@SLOW
@given(st.text(max_size=200))
def test_any_text(text):
    checked(text)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 63 + "mixed4d" + "]" * 63,
        "a = " + " + ".join(["output[1]"] * 60),
        "\n".join(f"a{i} = a{i - 1} | abs" if i else "a0 = block5c.expand.channel | activation" for i in range(2000)),
        "def f(x) = [x, x]\n"
        + "\n".join(f"def f{i}(x) = f{i - 1}(f{i - 1}(x))" if i else "def f0(x) = f(x)" for i in range(30))
        + "\nf29(block1a)",
        "block5c.expand.channel" + " | abs" * 60 + " | top(3) | present(bars)",
        "x = " + "block5c.expand.channel" * 1000,
        "\n".join("block5c.expand.channel | attribute(output) | top(3) | present(bars)" for _ in range(800)),
    ],
    ids=[
        "nested lists",
        "long sum",
        "long chain",
        "definitions that double",
        "long pipe",
        "long name",
        "many elements",
    ],
)
def test_large_texts_take_seconds(text):
    checked(text)
