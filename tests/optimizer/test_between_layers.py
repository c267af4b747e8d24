"""Attribution to atoms of later layers, links and chains, against their definition: one atom at a time, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import slow
import tiny
import torch
from closeness import close_to
from slow import attributed, close, indices, last, part, score, slope

BRANCHED = ["residual", "joined"]
MODES = ["forward", "reverse"]
AXES = {"channel": ("channel",), "spatial": ("y", "x"), "neuron": ("y", "x", "channel"), "whole": ()}
SPENT = {"channel": "bars", "spatial": "heatmap"}


def oracle(model: str, layer: str, atom: str, later: str, to: str, chosen: list | None = None, number: int = 0):
    cubes, _ = slow.values(model, tiny.images(number + 1)[number : number + 1])
    cube = cubes[later][0]
    targets = [score(cube, to, index) for index in chosen or indices(cube, to)]
    return attributed(model, layer, atom, targets, cubes[layer])


@pytest.mark.parametrize("force", MODES)
@pytest.mark.parametrize("model", BRANCHED)
@pytest.mark.parametrize("layer, later", [("a", "b"), ("a", "d"), ("b", "d")])
def test_channels_to_channels(model, layer, later, force):
    results = slow.run(f"{layer}.channel | attribute({later}.channel) | present(matrix)", model, 2, force)
    for number in range(2):
        close(last(results, "channel", "to.channel")[number], oracle(model, layer, "channel", later, "channel",
                                                                     number=number))  # fmt: skip


@pytest.mark.parametrize("force", MODES)
@pytest.mark.parametrize("model", BRANCHED)
@pytest.mark.parametrize(
    "to, index", [("channel[2]", 2), ("spatial[1, 3]", (1, 3)), ("neuron[2, 1, 3]", (2, 1, 3)), ("whole", ())]
)
@pytest.mark.parametrize("atom", ["channel", "spatial"])
def test_one_later_atom(model, atom, to, index, force):
    results = slow.run(f"a.{atom} | attribute(d.{to}) | present({SPENT[atom]})", model, force=force)
    cubes = last(results, *AXES[atom])[0].reshape(-1, 1)
    close(cubes, oracle(model, "a", atom, "d", to.partition("[")[0], [index]))


@pytest.mark.parametrize("force", MODES)
def test_positions_to_positions_and_neurons_to_positions(force):
    text = "a.spatial | attribute(d.spatial) | at(pick(d.spatial)) | present(heatmap)"
    cubes = last(slow.run(text, "residual", force=force), "pick-d-spatial", "y", "x")[0]
    close(cubes.reshape(16, 64).T, oracle("residual", "a", "spatial", "d", "spatial"))
    results = slow.run("a.neuron | attribute(d.spatial[1, 1]) | at(pick(a.spatial)) | present(bars)", "residual",
                       force=force)  # fmt: skip
    cubes = last(results, "pick-a-spatial", "channel")[0]
    close(cubes.reshape(-1, 1), oracle("residual", "a", "neuron", "d", "spatial", [(1, 1)]))


@pytest.mark.parametrize("force", MODES)
def test_a_whole_layer_to_channels(force):
    results = slow.run("a.whole | attribute(d.channel) | present(bars)", "joined", force=force)
    close(last(results, "to.channel"), oracle("joined", "a", "whole", "d", "channel"))


def test_a_few_later_atoms_that_were_ranked_first():
    """The strongest channels for the predicted class, and what makes them; the same in a list of layers."""
    text = "k = d.channel | attribute(output) | top(2)\na.channel | attribute(k) | present(matrix)"
    results = slow.run(text, "joined")
    field = list(results.fields.values())[-1]
    chosen = field.coords["to.channel"].data.ravel().tolist()
    cubes, scores = slow.values("joined", tiny.images())
    own = attributed("joined", "d", "channel", [scores[0, scores.argmax()]], cubes["d"])[:, 0]
    assert chosen == np.argsort(-own)[:2].tolist()
    close(
        last(results, "channel", "to.channel")[0],
        oracle("joined", "a", "channel", "d", "channel", chosen),
    )
    results = slow.run("a.channel | attribute([b, d].channel[1]) | present(matrix)", "joined")
    every = [oracle("joined", "a", "channel", later, "channel", [1])[:, 0] for later in ("b", "d")]
    close(last(results, "to.layer", "channel")[0], np.stack(every))


@pytest.mark.parametrize("force", MODES)
@pytest.mark.parametrize("model", BRANCHED)
def test_gradient_of_later_atoms(model, force):
    results = slow.run("a.channel | gradient(d.channel) | present(matrix)", model, force=force)
    cubes, _ = slow.values(model, tiny.images())
    slopes = [slope(score(cubes["d"][0], "channel", k), cubes["a"])[0].sum((1, 2)) for k in range(len(cubes["d"][0]))]
    close(last(results, "channel", "to.channel")[0], torch.stack(slopes, 1).numpy())


# --- groups ----------------------------------------------------------------------------------------------------------

GROUPS = """late = b | factorize(nmf, 3)
early = a | factorize({}, 2)
late.spatial | present(masks)
late.channel | present(matrix)
early.spatial | present(masks)
early.channel | present(matrix)
"""


def parts_of(results, number: int) -> torch.Tensor:
    """W_g outer H_g of the groups whose factors are two elements: (group, channel, y, x)."""
    spatial, channel = list(results.fields.values())[number : number + 2]
    w, h = spatial.values.ordered(("input", "group", "y", "x")).data, channel.values
    h = h.take("input", slow.tiny._first()) if "input" in h.dims else h
    w, h = (torch.tensor(x).double() for x in (w[0], h.ordered(("group", "channel")).data))
    return torch.einsum("gyx,gc->gcyx", w, h)


@pytest.mark.parametrize("force", MODES)
@pytest.mark.parametrize("method", ["nmf", "pca"])
def test_groups_as_atoms_and_as_targets(method, force):
    """A group is worth <its part / |its part|, activation>; its own contribution is <its part, slope>."""
    text = GROUPS.format(method)
    cubes, scores = slow.values("tiny", tiny.images())
    to_groups = slow.run(text + "a.channel | attribute(late) | present(matrix)", "tiny", force=force)
    late, early = parts_of(to_groups, 0), parts_of(to_groups, 2)
    targets = [(p / p.norm() * cubes["b"][0]).sum() for p in late]
    close(last(to_groups, "channel", "to.group")[0], attributed("tiny", "a", "channel", targets, cubes["a"]), 3e-4)
    every = slow.run(text + "early | attribute(late) | present(matrix)", "tiny", force=force)
    want = [[float((p * slope(t, cubes["a"])[0]).sum()) for t in targets] for p in early]
    close(last(every, "group", "to.group")[0], np.array(want), 3e-4)
    classes = slow.run(text + "early | attribute(output[1, 4]) | present(matrix)", "tiny", force=force)
    want = [[float((p * slope(scores[0, k], cubes["a"])[0]).sum()) for k in (1, 4)] for p in early]
    close(last(classes, "group", "class")[0], np.array(want), 3e-4)


def test_a_list_of_links():
    text = GROUPS.format("nmf") + "[early, late, output[1, 4]] | link() | present(sankey)"
    results = slow.run(text, "tiny")
    linked = list(results.fields.values())[-1]
    cubes, scores = slow.values("tiny", tiny.images())
    late, early = parts_of(results, 0), parts_of(results, 2)
    targets = [(p / p.norm() * cubes["b"][0]).sum() for p in late]
    first, second = (pair.values for pair in linked.pairs)
    want = [[float((p * slope(t, cubes["a"])[0]).sum()) for t in targets] for p in early]
    close(first.ordered(("input", "group", "to.group")).data[0], np.array(want), 3e-4)
    want = [[float((p * slope(scores[0, k], cubes["b"])[0]).sum()) for k in (1, 4)] for p in late]
    close(second.ordered(("input", "group", "class")).data[0], np.array(want), 3e-4)


# --- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [None, *MODES])
def test_links_are_read_from_either_side(force):
    """At a position of one layer: what makes it in the earlier one, and what it makes in the later; nothing within."""
    text = "[b, d].spatial | link([b, d].spatial) | at(hover([b, d].spatial)) | present(heatmap, facet=layer)"
    results = slow.run("[b, d].spatial | present(heatmap, facet=layer)\n" + text, "residual", force=force)
    field = list(results.fields.values())[-1]
    state = next(axis.name for axis in field.type.states)
    (selection,) = results.selections.values()
    forth = oracle("residual", "b", "spatial", "d", "spatial")
    array = field.values.ordered((state, "input", "layer", "y", "x")).data[:, 0]
    want = np.full((len(array), 2, 8, 8), np.nan)
    layers, rows, columns = (selection.coords[c].data.ravel() for c in ("layer", "y", "x"))
    for number, (layer, y, x) in enumerate(zip(layers, rows, columns, strict=True)):
        if layer == 1:
            want[number, 0] = forth[:, y * 4 + x].reshape(8, 8)
        else:
            want[number, 1, :4, :4] = forth[y * 8 + x].reshape(4, 4)
    assert sorted(layers.tolist()) == [0] * 64 + [1] * 16
    close(array, want)


@pytest.mark.parametrize("force", [None, *MODES])
@pytest.mark.parametrize("inputs", [1, 2])
def test_links_to_a_selection_that_starts_at_the_output(inputs, force):
    text = (
        "known = [a, b, d].channel | attribute(output) | top(2, per=layer) | present(bars, facet=layer)\n"
        "root = click(known, start=output)\n"
        "[a, b, d].channel | link(root) | present(bars, facet=layer)"
    )
    results = slow.run(text, "joined", inputs, force)
    field = list(results.fields.values())[-1]
    (selection,) = (s for s in results.selections.values() if "root" in s.values.dims)
    order = ["a", "b", "d"]
    for number in range(inputs):
        cubes, scores = slow.values("joined", tiny.images(number + 1)[number : number + 1])
        to_output = [
            attributed("joined", layer, "channel", [scores[0, scores.argmax()]], cubes[layer])[:, 0] for layer in order
        ]
        array = field.values.ordered(("root", "input", "layer", "channel")).data[:, number]
        want = np.full(array.shape, np.nan)
        places = [(layer, channel) for layer in range(3) for channel in range(len(to_output[layer]))]
        starts = [int(selection.coords[c].data[n]) for n in range(len(array)) for c in ("layer", "channel")]
        for state, (layer, channel) in enumerate(zip(starts[::2], starts[1::2], strict=True)):
            for other, index in places:
                low, high = sorted([(other, index), (layer, channel)])
                if layer < 0:
                    want[state, other, index] = to_output[other][index]
                elif other != layer:
                    target = score(cubes[order[high[0]]][0], "channel", high[1])
                    slopes = slope(target, cubes[order[low[0]]])[0]
                    want[state, other, index] = float((part(cubes[order[low[0]]][0], "channel", low[1]) * slopes).sum())
                elif index == channel:  # the chosen atom stands in its own layer
                    want[state, other, index] = float(score(cubes[order[layer]][0], "channel", channel))
        assert sum(layer < 0 for layer in starts[::2]) == 1
        close(array, want)


# --- chains ----------------------------------------------------------------------------------------------------------


def chain(model: str, cube: torch.Tensor, later: str, atom: str, index, category: int, curved: bool = True):
    """The attribution of a later atom to a class, as a function of the activation of `a`."""
    cubes, scores = slow.values(model, tiny.images(), {"a": cube})
    slopes = torch.autograd.grad(scores[0, category], cubes[later], create_graph=True)[0]
    return (part(cubes[later][0], atom, index) * (slopes if curved else slopes.detach())[0]).sum()


@pytest.mark.parametrize("model", BRANCHED)
@pytest.mark.parametrize("later, atom, index", [("b", "channel", 1), ("d", "spatial", (1, 2))])
def test_chains_have_a_second_order_part(model, later, atom, index):
    """d <part of b, d class / d b> / d a, both ways down, and checked by finite differences."""
    written = f"{later}.{atom}[{index if atom == 'channel' else ', '.join(map(str, index))}]"
    results = slow.run(f"a.channel | attribute({written} -> output[2]) | present(bars)", model)
    cube = slow.values(model, tiny.images())[0]["a"].detach().requires_grad_()
    value = chain(model, cube, later, atom, index, 2)
    gradient = slope(value, cube)[0]
    want = np.array([float((part(cube[0].detach(), "channel", k) * gradient).sum()) for k in range(cube.shape[1])])
    close(last(results, "channel")[0], want)
    first = slope(chain(model, cube, later, atom, index, 2, curved=False), cube)[0]
    without = np.array([float((part(cube[0].detach(), "channel", k) * first).sum()) for k in range(cube.shape[1])])
    curved = (model, later) != ("joined", "d")  # above that, nothing is
    assert (np.abs(without - want).max() > 0.02 * np.abs(want).max()) == curved
    move = part(cube[0].detach(), "channel", 1)[None] * 1e-4
    steps = [chain(model, (cube + sign * move).detach(), later, atom, index, 2) for sign in (1, -1)]
    close_to(float(steps[0] - steps[1]) / 2e-4, want[1])


def test_a_chain_of_many_atoms_is_their_sum_and_matters_on_a_curved_network():
    every = last(slow.run("a.channel | attribute(b.channel -> output[2]) | present(bars)", "residual"), "channel")[0]
    each = [
        last(slow.run(f"a.channel | attribute(b.channel[{k}] -> output[2]) | present(bars)", "residual"), "channel")[0]
        for k in range(6)
    ]
    close(every, np.sum(each, 0))


def test_what_cannot_be_derived_is_refused():
    for text, code in [
        ("b.channel | attribute(a.channel) | present(matrix)", "E237"),
        ("b.channel | gradient(b.channel[1]) | present(bars)", "E237"),
        ("a.channel | attribute(b.channel[1] -> output, method=integrated_gradients) | present(bars)", "E238"),
        ("g = b | factorize(nmf, 2)\n[output[1], g] | link() | present(sankey)", "E238"),
        ("[b].spatial | link([a, b, c].channel) | both(2) | present(bars)", "E303"),
        ("root = pick(c.channel)\na.neuron | link(root) | top(3) | link(root) | present(bars)", "E238"),
        ("output.class | link(a.channel) | present(matrix)", "E234"),
    ]:
        error = tiny.refused(lambda text=text: tiny.check(text))
        assert [d.code for d in error.diagnostics] == [code] and error.diagnostics[0].span, text


@pytest.mark.parametrize("optimized", [False, True])
def test_links_between_linear_layers_keep_every_input(optimized):
    """Several pictures at once give what each gives alone, where only the way back up has the axis `input`."""
    from bbilang.compiler.optimize.rules import optimize
    from bbilang.compiler.plan.plan import plan
    from bbilang.runtime.execution.execute import execute

    text = "late = b | factorize(nmf, 2)\nc.channel | link(late) | present(matrix)"

    def linked(pictures):
        program = tiny.check(text, len(pictures))
        steps = plan(optimize(program) if optimized else program)
        results = execute(steps, tiny.registry(), tiny.adapter(), pictures, icons=tiny.fake_icons)
        return results.fields["element-1"].values.ordered(("input", "channel", "to.group")).data

    first, second = tiny.pictures(2)
    alone = np.concatenate([linked([first]), linked([second])])
    close_to(linked([first, second]), alone, terms=np.abs(alone).max())
    assert np.abs(alone[0] - alone[1]).max() > 0.1 * np.abs(alone).max()
