"""The footer of a page: the provenance of its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bbilang.compiler.contract import ModelChange, Registry
from bbilang.compiler.explain.logical import method_words
from bbilang.runtime.cache.versions import version_of
from bbilang.runtime.execution.results import Model, Results
from bbilang.runtime.featvis.icon import words_of
from bbilang.runtime.ops.datasets.columns import source_of
from bbilang.runtime.view.model import ModelFacts, Picture, Provenance

CUT = 0.01  # a share of a picture that is worth a word


def provenance_of(results: Results, registry: Registry) -> Provenance:
    """Return model, weights and their hash, seed, versions, device, passes and settings of a run."""
    if results.parts:
        return _of_several(results, registry)
    model, recipe = model_of(results), results.recipe
    settings: list[tuple[str, str]] = []
    if results.icons and recipe is not None:
        settings.append(("icons", words_of(recipe, results.program)))
    usual = ("featvis.size", "featvis.steps", "show.channels")
    settings += [(key, _words(value)) for key, value in results.program.settings if key not in usual]
    arguments = (registry.method_argument(node) for node in results.nodes() if not node.get("each"))
    methods = dict.fromkeys(_method(method, registry) for method in arguments if method is not None)
    if methods:
        settings.append(("attribution", ", ".join(methods)))
    settings += [("imported", words) for words in results.imported]
    settings += [("cut off", words) for words in _cut(results)] + _shown(results)
    return Provenance(
        model.description.title, model.weights, model.fingerprint, results.program.setting("seed", 0), versions(),
        str(model.device), work_of(results), results.draft, model.random, tuple(settings),
    )  # fmt: skip


def _of_several(results: Results, registry: Registry) -> Provenance:
    """Return the footer of a page of several models: that of the first, with what each is and its own settings."""
    each = [provenance_of(part, registry) for part in results.parts]
    known = [_facts(part, own, registry) for part, own in zip(results.parts, each, strict=True)]
    models = tuple(_without_members(results, known))
    settings = dict.fromkeys(pair for own in each for pair in own.settings)
    return replace(
        each[0], model="; ".join(f"{it.name}: {it.words}" for it in models),
        weights=", ".join(dict.fromkeys(it.weights for it in models)),
        fingerprint=", ".join(it.fingerprint for it in models), passes=work_of(results),
        random=any(own.random for own in each), settings=tuple(settings), models=models,
    )  # fmt: skip


def _without_members(results: Results, every: Sequence[ModelFacts]) -> Iterator[ModelFacts]:
    """Yield what is known of each model; of checkpoints once for all of them, in the place of the first."""
    slots = {slot.alias: slot for slot in results.program.models}
    done = set[str]()
    for facts in every:
        whole = slots[facts.name].of or (facts.name if slots[facts.name].members else "")
        if not whole:
            yield facts
        elif whole not in done:
            done.add(whole)
            own = [one for one in every if slots[one.name].of == whole]
            names = [one.name.removeprefix(f"{whole} ") for one in own]
            ends = f", {names[0]} to {names[-1]}" if len(names) > 1 else f", {names[0]}" if names else ""
            words = f"{facts.words} at {len(names)} checkpoint{'s' * (len(names) != 1)}{ends}"
            weights = ", ".join(dict.fromkeys(one.weights for one in own))
            yield ModelFacts(whole, words, weights, ", ".join(one.fingerprint for one in own),
                             any(one.random for one in own))  # fmt: skip


def _facts(results: Results, own: Provenance, registry: Registry) -> ModelFacts:
    """Describe one of several models: its network, or the model that it is derived from and how."""
    (slot,) = results.program.models
    words = own.model
    if slot.base is not None:
        stages = []
        for change in slot.changes:
            operation = registry.operations[change.op]
            assert isinstance(operation, ModelChange)
            stages.append(operation.in_words(change))
        words = f"{slot.base.alias} with {', then '.join(stages)}"
    return ModelFacts(slot.alias, words, own.weights, own.fingerprint, own.random)


def models_words(provenance: Provenance) -> str:
    """Return what the models of a page are called, to follow "A look inside"."""
    *others, last = [facts.name for facts in provenance.models] or [provenance.model]
    return f"{', '.join(others)} and {last}" if others else last


def embedded(results: Results, registry: Registry, pictures: Sequence[Picture]) -> Iterator[str]:
    """Describe the pictures of files that a page contains: its inputs, and examples of datasets. ``pictures``: all of
    the page's."""
    words = {picture.alt for picture in pictures}
    shown = [picture.name for picture in results.pictures if f"the input {picture.name}" in words]
    if shown:
        yield f"the input{'s' if len(shown) > 1 else ''} {', '.join(shown)}"
    rows: dict[str, set[int]] = {}
    sides: dict[str, int] = {}
    for element in results.program.elements:
        made, style = results.thumbnails.get(element.id), registry.styles[element.node["style"]]
        source, field = source_of(element.node), style.examples_of(results.fields[element.id])
        if made is None or source is None or field is None:
            continue
        path = str(source["path"])
        numbers = field.coords["example"].data
        rows.setdefault(path, set()).update(numbers[made["index"].data >= 0].tolist())
        sides[path] = max(sides.get(path, 0), int(made["sizes"].max(initial=0)))
    for path, numbers_of in rows.items():
        count = len(numbers_of)
        yield f"{count:,} example{'s' if count > 1 else ''} of {path} as thumbnails of up to {sides[path]} px"


def work_of(results: Results) -> str:
    """Describe the passes and icons of this run, then what it took from the cache: `scanned 160 examples, 1 forward, 1
    backward, 5 icons; reused: 3 icons`."""
    reused, every = results.reused, len(results.program.elements)
    made = len(results.icons) - reused.icons
    counts = {
        "forward above a change": results.resumed,
        "tangents": results.tangents,
        "reruns above a layer": results.reruns,
        "with a layer removed": results.removals,
        "for trust": results.trusted,
    }
    ran = [f"scanned {_examples(results.scanned)}"] if results.scanned else []
    if any(results.model_passes) or any(counts.values()) or (results.program.inputs and not reused.elements):
        ran += [f"{results.model_passes[0]} forward", f"{results.model_passes[1]} backward"]
    ran += [f"{count} {what}" for what, count in counts.items() if count]
    ran += [_icons(made)] if made else []
    some = [f"numbers of {len(reused.elements)} of {every} elements"] if reused.elements else []
    parts = ["all numbers"] if len(reused.elements) == every else some
    parts += ["predictions"] if reused.predictions and parts != ["all numbers"] else []
    parts += [f"the scan of {_examples(results.recalled)}"] if results.recalled else []
    parts += [_icons(reused.icons)] if reused.icons else []
    words = ", ".join(ran) or "nothing ran"
    return f"{words}; reused: {', '.join(parts)}" if parts else words


def _examples(count: int) -> str:
    return f"{count:,} {'example' if count == 1 else 'examples'}"


def _icons(count: int) -> str:
    return f"{count} {'icon' if count == 1 else 'icons'}"


def model_of(results: Results) -> Model:
    """Return the model that made the numbers."""
    assert results.adapter is not None, "results of a run know their model"
    return results.adapter


def _cut(results: Results) -> Iterator[str]:
    """Describe the part of each picture that the network does not see: `chelsea.png: 33 % left and right`."""
    for picture in results.pictures:
        if not all(picture.size):
            continue
        across, down = model_of(results).preprocess.cut(picture.size)
        parts = [(across, "left and right"), (down, "above and below")]
        words = [f"{round(100 * share)} % {where}" for share, where in parts if share >= CUT]
        if words:
            yield f"{picture.name}: {', '.join(words)}"


def _shown(results: Results) -> list[tuple[str, str]]:
    """Describe which channels of an input are drawn, if its channels are not colours."""
    description = model_of(results).description
    if description.reads != "image" or (
        description.channels in (1, 3) and not results.program.setting("show.channels")
    ):
        return []
    chosen = results.program.setting("show.channels") or ((0, 1, 2) if description.channels >= 3 else (0,))
    how = "red, green and blue" if len(chosen) == 3 else "grey"
    channel = "channels" if len(chosen) == 3 else "channel"
    return [("input shown", f"{channel} {', '.join(map(str, chosen))} of {description.channels} as {how}")]


def _method(method: object, registry: Registry) -> str:
    """Describe a method: `linear (activation x gradient)`, `integrated_gradients(n_steps=100)`."""
    known = registry.methods.get(method) if isinstance(method, str) else None
    return f"{method} ({known.formula})" if known is not None and known.formula else method_words(method)


def versions() -> tuple[tuple[str, str], ...]:
    return tuple((name, version_of(name)) for name in ("bbilang", "torch", "altair"))


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
