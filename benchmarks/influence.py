"""How well estimates of influence tell what training again would change: CIFAR-10, three classes, 600 pictures, a
network of 19,875 parameters.

1. Networks are trained on random halves of the pictures, from new weights. For 20 held-out pictures, the score of the
   true class in each is compared with the sum of the influences of its half: Spearman's rank correlation, the mean over
   the pictures ("linear datamodeling score", Park et al. 2023). Intervals and differences between methods are from a
   bootstrap that draws halves and pictures, the same for all methods.
2. For one atom (the channel of the last convolution that is strongest on a picture), its ten strongest proponents by
   EKFAC are left out, and the network is trained again from the same weights in the same order; and without ten others
   drawn at random, three times. Five seeds.

    python -m benchmarks.influence [HALVES]
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bbilang.runtime.trust.datamodeling import rank_correlations
from benchmarks.harness import ROOT, processor_time
from benchmarks.records import append
from benchmarks.surroundings import load as load_average
from benchmarks.surroundings import surroundings

CLASSES, EACH, HELD_OUT = ("cat", "frog", "ship"), 200, 7  # pictures of each for training, and held out
EPOCHS, BATCH, RATE = 40, 32, 3e-3
CHECKPOINTS = (8, 16, 24, 32, 40)  # epochs, of TracIn
METHODS = ("dot", "cosine", "tracin", "trak", "exact", "ekfac")
DRAWS, SEEDS, STRONGEST, RANDOM_SETS = 2000, 5, 10, 3


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 48, 3, 2, 1),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, len(CLASSES)),
    )  # fmt: skip


@dataclass
class Pictures:
    x: Tensor
    y: Tensor
    held_x: Tensor
    held_y: Tensor


def pictures() -> Pictures:
    from bbilang.runtime.data.dataset import open_dataset

    parts: dict[bool, list[tuple[Tensor, int]]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(ROOT.parent / "shared" / "data" / "cifar10" / "pictures.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        for number, name in enumerate(CLASSES):
            dataset = open_dataset(str(Path(folder) / name))
            for row in range(EACH + HELD_OUT):
                own = torch.from_numpy(np.array(dataset.picture(row))).permute(2, 0, 1) / 255
                parts[row < EACH].append((own, number))
    train, held = parts[True], parts[False][:20]
    return Pictures(torch.stack([x for x, _ in train]), torch.tensor([y for _, y in train]),
                    torch.stack([x for x, _ in held]), torch.tensor([y for _, y in held]))  # fmt: skip


def trained(
    data: Pictures, seed: int, counts: Tensor, order: int, states: list[dict[str, Tensor]] | None = None
) -> nn.Sequential:
    """Train on the examples that count; the others are left out of the batches that they would be in."""
    net, generator = network(seed), torch.Generator().manual_seed(order)
    optimizer = torch.optim.Adam(net.parameters(), RATE, weight_decay=1e-3)
    for epoch in range(1, EPOCHS + 1):
        for rows in torch.randperm(len(data.x), generator=generator).split(BATCH):
            rows = rows[counts[rows]]
            if len(rows):
                optimizer.zero_grad()
                cross_entropy(net(data.x[rows]), data.y[rows]).backward()
                optimizer.step()
        if states is not None and epoch in CHECKPOINTS:
            states.append({name: value.clone() for name, value in net.state_dict().items()})
    return net.eval().requires_grad_(False)


def influences(net: nn.Sequential, data: Pictures, method: str, queries: Any) -> np.ndarray:
    """Return (example, query). queries: a function of the network that gives the numbers with their graph."""
    import bbilang
    from bbilang.runtime.influence.curvature import measured
    from bbilang.runtime.influence.declared import METHODS as DECLARED
    from bbilang.runtime.influence.methods import ESTIMATES, Queries, Question, Settings
    from bbilang.runtime.influence.weights import weighted_layers
    from bbilang.runtime.influence.work import Network

    adapter = bbilang.adapt(net, input_size=32)
    of = Network(adapter, weighted_layers(net), "logits")
    generator = torch.Generator()

    def batches() -> Iterator[Any]:
        generator.manual_seed(0)
        for images in data.x.split(64):
            yield of.drawn(images, generator)

    damping, count = DECLARED[method].damping, len(data.x)
    question = Question(of, Queries(lambda: queries(net)), Settings(damping, 0),
                        lambda: measured(batches, count, damping), count)  # fmt: skip
    estimate = ESTIMATES[method](question)
    kept = [estimate.batch(x, y) for x, y in zip(data.x.split(64), data.y.split(64), strict=True)]
    return estimate.influence({name: np.concatenate([part[name] for part in kept]) for name in estimate.names},
                              data.y.numpy())  # fmt: skip


def of_checkpoints(states: Sequence[dict[str, Tensor]], data: Pictures, queries: Any) -> np.ndarray:
    """Return TracIn: the sum over checkpoints, at one learning rate."""
    total = np.zeros(())
    for state in states:
        net = network(0)
        net.load_state_dict(state)
        total = total + influences(net.eval(), data, "dot", queries)
    return total


def datamodels(data: Pictures, halves: int) -> dict[str, Any]:
    random, every = np.random.default_rng(0), torch.ones(len(data.x), dtype=torch.bool)
    states: list[dict[str, Tensor]] = []
    net = trained(data, 0, every, 0, states)

    def queries(of: nn.Module) -> Tensor:
        return of(data.held_x)[torch.arange(len(data.held_y)), data.held_y]

    subsets = np.zeros((halves, len(data.x)), bool)
    for row in subsets:
        row[random.permutation(len(row))[: len(row) // 2]] = True
    found = np.stack(
        [queries(trained(data, 100 + n, torch.from_numpy(row), n)).numpy() for n, row in enumerate(subsets)]
    )
    predicted = {}
    for method in METHODS:
        own = of_checkpoints(states, data, queries) if method == "tracin" else influences(net, data, method, queries)
        predicted[method] = subsets.astype(float) @ own
    means: dict[str, list[float]] = {method: [] for method in METHODS}
    for _ in range(DRAWS):
        rows, columns = random.integers(halves, size=halves), random.integers(found.shape[1], size=found.shape[1])
        for method in METHODS:
            means[method].append(
                float(rank_correlations(predicted[method][rows][:, columns], found[rows][:, columns]).mean())
            )

    def interval(values: Any) -> list[float]:
        return [round(float(each), 3) for each in np.percentile(values, (2.5, 97.5))]

    right = (net(data.held_x).argmax(1) == data.held_y).float().mean()
    return {
        "halves": halves,
        "queries": int(found.shape[1]),
        "accuracy on training pictures": round(float((net(data.x).argmax(1) == data.y).float().mean()), 3),
        "accuracy on queries": round(float(right), 3),
        "rank correlation": {m: round(float(rank_correlations(predicted[m], found).mean()), 3) for m in METHODS},
        "interval of 95 %": {m: interval(means[m]) for m in METHODS},
        "ekfac minus": {m: interval(np.subtract(means["ekfac"], means[m])) for m in METHODS if m != "ekfac"},
    }


def atoms(data: Pictures) -> list[dict[str, Any]]:
    """Return, for each seed, how an atom changes without its strongest proponents, and without random examples."""
    rows = []
    for seed in range(SEEDS):
        random, every = np.random.default_rng(seed), torch.ones(len(data.x), dtype=torch.bool)
        net, image = trained(data, seed, every, seed), data.held_x[seed : seed + 1]
        channel = int(net[:6](image)[0].mean((1, 2)).argmax())

        def atom(of: nn.Module, image: Tensor = image, channel: int = channel) -> Tensor:
            return of[:6](image)[0, channel].mean()[None]  # type: ignore[index]

        own = influences(net, data, "ekfac", atom)[:, 0]
        sets = [np.argsort(-own)[:STRONGEST]]
        sets += [random.permutation(len(own))[:STRONGEST] for _ in range(RANDOM_SETS)]
        changes = []
        for left_out in sets:
            counts = every.clone()
            counts[torch.from_numpy(left_out.copy())] = False
            changes.append(round(float(atom(trained(data, seed, counts, seed))) - float(atom(net)), 4))
        rows.append({"seed": seed, "activation": round(float(atom(net)), 4), "without proponents": changes[0],
                     "without random": changes[1:]})  # fmt: skip
    return rows


def difference(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return by how much more an atom changes without its proponents than without random examples: the mean over seeds,
    with Student's interval."""
    from scipy.stats import t

    each = np.array([row["without proponents"] - np.mean(row["without random"]) for row in rows])
    half = t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each))
    low, high = each.mean() - half, each.mean() + half
    return {"mean": round(float(each.mean()), 3), "interval of 95 %": [round(float(low), 3), round(float(high), 3)]}


def main(halves: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    before, worked = surroundings(), processor_time()
    data = pictures()
    found, rows = datamodels(data, halves), atoms(data)
    found |= {"atoms": rows, "proponents minus random": difference(rows)}
    return {**before, "load_after": load_average(), **found, "processor seconds": round(processor_time() - worked, 1)}


if __name__ == "__main__":
    result = main(int((sys.argv[1:] or ["40"])[0]))
    append("influence", result)
    print(json.dumps(result, indent=1))
