"""Small trained networks outside of the registry: concatenating, residual, a causal language model. A page's numbers
are compared with plain torch."""

import numpy as np
import pytest
import torch
from closeness import close_to
from PIL import Image

import bbilang
from bbilang.runtime.models.adapt import adapt, adapt_text
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.passes import forward

TEXT = "Once upon a time, there was a little girl named"


@pytest.fixture(scope="module")
def squeezenet(networks):
    preprocess = Preprocess(256, (224, 224), "bilinear", networks.IMAGENET_MEAN, networks.IMAGENET_STD)
    return adapt(networks.squeezenet1_1(), (224, 224), preprocess, name="squeezenet1_1")


@pytest.fixture(scope="module")
def resnet(networks):
    preprocess = Preprocess(32, (32, 32), "bilinear", networks.IMAGENET_MEAN, networks.IMAGENET_STD)
    return adapt(networks.cifar_resnet(20), (32, 32), preprocess, name="resnet20")


@pytest.fixture(scope="module")
def stories(networks):
    tokenizer = networks.StoriesTokenizer()
    labels = [tokenizer.decode([number]) for number in range(512)]
    return adapt_text(networks.stories260k(), tokenizer, labels, name="stories260k")


def derivative(module, layer, run):
    """(activation, d run() / d activation) at a module, by a hook and autograd."""
    captured = {}

    def hook(_module, _arguments, result):
        captured["value"] = result.detach().clone().requires_grad_()
        return captured["value"] * 1

    handle = module.get_submodule(layer).register_forward_hook(hook)
    try:
        (gradient,) = torch.autograd.grad(run(), captured["value"])
    finally:
        handle.remove()
    return captured["value"].detach(), gradient


def numbers(page, element=0):
    """The values of an element's only frame (slot,), and the labels of its slots."""
    drawn = page.view.interfaces[0].elements[element]
    frame = drawn.panels[0].frames[0]
    return np.array([row[0] for row in frame.values]), [drawn.atoms[atom].label for atom in frame.atoms]


def test_squeezenet_concatenates(squeezenet):
    layers = squeezenet.description.by_name
    assert squeezenet.description.classes == 1000
    fire = layers["features.12"]
    assert fire.shape == (512, 13, 13) and fire.nonnegative
    assert fire.inputs == ("features.12.expand1x1_activation", "features.12.expand3x3_activation")
    assert squeezenet.description.edges(["features.11", "features.12"])[-1] == ("features.11", "features.12")


def test_resnets_go_round_their_blocks(resnet):
    layers = resnet.description.by_name
    assert layers["layer2.1"].inputs == ("layer2.1.relu2",)
    assert layers["layer2.1.relu2"].inputs == ("layer2.0", "layer2.1.bn2")
    assert ("layer2.0", "layer2.1.relu2") in resnet.description.edges(["layer2.0", "layer2.1.conv1", "layer2.1.relu2"])
    assert layers["layer3.2"].shape == (64, 8, 8) and resnet.description.classes == 10


@pytest.mark.parametrize("kind", ["squeezenet", "resnet"])
def test_captures_are_what_hooks_see(request, kind):
    adapter = request.getfixturevalue(kind)
    images = torch.rand(2, 3, *adapter.description.input_size, generator=torch.Generator().manual_seed(0))
    names = [layer.name for layer in adapter.description.layers][::5]
    seen = {}
    handles = [
        adapter.module_of(n).register_forward_hook(lambda _m, _a, r, n=n: seen.__setitem__(n, r.clone())) for n in names
    ]
    with torch.no_grad():
        scores = adapter.module(adapter.normalize(images))
    for handle in handles:
        handle.remove()
    captured = forward(adapter, images, names)
    close_to(captured.scores, scores)
    for name in names:
        assert seen[name].shape[1:] == adapter.description.by_name[name].shape
        close_to(captured[name], seen[name])


@pytest.mark.parametrize(
    ("kind", "layer", "atom", "part"),
    [
        ("squeezenet", "features.10", "channel", (2, 3)),
        ("squeezenet", "features.12", "spatial", (1,)),
        ("resnet", "layer3.0", "channel", (2, 3)),
        ("resnet", "layer2.2", "spatial", (1,)),
    ],
)
@pytest.mark.parametrize("optimized", [True, False])
def test_attribution_equals_a_slow_twin(request, kind, layer, atom, part, optimized):
    adapter = request.getfixturevalue(kind)
    blots = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    pixels = np.array(Image.fromarray(blots).resize(adapter.description.input_size))
    style = "heatmap" if atom == "spatial" else "bars"
    text = f"{layer}.{atom} | attribute(output) | present({style})"
    page = bbilang.run(text, model=adapter, input=Image.fromarray(pixels), cache=False, optimized=optimized)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    run = lambda: adapter.module(adapter.normalize(image)).max()  # noqa: E731
    value, gradient = derivative(adapter.module, layer, run)
    expected = (value * gradient).sum(part)[0].numpy().ravel()
    close_to(numbers(page)[0], expected, digits=4)


def test_stories_tells_the_next_word(stories):
    description = stories.description
    assert description.reads == "text" and description.classes == 512
    assert description.by_name["layers.4"].axes == ("token", "channel")
    assert description.by_name["layers.4"].inputs == ("layers.3", "layers.4.attention", "layers.4.feed_forward")
    page = bbilang.run("output[top(3)] | present(bars)", model=stories, input=f"text:{TEXT}", cache=False)
    assert page.view.predictions[0].top[0] == ("Lily", pytest.approx(0.926, abs=0.001))
    assert page.view.predictions[0].input == TEXT and page.view.predictions[0].picture == -1


@pytest.mark.parametrize("optimized", [True, False])
def test_attribution_of_tokens_equals_a_slow_twin(stories, networks, optimized):
    text = "layers.2.token | attribute(output) | present(bars)"
    page = bbilang.run(text, model=stories, input=f"text:{TEXT}", cache=False, optimized=optimized)
    ids = torch.tensor([networks.StoriesTokenizer().encode(TEXT)])
    model = stories.module.model
    value, gradient = derivative(model, "layers.2", lambda: model(ids)[0, -1].max())
    actual, words = numbers(page)
    expected = (value * gradient).sum(-1)[0].numpy()
    close_to(actual, expected, digits=4)
    assert [word.strip() for word in words[1:5]] == ["Once", "upon", "a", "time"] and words[-1].strip() == "named"


def test_texts_of_two_lengths_are_as_each_alone(stories):
    spec = "layers.1.token | attribute(output) | present(heatmap)"
    short, long = "text:The dog was", f"text:{TEXT}"
    both = bbilang.run(spec, model=stories, input=[long, short], cache=False)
    drawn = both.view.interfaces[0].elements[0]
    assert drawn.states == ("input",)
    for frame, text in zip(drawn.panels[0].frames, (long, short), strict=True):
        alone, words = numbers(bbilang.run(spec, model=stories, input=text, cache=False))
        there = [slot for slot, atom in enumerate(frame.atoms) if atom >= 0]
        assert [drawn.atoms[frame.atoms[slot]].label for slot in there] == words
        close_to([frame.values[slot][0] for slot in there], alone, digits=4)


def test_tangents_pass_through_attention(stories):
    """The fused attention of torch knows no forward mode."""
    text = bbilang.parse("layers.3.token | attribute(output.class) | sum(class) | present(bars)")
    given = {"model": stories, "input": "text:Tom had a"}
    program = bbilang.check(text, **given)
    rows = []
    for force in ("forward", "reverse"):
        results = bbilang.execute(bbilang.plan(bbilang.optimize(program, force=force)), cache=False, **given)
        rows.append(next(iter(results.fields.values())).values.data)
        assert (results.tangents > 0) == (force == "forward")
    close_to(rows[0], rows[1], digits=3, because="both are written with four digits")
