"""`bbi complete` against an answer-set program that knows nothing of the compiler (oracle.lp, from docs/language.md).

Both enumerate the completions of ten texts, of the operations and styles that the program knows; equal ones are one by
laws that this file writes down again.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from bbilang.compiler.complete.fill import fill
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from bbilang.runtime.models.descriptions import describe

CONTENTS = ("activation", "attribute(output)", "gradient(output)")
RANKS = ("top(8)", "bottom(8)", "both(8)", "sort")
NUMBERS = ("abs", "relu", "normalize")
REDUCTIONS = ("sum", "mean", "max", "min", "std", "norm")
AXES = ("y", "x", "channel", "spatial", "neuron", "pixel")
STYLES = ("bars", "swatches", "featvis", "table", "matrix", "heatmap", "grid", "number")
ATOMS = ("channel", "spatial", "neuron", "whole", "pixel")
STAGES = (*CONTENTS, *RANKS, *NUMBERS, *(f"{name}({axis})" for name in REDUCTIONS for axis in AXES),
          *(f"present({style})" for style in STYLES))  # fmt: skip
TEXTS = (
    "block5c.expand.? | attribute(output) | present(?)",
    "head.? | present(?)",
    "block5c.expand.channel | ? | present(?)",
    "block5c.expand.channel | attribute(output) | ? | present(?)",
    "block5c.expand.neuron | attribute(output) | ? | present(?)",
    "block5c.expand.spatial | ? | ? | present(bars)",
    "block5c.expand.neuron | sum(?) | ? | present(?)",
    "block5c.project.channel | abs | ? | present(?)",
    "?.? | attribute(output) | present(heatmap)",
    "output.class | ? | present(?)",
)
MODEL = "efficientnet_lite0"


def layers() -> dict[str, tuple[dict[str, int], bool]]:
    described = describe(MODEL)
    return {layer.name: (dict(layer.sizes), layer.nonnegative) for layer in described.layers} | {
        "input": ({"y": 224, "x": 224, "channel": 3}, False)
    }


def words(stage: str) -> list[str]:
    """The stages that a stage with or without a hole could be."""
    if stage == "?":
        return list(STAGES)
    if stage.endswith("(?)"):
        return [each for each in STAGES if each.startswith(stage[:-2])]
    return [stage]


def by_answer_sets(text: str) -> set[tuple[str, ...]]:
    import clingo

    head, *stages = text.split(" | ")
    path, _, atom = head.rpartition(".")
    known = layers()
    facts = [f'layer("{name}").' for name in known if path in ("?", name)]
    facts += [f'extent("{n}",{axis},{size}).' for n, (sizes, _) in known.items() for axis, size in sizes.items()]
    chosen = [(n, a) for n in known for a in ATOMS if path in ("?", n) and atom in ("?", a)]
    if head == "output.class":
        facts += ['layer("output").', 'extent("output",class,1000).', 'has("output",class).', 'axis(0,class,1000).',
                  ":- use(T,O,_), content(O).", "icons :- count(1)."]  # fmt: skip
        chosen = [("output", "class")]
    facts += [f'offered("{n}",{a}).' for n, a in chosen]
    for number, stage in enumerate(stages, 1):
        facts.append(f"slot({number}).")
        for each in words(stage):
            name, _, argument = each.rstrip(")").partition("(")
            facts.append(f"offer({number},{name},{'none' if argument in ('', '8', 'output') else argument}).")
    control = clingo.Control(["0", "--warn=none", f"-c last={len(stages)}"])
    control.add("base", [], (Path(__file__).parent / "oracle.lp").read_text("utf-8") + "\n".join(facts))
    control.ground([("base", [])])
    found = set()

    def note(model: clingo.Model) -> None:
        atoms = model.symbols(shown=True)
        (start,) = [f"{a.arguments[0].string}.{a.arguments[1]}" for a in atoms if a.name == "head"]
        used = sorted((a.arguments[0].number, a.arguments) for a in atoms if a.name == "use")
        found.add((start, *(written(str(name), str(argument)) for _, (_, name, argument) in used)))

    control.solve(on_model=note)
    return found


def written(name: str, argument: str) -> str:
    if name in ("top", "bottom", "both"):
        return f"{name}(8)"
    if name in ("attribute", "gradient"):
        return f"{name}(output)"
    return name if argument == "none" else f"{name}({argument})"


def canonical(pipe: tuple[str, ...]) -> tuple[str, ...]:
    """The laws of equal pipes, written down again: each stage is put behind those before it."""
    head, *stages = pipe
    layer = head.rpartition(".")[0]
    scores = layer == "output"
    signed = True if scores else not layers()[layer][1]
    result = [] if scores else ["activation"]
    for stage in stages:
        name = stage.partition("(")[0]
        if stage in CONTENTS:
            while result and (result[-1] in CONTENTS or result[-1] in NUMBERS):
                result.pop()
            signed = stage != "activation" or not layers()[layer][1]
        if stage in ("abs", "relu") and not signed:
            continue
        if result and result[-1] == stage and (stage in RANKS or stage in NUMBERS):
            continue
        if stage in ("abs", "relu") or name in ("std", "norm"):
            signed = False
        place = len(result)
        while name in ("sum", "max", "min", "norm") and place and result[place - 1].startswith(f"{name}("):
            place -= 1
        result.append(stage)
        result[place:] = sorted(result[place:]) if name in ("sum", "max", "min", "norm") else result[place:]
    return (head, *result)


def by_the_compiler(text: str) -> set[tuple[str, ...]]:
    return {pipe for pipe in pipes_of(text) if set(pipe[1:]) <= set(STAGES)}


def pipes_of(text: str) -> set[tuple[str, ...]]:
    source = Source(f'model {MODEL}\ninput "sample:chelsea"\n{text}')
    every = fill(parse(source), registry(), Pipeline(Request(source)).options)
    return {tuple(filled.pipes[0].split(" | ")) for filled in every}


@pytest.mark.parametrize("text", TEXTS)
def test_an_answer_set_program_finds_the_same(text):
    pytest.importorskip("clingo", reason="the oracle is the package clingo: pip install clingo")
    theirs = {canonical(pipe) for pipe in by_answer_sets(text)}
    ours = [canonical(pipe) for pipe in by_the_compiler(text)]
    assert len(ours) == len(set(ours)), "equal completions are one"
    assert set(ours) == theirs


@pytest.mark.parametrize(
    "text", [TEXTS[0], TEXTS[3], "block5c.expand.channel | top(?) | present(?)", "head.? | ? | present(number)"]
)
def test_trying_every_text_finds_the_same(text):
    """The slow twin: every candidate is written into the text, which is checked as a whole, without any pruning."""
    head, *stages = text.split(" | ")
    path, _, atom = head.rpartition(".")
    heads = [f"{path}.{each}" for each in ATOMS] if atom == "?" else [head]
    found, more = set(), {"top(?)": ["top(8)", "top(3)", "top(20)"]}
    for pipe in product(heads, *(more.get(stage) or words(stage) for stage in stages)):
        source = Source(f'model {MODEL}\ninput "sample:chelsea"\n{" | ".join(pipe)}')
        if Pipeline(Request(source)).checked[0] is not None:
            found.add(canonical(pipe))
    known = {*STAGES, "top(3)", "top(20)"}
    assert {canonical(pipe) for pipe in pipes_of(text) if set(pipe[1:]) <= known} == found
