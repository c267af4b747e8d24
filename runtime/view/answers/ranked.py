"""Sentences about marks with numbers: which are the strongest, and what they add up to."""

from __future__ import annotations

from math import isfinite

from bbilang.runtime.fields.prose import counted, prose
from bbilang.runtime.view.answers.checkpoints import along, changed, in_each, is_along
from bbilang.runtime.view.answers.effects import effects_of
from bbilang.runtime.view.answers.pieces import Part, listed, sentence, sentences
from bbilang.runtime.view.answers.shown import Mark, Shown, leading
from bbilang.runtime.view.budget.lines import Sums
from bbilang.runtime.view.model import Answer, Piece


def ranked(shown: Shown) -> Answer:
    """Describe the strongest marks, depending on the kind of their numbers."""
    if not shown.marks:
        return sentence(shown.frame.remark)
    type = shown.type
    if type.content == "effect" and not _of_classes(shown):
        return effects_of(shown)
    if is_along(shown) and shown.drawing.series_axis is None:
        return along(shown)
    if shown.facet_word == "checkpoint" and (changed(shown) or type.content not in ("attribution", "gradient")):
        return in_each(shown)
    if shown.drawing.series_axis is not None and "class" in shown.drawing.series_axis.components:
        return contrast(shown) if len(shown.frame.series) == 2 else effects(shown)
    if type.content == "score" or (type.axis("class") is not None and type.axis("class") == shown.drawing.drawn.slots):
        return classes(shown)
    if type.content in ("attribution", "gradient"):
        return contributions(shown)
    return largest(shown)


def _of_classes(shown: Shown) -> bool:
    """Return whether the marks, or their series, are classes."""
    drawing = shown.drawing
    return any(axis is not None and "class" in axis.components for axis in (drawing.series_axis, drawing.drawn.slots))


def at(shown: Shown) -> str:
    """Describe the example or the position that the reader selected."""
    if shown.example:
        return f"in {shown.example}, "
    return f"at {shown.position}, " if shown.position else ""


def things(shown: Shown, count: int) -> str:
    """Count the atoms in words: "eight channels"."""
    word = shown.drawing.slot_word.removeprefix("to.") or "mark"
    plural = {"class": "classes"}.get(word, f"{word}s")
    return f"{counted(count)} {word if count == 1 else plural}"


def contributions(shown: Shown) -> Answer:
    """Name the atoms that contribute most to a class, or to what the reader selected."""
    target = shown.sure(shown.target) if shown.target else shown.subject or "it"
    if len(shown.frames) > 1:
        return by_panel(shown, target)
    marks = shown.strongest()
    raising, lowering = [m for m in marks if m.value > 0], [m for m in marks if m.value < 0]
    if shown.type.content == "gradient":
        return sentence(at(shown), f"the score of {target} reacts most to ", *shown.listed(marks))
    if not marks[0].value:
        return sentence(at(shown), f"none of the {things(shown, len(shown.marks))} contributes to {target}")
    verb = "contributes" if len(raising) == 1 else "contribute"
    parts: list[Part] = [at(shown)]
    if raising:
        parts += [*shown.listed(raising), f" {verb} most to {target}"]
    if lowering:
        verb = "counts" if len(lowering) == 1 else "count"
        parts += [
            *([", "] if raising else []),
            *shown.listed(lowering),
            f" {verb} most against {'it' if raising else target}",
        ]
    return sentences(sentence(*parts), together(shown))


def by_panel(shown: Shown, target: str) -> Answer:
    """Name the strongest mark of every panel, such as the most strongly linked atom of every layer."""
    best = [max(own, key=lambda mark: abs(mark.value)) for own in _by_panel(shown)]
    others = [mark for mark in best if shown.named(shown.label(mark.atom)) != target]
    facet = shown.facet_word or "panel"
    items: list[list[Part]] = []
    for mark in others[:6]:
        name, _, rest = shown.named(shown.label(mark.atom)).partition(" of ")
        items.append([Piece(name, mark.atom), f" in {rest or shown.labels[mark.panel]}"])
    more = f", and {counted(len(others) - 6)} more" if len(others) > 6 else ""
    word = shown.drawing.slot_word
    return sentence(
        at(shown), f"in each {facet}, the {word} with the strongest link to {target}: ", *listed(items), more
    )


def together(shown: Shown, series: int = 0) -> Answer:
    """Give the sum of all marks, and of what that is a part: all atoms, the score, the effect of removing the layer."""
    if not shown.measured or len(shown.marks) < 2 or shown.in_line or shown.overlapping:
        return ()
    rows = [shown.frames[mark.panel].values[mark.slot][series] for mark in shown.marks]
    count, own = len(shown.marks), shown.number(sum(value for value in rows if value is not None))
    subject = f"the {things(shown, count)} shown"
    sums, unit = shown.sums(series), f" {shown.type.unit}" if shown.type.unit == "logits" else ""
    if sums is None or not isfinite(sums.total) or shown.position:
        return sentence(f"{subject}{_of_all(shown)} add up to {own}{unit}")
    if isfinite(sums.baseline):
        return sentence(f"{subject}{_of_all(shown)} {_of_the_change(sums, own)}")
    layer = shown.type.layers[0] if len(shown.type.layers) == 1 else ""
    every = f" and all {size} of {layer} to {_decimal(sums.total, True)}" if (size := _size(shown)) else ""
    return sentence(f"{subject} add up to {own}{every}; the score is {_decimal(sums.score)}{_removal(shown, sums)}")


def _of_the_change(sums: Sums, own: str) -> str:
    """Describe the sum as part of the score's change from a baseline, for a method that attributes that change."""
    total, change = _decimal(sums.total), sums.score - sums.baseline
    part = (
        f"hold {own.removeprefix('+')} of {total} in all"
        if sums.total > 0
        else f"add up to {own} and all of them to {total}"
    )
    verb = "rises" if change > 0 else "falls"
    ends = f"from {_decimal(sums.baseline)} at the baseline to {_decimal(sums.score)}"
    return f"{part}; the score {verb} by {_decimal(abs(change))}, {ends}"


def _decimal(value: float, signed: bool = False) -> str:
    return prose(value, signed, decimals=2)


def _removal(shown: Shown, sums: Sums) -> str:
    """Describe how removing a whole side branch changes the score, which is not the sum of the numbers."""
    if not shown.branch or not isfinite(sums.removed):
        return ""
    return f", and removing this side branch changes it by {_decimal(sums.removed, True)}"


def _size(shown: Shown) -> str:
    """Count the layer's atoms, if the element shows a choice of them; else empty."""
    layers, word = shown.type.layers, shown.drawing.slot_word
    if len(layers) != 1 or layers[0] not in shown.drawing.results.layers:
        return ""
    size = shown.drawing.results.layers[layers[0]].sizes.get(word, 0)
    return f"{size:,}" if size > len(shown.marks) else ""


def _of_all(shown: Shown) -> str:
    """Return " (of 672 in block5c.expand)", if the element shows a choice of atoms."""
    return f" (of {size} in {shown.type.layers[0]})" if (size := _size(shown)) else ""


def contrast(shown: Shown) -> Answer:
    """Name the atoms that favour one of two classes over the other."""
    first, second = shown.frame.series
    net = [
        Mark(mark.atom, round(float(row[0] - row[1]), 6), mark.panel, mark.slot)
        for mark in shown.marks
        if (row := shown.frames[mark.panel].values[mark.slot])[0] is not None and row[1] is not None
    ]
    if first == second or not any(mark.value for mark in net):
        return sentence(shown.frame.remark or f"{first} compared with itself: there is no difference to show")
    order = sorted(net, key=lambda mark: -abs(mark.value))
    sides = [leading([m for m in order if m.value > 0][:3]), leading([m for m in order if m.value < 0][:3])]
    parts: list[Part] = [at(shown)]
    for side, own, other in zip(sides, (first, second), (second, first), strict=True):
        if not side:
            continue
        marks = [Mark(m.atom, abs(m.value), m.panel, m.slot) for m in side]
        verb = "favours" if len(marks) == 1 else "favour"
        rival = f" {shown.sure(own)} over {shown.sure(other)}" if own == first or not sides[0] else f" {own}"
        parts += [*(["; "] if len(parts) > 1 else []), *shown.listed(marks, signed=False), f" {verb}{rival}"]
    return sentences(sentence(*parts), _balance(shown, sum(mark.value for mark in net), len(net)))


def _balance(shown: Shown, total: float, count: int) -> Answer:
    """Give the sum of the marks beside the difference of the scores."""
    first, second = shown.frame.series
    if shown.overlapping:
        return ()
    words = f"together the {things(shown, count)} shown{_of_all(shown)} favour {first if total > 0 else second} by "
    words += shown.number(abs(total), False)
    sums, lead, ends = (shown.sums(0), shown.sums(1)), shown.lead_in_logits(first, second), ""
    if sums[0] is not None and sums[1] is not None:
        lead = sums[0].score - sums[1].score
        ends = f" ({_decimal(sums[0].score)} and {_decimal(sums[1].score)})"
    if lead is None or shown.type.unit != "logits":
        return sentence(words)
    same = (lead > 0) == (total > 0)
    scores = (
        f"; the scores{ends} favour it" if same else f", while the scores{ends} favour {first if lead > 0 else second}"
    )
    return sentence(f"{words}{scores} by {prose(abs(lead), decimals=2)}")


def effects(shown: Shown) -> Answer:
    """Describe atoms by classes: what raises and what lowers the first class, and the sum over all atoms."""
    frame = shown.frame
    first = frame.series[0]
    marks = sorted(shown.marks, key=lambda mark: mark.value)
    parts: list[Part] = [at(shown), f"for {shown.sure(first)}, "]
    items: list[list[Part]] = []
    if marks[-1].value > 0:
        items.append([*shown.listed(marks[-1:]), " contributes most"])
    if marks[0].value < 0:
        items.append([*shown.listed(marks[:1]), " counts most against it"])
    first_class = sentence(*parts, *listed(items)) if items else ()
    return sentences(first_class, together(shown) if len(shown.frames) == 1 else ())


def strongest_cell(shown: Shown) -> Answer:
    """Name the cell with the largest number."""
    cells = [
        (abs(value), atom, value, series)
        for frame in shown.frames
        for atom, row in zip(frame.atoms, frame.values, strict=False)
        for value, series in zip(row, frame.series, strict=False)
        if atom >= 0 and value is not None and series
    ]
    if not cells:
        return ()
    _, atom, value, series = max(cells, key=lambda cell: cell[0])
    axis = shown.drawing.series_axis
    before, between = "from", "to"
    if axis is not None and not any(component.startswith("to.") for component in axis.components):
        before, between = "of", "in" if "class" in axis.components else "for"
    what = "the largest weight" if shown.type.content == "weight" else "the largest number"
    return sentence(
        f"{what} is {shown.number(value)}, {before} ",
        Piece(shown.label(atom), atom),
        f" {between} {series}",
    )


def of_matrix(shown: Shown) -> Answer | None:
    """Describe atoms by classes by their content, and any other matrix by its strongest cell."""
    axis = shown.drawing.series_axis
    return None if axis is not None and "class" in axis.components else strongest_cell(shown)


def of_scatter(shown: Shown) -> Answer | None:
    """Describe two classes by content, and two components by the atom that is farthest along each."""
    frame, axis = shown.frame, shown.drawing.series_axis
    if axis is None or "class" in axis.components or len(frame.series) != 2:
        return None
    items: list[list[Part]] = []
    for series, name in enumerate(frame.series):
        known = [(row[series], atom) for row, atom in zip(frame.values, frame.atoms, strict=False) if atom >= 0]
        farthest = max(((abs(value), value, atom) for value, atom in known if value is not None), default=None)
        if farthest is not None:
            label = f"{shown.label(farthest[2])} ({shown.number(farthest[1])})"
            items.append([Piece(label, farthest[2]), f" is farthest from zero on {name}"])
    return sentence(*listed(items))


def classes(shown: Shown) -> Answer:
    """Rank classes by their scores, or by the contributions of one atom."""
    marks = shown.strongest() if shown.type.content != "score" else sorted(shown.marks, key=lambda m: -m.value)[:3]
    if shown.type.content == "score":
        first = marks[0]
        rest = [", before ", *shown.listed(marks[1:], signed=False)] if len(marks) > 1 else []
        words = f"{shown.sure(shown.label(first.atom))} has the highest {shown.type.content}, {prose(first.value)}"
        return sentence(Piece(words, first.atom), *rest)
    subject = shown.subject or shown.position or "this"
    raising, lowering = [m for m in marks if m.value > 0], [m for m in marks if m.value < 0]
    parts: list[Part] = [subject]
    if raising:
        parts += [" contributes most to ", *shown.listed(raising)]
    if lowering:
        parts += [f"{' and' if raising else ''} counts most against ", *shown.listed(lowering)]
    return sentence(*parts) if raising or lowering else ()


def largest(shown: Shown) -> Answer:
    """Name the marks with the largest numbers."""
    marks = shown.strongest()
    if len(shown.marks) == 1:
        return _single(shown, marks[0])
    if not marks[0].value:
        return sentence(at(shown), f"none of the {things(shown, len(shown.marks))} is active")
    present = [mark for mark in marks if mark.value]
    part = "norm" in shown.type.unit
    adjective = "strongest" if shown.type.content in ("activation", "loading") and not part else "largest"
    highest = shown.number(present[0].value)
    tied = [mark for mark in present if shown.number(mark.value) == highest]
    rest = [", before ", *shown.listed(present[len(tied) :])] if len(present) > len(tied) else []
    if len(tied) > 1:  # as where a nonlinearity is at its ceiling
        equally = "equally strong" if adjective == "strongest" else "equally large"
        return sentence(at(shown), *shown.listed(tied), f" are {equally}", *rest)
    return sentence(at(shown), *shown.listed(present[:1]), f" is the {adjective}", *rest)


def _single(shown: Shown, mark: Mark) -> Answer:
    label = shown.named(shown.label(mark.atom))
    if "norm of the vector" in shown.type.unit:
        number = Piece(shown.number(mark.value), mark.atom)
        return sentence(f"the activation vector at {label} has a length (L2 norm) of ", number)
    return sentence(Piece(f"{label}: {shown.number(mark.value)}", mark.atom))


def _by_panel(shown: Shown) -> list[list[Mark]]:
    panels = [[mark for mark in shown.marks if mark.panel == panel] for panel in range(len(shown.frames))]
    return [own for own in panels if own]
