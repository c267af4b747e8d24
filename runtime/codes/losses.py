"""The codes of pipes that are losses: `bbilang.penalty`."""

from __future__ import annotations

from typing import Final

from bbilang.grammar.codes import Code

LOSSES: Final[dict[str, Code]] = {
    "E480": Code(
        "a penalty without a derivative",
        "A network is trained by the derivative of its loss, and a penalty is made of derivatives already: it needs "
        "the second one. `linear`, `input_x_gradient`, `gradient` and `integrated_gradients` have it, of one layer and "
        "of classes that are named.",
        '>>> bbilang.penalty("input.pixel | attribute(output, method=occlusion) | norm", model=network)',
        '>>> bbilang.penalty("input.pixel | attribute(output) | norm", model=network)',
        needs="a network of the caller's own",
    ),
    "E481": Code(
        "a pipe that is no penalty",
        "A penalty is one pipe that ends in one number for each example: `norm` without an axis spends all that are "
        "left. `outside(boxes)` and `inside(boxes)` need positions.",
        '>>> bbilang.penalty("input.pixel | attribute(output) | outside(boxes)", model=network)',
        '>>> bbilang.penalty("input.pixel | attribute(output) | outside(boxes) | norm", model=network)',
        needs="a network of the caller's own",
    ),
}
