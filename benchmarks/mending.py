"""What `discourage` reaches: how far the evidence falls, and what becomes of the accuracy, on pictures held out.

Three channels of EfficientNet-Lite0, at layers from the middle to the last, over the 800 pictures of
../shared/data/imagenet-sample, each of another class; two of a ResNet-20 of CIFAR-10, over 1,500 of its test pictures.
Each is trained for two splits. Prints a table, a row for each training, and adds a line for each to
benchmarks/results/mending.jsonl.

    python -m benchmarks.mending [CASE ...] [-- SETTING=VALUE ...]

Without names all cases run, with the settings' defaults.
"""

from __future__ import annotations

import csv
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import records
from benchmarks.harness import ROOT, processor_time
from benchmarks.surroundings import load, surroundings

DATA = next((found for up in ROOT.resolve().parents if (found := up / "shared/data").is_dir()), ROOT)
LAST = 150  # pictures of each class of CIFAR-10
CASES = {  # the first channel of each is what an attribution puts first for a photograph of that class
    "block5c": ("efficientnet_lite0", "block5c.expand.channel[451]", "tiger cat"),
    "block7a": ("efficientnet_lite0", "block7a.expand.channel[159]", "golden retriever"),
    "head": ("efficientnet_lite0", "head.channel[111]", "hog"),
    "resnet_middle": ("resnet20", "layer2.2.channel[{top}]", "cat"),
    "resnet_last": ("resnet20", "layer3.2.channel[{top}]", "ship"),
}
SPLITS = (0, 1)


def pictures(model: str) -> Iterator[tuple[np.ndarray, str]]:
    """Yield pictures (y, x, rgb), uint8, and their labels."""
    from PIL import Image

    if model != "resnet20":
        folder = DATA / "imagenet-sample"
        for row in csv.DictReader((folder / "labels.csv").read_text("utf-8").splitlines()):
            yield np.asarray(Image.open(folder / f"{row['wnid']}.jpg").convert("RGB")), row["class_index"]
        return
    seen: dict[str, int] = {}
    with tarfile.open(DATA / "cifar10" / "pictures.tar.gz") as archive:
        for member in sorted((one for one in archive.getmembers() if one.isfile()), key=lambda one: one.name):
            label = Path(member.name).parent.name
            seen[label] = seen.get(label, 0) + 1
            opened = archive.extractfile(member)
            if seen[label] <= LAST and opened is not None:
                yield np.asarray(Image.open(io.BytesIO(opened.read())).convert("RGB")), label


def network(model: str) -> Any:
    """Return the adapter of a network."""
    from importlib.util import module_from_spec, spec_from_file_location

    from bbilang import adapt
    from bbilang.runtime.models.loading import load
    from bbilang.runtime.models.preprocess import Preprocess

    if model != "resnet20":
        return load(model)
    spec = spec_from_file_location("networks", DATA / "models" / "networks.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    prepare = Preprocess(32, (32, 32), "bilinear", module.IMAGENET_MEAN, module.IMAGENET_STD)
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return adapt(module.cifar_resnet(20), (32, 32), labels=classes, preprocess=prepare, name=model)


def strongest(adapter: Any, atoms: str, score: str, dataset: Any) -> str:
    """Return the atoms with the channel that contributes most to a score on the pictures of its class."""
    import bbilang

    chosen = [(np.asarray(dataset.picture(n)), own) for n, own in enumerate(dataset.labels) if own == score]
    text = f"""dataset photos = "photos/"
    {atoms.split("[")[0]} | attribute(output["{score}"]) | across(photos) | mean(example) | top(1) | present(bars)
    """
    page = bbilang.run(text, model=adapter, data={"photos": chosen})
    (element,) = page.view.interfaces[0].elements
    return atoms.format(top=int(page.data(element.id).coords["channel"][1][0]))


def trained(name: str, split: int, settings: dict[str, Any]) -> str:
    """Train one network, and return its row."""
    from bbilang.compiler.ir.program import walk
    from bbilang.pipeline import Pipeline, Request
    from bbilang.registry import registry
    from bbilang.runtime.data.sequences import of_sequence
    from bbilang.runtime.mending.engine import Task, mend
    from bbilang.runtime.mending.recipe import Recipe

    model, atoms, score = CASES[name]
    adapter, dataset = network(model), of_sequence(list(pictures(model)), model)
    if "{top}" in atoms:
        atoms = strongest(adapter, atoms, score, dataset)
    side = adapter.description.input_size
    request = Request(text=f'{atoms} | attribute(output["{score}"]) | present(number)', model=adapter,
                      input=np.zeros((*side, 3), np.uint8))  # fmt: skip
    (node,) = {node for node in walk(*Pipeline(request).program.roots) if node.op == "attribute"}
    start, around = processor_time(), surroundings()
    report = mend(adapter, Task(node, Recipe(seed=split, **settings), dataset), registry()).report
    held, seconds = report.held_out, processor_time() - start
    before, after = held.before, held.after
    numbers = [
        f"{before.evidence_share:.2%} -> {after.evidence_share:.2%}", f"{before.effect_share:.2%} -> "
        f"{after.effect_share:.2%}", f"{before.accuracy.value:.1%} -> {after.accuracy.value:.1%}",
        f"+{held.gained} -{held.lost} of {held.count}", str(held.changed), f"{report.differences[-1]:.3f}",
        report.verdict, f"{seconds:.0f} s",
    ]  # fmt: skip
    record = {
        "evidence": f"{atoms} -> {score}", "split": split, "settings": settings,
        "contribution": [before.evidence_share, after.evidence_share],
        "exchange": [before.effect_share, after.effect_share],
        "accuracy": [before.accuracy.value, after.accuracy.value], "held out": held.count, "gained": held.gained,
        "lost": held.lost, "other classes": held.changed, "nats": report.differences[-1], "verdict": report.verdict,
        "processor_s": seconds,
    }  # fmt: skip
    rounded = {
        name: np.round(own, 4).tolist() if isinstance(own, list | float) else own for name, own in record.items()
    }
    records.append("mending", {**around, "load_after": load(), **rounded})
    return " | ".join([f"{atoms} -> {score}", str(split), *numbers])


def main(words: list[str]) -> None:
    at = words.index("--") if "--" in words else len(words)
    settings: dict[str, Any] = {}
    for word in words[at + 1 :]:
        key, _, value = word.partition("=")
        settings[key] = value if value.isalpha() else float(value) if "." in value else int(value)
    print(settings or "defaults", flush=True)
    print("evidence | split | contribution | exchange | accuracy | right only after, before | other classes | nats | "
          "verdict | processor time", flush=True)  # fmt: skip
    for name in words[:at] or CASES:
        for split in SPLITS:
            print(trained(name, split, settings), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
