"""The network whose heads were written by hand: each does what its docstring says, and the page shows it."""

import numpy as np
import pytest

import bbilang
from bbilang.grammar.diagnostic import BbiError

TEXT = "Lily saw the red fox and Tom saw the blue owl . Lily saw the red"
PAGE = 'model "sample:induction"\ninput "text:{}"\n{}'


def run(text, pipe):
    return bbilang.run(PAGE.format(text, pipe), cache=False)


@pytest.fixture(scope="module")
def page():
    both = "\n".join(f"look{n} = layers.{n}.attention.head | attention | present(arcs, facet=head)" for n in (0, 1))
    effects = (
        "effects = [layers.0.attention, layers.1.attention].head | ablate(zero) | effect(output) | present(matrix)"
    )
    return run(TEXT, f"{both}\n{effects}")


def weights(page, layer):
    return np.asarray(page.data(f"look{layer}").values, np.float64)


def test_the_first_layer_looks_back_and_at_the_start(page):
    before, start = weights(page, 0)
    count = len(TEXT.split()) + 1
    assert all(before[i].argmax() == max(i - 1, 0) and before[i].max() > 0.99 for i in range(count))
    assert (start[:, 0] > 0.99).all()


def test_the_second_layer_looks_at_what_came_after_and_at_the_same(page):
    words = ["<start>", *TEXT.lower().split()]
    induction, same = weights(page, 1)
    for i, word in enumerate(words):
        after = [j for j in range(1, i + 1) if words[j - 1] == word]
        assert abs(induction[i][after or [0]].sum() - 1) < 0.04, (i, word)
        alike = [j for j in range(i + 1) if words[j] == word]
        assert abs(same[i][alike].sum() - 1) < 0.01


def test_it_goes_on_as_before_by_two_heads(page):
    assert page.view.predictions[0].top[0][0] == "fox" and page.view.predictions[0].top[0][1] > 0.98
    effects = np.asarray(page.data("effects").values, np.float64).ravel()
    assert (effects[[0, 2]] < -7).all() and np.abs(effects[[1, 3]]).max() < 0.1


def test_only_its_words():
    with pytest.raises(BbiError) as raised:
        run("Lily saw the moon", "layers.0.token | activation | present(heatmap)")
    assert {d.code for d in raised.value.diagnostics} == {"E418"} and "`moon`" in raised.value.diagnostics[0].message


def test_its_weights_are_those_of_the_script(tmp_path):
    import runpy
    import sys
    from pathlib import Path

    from safetensors.torch import load_file

    root = Path(__file__).parents[2]
    script = runpy.run_path(str(root / "scripts" / "plant_induction.py"), run_name="planted")
    script["main"](str(tmp_path / "again.safetensors"))
    folder = Path(sys.modules["bbilang.runtime.models.registry"].__file__).parent / "zoo"
    shipped, again = load_file(folder / "induction.safetensors"), load_file(tmp_path / "again.safetensors")
    assert shipped.keys() == again.keys() and all((shipped[k] == again[k]).all() for k in shipped)
