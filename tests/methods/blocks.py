"""Small networks of every building block, for the methods' tests: `BLOCKS` names them, `block(name)` builds one.

Each takes (input, 3, 12, 12) of any numbers, has a layer `stem` (4, 6, 6) that ends in a ReLU, its block `body`, and
`head`, which gives 5 scores. Weights are drawn from a fixed seed, large enough that ReLU6 clips and batch norms matter.
Their modules are those that zennit's composites tell apart; a sum and a concatenation are modules of their own.
"""

from functools import cache

import numpy as np
import torch
from torch import nn

from bbilang.runtime.inputs.network_input import NetworkInput
from bbilang.runtime.models.adapt import adapt

SIZE, WIDTH, CLASSES = 12, 4, 5


class Sum(nn.Module):
    """The sum of two branches: what an oracle may hook."""

    def forward(self, a, b):
        return a + b


class Join(nn.Module):
    """Two branches side by side, along the channels."""

    def forward(self, a, b):
        return torch.cat([a, b], 1)


class Residual(nn.Module):
    """A sum around two convolutions."""

    def __init__(self, bias):
        super().__init__()
        self.one, self.relu = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=bias), nn.ReLU()
        self.two = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=bias)
        self.sum, self.last = Sum(), nn.ReLU()

    def forward(self, x):
        return self.last(self.sum(self.two(self.relu(self.one(x))), x))


class Concatenation(nn.Module):
    """Two branches of different kernels, side by side."""

    def __init__(self, bias):
        super().__init__()
        self.left, self.right = nn.Conv2d(WIDTH, 3, 1, bias=bias), nn.Conv2d(WIDTH, 2, 3, padding=1, bias=bias)
        self.join, self.relu = Join(), nn.ReLU()

    def forward(self, x):
        return self.relu(self.join(self.left(x), self.right(x)))


class Attention(nn.Module):
    """Positions as tokens, one head of attention, and a sum around it: (input, 4, 6, 6) -> (input, token, 4)."""

    def __init__(self, bias):
        super().__init__()
        self.norm, self.mix, self.out = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH, bias), nn.Linear(WIDTH, WIDTH)
        self.sum = Sum()

    def forward(self, x):
        x = x.flatten(2).transpose(1, 2)
        q, k, v = self.mix(self.norm(x)).chunk(3, -1)
        attended = (q @ k.transpose(-2, -1) / WIDTH**0.5).softmax(-1) @ v
        return self.sum(self.out(attended), x).transpose(1, 2)


def conv(bias, inside=WIDTH, outside=6, size=3, **options):
    return nn.Conv2d(inside, outside, size, bias=bias, **options)


def bodies(bias):
    """Return name -> (how the block is made, its number of channels)."""
    flat = WIDTH * 36
    return {
        "linear": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(flat, 24, bias), nn.ReLU()), 24),
        "convolution": (lambda: nn.Sequential(conv(bias), nn.ReLU(), conv(bias, 6), nn.ReLU()), 6),
        "depthwise": (lambda: nn.Sequential(conv(bias, outside=8, groups=4), nn.ReLU(), conv(bias, 8, 6, 1)), 6),
        "max_pool": (lambda: nn.Sequential(conv(bias), nn.ReLU(), nn.MaxPool2d(2), conv(bias, 6, 6, 1), nn.ReLU()), 6),
        "average_pool": (lambda: nn.Sequential(conv(bias), nn.ReLU(), nn.AvgPool2d(2), conv(bias, 6, 6, 1)), 6),
        "batch_norm": (lambda: nn.Sequential(conv(False), nn.BatchNorm2d(6), nn.ReLU(), conv(bias, 6)), 6),
        "relu6": (lambda: nn.Sequential(conv(bias), nn.ReLU6(), conv(bias, 6), nn.ReLU6()), 6),
        "silu": (lambda: nn.Sequential(conv(bias), nn.SiLU(), conv(bias, 6), nn.SiLU()), 6),
        "residual": (lambda: Residual(bias), WIDTH),
        "concatenation": (lambda: Concatenation(bias), 5),
        "attention": (lambda: Attention(bias), WIDTH),
    }


BLOCKS = tuple(bodies(True))


class Network(nn.Module):
    """The stem, a block, the mean over positions where there are any, and the scores."""

    def __init__(self, name, bias=True):
        super().__init__()
        make, channels = bodies(bias)[name]
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH, 3, 2, 1, bias=bias), nn.ReLU())
        self.body = make()
        pool = {"linear": nn.Identity, "attention": lambda: nn.AdaptiveAvgPool1d(1)}.get(
            name, lambda: nn.AdaptiveAvgPool2d(1)
        )
        self.pool, self.flat = pool(), nn.Flatten()
        self.head = nn.Linear(channels, CLASSES, bias=bias)

    def forward(self, x):
        return self.head(self.flat(self.pool(self.body(self.stem(x)))))


def block(name, bias=True, seed=0):
    """The network of a block (nn.Module, in eval mode). ``bias``: False leaves all biases out, for conservation; batch
    norms then only scale."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network(name, bias).eval()
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan = module.weight[0].numel()
                nn.init.normal_(module.weight, 0.15 / fan**0.5, (3 if name == "relu6" else 1.6) / fan**0.5)
                if module.bias is not None:
                    nn.init.normal_(module.bias, 0, 0.3)
            elif isinstance(module, nn.BatchNorm2d):
                module.running_var.uniform_(0.5, 1.5)
                module.weight.data.uniform_(0.5, 1.5)
                if bias:
                    module.running_mean.uniform_(-0.3, 0.3)
                    module.bias.data.uniform_(-0.3, 0.3)
    return network.requires_grad_(False)


@cache
def adapter(name, bias=True, seed=0):
    """The same network as bbilang takes it (shared: don't change it). The input is given to it as it is."""
    labels = [f"class {number}" for number in range(CLASSES)]
    return adapt(block(name, bias, seed), (SIZE, SIZE), labels=labels, name=f"block_{name}")


def image(seed=0):
    """(3, 12, 12), uniform in [0, 1]: noise with a bright square."""
    pixels = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) * 0.6
    pixels[:, 3:8, 4:9] += 0.4
    return pixels


def picture(seed=0):
    """The same for `bbilang.run(text, model=adapter(name), input=...)` and `execute`."""
    own = image(seed)
    return NetworkInput(f"picture-{seed}", own, (own.permute(1, 2, 0).numpy() * 255).astype(np.uint8))


def attributed(text, name, bias=True, seed=0, *axes, optimized=True):
    """The numbers of the last element of a text, run on a block's network: its axes in the order ``axes`` (all but
    `input`, as they come, where none are named)."""
    import bbilang

    model = adapter(name, bias, seed)
    program = bbilang.check(bbilang.parse(text), model=model, input=image())
    program = bbilang.optimize(program) if optimized else program
    results = bbilang.execute(bbilang.plan(program), model=model, input=image(), cache=False)
    values = results.fields[results.program.elements[-1].id].values
    order = axes or tuple(d for d in values.dims if d != "input")
    return values.ordered(("input", *order)).data[0]
