"""Whether the interfaces of the article are found again: where each ranks among all that its own text could be.

python -m benchmarks.rediscovered

Holes are opened in the text of each page of the gallery that reproduces an interface of the article: a few (`OWN`),
and more (`WIDER`). Every completion is ranked by the five goals of docs/space.md, and the place of the article's own is
written to results/rediscovered.json. Nothing runs but the compiler; no number depends on the machine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from bbilang import check
from bbilang.compiler.complete.completions import Completion
from bbilang.compiler.optimize.normal_form import NormalForms
from bbilang.completions import Completions
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source
from bbilang.pipeline import Request
from bbilang.registry import registry

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "rediscovered.json"
BEST = 20  # an interface in the best twentieth counts as found

Holes = Mapping[str, tuple[str, ...]]  # a page of the gallery -> (what its text has, what stands for it) in turn
OWN: Holes = {
    "teaser": ("block6a.expand.channel\n        | attribute([", "block6a.expand.?\n        | attribute([",
               "by=difference)\n        | present(featvis", "by=difference)\n        | present(?"),
    "semantic_dictionary": ("top(8)\n        | present(featvis", "?\n        | present(?"),
    "activation_vector": ("in_neurons = block6a.expand.neuron", "in_neurons = block6a.expand.?",
                          "| top(6)\n        | present(featvis", "| top(6)\n        | present(?"),
    "activation_grids": (".spatial\n        | activation", ".?\n        | ?", "present(featvis", "present(?"),
    "principal_components": ("block6a.expand.spatial\n        | project(pca, 2)\n        | present(rgb",
                             "block6a.expand.?\n        | ?\n        | present(?"),
    "spatial_attribution": ("| project(nmf, 2, along=class, fit=block7a.expand)\n        | present(rgb",
                            "| project(?, 2, along=class, fit=block7a.expand)\n        | present(?"),
    "channel_attribution": ("icons = layers.channel", "icons = layers.?",
                            "top(3, per=layer)\n        | present(featvis", "top(3, per=layer)\n        | present(?"),
    "neuron_groups": ("factorize(nmf, number)", "factorize(?, number)",
                      "groups | present(featvis", "groups | present(?"),
    "groups_across_layers": ("late = head | factorize(nmf", "late = head | factorize(?", "present(sankey", "present(?"),
    "spatial_and_channel": ("icons = block6a.expand.channel", "icons = block6a.expand.?",
                            "only(icons)\n        | present(heatmap", "only(icons)\n        | present(?"),
}  # fmt: skip
WIDER: Holes = {
    "teaser": ("block6a.expand.channel\n        | attribute([", "block6a.expand.?\n        | attribute([",
               "| both(8)\n        | present(featvis", "| ?\n        | present(?"),
    "semantic_dictionary": ("block6a.expand.neuron\n        | activation", "block6a.expand.?\n        | ?",
                            "top(8)\n        | present(featvis", "?\n        | present(?"),
    "activation_vector": ("in_neurons = block6a.expand.neuron", "in_neurons = block6a.expand.?",
                          "| top(8)\n        | present(featvis", "| ?\n        | present(?"),
    "activation_grids": ("block7a.expand].spatial\n        | activation\n", "block7a.expand].?\n        | ?*\n",
                         "present(featvis", "present(?"),
    "principal_components": ("block6a.expand.spatial\n        | project(pca, 2)\n        | present(rgb",
                             "block6a.expand.?\n        | ?\n        | present(?",
                             "| factorize(pca, 3)\n        | present(featvis",
                             "| factorize(?, 3)\n        | present(?"),
    "spatial_attribution": ("| relu\n        | project(nmf, 2, along=class, fit=block7a.expand)\n        | present(rgb",
                            "| ?\n        | project(?, 2, along=class, fit=block7a.expand)\n        | present(?"),
    "channel_attribution": ("icons = layers.channel", "icons = layers.?",
                            "top(3, per=layer)\n        | present(featvis", "top(3, per=layer)\n        | present(?",
                            "along=class)\n        | present(bars", "along=class)\n        | present(?"),
    "neuron_groups": ("factorize(nmf, number)", "factorize(?, number)",
                      "groups | present(featvis", "groups | present(?", "present(masks", "present(?",
                      "present(matrix", "present(?"),
    "groups_across_layers": ("late = head | factorize(nmf", "late = head | factorize(?", "present(sankey", "present(?",
                             "early | present(featvis", "early | present(?"),
    "spatial_and_channel": ("icons = block6a.expand.channel", "icons = block6a.expand.?",
                            "top(8)\n        | present(featvis", "?\n        | present(?"),
}  # fmt: skip
OFFERED = {  # (what the article's text has, the one that completions have) where an operation is left open
    "teaser": ("both(3, by=difference)", "both(8)"),
    "semantic_dictionary": ("top(4)", "top(8)"),
    "activation_vector": ("top(6)", "top(8)"),
    "principal_components": ("project(pca, 3)", "project(pca, 2)"),
}


def article(name: str, holes: tuple[str, ...]) -> tuple[str, str]:
    """Return the text of an interface of the article, and the same with holes. Raises ValueError where the text has
    nothing of what a hole stands for."""
    text = (ROOT / "specs" / f"{name}.bbi").read_text("utf-8")
    if name in OFFERED and any(OFFERED[name][1] in old for old in holes[::2]):
        text = text.replace(*OFFERED[name], 1)
    opened = text
    for old, new in zip(holes[::2], holes[1::2], strict=True):
        if old not in opened:
            raise ValueError(f"{name} has no {old!r}")
        opened = opened.replace(old, new, 1)
    return text, opened


def completed(name: str, holes: tuple[str, ...]) -> tuple[Completions, int]:
    """Return what a text with holes could be, and the place of the article's own among that, from 0."""
    text, opened = article(name, holes)
    every = Completions(Request(Source(opened, str(ROOT / "specs" / f"{name}.bbi"))))
    forms, program = NormalForms(registry()), check(parse(Source(text, every.request.text.name)))
    own = [forms.of(element.node) for element in program.elements]  # another text may say the same
    return every, next(n for n, each in enumerate(every) if [forms.of(e.node) for e in each.filled.elements] == own)


def measured(name: str, holes: tuple[str, ...]) -> dict[str, object]:
    """Return how an interface of the article ranks."""
    every, number = completed(name, holes)
    own = every[number]
    return {
        "completions": len(every),
        "on the front": sum(each.front for each in every),
        "found": found(own, len(every)),
        "its place": own.number,
        "is on the front": own.front,
    }


def found(completion: Completion, count: int) -> bool:
    """Return whether an interface lies on the front, or in the best twentieth of so many."""
    return completion.front or completion.number <= count / BEST


def main() -> int:
    record: dict[str, dict[str, object]] = {}
    for name in OWN:
        record[name] = {"own": measured(name, OWN[name]), "wider": measured(name, WIDER[name])}
        print(f"{name:22} {record[name]}", flush=True)
    RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
