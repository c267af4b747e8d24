"""Check whether icons may mislead; known results come from the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.versions import code_digest
from bbilang.runtime.featvis.dissociation.photographs import Photographs
from bbilang.runtime.featvis.icon import Check, Icon, Objective, Recipe, model_key, shared_key
from bbilang.runtime.models.adapter import Adapter

UNITS_PER_BATCH = 4  # units whose photographs run together: bounds memory

Report = Callable[[int, int], None]


def known(
    cache: Cache | None,
    model: str,
    objectives: Iterable[Objective],
    recipe: Recipe,
    photographs: Photographs,
) -> dict[Objective, Check]:
    """Return the checks that the cache holds. Imports no torch."""
    if cache is None:
        return {}
    checks = {}
    for objective in objectives:
        key = _key(model, objective, recipe, photographs)
        record = cache.get(key)
        if record is not None:
            data = record[1]
            try:
                checks[objective] = Check(int(data["photographs"]), bool(data["misleads"]), str(data["words"]))
            except (KeyError, TypeError, ValueError):
                cache.drop(key)
    return checks


def _key(model: str, objective: Objective, recipe: Recipe, photographs: Photographs) -> str:
    icon = shared_key(model, objective, recipe)
    return key_of({"what": "icon check", "icon": icon, "photographs": photographs.digest, "code": code_digest()})


def check(
    adapter: Adapter,
    icons: Mapping[Objective, Icon],
    recipe: Recipe,
    photographs: Photographs,
    cache: Cache | None = None,
    report: Report | None = None,
) -> dict[Objective, Check]:
    """Check icons, those of one layer together. ``report(done, all)`` counts icons. Each finished check is cached at
    once. Raises BbiError E447 where too few photographs can be read, E501 to E504."""
    model = model_key(adapter)
    done = known(cache, model, icons, recipe, photographs)
    layers: dict[str, list[Objective]] = {}
    for objective in icons:
        if objective not in done:
            layers.setdefault(objective.layer, []).append(objective)
    for layer, objectives in layers.items():
        for objective, outcome in _checks(adapter, model, layer, objectives, icons, photographs, cache):
            done[objective] = outcome
            if cache is not None:
                data = {"photographs": outcome.photographs, "misleads": outcome.misleads, "words": outcome.words}
                key = _key(model, objective, recipe, photographs)
                cache.put(key, b"", {"kind": "icon check", **data})
            if report is not None:
                report(len(done), len(icons))
    return done


def _checks(
    adapter: Adapter,
    model: str,
    layer: str,
    objectives: Sequence[Objective],
    icons: Mapping[Objective, Icon],
    photographs: Photographs,
    cache: Cache | None,
) -> Iterable[tuple[Objective, Check]]:
    from bbilang.runtime import passes
    from bbilang.runtime.featvis.dissociation.cases import verdicts
    from bbilang.runtime.featvis.dissociation.scan import scan

    count = len(photographs.files)
    usable = [o for o in objectives if o.kind == "direction" and not icons[o].dead]
    for objective in objectives:
        if objective not in usable:
            why = "the icon is grey" if icons[objective].dead else "the icon shows a whole layer"
            yield objective, Check(count, words=f"not checked: {why}")
    described = adapter.description.by_name
    cuts = [name for name in adapter.description.cuts_before(layer) if "channel" in described[name].axes]
    if not cuts or not usable:
        for objective in usable:
            yield objective, Check(count, words=f"not checked: no layer in front of {layer} is on every path to it")
        return
    counter = passes.Passes()
    scanned = scan(adapter, model, photographs, [cuts[-1], layer], cache, counter)
    readable = int(np.isfinite(scanned.means[layer][:, 0]).sum())
    for start in range(0, len(usable), UNITS_PER_BATCH):
        group = usable[start : start + UNITS_PER_BATCH]
        shown = [icons[objective].picture for objective in group]
        for objective, verdict in zip(group, verdicts(adapter, layer, group, shown, scanned, cuts[-1]), strict=True):
            if isinstance(verdict, str):
                yield objective, Check(readable, words=f"not checked: {verdict}")
            elif verdict.misleads:
                yield objective, Check(readable, True, verdict.words)
            else:
                yield objective, Check(readable)
