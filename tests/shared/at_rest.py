"""Waits until a page has handled what was done to it, however slow the machine is."""

from typing import Any

FRAMES = """() => new Promise((done) => {
    const wait = (frames) => frames ? requestAnimationFrame(() => wait(frames - 1)) : setTimeout(done);
    wait(3); // the page draws in the next frame, and what follows from its layout in the one after
})"""


def at_rest(page: Any) -> None:
    """Return when the page has drawn what its last event asked for.

    A test never waits for a fixed time instead: on a loaded machine a frame takes longer than on an idle one."""
    page.evaluate(FRAMES)
