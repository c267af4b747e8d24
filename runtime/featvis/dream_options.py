"""The dream options of an element: octaves, the photo to start from, the guide; and its notes in the legend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bbilang.compiler.ir.program import Node, Program
from bbilang.compiler.optimize.cost import icon_option, octaves_of
from bbilang.grammar.files import beside
from bbilang.runtime.errors import error

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from bbilang.compiler.contract.run import Run
    from bbilang.runtime.featvis.icon import Icon, Objective, Start
    from bbilang.runtime.inputs.network_input import ImageReader


def require_dream(node: Node, program: Program) -> None:
    """Raise BbiError E510 for pictures of whole layers that have octaves or a guide but are not dreams."""
    octaves, guide = octaves_of(node, program), node.get("guide")
    if octaves > 1 and icon_option(node, program, "objective", str) != "dream":
        raise error("E510", "only a dream has octaves", "add `objective=dream`")
    if guide is not None and octaves == 1:
        raise error(
            "E510", "only a dream by octaves has a guide", "add `objective=dream, octaves=4` to the `.whole` of a layer"
        )


def as_dream(objective: Objective, node: Node, run: Run) -> Objective:
    """Return the objective with the dream options of the element."""
    octaves = octaves_of(node, run.program)
    return replace(objective, octaves=octaves, guide=_guide(node, run)) if octaves > 1 else objective


def start_of(octaves: int, number: int, run: Run) -> Start:
    """Return the input as the network sees it; for a dream by octaves, as it was before resizing and cropping."""
    from bbilang.runtime.featvis.icon import Start

    photo = run.photos[number] if octaves > 1 and number < len(run.photos) else None
    if photo is None:
        return Start.of(run.pictures[number])
    from bbilang.runtime.featvis.dream import photo_start

    return photo_start(photo())


def _guide(node: Node, run: Run) -> Start | None:
    from bbilang.runtime.featvis.icon import Start

    shown = guide_of(node, run.program, cast("ImageReader", run.adapter))
    return None if shown is None else Start.of(shown)


def guide_of(node: Node, program: Program, model: ImageReader) -> np.ndarray | None:
    """Return the picture that guides an element's dreams as the network sees it, uint8 (y, x, rgb); None for no guide.
    Raises BbiError E411 to E416."""
    from bbilang.runtime.inputs.images import PREFIX, read

    option = node.get("guide")
    if option is None:
        return None
    name = str(option[0])
    return model.prepare(read(name if name.startswith(PREFIX) else beside(program.folder, name)).image)[1]


def guide_name(node: Node) -> str:
    """Return the guide's name for readers; empty if there is none."""
    return Path(str(node["guide"][0])).name.removeprefix("sample:") if node.get("guide") is not None else ""


def dream_notes(node: Node, program: Program, icons: Sequence[Icon]) -> tuple[str, ...]:
    """Return the legend's notes on an element's dreams: their size and their guide."""
    octaves = octaves_of(node, program)
    if octaves == 1:
        return ()
    sizes = dict.fromkeys(f"{icon.picture.shape[1]} x {icon.picture.shape[0]}" for icon in icons)
    notes = [f"made at {' and '.join(sizes)} px in up to {octaves} octaves"] if sizes else []
    if node.get("guide") is not None:
        notes.append("guided: each position of the layer is drawn to the feature vector of the guide that fits it best")
    return tuple(notes)
