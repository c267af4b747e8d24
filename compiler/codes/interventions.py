"""Codes of interventions."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

_TOP = "block5c.expand.channel | attribute(output) | top(8)"
_INPUTS = 'input cat = "sample:chelsea", coffee = "sample:coffee"\n'
_GROUPS = "groups = block5c.expand | factorize(nmf, 6)\n"

INTERVENTIONS: Final[dict[str, Code]] = {
    "E270": Code(
        "an intervention without its effect",
        "`ablate`, `isolate`, `steer` and `patch` say how atoms change, and have no numbers of their own. `effect(to)` "
        "follows one of them directly, and says what the change does to a target.",
        f"{_TOP} | ablate(zero) | present(bars)",
        f"{_TOP} | ablate(zero) | effect(output) | present(bars)",
    ),
    "E271": Code(
        "a replacement that needs a dataset, or one that uses none",
        "`mean` and `resample` replace a part by what other examples have there, so they name a dataset: "
        "`source=photos`. The mean over the positions of one picture is called `position_mean`, and is another number.",
        f"{_TOP} | ablate(mean) | effect(output) | present(bars)",
        f'dataset photos = "sample:shapes"\n{_TOP} | ablate(mean, source=photos) | effect(output) | present(bars)',
    ),
    "E272": Code(
        "a change that is not defined for these atoms",
        "The part of a group or direction can be left out, evened out or steered. `noise` needs the deviation of a "
        "channel. Atoms of several layers change together in each layer by itself.",
        f"{_GROUPS}groups | ablate(noise) | effect(output) | present(bars)",
        f"{_GROUPS}groups | ablate(zero) | effect(output) | present(bars)",
    ),
    "E273": Code(
        "an input that is not there to take parts from",
        "`patch` runs each input with parts of another input of the page, which it names. A name stands for one "
        "picture, and no two inputs have the same.",
        f"{_INPUTS}{_TOP} | patch(source=cup) | effect(output) | present(bars)",
        f"{_INPUTS}{_TOP} | patch(source=coffee) | effect(output) | present(bars)",
    ),
    "W274": Code(
        "an intervention that its target does not depend on",
        "No path leads from the layer to the target, as between two branches of a block, so the effect is zero "
        "whatever changes. Take a target above both, or the scores.",
        "model inceptionv1\nmixed4d.conv1x1.channel | steer(2) | effect(mixed4d.conv3x3.channel[0]) | present(bars)",
        "model inceptionv1\nmixed4d.conv1x1.channel | steer(2) | effect(mixed4d.channel[0]) | present(bars)",
    ),
}
