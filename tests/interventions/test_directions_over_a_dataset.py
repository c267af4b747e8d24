"""Interventions on directions and groups, for every example of a dataset: equal to hooks by hand, on residual,
concatenating and attention networks, at cuts and at branches."""

from __future__ import annotations

import blocks
import numpy as np
import pytest
from by_hand import TOKENS, activation, positions, scores
from test_by_hand import PLACES
from test_controls_and_sources import executed, field_of
from test_directions import direction_by_hand, random_vectors, stepped, three, vectors_of, without
from test_sources_over_a_dataset import DRAWS, others, sources  # noqa: F401
from test_with_sources import close

import bbilang
from bbilang.grammar.diagnostic import BbiError

STAGES = (
    "ablate(zero)",
    "steer(-0.5)",
    "ablate(mean, source=some)",
    "ablate(resample, source=some)",
    "patch(source=0)",
    "ablate(zero, together=true)",
    "steer(2, together=true)",
    "isolate(mean, source=some)",
    "isolate(resample, source=some)",
)


def rows_of(network, image, layer: str) -> np.ndarray:
    """The layer's activation, (position, channel)."""
    own = activation(network, image, layer)
    return own if layer in TOKENS else own.reshape(len(own), -1).T


def instead(stage: str, network, layer: str, made) -> list[np.ndarray]:
    """What stands in the place of the layer in each draw, (position, channel)."""
    if "mean" in stage:
        return [np.mean([activation(network, one, layer).mean(positions(layer)) for one in made], 0)[None]]
    if "resample" in stage:
        order = np.random.default_rng([0, 6]).permutation(len(made))[:DRAWS]
        return [rows_of(network, made[number], layer) for number in order]
    return [rows_of(network, blocks.image(), layer)]


def by_hand(stage: str, network, image, layer: str, vectors: np.ndarray, made) -> np.ndarray:
    """The change of all scores of one example with these directions (direction, channel)."""
    if "steer" in stage:
        amount = float(stage.split("(")[1].split(",")[0].rstrip(")"))
        return direction_by_hand(network, image, layer, lambda rows: stepped(rows, vectors, amount))
    if "zero" in stage:
        return direction_by_hand(network, image, layer, lambda rows: without(rows, vectors))

    def change(rows, value):
        off = value - rows
        rest = without(off, vectors)
        return rows + (rest if "isolate" in stage else off - rest)

    values = instead(stage, network, layer, made)
    return np.mean([direction_by_hand(network, image, layer, lambda r, v=v: change(r, v)) for v in values], 0)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("name", "layer"), PLACES)
def test_every_example_by_hand(name, layer, stage, sources, others):  # noqa: F811
    (folder, made), (rest, pictures) = sources, others
    network = blocks.block(name)
    alone = "together" not in stage and "isolate" not in stage
    start = f'dataset some = "{folder}"\ndataset others = "{rest}"\n{three(layer)}'
    text = (f"{start}d | activation(reduce=norm) | top(2) | {stage} | effect(output.class)"
            f" | across(others) | at(pick(others)) | present({'matrix' if alone else 'bars'})")  # fmt: skip
    field = field_of(executed(text, blocks.adapter(name), blocks.image()))
    (state,) = [axis.name for axis in field.type.states]
    found = field.values.ordered((state, *(["concept"] if alone else []), "class")).data
    every = vectors_of(name, layer)
    chosen = np.argsort(-np.linalg.norm(rows_of(network, blocks.image(), layer) @ every.T, axis=0))[:2]
    if alone:
        assert field.coords["concept"].data.ravel().tolist() == chosen.tolist()
    sets = [every[[one]] for one in chosen] if alone else [every[chosen]]
    for number, image in enumerate(pictures):
        for row, vectors in zip(found[number] if alone else [found[number]], sets, strict=True):
            expected = by_hand(stage, network, image, layer, vectors, made)
            close(row, expected, scores(network, image, layer, None))


@pytest.mark.parametrize("stage", ["ablate(zero)", "steer(2)", "ablate(zero, together=true)"])
@pytest.mark.parametrize("method", ["svd", "kmeans", "nmf"])
def test_a_group_is_the_direction_of_its_channels(method, stage, others):  # noqa: F811
    """Groups are made, and chosen, on the page's input; in every example they are directions."""
    (rest, pictures), network, layer = others, blocks.block("residual"), "stem"
    groups = f"groups = {layer} | factorize({method}, 3)\n"
    (factors, best) = (
        field_of(executed(groups + end, blocks.adapter("residual"), blocks.image()))
        for end in ("groups.channel | present(matrix)", "groups | attribute(output[1]) | top(2) | present(bars)")
    )
    alone = "together" not in stage
    text = (f'dataset others = "{rest}"\n{groups}groups | attribute(output[1]) | top(2) | {stage}'
            " | effect(output.class) | across(others) | at(pick(others))"
            f" | present({'matrix' if alone else 'bars'})")  # fmt: skip
    field = field_of(executed(text, blocks.adapter("residual"), blocks.image()))
    every = factors.values.ordered(("input", "group", "channel")).data[0].astype(np.float64)
    chosen = best.coords["group"].data.ravel().tolist()
    (state,) = [axis.name for axis in field.type.states]
    found = field.values.ordered((state, *(["concept"] if alone else []), "class")).data
    sets = [every[[one]] for one in chosen] if alone else [every[chosen]]
    for number, image in enumerate(pictures):
        for row, vectors in zip(found[number] if alone else [found[number]], sets, strict=True):
            close(row, by_hand(stage, network, image, layer, vectors, ()), scores(network, image, layer, None))
    assert any("direction of its channels" in note for note in field.notes)


def test_groups_chosen_by_their_effect_on_the_page(others):  # noqa: F811
    text = (f'dataset others = "{others[0]}"\ngroups = stem | factorize(svd, 3)\n'
            "groups | steer(2) | effect(output[1]) | top(2, by=magnitude) | across(others) | present(matrix)\n"
            "groups | steer(2) | effect(output[1]) | top(2, by=magnitude) | present(bars)\n"
            "groups | steer(2) | effect(output[1]) | across(others) | present(matrix)")  # fmt: skip
    results = executed(text, blocks.adapter("residual"), blocks.image())
    chosen, own, every = (results.fields[element.id] for element in results.program.elements)
    kept = own.coords["group"].data.ravel().tolist()
    assert kept == [0, 2]
    assert chosen.names["concept"].data.ravel().tolist() == [f"group {number}" for number in kept]
    table = every.values.ordered(("example", "concept")).data
    np.testing.assert_allclose(chosen.values.ordered(("example", "concept")).data, table[:, kept], atol=2e-6)


def test_several_pipes_choose_on_the_page(sources, others):  # noqa: F811
    """Each gives what it gives alone; two that were chosen by equal numbers failed together (E900)."""
    start = f'dataset some = "{sources[0]}"\ndataset others = "{others[0]}"\ngroups = stem | factorize(svd, 3)\n'
    pipes = [
        "groups | attribute(output) | top(2) | ablate(zero) | effect(output[1]) | across(others) | present(matrix)",
        "stem.channel | attribute(output) | top(2) | isolate(source=some) | effect(output) | across(others)"
        " | present(histogram)",
        "stem.channel | attribute(output) | top(2) | ablate(zero) | effect(output) | across(others) | present(matrix)",
    ]
    model, image = blocks.adapter("residual"), blocks.image()
    together = executed(start + "\n".join(pipes), model, image)
    for element, pipe in zip(together.program.elements, pipes, strict=True):
        alone = field_of(executed(start + pipe, model, image)).values
        np.testing.assert_allclose(together.fields[element.id].values.ordered(alone.dims).data, alone.data, atol=3e-6)


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    """A folder in which half of the pictures are brighter, with labels."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("bright") / "all"
    for label in ("bright", "dark"):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng([number, label == "dark"]).random((12, 12, 3)) * 120
            picture = Image.fromarray((pixels + 120 * (label == "bright")).astype(np.uint8))
            picture.save(folder / label / f"{number}.png")
    return folder


def concepts(folder) -> str:
    start = f'dataset some = "{folder}"\ndataset bright = some | filter(label == "bright")\n'
    return f'{start}dataset dark = some | filter(label == "dark")\nc = stem | concept([bright, dark], against=some)\n'


def test_concepts_wait_for_their_dataset(bright, others):  # noqa: F811
    """Directions that a scan finds change in the examples of a second scan, also of the same files."""
    (rest, pictures), network, model = others, blocks.block("residual"), blocks.adapter("residual")
    text = f'{concepts(bright)}dataset others = "{rest}"\nc.channel | present(matrix)\n'
    text += "c | {} | effect(output[1]) | across({}) | present(matrix)"
    for stage, across in (("ablate(zero)", "others"), ("ablate(mean, source=dark)", "others"), ("steer(1)", "some")):
        page = bbilang.run(text.format(stage, across), model=model, input=blocks.image(), cache=False)
        waiting = [scan for scan in page.results.program.scans if scan.waits]
        assert len(waiting) == 1
        vectors, found = (page.results.fields[element.id] for element in page.results.program.elements)
        assert found.names["concept"].data.ravel().tolist() == ["bright", "dark"]
        if across == "some":
            assert found.values.sizes["example"] == 24
            continue
        dark = [one for one in bright_pictures(bright) if one[0] == "dark"]
        rows = vectors.values.ordered(("concept", "channel")).data.astype(np.float64)
        for number, image in enumerate(pictures):
            for place in range(2):
                made = [picture for _, picture in dark]
                expected = by_hand(stage, network, image, "stem", rows[[place]], made)[1]
                before = scores(network, image, "stem", None)[1]
                close(found.values.ordered(("example", "concept")).data[number, place], expected, before)


def bright_pictures(folder):
    import torch
    from PIL import Image

    for path in sorted(folder.rglob("*.png")):
        yield path.parent.name, torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 255


def test_a_page_without_an_input(bright, others):  # noqa: F811
    text = f'{concepts(bright)}dataset others = "{others[0]}"\n'
    text += "c | ablate(zero) | effect(output[1]) | across(others) | mean(example) | present(bars)"
    model = blocks.adapter("residual")
    alone, beside = (
        next(iter(bbilang.run(text, model=model, input=given, cache=False).results.fields.values())).values.data
        for given in (None, blocks.image())
    )
    np.testing.assert_allclose(alone, beside, atol=1e-6)


def test_controls_of_an_example_are_random_directions(others):  # noqa: F811
    (rest, pictures), network = others, blocks.block("residual")
    text = (f'dataset others = "{rest}"\nd = stem.channel[0] - stem.channel[2]\n'
            "d | ablate(zero, together=true) | effect(output[1], controls=2) | across(others)"
            " | present(histogram)")  # fmt: skip
    field = field_of(executed(text, blocks.adapter("residual"), blocks.image()))
    controls = field.beside["controls"].ordered(("example", "control")).data
    random, vector = random_vectors(2, 4), np.array([[1.0, 0, -1, 0]])
    for row, image in zip(controls, pictures, strict=True):
        for number in range(2):

            def change(rows, number=number):
                wanted, made = (without(rows, one) - rows for one in (vector, random[[number]]))
                return rows + made * np.linalg.norm(wanted) / np.linalg.norm(made)

            expected = direction_by_hand(network, image, "stem", change)[1]
            np.testing.assert_allclose(row[number], expected, atol=3e-6, rtol=1e-6)


def test_the_plain_plan_and_json_give_the_same(bright, others):  # noqa: F811
    text = f'{concepts(bright)}dataset others = "{others[0]}"\n'
    text += "c | ablate(mean, source=some) | effect(output[1]) | across(others) | present(matrix)"
    model, image = blocks.adapter("residual"), blocks.image()
    fast, slow = (field_of(executed(text, model, image, optimized=way)).values.data for way in (True, False))
    np.testing.assert_allclose(fast, slow, atol=3e-6)
    program = bbilang.optimize(bbilang.check(bbilang.parse(text), model=model, input=image))
    assert bbilang.program_from_json(bbilang.program_to_json(program)) == program


def test_what_was_computed_is_recalled_and_other_directions_are_not(bright, others, tmp_path):  # noqa: F811
    from bbilang.runtime.cache.disk import Cache

    cache = Cache(tmp_path / "cache")
    text = f'{concepts(bright)}dataset others = "{others[0]}"\n'
    text += "c | ablate(zero) | effect(output[1]) | across(others) | mean(example) | present(bars)"
    run = lambda own: bbilang.run(own, model=blocks.adapter("residual"), input=None, cache=cache).results  # noqa: E731
    assert run(text).scanned == 29 and run(text).scanned == 0
    assert run(text.replace("against=some", "against=some, method=mean_difference")).scanned == 5


def test_what_is_refused():
    model, image = blocks.adapter("residual"), blocks.image()
    start = 'dataset some = "sample:shapes" | sample(8)\n'
    for pipe, code in (
        ("g = stem | factorize(svd, 3)\ng | ablate(mean, source=some)", "E272"),
        ("g = stem | factorize(svd, 3)\ng | isolate(source=some)", "E272"),
        ("g = stem | factorize(svd, 3, of=attribute(output))\ng | ablate(zero)", "E238"),
        ("d = stem.channel[0] - stem.channel[2]\nd | ablate(noise)", "E272"),
        ("g = stem | factorize(svd, slider(2, 4))\ng | ablate(zero)", "E262"),
    ):
        text = f"{start}{pipe} | effect(output[1]) | across(some) | mean(example) | present(bars)"
        with pytest.raises(BbiError, match=code):
            bbilang.check(bbilang.parse(text), model=model, input=image)
