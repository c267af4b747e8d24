"""Interventions that take something from elsewhere, for every example of a dataset: equal to hooks by hand, on
residual, concatenating and attention networks, at cuts and at branches."""

from __future__ import annotations

from pathlib import Path

import blocks
import numpy as np
import pytest
import torch
from by_hand import TOKENS, activation, mask, positions, scores
from PIL import Image
from test_by_hand import PLACES
from test_controls_and_sources import executed, field_of
from test_with_sources import close

import bbilang

DRAWS = 8


def folder_of(folder: Path, numbers: range) -> list[torch.Tensor]:
    folder.mkdir(exist_ok=True)
    made = []
    for place, number in enumerate(numbers):
        pixels = (np.random.default_rng(number).random((12, 12, 3)) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{place:02}.png")
        made.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    return made


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> tuple[Path, list[torch.Tensor]]:
    folder = tmp_path_factory.mktemp("sources") / "some"
    return folder, folder_of(folder, range(12))


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> tuple[Path, list[torch.Tensor]]:
    folder = tmp_path_factory.mktemp("others") / "others"
    return folder, folder_of(folder, range(20, 25))


def instead(stage: str, network, page: torch.Tensor, layer: str, made: list[torch.Tensor]) -> list[np.ndarray]:
    """What the whole layer would become in each draw, the same for every example."""
    if "mean" in stage:
        means = np.mean([activation(network, one, layer).mean(positions(layer)) for one in made], 0)
        own = activation(network, page, layer)
        return [np.broadcast_to(means if layer in TOKENS else means[:, None, None], own.shape)]
    if "patch" in stage:
        return [activation(network, page, layer)]
    order = np.random.default_rng([0, 6]).permutation(len(made))[:DRAWS]
    return [activation(network, made[number], layer) for number in order]


def by_hand(network, image, layer, values: list[np.ndarray], atoms: list[tuple], atom: str, keeps: bool) -> np.ndarray:
    """The mean change of all scores of one example where these atoms, or all but those, become these values."""
    before, rows = scores(network, image, layer, None), []
    for value in values:

        def change(own, value=value):
            chosen = sum(mask(own.shape, layer, atom, index) for index in atoms)
            return own + (1 - chosen if keeps else chosen) * (value - own)

        rows.append(scores(network, image, layer, change) - before)
    return np.mean(rows, 0)


STAGES = (
    "ablate(mean, source=some)",
    "ablate(resample, source=some)",
    "patch(source=0)",
    "ablate(mean, source=some, together=true)",
    "ablate(resample, source=some, together=true)",
    "patch(source=page, together=true)",
    "isolate(mean, source=some)",
    "isolate(resample, source=some)",
)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_every_example_by_hand(name, layer, stage, sources, others):
    (folder, made), (rest, pictures) = sources, others
    network, page = blocks.block(name), blocks.image()
    values = instead(stage, network, page, layer, made)
    alone, keeps = "together" not in stage and "isolate" not in stage, stage.startswith("isolate")
    own = activation(network, page, layer).sum(positions(layer))
    chosen = np.argsort(-own, kind="stable")[:2].tolist()
    stage, end = stage.replace("source=page", "source=0"), "matrix" if alone else "bars"
    text = (f'dataset some = "{folder}"\ndataset others = "{rest}"\n{layer}.channel | activation | top(2) | {stage}'
            f" | effect(output.class) | across(others) | at(pick(others)) | present({end})")  # fmt: skip
    field = field_of(executed(text, blocks.adapter(name), page))
    (state,) = [axis.name for axis in field.type.states]
    found = field.values.ordered((state, *(["channel"] if alone else []), "class")).data
    for number, one in enumerate(pictures):
        groups = [[(channel,)] for channel in chosen] if alone else [[(channel,) for channel in chosen]]
        for row, group in zip(found[number] if alone else [found[number]], groups, strict=True):
            expected = by_hand(network, one, layer, values, group, "channel", keeps)
            close(row, expected, scores(network, one, layer, None))


def effects_over(source: str, across: str, stage: str, start: str, more: str = "", **options):
    """The effects (example, channel) of both strongest channels of the residual network's stem."""
    text = (f"{start}\nstem.channel | activation | top(2) | {stage.format(source)} | effect(output[1])"
            f" | across({across}) | present(matrix)\n{more}")  # fmt: skip
    results = bbilang.run(text, model=blocks.adapter("residual"), input=blocks.image(), **options).results
    return results, results.fields[results.program.elements[0].id].values.ordered(("example", "channel")).data


MEAN = "ablate(mean, source={})"


@pytest.mark.parametrize("stage", [MEAN, "isolate(resample, source={})", "patch(source=0)"])
def test_the_plain_plan_gives_the_same(stage, sources, others):
    end = "histogram" if "isolate" in stage else "matrix"  # one number for both channels
    text = (f'dataset some = "{sources[0]}"\ndataset others = "{others[0]}"\nstem.channel | activation | top(2)'
            f" | {stage.format('some')} | effect(output[1]) | across(others) | present({end})")  # fmt: skip
    fast, slow = (field_of(executed(text, blocks.adapter("residual"), blocks.image(), optimized=way)).values.data
                  for way in (True, False))  # fmt: skip
    np.testing.assert_allclose(fast, slow, atol=3e-6)


@pytest.mark.parametrize(("source", "across"), [("some", "some"), ("some", "few"), ("few", "some")])
def test_the_source_may_be_what_it_goes_across(source, across, sources):
    """The means are scanned first, though both are of one dataset; other numbers of it share that first scan."""
    folder, made = sources
    start = f'dataset some = "{folder}"\ndataset few = some | sample(5)'
    more = "stem.channel | across(few) | mean(example) | present(bars)\nsome | present(image)"
    results, found = effects_over(source, across, MEAN, start, more, cache=False)
    assert [scan.waits for scan in results.program.scans] == [False, True]
    rows = results.fields[results.program.elements[0].id].coords["example"].data.tolist()
    few = results.fields[results.program.elements[1].id]
    assert few.values.sizes == {"channel": 4} and len(rows) == (5 if across == "few" else 12)
    network, layer = blocks.block("residual"), "stem"
    inside = range(12) if source == "some" else sampled_rows(folder)
    means = np.mean([activation(network, made[n], layer).mean((1, 2)) for n in inside], 0)
    own = activation(network, blocks.image(), layer).sum((1, 2))
    chosen = np.argsort(-own, kind="stable")[:2].tolist()
    for place, row in enumerate(rows):
        values = [np.broadcast_to(means[:, None, None], activation(network, made[row], layer).shape)]
        before = scores(network, made[row], layer, None)
        for column, channel in enumerate(chosen):
            expected = by_hand(network, made[row], layer, values, [(channel,)], "channel", False)[1]
            close(found[place, column], expected, before[1])


def sampled_rows(folder: Path) -> list[int]:
    from bbilang.runtime.data.sampling import sampled

    return np.sort(sampled(sorted(path.name for path in folder.iterdir()), 5, 0)).tolist()


def test_what_was_computed_is_recalled_and_another_source_is_not(tmp_path, others):
    from bbilang.runtime.cache.disk import Cache

    folder, cache = tmp_path / "some", Cache(tmp_path / "cache")
    folder_of(folder, range(12))
    start = f'dataset some = "{folder}"\ndataset others = "{others[0]}"'
    for stage in (MEAN, "ablate(resample, source={})", "patch(source=0)"):
        first, found = effects_over("some", "others", stage, start, cache=cache)
        again, same = effects_over("some", "others", stage, start, cache=cache)
        assert first.scanned > 0 and again.scanned == 0
        np.testing.assert_array_equal(found, same)
    _, before = effects_over("some", "others", MEAN, start, cache=cache)
    folder_of(folder, range(40, 52))
    changed, after = effects_over("some", "others", MEAN, start, cache=cache)
    fresh, expected = effects_over("some", "others", MEAN, start, cache=False)
    assert changed.scanned == fresh.scanned == 17
    np.testing.assert_allclose(after, expected, atol=1e-6)
    assert np.abs(after - before).max() > 1e-4


def test_it_is_planned(sources, others):
    start = f'dataset some = "{sources[0]}"\ndataset others = "{others[0]}"'
    text = start + "\nstem.channel | {} | effect(output[1]) | across(others) | mean(example) | present(bars)"

    def steps(stage: str):
        program = bbilang.check(bbilang.parse(text.format(stage)), model=blocks.adapter("residual"), input=None)
        return bbilang.plan(bbilang.optimize(program)).steps

    mean = steps("ablate(mean, source=some)")
    first, second = (step for step in mean if step.kind == "scan")
    assert "12 examples" in first.words and "1 forward each" in first.words and first.passes == 12
    assert "5 examples" in second.words and "4 reruns each" in second.words and second.passes == 5 * (1 + 4)
    resample = steps("ablate(resample, source=some)")
    assert sum(step.kind == "scan" for step in resample) == 1
    drawn = next(step for step in resample if step.kind == "draw")
    assert drawn.passes == DRAWS and "what 8 examples of some have at stem" in drawn.words
    assert next(step for step in resample if step.kind == "scan").passes == 5 * (1 + 4 * DRAWS)


def test_random_sets_of_an_example_do_not_depend_on_the_others(others):
    """Each example of five has the sets that it has alone."""
    folder, _ = others
    text = (f'dataset others = "{folder}"\ndataset one = others | sample(1)\n'
            "stem.channel | ablate(zero) | effect(output[1], controls=2) | across({}) | present(matrix)")  # fmt: skip
    every, alone = (field_of(executed(text.replace("{}", name), blocks.adapter("residual"), blocks.image()))
                    for name in ("others", "one"))  # fmt: skip
    place = every.coords["example"].data.tolist().index(alone.coords["example"].data.item())
    sets, own = (f.beside["controls"].ordered(("example", "channel", "control")).data for f in (every, alone))
    assert sets.shape == (5, 4, 2) and np.isfinite(sets).all()
    np.testing.assert_allclose(sets[place], own[0], atol=2e-6)


@pytest.mark.parametrize("stage", [MEAN, "ablate(resample, source={})"])
def test_effects_choose_atoms_on_the_page(stage, sources, others):
    """What stands after `effect` and chooses, chooses by the effect on the page's own input, once."""
    start = f'dataset some = "{sources[0]}"\ndataset others = "{others[0]}"'
    pipe = f"stem.channel | {stage.format('some')} | effect(output[1])"
    text = (f"{start}\n{pipe} | top(2, by=magnitude) | across(others) | present(matrix)\n"
            f"{pipe} | top(2, by=magnitude) | present(bars)\n{pipe} | across(others) | present(matrix)")  # fmt: skip
    results = executed(text, blocks.adapter("residual"), blocks.image())
    chosen, own, every = (results.fields[element.id] for element in results.program.elements)
    kept = own.coords["channel"].data.ravel().tolist()
    assert chosen.coords["channel"].data.tolist() == kept
    table = every.values.ordered(("example", "channel")).data
    np.testing.assert_allclose(chosen.values.ordered(("example", "channel")).data, table[:, kept], atol=2e-6)


def test_a_program_in_json_is_the_same(sources, others):
    start = f'dataset some = "{sources[0]}"\ndataset others = "{others[0]}"'
    text = (f"{start}\nstem.channel | {MEAN.format('some')} | effect(output[1]) | across(others) | present(matrix)\n"
            "stem.channel | patch(source=0) | effect(output[1]) | across(others) | present(matrix)")  # fmt: skip
    model = blocks.adapter("residual")
    program = bbilang.optimize(bbilang.check(bbilang.parse(text), model=model, input=blocks.image()))
    again = bbilang.program_from_json(bbilang.program_to_json(program))
    assert again == program and [scan.waits for scan in again.scans] == [False, True]


def test_examples_of_an_effect(sources, others):
    """The examples in which a change does most, in place of a crash."""
    text = (f'dataset some = "{sources[0]}"\ndataset others = "{others[0]}"\n'
            "stem.channel | activation | top(2) | {} | effect(output[1]) | {} | present({})")  # fmt: skip
    ends = (("examples(others, 1)", "image, facet=channel"), ("across(others)", "matrix"))
    for stage in ("ablate(zero)", MEAN.format("some")):
        best, every = (field_of(executed(text.format(stage, *end), blocks.adapter("residual"), blocks.image()))
                       for end in ends)  # fmt: skip
        table = every.values.ordered(("example", "channel")).data
        assert best.coords["example"].ordered(("channel", "example")).data.ravel().tolist() == table.argmax(0).tolist()


def shares_by_hand(network, layer, page, made, pictures, values, keep: list[int]) -> list[float]:
    """For each picture, the part of the sources that lie nearer to another one than its changed state to any, by
    loops."""
    means = np.array([activation(network, one, layer).mean((1, 2)) for one in made])
    scale = means.std(0)
    distance = lambda a, b: float(np.linalg.norm((a - b) / scale))  # noqa: E731
    usual = [min(distance(a, b) for m, b in enumerate(means) if m != n) for n, a in enumerate(means)]
    found = []
    for image in pictures:
        draws = []
        for value in values:
            state = np.array(value).copy()
            state[keep] = activation(network, image, layer)[keep]
            source = None if len(values) == 1 else min(range(len(means)), key=lambda n: distance(
                np.array(value).mean((1, 2)), means[n]))  # fmt: skip
            nearest = min(distance(state.mean((1, 2)), b) for n, b in enumerate(means) if n != source)
            draws.append(np.mean([own < nearest for own in usual]))
        found.append(float(np.mean(draws)))
    return found


@pytest.mark.parametrize("value", ["mean", "resample"])
def test_the_legend_says_how_natural_the_states_of_the_examples_are(value, sources, others):
    (folder, made), (rest, pictures) = sources, others
    network, page, layer = blocks.block("residual"), blocks.image(), "stem"
    start = f'dataset some = "{folder}"\ndataset others = "{rest}"\ndataset two = others | sample(2)\n'
    text = (f"{start}stem.channel | activation | top(2) | isolate({value}, source=some) | effect(output[1])"
            " | across({}) | present(histogram)")  # fmt: skip
    values = instead(f"isolate({value}", network, page, layer, made)
    own = activation(network, page, layer).sum((1, 2))
    keep = np.argsort(-own, kind="stable")[:2].tolist()
    shares = shares_by_hand(network, layer, page, made, pictures, values, keep)
    field = field_of(executed(text.format("others"), blocks.adapter("residual"), page))
    low, middle, high = (f"{100 * np.quantile(shares, part):.0f} %" for part in (0.1, 0.5, 0.9))
    (said,) = [note for note in field.notes if "farther" in note]
    assert f"nearest of 12 examples than {middle} of them" in said and f"80 % of 5: {low} to {high}" in said
    part = field_of(executed(text.format("two"), blocks.adapter("residual"), page))
    rows = part.coords["example"].data.tolist()
    assert f"{100 * np.median([shares[row] for row in rows]):.0f} %" in next(n for n in part.notes if "farther" in n)
    few = executed(text.format("others").replace("source=some", "source=two"), blocks.adapter("residual"), page)
    assert any("2 examples are too few to tell" in note for note in field_of(few).notes)
    changed = text.format("others").replace("isolate", "ablate").replace("histogram", "matrix")
    both = executed(changed, blocks.adapter("residual"), page)
    assert not any("farther" in note for note in field_of(both).notes)
