"""The footer of a page: what made the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bbilang.compiler.explain.logical import method_words
from bbilang.runtime.cache.versions import version_of
from bbilang.runtime.execution.results import Results
from bbilang.runtime.view.model import Provenance

CUT = 0.01  # a share of a picture that is worth a word


def provenance_of(results: Results) -> Provenance:
    """Model, weights and their hash, seed, versions, device, passes and settings of a run."""
    adapter, recipe = results.adapter, results.recipe
    ran = len(results.icons)
    counts = {"tangents": results.tangents, "reruns above a layer": results.reruns}
    counts |= {"for trust": results.trusted, "icons": ran}
    parts = [f"{results.model_passes[0]} forward", f"{results.model_passes[1]} backward"]
    parts += [f"{count} {what}" for what, count in counts.items() if count]
    settings: list[tuple[str, str]] = []
    if ran:
        settings.append(("icons", f"{recipe.size} px, {recipe.steps} steps"))
    usual = ("featvis.size", "featvis.steps", "show.channels")
    settings += [(key, _words(value)) for key, value in results.program.settings if key not in usual]
    attributions = (node for node in results.nodes() if node.op == "attribute" and not node.get("each"))
    methods = dict.fromkeys(_method(node["method"]) for node in attributions)
    if methods:
        settings.append(("attribution", ", ".join(methods)))
    settings += [("imported", words) for words in results.imported]
    settings += [("cut off", words) for words in _cut(results)] + _shown(results)
    return Provenance(
        adapter.description.title, adapter.weights, adapter.fingerprint, results.program.setting("seed", 0), versions(),
        str(adapter.device), ", ".join(parts), results.draft, adapter.random, tuple(settings),
    )  # fmt: skip


def _cut(results: Results) -> Iterator[str]:
    """What of each picture lies outside of what the network sees: `chelsea.png: 33 % left and right`."""
    for picture in results.pictures:
        if not all(picture.size):
            continue
        across, down = results.adapter.preprocess.cut(picture.size)
        parts = [(across, "left and right"), (down, "above and below")]
        words = [f"{round(100 * share)} % {where}" for share, where in parts if share >= CUT]
        if words:
            yield f"{picture.name}: {', '.join(words)}"


def _shown(results: Results) -> list[tuple[str, str]]:
    """Which channels are drawn, of an input whose channels are no colours."""
    description = results.adapter.description
    if description.reads != "image" or (
        description.channels in (1, 3) and not results.program.setting("show.channels")
    ):
        return []
    chosen = results.program.setting("show.channels") or ((0, 1, 2) if description.channels >= 3 else (0,))
    how = "red, green and blue" if len(chosen) == 3 else "grey"
    channel = "channels" if len(chosen) == 3 else "channel"
    return [("input shown", f"{channel} {', '.join(map(str, chosen))} of {description.channels} as {how}")]


def _method(method: Any) -> str:
    """`linear (activation x gradient)`, `integrated_gradients(n_steps=100)`."""
    return "linear (activation x gradient)" if method == "linear" else method_words(method)


def versions() -> tuple[tuple[str, str], ...]:
    return tuple((name, version_of(name)) for name in ("bbilang", "torch", "altair"))


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
