"""What one traced forward reveals: where the channel axis is, what a layer consists of, which tokens are patches."""

import pytest
import torch
from torch import nn

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.runtime.models.describe import describe_module
from bbilang.runtime.models.sources.short_names import short_names


class Residual(nn.Module):
    """Adds what enters it; its one ReLU runs twice, as in torchvision's ResNet."""

    def __init__(self, width=4):
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x))) + x)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return torch.cat([self.left(x), self.right(x)], 1)


class Patches(nn.Module):
    """A vision transformer in little: patches, a class token and a register, one block."""

    def __init__(self, width=6):
        super().__init__()
        self.embed = nn.Conv2d(3, width, 4, 4)
        self.extra = nn.Parameter(torch.zeros(1, 2, width))
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, width)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.extra.expand(len(x), -1, -1), tokens], 1)
        tokens = tokens + self.drop(self.mix(self.norm(tokens)))
        return self.head(tokens[:, 0])


class ChannelLast(nn.Module):
    """Positions before channels, and a table of attention whose heads are no channels."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 2, 2)
        self.norm = nn.LayerNorm(8)
        self.mix = nn.Linear(8, 16)
        self.table = nn.Softmax(-1)
        self.heads = nn.LayerNorm(4)

    def forward(self, x):
        maps = self.mix(self.norm(self.embed(x).permute(0, 2, 3, 1)))
        tokens = maps.flatten(1, 2)
        heads = self.heads(tokens.unflatten(2, (4, 4)).transpose(1, 2))  # (1, head, token, 4)
        return self.table(heads @ heads.transpose(2, 3)).mean((1, 2))


def test_what_a_layer_is_made_of():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), Residual(), Branches(), nn.Flatten())
    layers = describe_module(module, (8, 8)).by_name
    assert layers["0"].inputs == ("input",)
    assert layers["1.first"].inputs == ("0",)
    assert layers["1.second"].inputs == ("1.first",)  # through the ReLU, which runs twice and is no layer
    assert layers["1"].inputs == ("0", "1.second")
    assert layers["2.left"].inputs == layers["2.right"].inputs == ("1",)
    assert layers["2"].inputs == ("2.left", "2.right")


def test_edges_among_some_layers():
    description = describe_module(nn.Sequential(nn.Conv2d(3, 4, 1), Residual(), Branches(), nn.Flatten()), (8, 8))
    assert description.edges(["0", "1", "2"]) == (("input", "0"), ("0", "1"), ("1", "2"))
    assert description.edges(["0", "1.second", "1"]) == (
        ("input", "0"), ("0", "1.second"), ("0", "1"), ("1.second", "1"),
    )  # fmt: skip
    assert description.edges(["2.left", "3"]) == (("input", "2.left"), ("2.left", "3"), ("input", "3"))


def test_a_result_that_two_modules_share():
    layers = describe_module(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), nn.Conv2d(4, 2, 1)), (8, 8))
    assert layers.by_name["0"].inputs == ("0.1",) and layers.by_name["1"].inputs == ("0",)


def test_patches_have_a_grid():
    layers = describe_module(Patches(), (16, 24)).by_name
    assert "drop" not in layers
    assert layers["embed"].axes == ("channel", "y", "x") and layers["embed"].grid == ()
    assert layers["mix"].axes == ("token", "channel") and layers["mix"].shape == (26, 6)
    assert layers["mix"].grid == (4, 6) and layers["mix"].prefix == 2
    seen = layers["mix"].as_map
    assert seen.axes == ("y", "x", "channel") and seen.shape == (4, 6, 6) and seen.as_map is seen
    assert layers["head"].axes == ("channel",) and layers["head"].as_map is layers["head"]


def test_channels_may_be_last():
    layers = describe_module(ChannelLast(), (16, 16)).by_name
    assert layers["embed"].axes == ("channel", "y", "x")
    assert layers["norm"].axes == layers["mix"].axes == ("y", "x", "channel")
    assert layers["mix"].shape == (8, 8, 16)
    assert "heads" not in layers


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_meta_device_says_the_same(device):
    with torch.device(device):
        module = Patches()
    description = describe_module(module, (16, 24))
    assert [x.name for x in description.layers] == ["embed", "norm", "mix", "head"]
    assert description.classes == 5 and description.flops == 2 * 24 * 48 * 6 + 2 * 26 * 36 + 2 * 30


def test_json_has_what_is_there():
    description = describe_module(Patches(), (16, 24))
    data = description.to_json()
    assert ModelDescription.from_json(data) == description
    assert "grid" not in data["layers"][0] and data["layers"][1]["grid"] == (4, 6)


def test_short_names_leave_out_what_holds_nearly_everything():
    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.embeddings = nn.Linear(2, 2)
            self.encoder = nn.Module()
            self.encoder.layer = nn.ModuleList(nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(6))
            self.norm = nn.Linear(2, 2)

    module = nn.Module()
    module.bert, module.norm = Body(), nn.Linear(2, 2)
    names = short_names(module)
    assert names["bert.encoder.layer.3.0"] == "layer.3.0" and names["bert.embeddings"] == "embeddings"
    assert names["bert.norm"] == "bert.norm" and names["norm"] == "norm"
    assert len(set(names.values())) == len(names)
    stages = nn.Module()
    stages.stem, stages.layer3 = nn.Conv2d(1, 1, 1), nn.Sequential(*[nn.ReLU() for _ in range(30)])
    assert short_names(stages)["layer3.7"] == "layer3.7"
