"""Codes of interventions."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

_TOP = "block5c.expand.channel | attribute(output) | top(8)"
_GROUPS = "groups = block5c.expand | factorize(nmf, 6)\n"

INTERVENTIONS: Final[dict[str, Code]] = {
    "E270": Code(
        "an intervention without its effect",
        "`ablate`, `isolate`, `steer` and `patch` say how atoms change, and have no numbers of their own. `effect(to)` "
        "follows one of them directly, and says what the change does to a target.",
        f"{_TOP} | ablate(zero) | present(bars)",
        f"{_TOP} | ablate(zero) | effect(output) | present(bars)",
    ),
    "E272": Code(
        "a change that is not defined for these atoms",
        "The part of a group is what the group explains of the layer: it can be left out, evened out or steered. Atoms "
        "of several layers change together only in each layer by itself.",
        f"{_GROUPS}groups | ablate(noise) | effect(output) | present(bars)",
        f"{_GROUPS}groups | ablate(zero) | effect(output) | present(bars)",
    ),
}
