"""Explanations of texts, at the speeds that the cost model assumes: the same on every machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from smaller_specs import is_of_one_model

from bbilang import api
from bbilang.compiler.explain.explain import Explanation
from bbilang.compiler.explain.units import Measured
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import Plan, Step
from bbilang.grammar.source import Source
from bbilang.registry import operation_defaults

ROOT = Path(__file__).parents[2]
# A plan of several models is one for each of them: `DERIVED`, and tests/models.
SPECS = sorted(path for path in (ROOT / "specs").glob("*.bbi") if is_of_one_model(path))
LAYERS = ("block1a", "block2a.expand", "block2b.expand", "block3b.expand", "block4c.expand", "block5c.expand",
          "block6c.expand", "block6d.expand")  # fmt: skip
HEAD = 'bbi 1\nmodel efficientnet_lite0\ninput "sample:chelsea"\n'
MODES = (
    HEAD
    + """
one = pick(output.class)
interface "Where each of 1,000 classes is seen" {
    map = block5c.spatial | attribute(output[one]) | present(heatmap)
}
"""
)
MANY = (
    HEAD
    + 'interface "Two hundred elements" {\n'
    + "".join(
        f"    e{n} = {LAYERS[n % 8]}.channel | attribute(output[{n // 8}]) | top(5) | present(bars)\n"
        for n in range(200)
    )
    + "}\n"
)
DERIVED = """bbi 1
model a = efficientnet_lite0
model b = a | ablate(block5c.expand.channel[447])
input "sample:chelsea"
interface "Without the stripes" {
    before = block6d.expand.channel | attribute(output) | top(6) | present(bars)
    after = b:block6d.expand.channel | attribute(output) | top(6) | present(bars)
}
"""
AGAIN = """bbi 1
model a = efficientnet_lite0
model b = a | ablate(block5c.expand.channel[447])
dataset shapes = "sample:shapes"
a:block6d.expand.channel | match(b:block6d.expand.channel, source=shapes) | top(4) | present(featvis)
"""
COMPLETE = ", method=integrated_gradients(n_steps=64)"  # without it, a spec of the gallery is of linear attribution
HOSTILE = '</text><script>alert(1)</script>" onload="x\u202e\x07 \U0001f408猫' + "w" * 300


@cache
def explanation(text: str, name: str = "page.bbi", optimized: bool = True) -> Explanation:
    program = api.check(api.parse(Source(text, name)))
    before = api.plan(program)
    after = api.plan(optimize(program)) if optimized else before
    return Explanation(before, after, (), operation_defaults())


def of(path: Path, optimized: bool = True) -> Explanation:
    return explanation(path.read_text(encoding="utf-8"), path.name, optimized)


def measured(explained: Explanation) -> Explanation:
    """As if it had been run: measurements that no machine made, to see how they are shown."""
    from dataclasses import replace

    def took(plan: Plan, number: int) -> Measured:
        step = plan.steps[number]
        icons = (5, 3) if step.kind == "icons" else (None, None)
        return Measured(0.0412 * (number + 1), 10_000_000 * (number + 1), step.passes, *icons)

    def timings(plan: Plan) -> tuple[tuple[Step, Measured], ...]:
        return tuple((step, took(plan, n)) for n, step in enumerate(plan.steps))

    own = {name: timings(each.after) for name, each in explained.of_models.items()}
    return replace(explained, timings=timings(explained.after), timings_of=own)
