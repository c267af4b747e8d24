"""Several pages of one text as one page: a row for each, as of the epochs of a training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bbilang.runtime.view.model import (
    Detail,
    Element,
    Frame,
    Interface,
    Layout,
    Picture,
    Prediction,
    Selection,
    Target,
    View,
)


def in_rows(views: Sequence[View], titles: Sequence[str], title: str, weights: str, last_called: str) -> View:
    """Return one page with the interfaces of all views, each under its title. What a reader chooses or points at is
    chosen in all rows where these have the same atoms. ``weights``: for the footer. The page keeps the predictions and
    the provenance of the last view, under the name ``last_called``."""
    together = _shared(views)
    pictures: list[Picture] = []
    known: dict[bytes, int] = {}
    interfaces: list[Interface] = []
    selections = [selection for selection in views[-1].selections if selection.id in together]
    for number, (view, words) in enumerate(zip(views, titles, strict=True)):
        for picture in view.pictures:
            if picture.data not in known:
                known[picture.data] = len(pictures)
                pictures.append(picture)
        own = _Renamed(f"-{number}", together, tuple(known[picture.data] for picture in view.pictures))
        selections += [own.selection(one) for one in view.selections if one.id not in together]
        interfaces += [own.interface(one, _titled(words, one.title, view)) for one in view.interfaces]
    last = views[-1]
    return replace(
        last, title=title or last.title, interfaces=tuple(interfaces), selections=tuple(selections),
        pictures=tuple(pictures), predictions=tuple(own.prediction(one, last_called) for one in last.predictions),
        provenance=replace(last.provenance, weights=weights or last.provenance.weights),
        warnings=tuple(dict.fromkeys(words for view in views for words in view.warnings)),
    )  # fmt: skip


def _titled(words: str, title: str, view: View) -> str:
    return f"{words} · {title}" if title and title != view.title else words


def _shared(views: Sequence[View]) -> frozenset[str]:
    """Return the ids of the selections that all views have with the same atoms, and that start at none of an
    element's."""
    plain = Counter(
        replace(one, start=0) for view in views for one in view.selections if not one.start_of and not one.zooms
    )
    return frozenset(one.id for one, count in plain.items() if count == len(views))


@dataclass(frozen=True)
class _Renamed:
    """Gives a view's elements, selections and pictures their names in the page of all. ``pictures``: the number there
    of each of the view's."""

    suffix: str
    shared: frozenset[str]
    pictures: tuple[int, ...]

    def element_id(self, name: str) -> str:
        return name + self.suffix if name else name

    def selection_id(self, name: str) -> str:
        return name if name in self.shared or not name else name + self.suffix

    def picture(self, number: int) -> int:
        return self.pictures[number] if number >= 0 else number

    def selection(self, one: Selection) -> Selection:
        start_of = None if one.start_of is None else self.element_id(one.start_of)
        return replace(one, id=self.selection_id(one.id), start_of=start_of, zooms=self.element_id(one.zooms))

    def prediction(self, one: Prediction, model: str) -> Prediction:
        return replace(one, picture=self.picture(one.picture), model=one.model or model)

    def interface(self, one: Interface, title: str) -> Interface:
        layout = one.layout
        if not isinstance(layout, str) and all(isinstance(inner, str) for inner in layout[1]):
            layout = ("row", layout[1])
        return Interface(title, self.layout(layout), tuple(map(self.element, one.elements)), self.element_id(one.lead))

    def layout(self, one: Layout) -> Layout:
        return self.element_id(one) if isinstance(one, str) else (one[0], tuple(map(self.layout, one[1])))

    def element(self, one: Element) -> Element:
        return replace(
            one,
            id=self.element_id(one.id),
            states=tuple(map(self.selection_id, one.states)),
            selects=tuple(map(self.selection_id, one.selects)),
            panels=tuple(replace(panel, frames=tuple(map(self.frame, panel.frames))) for panel in one.panels),
            overlays=tuple(map(self.element, one.overlays)),
            pipe=self.pipe(one.pipe),
            class_pipe=self.pipe(one.class_pipe),
            group_pipe=self.pipe(one.group_pipe),
            layer_pipes={key: self.pipe(pipe) for key, pipe in one.layer_pipes.items()},
            objection=self.pipe(one.objection),
            targets=tuple(self.target(target) for target in one.targets),
            follows=replace(one.follows, map=self.element_id(one.follows.map)) if one.follows else None,
            details=tuple(map(self.detail, one.details)),
        )

    def frame(self, one: Frame) -> Frame:
        return replace(one, pictures=tuple(map(self.picture, one.pictures)),
                       series_pictures=tuple(map(self.picture, one.series_pictures)))  # fmt: skip

    def target(self, one: Target) -> Target:
        return replace(one, selection=self.selection_id(one.selection))

    def detail(self, one: Detail) -> Detail:
        return replace(one, picture=self.picture(one.picture),
                       pictures=tuple((self.picture(number), words) for number, words in one.pictures))  # fmt: skip

    def pipe(self, pieces: tuple[str, ...]) -> tuple[str, ...]:
        """Rename the selections that stand between the words."""
        return tuple(self.selection_id(piece) if number % 2 else piece for number, piece in enumerate(pieces))
