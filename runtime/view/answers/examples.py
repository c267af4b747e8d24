"""Sentences about examples of a dataset: which an atom responds to, and what holds over all of them."""

from __future__ import annotations

from bbilang.runtime.fields.prose import counted, percent, singular
from bbilang.runtime.ops.datasets.by_column import shown_by
from bbilang.runtime.ops.datasets.columns import dataset_of
from bbilang.runtime.ops.datasets.pipes import chain
from bbilang.runtime.view.answers.explained import sole_atom, target_of, target_words
from bbilang.runtime.view.answers.influences import CONTENT, of_influence
from bbilang.runtime.view.answers.pieces import Part, listed, sentence, sentences
from bbilang.runtime.view.answers.shown import Mark, Shown
from bbilang.runtime.view.model import Answer, Piece

MOST = 3  # panels that are described
ENDS = ("positive", "negative", "magnitude")
LEFT_OUT = "left out"  # of notes that say of how many examples something is not known
SIDES = ("smallest", "largest")
QUANTITIES = {"attribution": "contribution"}

NOUNS = ("standard deviation", "maximum", "minimum", "sum")  # reductions that are no adjectives


def of_rows(shown: Shown) -> Answer:
    """Describe rows of examples with their numbers: of one atom the first three, of several the first two of each; or
    the two ends of a range."""
    panels = [[mark for mark in shown.marks if mark.panel == panel] for panel in range(len(shown.frames))]
    filled = [own for own in panels if own]
    if not filled:
        if shown.drawing.states:
            return ()  # the one pointed at
        count = sum(atom >= 0 for frame in shown.frames for atom in frame.atoms)
        if not count:
            return ()
        by = "" if shown.type.lasso is not None else shown_by(shown.drawing.node)
        many = sentence(f"{counted(count)} {_of_how_many(shown, count)}")
        left_out = [sentence(note) for note in shown.drawing.field.notes if LEFT_OUT in note]
        return sentences(_of_ranked(shown, by) if by else many, *left_out)
    sign = next((node["sign"] for node in chain(shown.drawing.node) if node.get("sign") in ENDS), "")
    described = filled[:MOST]
    several = len(described) > 1
    made = [_of_one(shown, own, sign, several) for own in described]
    rest = len(filled) - len(described)
    word = shown.facet_word or "row"
    more = sentence(f"{counted(rest)} more {word}{'s' if rest > 1 else ''} below") if rest else ()
    return sentences(*made, more)


def _of_ranked(shown: Shown, by: str) -> Answer:
    """Say which example comes first in a row that is ordered by a column, and with which number."""
    numbers = shown.drawing.field.columns[by].data.ravel()
    first = next(atom for frame in shown.frames for atom in frame.atoms if atom >= 0)
    ends = float(numbers[0]), float(numbers[-1])
    words = f"comes first by {by}" if ends[0] == ends[1] else f"has the {SIDES[ends[0] > ends[1]]} {by}"
    return sentence(Piece(shown.named(shown.label(first)), first), f" {words}, {ends[0]:.4g}")


def _of_how_many(shown: Shown, count: int) -> str:
    """Say of how many examples the ones shown are, where that is known: "of 800 examples"."""
    held = shown.drawing.field.values.sizes.get("example", 0)
    if held > count:  # a lasso, of which a row shows the first
        return f"of {counted(held)} examples"
    dataset = dataset_of(shown.drawing.node)
    while dataset is not None and dataset.inputs and not dataset.type.axes[0].exact:
        (before,) = dataset.inputs
        if dataset.type.axes[0].size < before.type.axes[0].size and not before.type.axes[0].exact:
            dataset = None  # a sample of what a condition chose: how many those are is not known here
            break
        dataset = before  # what a condition chose from
    axis = dataset.type.axes[0] if dataset is not None else None
    if axis is not None and axis.exact and axis.size > count:
        return f"of {counted(axis.size)} examples"
    return "example" if count == 1 else "examples"


def _of_one(shown: Shown, marks: list[Mark], sign: str, brief: bool) -> Answer:
    """Describe the examples of one atom, in their order."""
    if shown.type.content == CONTENT:
        return of_influence(shown, marks)
    subject = _subject(shown, marks[0].panel)
    if not sign:  # over the whole range, from the lowest to the highest
        low, high = (shown.listed([mark], signed=False) for mark in (marks[0], marks[-1]))
        if len(marks) == 1:
            return sentence(f"{subject}: ", *low)
        return sentence(f"{subject} ranges from ", *low, " to ", *high)
    first, verb = marks[0].value, _verb(shown, sign)
    if first == 0 and sign != "negative" and shown.type.content == "activation":
        return sentence(f"{subject} is zero on all of the examples")
    best = [mark for mark in marks if mark.value == first]
    chosen = marks[: 2 if brief else 3]
    if len(best) >= len(chosen) > 1:  # as at the ceiling of a nonlinearity
        names = shown.listed(chosen, numbers=False)
        rest = len(best) - len(chosen)
        more = f", and equally {_before(shown)} {counted(rest)} more shown" if rest else ""
        return sentence(f"{subject} {verb} {_before(shown)} ", *names, f" ({shown.number(first)} each)", more)
    return sentence(f"{subject} {verb} {_before(shown)} ", *shown.listed(chosen))


def _before(shown: Shown) -> str:
    return "to" if shown.type.content == "activation" else "in"


def _verb(shown: Shown, sign: str) -> str:
    """Return the verb of the sentence, before the examples."""
    content, target = shown.type.content, _target(shown)
    if content == "attribution":
        verbs = ("contributes most to", "counts most against", "matters most for")
        return f"{verbs[ENDS.index(sign)]} {target}"
    if content == "gradient":
        return f"{('raises', 'lowers', 'changes')[ENDS.index(sign)]} {target} most"
    if content == "activation":
        return ("responds most", "responds least", "responds with the largest magnitude")[ENDS.index(sign)]
    return f"has its {('highest', 'lowest', 'largest')[ENDS.index(sign)]} {content}"


def _target(shown: Shown) -> str:
    to = target_of(shown.drawing.node)
    return "it" if to is None else target_words(to, shown.drawing.results.labels)


def _subject(shown: Shown, panel: int) -> str:
    """Return the atom whose examples stand in a panel: "channel 451"."""
    if shown.labels[panel]:
        return shown.named(shown.labels[panel])
    if shown.subject or shown.position:
        return shown.subject or shown.position
    return sole_atom(shown.drawing) or f"the {singular(shown.type.atom)}"


def over_examples(shown: Shown) -> Answer:
    """Describe atoms by a number that was reduced over the examples: a mean, a share of them."""
    panels = [[mark for mark in shown.marks if mark.panel == panel] for panel in range(len(shown.frames))]
    filled = [sorted(own, key=lambda mark: -abs(mark.value)) for own in panels if own]
    if not filled:
        return ()
    share = shown.type.unit.startswith("share of")
    if len(filled) > 1:
        items: list[list[Part]] = []
        for own in filled[:MOST]:
            label, number = shown.named(shown.label(own[0].atom)), _number(shown, own[0].value, share)
            panel = shown.labels[own[0].panel]
            head = [] if panel in label else [f"of {panel} "]  # an atom of several layers names its own
            items.append([*head, Piece(f"{label} ({number})", own[0].atom)])
        rest = f", and {counted(len(filled) - MOST)} more below" if len(filled) > MOST else ""
        return sentence(f"the largest {_reduction(shown)}: ", *listed(items), rest)
    marks = filled[0][:3]
    if share:
        return _shares(shown, marks)
    if len(filled[0]) == 1:
        subject = Piece(shown.named(shown.label(marks[0].atom)), marks[0].atom)
        return sentence(subject, f": the {_reduction(shown)} is {shown.number(marks[0].value)}")
    rest_of = [", before ", *shown.listed(marks[1:])] if len(marks) > 1 else []
    return sentence(*shown.listed(marks[:1]), f" has the largest {_reduction(shown)}", *rest_of)


def _reduction(shown: Shown) -> str:
    """Name the number: "mean activation over the examples"."""
    step = shown.type.steps[-1] if shown.type.steps else ""
    how, over, rest = step.partition(" over ")
    what = QUANTITIES.get(shown.type.content, shown.type.content)
    if shown.type.content == "attribution":
        what += f" to {_target(shown)}"
    joint = " of the" if how in NOUNS else ""
    return f"{how}{joint} {what} over {rest}" if over else what


def _number(shown: Shown, value: float, share: bool) -> str:
    return percent(value) if share else shown.number(value)


def _shares(shown: Shown, marks: list[Mark]) -> Answer:
    """Say of how many examples the numbers lie above the threshold."""
    how = shown.type.steps[-1].partition(" over ")[0].removeprefix("share ")
    if len({percent(mark.value) for mark in marks}) == 1:
        verb = "are each" if len(marks) > 1 else "is"
        return sentence(
            *shown.listed(marks, numbers=False), f" {verb} {how} in {percent(marks[0].value)} of the examples"
        )
    parts: list[list[Part]] = []
    for number, mark in enumerate(marks):
        label = shown.named(shown.label(mark.atom))
        words = f"{label} is {how} in {percent(mark.value)} of the examples" if not number else ""
        parts.append([Piece(words or f"{label} in {percent(mark.value)}", mark.atom)])
    return sentence(*listed(parts))
