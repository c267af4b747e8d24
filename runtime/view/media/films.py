"""The choice among the inputs of a page: a menu, or a player where they are the frames of a film."""

from __future__ import annotations

from collections.abc import Sequence

from bbilang.runtime.inputs.network_input import NetworkInput
from bbilang.runtime.view.model import Atom, Selection


def picker(identity: str, pictures: Sequence[NetworkInput], rate: float | None) -> Selection:
    """Return the selection of an input. ``rate``: frames a second, whatever their files say."""
    times = film_times([picture.seconds for picture in pictures], rate)
    atoms = tuple(Atom(f"input {number}", picture.name) for number, picture in enumerate(pictures))
    return Selection(identity, "pick", "Frame" if times else "Input", atoms, spoken=True, times=times)


def film_times(seconds: Sequence[float | None], rate: float | None) -> tuple[float, ...]:
    """Return when each frame is shown, in seconds from the first; empty where the inputs are no film. Of several films
    one follows the other after as long as its last frame before took."""
    if rate is not None:
        return tuple(round(number / rate, 4) for number in range(len(seconds)))
    times: list[float] = []
    start, before = 0.0, 0.0
    for own in seconds:
        if own is None:
            return ()
        if times and own <= before:  # the next file begins
            start = times[-1] + (times[-1] - times[-2] if len(times) > 1 else 0.1) - own
        times.append(round(start + own, 4))
        before = own
    return tuple(times)
