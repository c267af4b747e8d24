"""Sentences about influence: which training examples raised a number, and which lowered it."""

from __future__ import annotations

from collections import Counter

from bbilang.compiler.ir.program import Node
from bbilang.runtime.ops.datasets.pipes import chain
from bbilang.runtime.view.answers.explained import sole_atom, target_of, target_words
from bbilang.runtime.view.answers.pieces import Part, listed, sentence, sentences
from bbilang.runtime.view.answers.shown import Mark, Shown
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import Answer, Piece

CONTENT = "influence"
MOST = 3  # labels that are named


def of_influence(shown: Shown, marks: list[Mark]) -> Answer:
    """Describe the examples of one number: the labels of those that raised it, and of those that lowered it."""
    subject = _subject(shown, marks[0].panel)
    raised = [mark for mark in marks if mark.value > 0]
    lowered = [mark for mark in reversed(marks) if mark.value < 0]
    made = []
    if raised:
        made.append(sentence(f"{subject} was raised most by ", *_labels(shown, raised)))
    if lowered:
        made.append(sentence("It was lowered most by " if raised else f"{subject} was lowered most by ",
                             *_labels(shown, lowered)))  # fmt: skip
    return sentences(*made)


def title_of(drawing: Drawing) -> str:
    """Write the title of an element without one."""
    alone, source = number_of(drawing), source_of(drawing.node)
    several = "the classes" if source.type.content == "score" else f"{source.type.atom}s of {source.type.layers[0]}"
    return f"Training examples that moved {alone or several}"


def _labels(shown: Shown, marks: list[Mark]) -> list[Part]:
    """List the labels, the most frequent first, each with how many of the examples have it."""
    counts = Counter(shown.label(mark.atom) for mark in marks)
    first = {shown.label(mark.atom): mark.atom for mark in reversed(marks)}
    if len(counts) == len(marks) > MOST:
        return listed([[Piece(shown.label(mark.atom), mark.atom)] for mark in marks[:MOST]])
    named = counts.most_common(MOST)
    items: list[list[Part]] = [[Piece(f"{label} ({count} of {len(marks)})", first[label])] for label, count in named]
    rest = len(counts) - len(named)
    return [*listed(items), f" and {rest} other{'s' if rest > 1 else ''}" if rest else ""]


def number_of(drawing: Drawing) -> str:
    """Name the number whose influences are shown: "tiger cat", "channel 3 of block5c"; empty where there are
    several."""
    source = source_of(drawing.node)
    if source.type.content == "score":
        names = drawing.field.names.get("class")
        if names is not None and names.data.size == 1:
            return str(names.data.ravel()[0])
        return ""
    alone = sole_atom(drawing)
    return f"{alone} of {source.type.layers[0]}{_to(drawing, source)}" if alone else ""


def source_of(node: Node) -> Node:
    """Return the pipe whose influences a node shows."""
    own = next(each for each in chain(node) if each.type.content == CONTENT and each.inputs[0].type.content != CONTENT)
    return own.inputs[0]


def _to(drawing: Drawing, source: Node) -> str:
    to = target_of(source) if source.type.content in ("attribution", "gradient") else None
    names = drawing.field.names.get("class")
    if to is None:
        return ""
    if names is not None and names.data.size == 1:
        return f" for {names.data.ravel()[0]}"
    return f" for {target_words(to, drawing.results.labels)}"


def _subject(shown: Shown, panel: int) -> str:
    alone, source = number_of(shown.drawing), source_of(shown.drawing.node)
    label = shown.named(shown.labels[panel]) if shown.labels[panel] else ""
    if source.type.content == "score":
        return f"the score of {label or alone or 'the class'}"
    words = label or alone or "it"
    return {"attribution": f"what {words} contributes", "gradient": f"the gradient of {words}"}.get(
        source.type.content, f"the activation of {words}"
    )
