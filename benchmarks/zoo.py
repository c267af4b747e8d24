"""benchmarks/results/zoo.jsonl and docs/zoo.md: 100 and more families of timm, torchvision and transformers with random
weights, each checked against plain autograd, in one process whose memory is watched.

    python -m benchmarks.zoo                     checks all (an hour on two cores), and writes
    python -m benchmarks.zoo timm:resnet18 ...   checks these, and prints what it finds
    python -m benchmarks.zoo --write             writes the page from the results alone

Five questions are asked of each network: its scores; at the input linear attribution and occlusion of quarters; at a
layer in its middle linear attribution and integrated gradients in three steps. The oracle is the network itself with
hooks, `torch.autograd.grad` and loops, in float32 and again in float64: activations near a kink fall on either side of
it with the rounding. A result is right where the nearer of the two differs by less than .1 % of the largest value (or
of the scores that are subtracted in occlusion), which is not 0, or by less than twice what the oracle itself moves
between its two types, or when the picture changes by one part in a million. Else it is refused with a code, wrong, or
ends in an exception.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn

from benchmarks import zoo_oracle as oracle
from benchmarks.surroundings import ROOT, surroundings
from benchmarks.zoo_networks import NETWORKS, Network
from benchmarks.zoo_page import PAGE, RESULT, page

STEPS, LIMIT = 3, 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    if not chosen.write:
        check([n for n in NETWORKS if not chosen.names or n.name in chosen.names], keep=not chosen.names)
    if not chosen.names:
        PAGE.write_text(page(), encoding="utf-8")


def check(networks: list[Network], keep: bool) -> None:
    """Write one line per network, and one before them that names the machine."""
    sys.path.insert(0, str(ROOT / "tests" / "models"))
    import libraries

    sys.meta_path.insert(0, libraries.OPERATORS)
    RESULT.parent.mkdir(exist_ok=True)
    with RESULT.open("w") if keep else io.StringIO() as file:
        print(json.dumps(surroundings()), file=file, flush=True)
        for number, network in enumerate(networks):
            began = time.monotonic()
            record = {"name": network.name, **one(network)}
            gc.collect()
            record |= {
                "seconds": round(time.monotonic() - began, 1),
                "resident_mb": psutil.Process().memory_info().rss >> 20,
            }
            print(json.dumps(record), file=file, flush=True)
            print(f"{number + 1}/{len(networks)}", json.dumps(record), flush=True)


def one(network: Network) -> dict[str, Any]:
    """Return the results for one network: `parameters`, `layer`, and the outcome of each question."""
    torch.manual_seed(0)
    try:
        module = network.make().eval()
    except Exception as error:  # a library that is missing, or another version of it
        return {"missing": f"{type(error).__name__}: {error}"[:200]}
    randomize(module)
    count = sum(p.numel() for p in module.parameters())
    try:
        subject = network.subject(module)
        layer = middle(subject)
    except Exception as error:
        return {"parameters": count, "described": outcome_of(error)}
    known = subject.description.by_name[layer]
    questions = asked(
        network, layer, network.path(known.module), "token" if "token" in known.axes else "channel", network.size
    )
    outcomes = {name: ask(network, module, subject, question) for name, question in questions}
    return {"parameters": count, "layer": layer, "outcomes": outcomes}


def randomize(module: nn.Module) -> None:
    """Set weights at which every part contributes: norms that are not the identity, no layer scale near zero, no zero
    heads."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() <= 1 or float(parameter.abs().max()) < 1e-3:
                noise = torch.rand(parameter.shape, generator=generator) - 0.5
                parameter.copy_(parameter.clamp(-1, 1) + 0.2 * noise)
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None:
                part.running_mean.copy_(0.2 * (torch.rand(part.running_mean.shape, generator=generator) - 0.5))
                part.running_var.copy_(0.5 + torch.rand(part.running_var.shape, generator=generator))


def middle(subject: Any) -> str:
    """Return a block with positions or tokens, somewhat above the middle of the network."""
    children = {path for path, part in subject.module.named_modules() if next(part.children(), None) is not None}
    layers = [x for x in subject.description.layers if len(x.shape) > 1 and x.inputs]
    layers = [x for x in layers if x.module in children] or layers
    return layers[(len(layers) * 3) // 5].name


Question = tuple[str, Callable[[nn.Module, Tensor], Tensor]]  # a text, and what gives the right numbers


def asked(network: Network, layer: str, path: str, atom: str, size: int) -> Iterator[tuple[str, Question]]:
    """Yield each question with its text and its oracle."""
    target, window = network.target, (size + 1) // 2
    yield "scores", ("output.class | present(bars)", lambda module, x: network.scores(module, x)[0])
    if network.reads == "image":
        pixels = f"input.pixel | attribute(output[{target}]"
        yield "input", (f"{pixels}) | present(heatmap)", lambda module, x: oracle.at_input(network, module, x))
        yield (
            "occlusion",
            (
                f"{pixels}, method=occlusion(window={window}, stride={window}, baselines=zero)) | present(heatmap)",
                lambda module, x: oracle.occlusion(network, module, x, window),
            ),
        )
    here = f'"{layer}".{atom} | attribute(output[{target}]'
    yield "layer", (f"{here}) | present(bars)", lambda module, x: oracle.at_layer(network, module, x, path, atom))
    method = f"integrated_gradients(n_steps={STEPS}, quadrature=riemann_right)"
    yield (
        "path",
        (
            f"{here}, method={method}) | present(bars)",
            lambda module, x: oracle.at_layer(network, module, x, path, atom, STEPS),
        ),
    )


def ask(network: Network, module: nn.Module, subject: Any, question: Question) -> dict[str, Any]:
    """Return `right` or `wrong` with the error as a share of the largest value, `refused` with its code, or
    `exception`."""
    import bbilang

    text, right = question
    try:
        actual = bbilang.run(text, model=subject, input=network.given(), cache=False).data("element-1").values
    except Exception as error:
        return outcome_of(error)
    errors, oracles = [], []
    for dtype in (torch.float32, torch.float64):
        twin = network.make_twin(module, dtype)
        try:
            x = network.tensor(dtype)
            with oracle.right_batch_norm():
                expected = right(twin, x).detach().double().numpy()
            terms = float(network.scores(twin, x)[0, network.target].abs()) if "occlusion" in text else 0.0
        except Exception as error:
            return {"outcome": "no oracle", "error": f"{type(error).__name__}: {error}"[:200]}
        if expected.shape != np.shape(actual):
            return {"outcome": "wrong", "error": f"shape {np.shape(actual)}, wanted {expected.shape}"}
        largest = max(float(np.abs(expected).max()), terms)
        if not largest:
            return {"outcome": "wrong", "error": "the oracle is 0 everywhere, so nothing is shown"}
        oracles.append(expected)
        errors.append(float(np.abs(actual - expected).max()) / largest)
        if errors[-1] < LIMIT:
            break
    error = min(errors)
    own = float(np.abs(oracles[0] - oracles[-1]).max()) / largest  # by how much the oracle's two types differ
    if error >= LIMIT and network.size:
        own = max(own, swing(network, module, right, largest))
    within = error < LIMIT or error <= 2 * own
    return {"outcome": "right" if within else "wrong", "error": float(f"{error:.2g}"), "own": float(f"{own:.2g}")}


def swing(network: Network, module: nn.Module, right: Callable[[nn.Module, Tensor], Tensor], largest: float) -> float:
    """Return how much the oracle itself changes when the picture changes by one part in a million: units at a kink
    switch sides."""
    twin, x = network.make_twin(module, torch.float32), network.tensor()
    generator = torch.Generator().manual_seed(2)
    noisy = [x * (1 + 1e-6 * torch.randn(x.shape, generator=generator)) for _ in range(4)]
    with oracle.right_batch_norm():
        still, *moved = (right(twin, picture).detach() for picture in (x, *noisy))
    return max(float((one - still).abs().max()) for one in moved) / largest


def outcome_of(error: Exception) -> dict[str, Any]:
    """Return one of our error codes, or the exception that a user would see as a traceback."""
    from bbilang import BbiError

    if isinstance(error, BbiError) and not any(d.code == "E900" for d in error.diagnostics):
        first = error.diagnostics[0]
        return {"outcome": "refused", "code": first.code, "message": first.message[:200]}
    where = traceback.extract_tb(error.__traceback__)[-1]
    words = f"{type(error).__name__}: {error}"[:200]
    return {"outcome": "exception", "error": words, "at": f"{Path(where.filename).name}:{where.lineno}"}


if __name__ == "__main__":
    main()
