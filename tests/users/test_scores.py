"""Where a network's scores are, what they are, and what a page says about them."""

import numpy as np
import pytest
import torch
from brings import brings
from closeness import close_to
from torch import nn

import bbilang
from bbilang.runtime.models.adapt import adapt

SIZE = 12
LINE = "a.channel | attribute({}) | present(bars)"
FORMS = {
    "a mapping": lambda f, s, m: {"features": f, "logits": s},
    "a record": lambda f, s, m: {"features": f, "nested": {"aux_logits": s + 1, "logits": s}},
    "features as a map before the scores": lambda f, s, m: (m, s),
    "a mapping with another name": lambda f, s, m: {"embedding": f, "scores": s},
    "a list of one": lambda f, s, m: [s],
    "pooled scores (b, c, 1, 1)": lambda f, s, m: s[:, :, None, None],
    "pooled scores in a mapping": lambda f, s, m: {"map": m, "class_scores": s[:, :, None, None]},
    "scores without the axis of one input": lambda f, s, m: s.squeeze(),
}


class Net(nn.Module):
    """A convolution, its mean as features, a linear layer: ``form`` makes of features, scores and map what it gives."""

    def __init__(self, form=lambda f, s, m: s, classes=5, scale=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.fc = nn.Conv2d(3, 7, 3), nn.Linear(7, classes)
        self.form, self.scale = form, scale

    def forward(self, x):
        m = torch.tanh(self.a(x))
        f = m.mean((2, 3))
        return self.form(f, self.fc(f) * self.scale, m)


@pytest.fixture(scope="module")
def pictures():
    return list(torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3)))


def page(text, net, pictures, **more):
    return bbilang.run(text, model=net, input=pictures, cache=False, **more)


def scores(net, pictures):
    """(input, class), by the layers themselves."""
    with torch.no_grad():
        return net.fc(torch.tanh(net.a(torch.stack(list(pictures)))).mean((2, 3))) * net.scale


def linear(net, picture, score):
    """Activation x gradient of a score of the logits (class,), summed over positions; and the sum of the terms."""
    a = net.a(picture[None]).detach().requires_grad_()
    value = score((net.fc(torch.tanh(a).mean((2, 3))) * net.scale)[0])
    (gradient,) = torch.autograd.grad(value, a)
    return (a * gradient).sum((2, 3))[0].detach(), float((a * gradient).detach().abs().sum())


@brings(
    "Scores", "results with features before the logits, pooled or squeezed scores", "works: the scores are identified"
)
@pytest.mark.parametrize("form", FORMS)
def test_where_the_scores_are(pictures, form):
    net = Net(FORMS[form])
    actual = page(LINE.format("output[1]"), net, pictures)
    for number, picture in enumerate(pictures):
        expected, terms = linear(net, picture, lambda s: s[1])
        close_to(actual.data("element-1").values[number], expected, terms=terms)
        best = scores(net, [picture])[0].softmax(0).max()
        assert actual.view.predictions[number].top[0][1] == pytest.approx(float(best), rel=1e-5)
    alone = page(LINE.format("output[1]"), net, pictures[:1]).data("element-1").values
    close_to(alone, actual.data("element-1").values[0], roundings=2048)


@pytest.mark.parametrize("method", ["integrated_gradients(n_steps=2)", "smoothgrad(n_samples=2)", "guided_backprop"])
@pytest.mark.parametrize("form", ["a mapping", "features as a map before the scores", "pooled scores (b, c, 1, 1)"])
def test_other_methods_follow(pictures, form, method):
    """Every method sees the same network as one that returns the scores alone."""
    text = LINE.format(f"output[2], method={method}")
    actual, plain = (page(text, net, pictures).data("element-1").values for net in (Net(FORMS[form]), Net()))
    close_to(actual, plain, roundings=4096)


def test_the_network_itself_is_looked_into(pictures):
    """Hooks and modes of a network whose scores are a part of its result are left as they were."""
    net = Net(FORMS["features as a map before the scores"]).train()
    seen = []
    net.a.register_forward_hook(lambda *_: seen.append(1))
    adapter = adapt(net, (SIZE, SIZE))
    assert adapter.description.part == "[1]" and adapter.description.classes == 5
    page(LINE.format("output"), adapter, pictures)
    assert seen and net.training and net.a.training and len(net.a._forward_hooks) == 1
    assert adapter.module.form is net.form, "its own attributes are there"


AMBIGUOUS = {
    "two vectors in a tuple": (lambda f, s, m: (f, s), ("[0]", "[1]"), "[1]"),
    "two vectors in a mapping": (lambda f, s, m: {"out": s, "other": f}, ("out", "other"), "out"),
    "two heads": (lambda f, s, m: {"age_logits": s, "kind_logits": f}, ("age_logits", "kind_logits"), "age_logits"),
}


@brings(
    "Scores",
    "a tuple of features and logits without names",
    "refused with E247, which lists the candidates for `output =`",
)
@pytest.mark.parametrize("form", AMBIGUOUS)
def test_several_candidates(pictures, form):
    make, names, right = AMBIGUOUS[form]
    with pytest.raises(bbilang.BbiError) as caught:
        page(LINE.format("output"), Net(make), pictures)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E247" and all(f"`{name}`" in diagnostic.message for name in names)
    assert f'output = "{names[-1]}"' in diagnostic.help and "`fc`" in diagnostic.message
    expected, terms = linear(Net(), pictures[0], lambda s: s[1])
    for name in (right, "fc"):
        shown = page(f'output = "{name}"\n{LINE.format("output[1]")}', Net(make), pictures)
        close_to(shown.data("element-1").values[0], expected, terms=terms)
    named = adapt(Net(make), (SIZE, SIZE), output=right)
    close_to(page(LINE.format("output[1]"), named, pictures).data("element-1").values[0], expected, terms=terms)


def test_layers_need_no_scores(pictures):
    """Operations that need no scores work where they are unknown, and the page states no prediction."""
    page_shown = page("a.channel | present(bars)", Net(AMBIGUOUS["two vectors in a tuple"][0]), pictures)
    assert page_shown.view.predictions == ()


SHAPES = {
    "a map of another shape": (lambda f, s, m: m[..., :5], "(7, 10, 5)", "a.neuron[5, 5, 0]"),
    "two maps": (lambda f, s, m: {"out": m, "mask": m}, "`out` of (7, 10, 10)", 'output = "out"'),
    "detections": (
        lambda f, s, m: [{"boxes": m[0, :4, 0, :1].T, "scores": f[0, :1]}],
        "`[0].boxes` of (1, 4)",
        "neuron",
    ),
}


@brings(
    "Scores",
    "several maps, boxes and detections as results",
    "refused with E247, which lists the results and possible targets",
)
@pytest.mark.parametrize("form", SHAPES)
def test_what_is_no_vector(pictures, form):
    make, said, help = SHAPES[form]
    with pytest.raises(bbilang.BbiError) as caught:
        page(LINE.format("output"), Net(make), pictures)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E247" and said in diagnostic.message and help in diagnostic.help
    with pytest.raises(bbilang.BbiError) as caught:
        page(f'output = "a"\n{LINE.format("output")}', Net(make), pictures)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E209" and "`a.neuron[5, 5, 0]`" in diagnostic.help
    text = "input.pixel | attribute(a.neuron[5, 5, 0]) | present(heatmap)"
    assert np.abs(page(text, Net(make), pictures).data("element-1").values).max() > 0, "what is advised works"


# --- what the scores are ----------------------------------------------------------------------------------------------

KINDS = {
    "logits": (lambda f, s, m: s, "logits", lambda s: s.softmax(1)),
    "softmax in the network": (lambda f, s, m: s.softmax(1), "probabilities", lambda s: s.softmax(1)),
    "sigmoid in the network": (lambda f, s, m: torch.sigmoid(s), "independent", torch.sigmoid),
    "log softmax in the network": (lambda f, s, m: s.log_softmax(1), "logits", lambda s: s.softmax(1)),
    "divided by their sum": (
        lambda f, s, m: s.exp() / s.exp().sum(1, keepdim=True),
        "logits, unless they add up to 1",
        lambda s: s.softmax(1),
    ),
    "a product of sigmoids": (
        lambda f, s, m: torch.sigmoid(s) * torch.sigmoid(s + 1),
        "independent",
        lambda s: torch.sigmoid(s) * torch.sigmoid(s + 1),
    ),
    "logits times weights": (
        lambda f, s, m: s * torch.ones(5),
        "logits, unless they add up to 1",
        lambda s: s.softmax(1),
    ),
}


@brings("Scores", "softmax or sigmoid inside the network", "works: the page shows the network's own probabilities")
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_page_says(pictures, kind):
    make, guessed, right = KINDS[kind]
    net = Net(make, scale=30)
    assert adapt(net, (SIZE, SIZE)).description.scores == guessed
    shown = page(LINE.format("output[1, score=probability]"), net, pictures)
    own = right(scores(net, pictures))
    for number, prediction in enumerate(shown.view.predictions):
        best = own[number].sort(descending=True, stable=True)
        assert [label for label, _ in prediction.top] == [f"class {int(k)}" for k in best.indices[:3]]
        close_to([value for _, value in prediction.top], best.values[:3], roundings=4096)
        expected, terms = linear(net, pictures[number], lambda s: right(s[None])[0, 1])
        close_to(shown.data("element-1").values[number], expected, terms=terms)


@brings("Scores", "a regression", "works: its value, without a probability")
def test_a_regression(pictures):
    net = Net(lambda f, s, m: s * 100 + 37, classes=1)
    shown = page(LINE.format("output"), net, pictures)
    assert [p.kind for p in shown.view.predictions] == ["value", "value"]
    for number, prediction in enumerate(shown.view.predictions):
        ((label, value),) = prediction.top
        assert label == "the output"
        close_to(value, scores(net, pictures)[number, 0] * 100 + 37)
    html = shown.html()
    words = f"{shown.view.predictions[0].top[0][1]:.4g}"
    assert words in html and "100 %" not in html and "attribution to the output" in html
    assert shown.to_dict()["predictions"][0]["kind"] == "value"
    with pytest.raises(bbilang.BbiError) as caught:
        page(LINE.format("output[0, score=probability]"), net, pictures)
    assert [d.code for d in caught.value.diagnostics] == ["E248"]
    curve = page("a.channel | attribute(output) | trust(deletion) | present(curve)", net, pictures)
    assert "the score while" in curve.html() and "the probability while" not in curve.html()


@brings(
    "Scores",
    "`score=probability` of a single output",
    "works if the output is declared a logit: the sigmoid; otherwise refused with E248",
)
def test_one_logit(pictures):
    net = Net(classes=1, scale=20)
    text = f"set scores(kind=independent)\n{LINE.format('output[0, score=probability]')}"
    shown = page(text, net, pictures)
    close_to([p.top[0][1] for p in shown.view.predictions], torch.sigmoid(scores(net, pictures))[:, 0])
    expected, terms = linear(net, pictures[0], lambda s: torch.sigmoid(s)[0])
    close_to(shown.data("element-1").values[0], expected, terms=terms)
    with pytest.raises(bbilang.BbiError) as caught:
        page(text.replace("independent", "logits"), net, pictures)
    assert [d.code for d in caught.value.diagnostics] == ["E248"]


@brings("Scores", "independent logits of several classes, `set scores(kind=independent)`", "works: the sigmoid of each")
def test_several_labels(pictures):
    net = Net(scale=20)
    own = torch.sigmoid(scores(net, pictures))
    for shown in (
        page(f"set scores(kind=independent)\n{LINE.format('output[3, score=probability]')}", net, pictures),
        page(LINE.format("output[3, score=probability]"), adapt(net, (SIZE, SIZE), scores="independent"), pictures),
        page(LINE.format("output[3, score=probability]"), net, pictures, settings={"scores.kind": "independent"}),
    ):
        close_to([p.top[0][1] for p in shown.view.predictions], own.max(1).values)
        assert "do not add up to 100 %" in shown.html()
        expected, terms = linear(net, pictures[0], lambda s: torch.sigmoid(s)[3])
        close_to(shown.data("element-1").values[0], expected, terms=terms)


@pytest.mark.parametrize("method", ["integrated_gradients(n_steps=4)", "gradient"])
@pytest.mark.parametrize("optimized", [True, False])
def test_the_probability_of_an_independent_class_by_other_methods(pictures, method, optimized):
    """One whose sigmoid is in the network, explained by its score, is one whose sigmoid is not, by its probability."""
    inside = Net(KINDS["sigmoid in the network"][0], scale=20)
    plain = adapt(Net(scale=20), (SIZE, SIZE), scores="independent")
    text = "a.channel | attribute(output[{}], method={}) | present(bars)"
    want = page(text.format("3", method), inside, pictures, optimized=optimized)
    actual = page(text.format("3, score=probability", method), plain, pictures, optimized=optimized)
    close_to(actual.data("element-1").values, want.data("element-1").values, roundings=4096)


@brings(
    "Scores", "a regression with several outputs", "works: the values in order; `output` alone is refused with E249"
)
def test_several_values(pictures):
    net = adapt(Net(scale=100), (SIZE, SIZE), scores="value")
    shown = page(LINE.format("output[4]"), net, pictures)
    prediction = shown.view.predictions[0]
    assert [label for label, _ in prediction.top] == [f"output {k}" for k in range(5)]
    close_to([value for _, value in prediction.top], scores(Net(scale=100), pictures)[0])
    for target in ("output", "output[top(2)]"):
        with pytest.raises(bbilang.BbiError) as caught:
            page(f"a.channel | attribute({target}) | top(2) | present(featvis)", net, pictures)
        assert [d.code for d in caught.value.diagnostics] == ["E249"]


@brings(
    "Scores",
    "scores whose kind is inferred differently for two pictures",
    "refused with E532, which suggests `set scores(kind=...)`",
)
def test_what_nobody_knows():
    """Scores divided by a number of the picture's own: from 0 to 1 for one, beyond for another."""
    net = Net(lambda f, s, m: (s.abs() / (20 * f.abs().sum(1, keepdim=True)).clamp(min=0.01)).clamp(0, 90))
    with torch.no_grad():
        net.a.bias.zero_()
    given = [torch.full((3, SIZE, SIZE), value) for value in (0.0, 1.0)]
    kinds = [page(LINE.format("output[0]"), net, [one]).view.predictions[0].kind for one in given]
    assert sorted(kinds) == ["independent", "logits"]
    with pytest.raises(bbilang.BbiError) as caught:
        page(LINE.format("output[0]"), net, given)
    assert [d.code for d in caught.value.diagnostics] == ["E532"]
    page(f"set scores(kind=logits)\n{LINE.format('output[0]')}", net, given)


def test_said_probabilities_are_looked_at(pictures):
    with pytest.raises(bbilang.BbiError) as caught:
        page(f"set scores(kind=probabilities)\n{LINE.format('output[0]')}", Net(scale=30), pictures)
    assert [d.code for d in caught.value.diagnostics] == ["E532"]


@pytest.mark.parametrize("problem, labels, kind", [
    ("regression", 3, "value"), ("multi_label_classification", 3, "independent logits"), (None, 3, "logits"),
    (None, 1, "value"),
])  # fmt: skip
def test_a_configuration_of_transformers_says_it(problem, labels, kind):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        image_size=16, patch_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        num_labels=labels, problem_type=problem, attn_implementation="eager",
    )  # fmt: skip
    torch.manual_seed(0)
    description = adapt(transformers.ViTForImageClassification(config).eval(), (16, 16)).description
    assert (description.scores, description.classes, description.part) == (kind, labels, "")
