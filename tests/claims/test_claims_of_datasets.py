"""Claims about an intervention in every example of a dataset: their number, their interval, and chance."""

from __future__ import annotations

import json
from pathlib import Path

import circuit
import numpy as np
import pytest
import torch
from PIL import Image

import bbilang
from bbilang.cli.app import main
from bbilang.grammar.diagnostic import BbiError


def pictures(folder: Path, count: int, start: int) -> torch.Tensor:
    """Write random pictures; return them, (example, channel, y, x)."""
    folder.mkdir()
    made = []
    for number in range(count):
        pixels = (np.random.default_rng(start + number).random((16, 16, 3)) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        made.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    return torch.stack(made)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    return folder, pictures(folder / "photos", 10, 0), pictures(folder / "others", 6, 50)


def claims(folder: Path, *statements: str, cache=False):
    text = f"""dataset photos = "{folder / "photos"}"
dataset others = "{folder / "others"}"
carriers = parts.channel | attribute(output[0]) | top(2)
{chr(10).join(f'claim "{n}" = {statement}' for n, statement in enumerate(statements))}
carriers | present(bars)"""
    module = bbilang.adapt(circuit.Circuit().eval(), (16, 16), labels=["planted", "none"])
    page = bbilang.run(text, model=module, input=circuit.image(), device="cpu", cache=cache)
    return page.results.fields["claims"]


START = "carriers | ablate(mean, source=photos, together=true) | effect(output[0]"


def by_hand(photos: torch.Tensor, others: torch.Tensor) -> np.ndarray:
    """The effect in each of the others where the carriers become their mean over the photos."""
    net, own = circuit.Circuit(), list(circuit.CARRIERS)
    with torch.no_grad():
        means = net.parts(photos).mean((0, 2, 3))
        parts = net.parts(others)
        changed = parts.clone()
        changed[:, own] = means[own][:, None, None]
        heads = [net.head(each.mean((2, 3)))[:, 0] for each in (parts, changed)]
    return (heads[1] - heads[0]).double().numpy()


def test_the_number_is_the_mean_over_the_examples(made):
    """The same with `mean(example)`, which a claim takes by itself; single random sets that no class reads change
    nothing."""
    folder, photos, others = made
    effects = by_hand(photos, others)
    bound = effects.mean() + (1 if effects.mean() < 0 else -1) * 1e-4
    sign = "<" if effects.mean() < 0 else ">"
    field = claims(folder, f"{START}) | across(others) {sign} {bound:.6f}",
                   f"{START}) | across(others) | mean(example) {sign} {bound:.6f}")  # fmt: skip
    assert field.names["measure"].data.tolist() == ["value", "from", "to", "p"]
    half = 2.570581835636314 * effects.std(ddof=1) / np.sqrt(6)  # Student, five degrees of freedom
    for row in field.outcomes.data:
        assert row[0] == pytest.approx(effects.mean(), abs=1e-6)
        assert row[1:3] == pytest.approx([effects.mean() - half, effects.mean() + half], abs=1e-5)
        assert row[4] == 99 and row[3] == pytest.approx(1 / 100), "nothing reads the others, so no set does as much"
    assert field.verdicts == ("holds", "holds")


def test_others_do_as_much(made):
    folder, *_ = made
    field = claims(folder, "parts.channel[11] | ablate(zero, together=true) | effect(output[0]) | across(others) < 0.5")
    assert field.verdicts[0] in ("no different from chance", "cannot be told from chance")


def test_a_claim_that_was_computed_is_recalled(made, tmp_path):
    """With its random sets, and those that are missing."""
    folder, *_ = made
    pipe = "parts.channel[11] | ablate(zero, together=true) | effect(output[0], controls=60) | across(others) < 0.5"
    first = claims(folder, pipe, cache=tmp_path)
    again = claims(folder, pipe, cache=tmp_path)
    assert 19 <= first.outcomes.data[0][4] < 60, "a layer has only so many atoms of like magnitude"
    np.testing.assert_array_equal(first.outcomes.data, again.outcomes.data)


def test_two_sources_of_the_same_examples_are_paired(made):
    folder, *_ = made
    pipe = "(carriers | ablate(mean, source={}, together=true) | effect(output[0]) | across(others))"
    field = claims(folder, f"{pipe.format('photos')} > {pipe.format('others')}")
    assert not any("Welch" in note for note in field.notes)


def test_too_few_sets(made):
    folder, *_ = made
    with pytest.raises(BbiError) as refused:
        claims(folder, f"{START}, controls=18) | across(others) < -0.1")
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == "E287" and "there are 99" in diagnostic.help


def test_bbi_test_over_a_dataset(tmp_path, capsys):
    """Exit codes, JSON, and a dataset of the command line."""
    text = tmp_path / "claims.bbi"
    text.write_text("""input "sample:chelsea"
dataset photos = "sample:shapes" | sample(12)
dataset others = "sample:shapes" | sample(6)
last = head.channel | attribute(output["tiger cat"]) | top(40)
claim "A cat rests on them" = last | ablate(mean, source=photos, together=true)
    | effect(output["tiger cat"], controls=19) | across(others) < 100
last | present(bars)
""")
    code = main(["test", str(text), "--json"])
    (entry,) = json.loads(capsys.readouterr().out)
    (condition,) = entry["conditions"]
    assert np.isfinite(condition["value"]) and 0.05 <= entry["p"] <= 1
    assert code == (0 if entry["verdict"] == "holds" else 1)
