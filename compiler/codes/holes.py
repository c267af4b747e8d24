"""Errors of texts with holes."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

COMPLETE: Final = "$ bbi complete -e"

HOLES: Final[dict[str, Code]] = {
    "E298": Code(
        "a text with holes cannot be run",
        "A hole leaves open what the page shows. `bbi complete` lists what fits, with the cost and the goals of each, "
        "and its `--run` makes a page of the best.",
        "$ bbi run -e 'block5c.expand.channel | attribute(output) | top(8) | present(?)'",
        f"{COMPLETE} 'block5c.expand.channel | attribute(output) | top(8) | present(?)' --run 2",
        needs="a text with a hole",
    ),
    "E337": Code(
        "nothing fits a hole",
        "Every layer, atom, operation or argument that could stand there was tried, and none type-checks together with "
        "what follows. The reason of the one that came furthest is given.",
        "block5c.expand.spatial | ? | present(curve)",
        f"{COMPLETE} 'block5c.expand.spatial | ? | present(?)'",
    ),
    "E338": Code(
        "a hole for an argument that has no list of candidates",
        "Words, axes, methods, styles and names of the text can be listed; of numbers, those that an operation "
        "declares as candidates. A condition, a text or a file is written out.",
        "block5c.expand.channel | attribute(output) | filter(?) | present(bars)",
        f"{COMPLETE} 'block5c.expand.channel | attribute(output) | filter(value > 0) | present(?)'",
    ),
    "E339": Code(
        "too many ways to fill the holes of a text",
        "Every way is typed, planned and compared, so their number is limited. Write out one of the holes.",
        "$ bbi complete -e '?.? | ?* | ?* | ?* | present(?)'",
        f"{COMPLETE} 'block5c.expand.? | ? | present(?)'",
        needs="a text with many holes",
    ),
    "E364": Code(
        "no completion is within the limits",
        "`--max-passes` and `--without` leave out completions, here all of them: there is nothing to make a page of. "
        "The message says what the cheapest takes.",
        f"{COMPLETE} 'block5c.expand.? | attribute(output) | present(bars)' --max-passes 1 --run 2",
        f"{COMPLETE} 'block5c.expand.? | attribute(output) | present(bars)' --max-passes 5 --run 2",
        needs="a limit that nothing is within",
    ),
}
