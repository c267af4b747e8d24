"""Small networks of every shape that a forward can take, each with layers to cut at."""

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """A sum around two convolutions, in place, as in torchvision's ResNet; one activation module for all."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.one, self.norm = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.two = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = self.relu(self.stem(x))
        out = self.relu(self.norm(self.one(x)))
        out = self.two(out)
        out += x
        x = self.pool(self.relu(out))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Branches(nn.Module):
    """Three branches joined, one of them pooled; the middle one goes through the outer module's own functions."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2)
        self.left, self.middle, self.right = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 1)
        self.after = nn.Conv2d(9, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = F.relu(self.stem(x))
        middle = F.silu(self.middle(x), inplace=True)
        right = self.right(F.avg_pool2d(x, 3, 1, 1))
        x = F.relu6(self.after(torch.cat([self.left(x), middle, right], 1)))
        return self.head(x.mean((2, 3)))


class Twice(nn.Module):
    """A module called once below and once above the cut, with a result that goes around it."""

    def __init__(self):
        super().__init__()
        self.stem, self.again = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.cut = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Tanh())
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        below = self.again(self.stem(x)).relu()
        x = self.cut(below)
        return self.head((self.again(x) * below.sigmoid()).amax((2, 3)))


class Deciding(nn.Module):
    """Control flow that depends on values: torch.fx cannot trace it."""

    def __init__(self):
        super().__init__()
        self.stem, self.cut = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.bright, self.dark = nn.Linear(4, 5), nn.Linear(4, 5)

    def forward(self, x):
        x = torch.relu_(self.stem(x))
        gate = x.detach().abs().mean() > 1e9
        x = x[:, :, 1:-1, 1:-1] + self.cut(x)
        return (self.bright if gate else self.dark)(x.mean((2, 3)))


class Attention(nn.Module):
    """Patches, positions, layer norm, attention and a tuple between the modules."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.position = nn.Parameter(torch.randn(1, 10, 8))
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.norm, self.block = nn.LayerNorm(8), Heads()
        self.mlp = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        out, _ = self.block(self.norm(x))
        x = x + out
        x = x + self.mlp(x)
        return self.head(x[:, 0])


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        rows, tokens, width = x.shape
        q, k, v = self.mix(x).reshape(rows, tokens, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) / width**0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(rows, tokens, width)), weights


ZOO = {  # network -> layers, and those that fx must be able to cut
    "Residual": (Residual, ["stem", "one", "norm", "two", "pool"]),
    "Branches": (Branches, ["stem", "left", "middle", "right", "after"]),
    "Twice": (Twice, ["stem", "cut", "cut.0"]),
    "Deciding": (Deciding, ["stem", "cut"]),
    "Attention": (Attention, ["patch", "norm", "block", "block.mix", "mlp", "mlp.1"]),
}
CASES = [(name, layer) for name, (_, layers) in ZOO.items() for layer in layers]


def built(name):
    torch.manual_seed(3)
    network = ZOO[name][0]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network
