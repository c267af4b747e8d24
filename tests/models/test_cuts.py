"""Cuts and branches: against path search with a layer deleted, and against what real networks compute."""

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.compiler.ir.cuts import dominators, meets_every_path
from bbilang.compiler.ir.model_description import INPUT, ModelDescription
from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.models.describe import describe_module
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.passes.module.heads import heads_mounted

# --- random graphs --------------------------------------------------------------------------------------------------


def random_graph(random):
    """(sources, ends): a graph in forward order, some of whose layers read nothing or lead nowhere."""
    names = [f"layer{number}" for number in range(int(random.integers(1, 12)))]
    sources = {}
    for number, name in enumerate(names):
        before = [INPUT, *names[:number]]
        near = before[-int(random.integers(1, 4)) :]
        count = min(int(random.choice([0, 1, 1, 1, 2, 3])), len(near))
        sources[name] = tuple(random.choice(near, count, replace=False).tolist())
    ends = tuple(random.choice(names[-3:], min(len(names), int(random.integers(1, 3))), replace=False).tolist())
    return sources, ends


def path_exists(sources, ends, deleted):
    """Whether a path leads from the input to the scores without the deleted layers, by trying every path."""

    def back(name):
        if name in deleted:
            return False
        return name == INPUT or any(back(source) for source in sources.get(name, ()))

    return any(back(end) for end in ends)


def test_dominators_of_random_graphs():
    random = np.random.default_rng(0)
    cuts = branches = joint = 0
    for _ in range(400):
        sources, ends = random_graph(random)
        expected = {name for name in sources if path_exists(sources, ends, ()) != path_exists(sources, ends, (name,))}
        assert dominators(sources, ends) == expected
        cuts, branches = cuts + len(expected), branches + len(sources) - len(expected)
        for _ in range(4):
            some = random.choice(list(sources), min(len(sources), int(random.integers(1, 4))), replace=False).tolist()
            meets = path_exists(sources, ends, ()) and not path_exists(sources, ends, some)
            assert meets_every_path(sources, ends, some) == meets
            joint += meets and not expected & set(some)
    assert cuts > 200 and branches > 200 and joint > 20


# --- what a forward tells ---------------------------------------------------------------------------------------------


class Wiring(nn.Module):
    """One layer for every way to go past another, or not."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.norm, self.relu = nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.dropped, self.aside = nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)
        self.left, self.right = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)
        self.twice = nn.Conv2d(4, 4, 1)
        self.gate = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.relu(self.norm(self.stem(x)))
        self.aside(x)  # in place, and what it gives back is not used
        self.dropped(x)
        x = torch.cat([self.left(x), self.right(x)], 1)
        x = self.twice(self.twice(x))
        x = x * (self.gate(x) > 0)  # only a mask comes from the gate
        return self.head(x.mean((2, 3)))


PLACES = {
    "stem": "cut", "norm": "cut", "relu": "cut", "aside": "branch", "dropped": "branch", "left": "branch",
    "right": "branch", "gate": "branch", "head": "cut",
}  # fmt: skip


def places(description):
    return {layer.name: description.place(layer.name) for layer in description.layers}


def test_in_place_modules_masks_and_forks():
    description = describe_module(Wiring(), (8, 8))
    assert places(description) == PLACES
    assert description.place("left", "right") == "cut", "together they meet every path"
    assert description.place("left", "gate") == "branch"
    assert description.place("left", "head") == "cut"
    assert description.place(INPUT) == "cut"
    assert ModelDescription.from_json(description.to_json()) == description


class ByNumpy(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        scale = float(x.abs().max())
        return self.last(self.first(x) * scale)


class Scripted(ByNumpy):
    def __init__(self):
        super().__init__()
        self.middle = torch.jit.script(nn.Linear(3, 3))

    def forward(self, x):
        return self.last(self.middle(self.first(x)))


class Written(ByNumpy):
    """Writes into a view of what others read."""

    def forward(self, x):
        base = self.first(x) * 0
        base[:, :1].add_(x[:, :1])
        return self.last(base)


@pytest.mark.parametrize("kind", [ByNumpy, Scripted, Written])
def test_what_cannot_be_followed_is_unknown(kind):
    description = describe_module(kind(), (1, 1), channels=3, reads="vector")
    assert set(places(description).values()) == {"unknown"} and len(description.layers) >= 2


def test_the_output_that_a_text_names_moves_the_end():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3), nn.Linear(3, 2))
    adapter = adapt(module, (8, 8))
    assert adapter.description.place("4") == "cut"
    text = 'input "sample:chelsea"\noutput = "3"\n"0".channel | attribute(output) | present(bars)'
    description = bbilang.check(text, model=adapter).description
    assert description.place("0") == "cut" and description.place("4") == "branch", "it stands behind the scores"


# --- real networks ----------------------------------------------------------------------------------------------------


def measured_place(adapter, layer, pictures):
    """`cut` where the scores do not change with the picture once the layer is held constant."""
    first, second = pictures
    held = {}

    def hook(module, arguments, result):
        if isinstance(result, tuple):  # attention gives its weights too
            return (held.setdefault("value", result[0].clone()).clone(), *result[1:])
        return held.setdefault("value", result.clone()).clone()

    handle = adapter.module_of(layer).register_forward_hook(hook)
    try:
        with torch.no_grad():
            a, b = (adapter.module(adapter.normalize(picture[None])) for picture in (first, second))
    finally:
        handle.remove()
    return "cut" if torch.allclose(a, b, atol=1e-4, rtol=1e-4) else "branch"


def network(name, networks, efficientnet):
    if name == "efficientnet":
        return efficientnet
    if name == "vit":
        from torchvision.models import VisionTransformer

        torch.manual_seed(0)
        module = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=7).eval()
        nn.init.normal_(module.heads.head.weight)
        return adapt(module, (32, 32), name="vit")
    size = 224 if name == "squeezenet" else 32
    module = networks.squeezenet1_1() if name == "squeezenet" else networks.cifar_resnet(20)
    preprocess = Preprocess(size, (size, size), "bilinear", networks.IMAGENET_MEAN, networks.IMAGENET_STD)
    return adapt(module, (size, size), preprocess, name=name)


@pytest.mark.parametrize("name", ["efficientnet", "squeezenet", "resnet20", "vit"])
def test_real_networks(name, networks, efficientnet):
    adapter = network(name, networks, efficientnet)
    description = adapter.description
    known = places(description)
    sources = {layer.name: layer.inputs for layer in description.layers}
    deleted = {x: "branch" if path_exists_fast(sources, description.ends, x) else "cut" for x in sources}
    assert known == deleted
    pictures = torch.rand(2, 3, *description.input_size, generator=torch.Generator().manual_seed(1))
    layers = list(known)[:: 1 + len(known) // 40]
    with heads_mounted(adapter.module, [layer for layer in description.layers if layer.is_heads]):
        measured = {layer: measured_place(adapter, layer, pictures) for layer in layers}
    assert {layer: known[layer] for layer in layers} == measured
    assert set(measured.values()) == {"cut", "branch"}


def path_exists_fast(sources, ends, deleted):
    """As `path_exists`, each layer once: a residual network has too many paths to try every one."""
    seen, stack = {deleted}, list(ends)
    while stack:
        name = stack.pop()
        if name == INPUT:
            return True
        if name not in seen:
            seen.add(name)
            stack += sources[name]
    return False


def test_what_ships_knows_its_cuts():
    from bbilang.runtime.models.descriptions import describe

    description = describe("efficientnet_lite0")
    for name in ("block4a.expand", "block5a.expand", "block6a.expand", "head", "block5c"):
        assert description.place(name) == "cut", name
    assert description.place("block5c.expand") == "branch"
    assert all(describe(name).ends for name in ("inceptionv1", "googlenet"))
    concatenated = describe("inceptionv1")
    assert concatenated.place("mixed4d") == "cut"
