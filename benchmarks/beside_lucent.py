"""32 units of five layers: icons of docs/beside_lucent.bbi, MaCo's and torch-lucent's, in one picture for the docs.

    python -m benchmarks.beside_lucent lucent FOLDER [--steps 256] [--count 32]
    python -m benchmarks.beside_lucent ours FOLDER
    python -m benchmarks.beside_lucent join FOLDER

`lucent` runs torch-lucent one unit after another, in the environment of the peers; what is there is not made again.
`ours` makes bbilang's, with the usual parametrization and with MaCo's. `join` writes docs/images/beside_lucent.webp.
Each way has a folder of `LAYER-CHANNEL.png` in FOLDER, which `benchmarks/naturalness.py` measures.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.harness import ROOT

Unit = tuple[str, int]
LAYERS = {
    "block3b.expand": 6,
    "block4c.expand": 6,
    "block5c.expand": 8,
    "block6c.expand": 6,
    "head": 6,
}  # units of each
SEED, STEPS = 15, 256
TEXT = ROOT / "docs/beside_lucent.bbi"
PICTURE = ROOT / "docs/images/beside_lucent.webp"
MACO = "\nset featvis(parametrization=maco)\n"
WAYS = {"bbilang": "ours", "bbilang, MaCo": "maco", "torch-lucent": "lucent"}
TILE, GAP, LABEL, HEAD, COLUMNS = 116, 6, 104, 44, 8  # pixels of the picture; units side by side


def units() -> list[Unit]:
    """Return (layer, channel) of the units: the same random choice each time, in the order of layers and channels."""
    from benchmarks import work

    source, chosen = np.random.default_rng(SEED), []
    for layer, count in LAYERS.items():
        channels = source.choice(work.adapter().description.by_name[layer].shape[0], count, replace=False)
        chosen += [(layer, int(channel)) for channel in sorted(channels)]
    return chosen


def by_turns() -> list[Unit]:
    """Return the units, one of each layer after the other, so that any first few are of all layers."""
    rows = [[unit for unit in units() if unit[0] == layer] for layer in LAYERS]
    longest = max(len(row) for row in rows)
    return [row[turn] for turn in range(longest) for row in rows if turn < len(row)]


def file_of(folder: Path, unit: Unit) -> Path:
    return folder / f"{unit[0]}-{unit[1]}.png"


def lucent(folder: Path, steps: int, count: int) -> None:
    """Make torch-lucent's."""
    from benchmarks import peers

    if reason := peers.reason_missing("lucent"):
        raise SystemExit(f"torch-lucent is not here: {reason}")
    folder.mkdir(parents=True, exist_ok=True)
    for layer, channel in by_turns()[:count]:
        file = file_of(folder, (layer, channel))
        if file.exists():
            continue
        began = time.process_time()
        (picture,) = peers.lucent(layer, [channel], steps)
        Image.fromarray(picture).save(file)
        print(file.name, f"{time.process_time() - began:.0f} s of processor time", file=sys.stderr, flush=True)


def ours(folder: Path, text: str) -> None:
    """Make the icons of a text; those that `bbi run` has made come from the cache."""
    import bbilang
    from bbilang.runtime.cache.disk import Cache, default_folder
    from bbilang.runtime.featvis.engine import Objective, visualize
    from bbilang.runtime.featvis.icon import recipe_of
    from benchmarks import work

    named = {(layer, int(c)) for layer, line in _filters(text) for c in re.findall(r"channel == (\d+)", line)}
    assert named == set(units()), f"{TEXT.name} shows other units"
    program = bbilang.optimize(bbilang.check(bbilang.parse(text), model=work.adapter(), input=work.picture()))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(objective: Objective, icon: object) -> None:
        assert isinstance(objective.direction, int)
        Image.fromarray(icon.picture).save(file_of(folder, (objective.layer, objective.direction)))  # type: ignore[attr-defined]

    objectives = [Objective(layer, channel) for layer, channel in units()]
    visualize(work.adapter(), objectives, recipe_of(program, draft=False), Cache(default_folder()), take=keep)


def _filters(text: str) -> list[tuple[str, str]]:
    """Return (layer, condition) of each filter of a text."""
    return re.findall(r"= (\S+)\.channel\s+\| activation\s+\| filter\(([^)]*)\)", text)


def join(folder: Path) -> None:
    """Draw a block of rows, one for each way, for every eight units."""
    chosen = units()
    blocks = [chosen[at : at + COLUMNS] for at in range(0, len(chosen), COLUMNS)]
    high = HEAD + len(WAYS) * (TILE + GAP) + 3 * GAP
    sheet = Image.new("RGB", (LABEL + COLUMNS * (TILE + GAP), len(blocks) * high), "white")
    draw, font, small = ImageDraw.Draw(sheet), ImageFont.load_default(15), ImageFont.load_default(13)
    for number, block in enumerate(blocks):
        top, before = number * high, ""
        for column, unit in enumerate(block):
            left = LABEL + column * (TILE + GAP)
            if unit[0] != before:
                draw.text((left, top + 4), unit[0], "black", font)
                before = unit[0]
            draw.text((left, top + 24), str(unit[1]), "#444444", small)
            for row, way in enumerate(WAYS.values()):
                with Image.open(file_of(folder / way, unit)) as opened:
                    tile = opened.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)
                sheet.paste(tile, (left, top + HEAD + row * (TILE + GAP)))
        for row, name in enumerate(WAYS):
            middle = top + HEAD + row * (TILE + GAP) + TILE // 2 - 9
            draw.text((2, middle), name.replace(", ", ",\n"), "black", small)
    sheet.save(PICTURE, quality=82, method=6)
    print(PICTURE.name, PICTURE.stat().st_size // 1000, "kB", sheet.size)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=("lucent", "ours", "join"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--count", type=int, default=32)
    given = parser.parse_args()
    if given.way == "lucent":
        lucent(given.folder / "lucent", given.steps, given.count)
    elif given.way == "ours":
        ours(given.folder / "ours", TEXT.read_text(encoding="utf-8"))
        ours(given.folder / "maco", TEXT.read_text(encoding="utf-8").replace("\n", MACO, 1))
    else:
        join(given.folder)
