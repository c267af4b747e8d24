"""A page of several models: each is loaded, runs its part and is let go before the next; their results are joined."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bbilang.compiler.optimize.parts import MEMBER, PARTNERS
from bbilang.runtime.execution.related import KeptForwards
from bbilang.runtime.execution.results import IconSet, Results, Reused
from bbilang.runtime.featvis.pairs import along_checkpoints, side_by_side
from bbilang.runtime.fields.field import Named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bbilang.runtime.execution.job import Job
    from bbilang.runtime.featvis.icon import Icon
    from bbilang.runtime.fields.field import Field


def execute_parts(job: Job, execute: Callable[[Job, bool], Results], recall: bool) -> Results:
    """Run the part of each model. ``execute``: runs a job of one model; ``recall``: what the cache holds is not
    computed again. Numbers that depend on those of an unrelated model are computed each time."""
    plans, networks, done = job.plan.parts, dict(job.networks), list[Results]()
    values: dict[str, Field] = {}
    related = KeptForwards()
    job = replace(job, related=related)
    for number, plan in enumerate(plans):
        known = {slot.alias for slot in plan.program.models[0].lineage}
        others = {node.type.model for node in plan.program.others}
        part = job.part(plan, networks, values)
        done.append(_without_network(execute(part, recall and others <= known)))
        values.update(zip(plan.program.kept_as, done[-1].kept, strict=True))
        rest = plans[number + 1 :]  # icons of matched channels come last: their network is loaded a second time
        after = [later for later in rest if not later.program.partners] or rest
        needed = {slot.alias for later in after for slot in later.program.models[0].lineage}
        related.release(later.program for later in plans[number + 1 :])
        for alias in networks.keys() - needed:
            del networks[alias]
    return joined(job, done)


def _without_network(results: Results) -> Results:
    """Return results that describe the network and do not hold it."""
    from bbilang.runtime.recall.identity import KnownModel

    it = results.adapter
    assert it is not None, "results of a run know their model"
    if isinstance(it, KnownModel):
        return results
    known = KnownModel(it.description, it.fingerprint, it.weights, it.random, it.preprocess, str(it.device))
    return replace(results, adapter=known)


def joined(job: Job, parts: Sequence[Results]) -> Results:
    """Join the results of all models. Numbers of passes add up. The icons of channels that others are matched with
    become those of the elements that show both."""
    icons: list[Icon] = []
    icon_sets: dict[str, IconSet] = {}
    checkpoints: dict[str, list[Named]] = {}
    for part in parts:
        for name, it in part.icon_sets.items():
            icon_sets[name] = IconSet(Named(it.index.dims, it.index.data + len(icons) * (it.index.data >= 0)))
        icons += part.icons
    for name in [name for name in icon_sets if MEMBER in name]:
        checkpoints.setdefault(name.partition(MEMBER)[0], []).append(icon_sets.pop(name).index)
    for name, each in checkpoints.items():  # in the order of the checkpoints, as their parts ran
        icon_sets[name] = IconSet(along_checkpoints(each))
    for name in [name for name in icon_sets if name.endswith(PARTNERS)]:
        whole, partners = name.removesuffix(PARTNERS), icon_sets.pop(name).index
        icon_sets[whole] = IconSet(side_by_side(icon_sets[whole].index, partners))
    every, order = parts, [slot.alias for slot in job.program.models]
    shown = sorted((part for part in every if not part.program.partners),
                   key=lambda part: order.index(part.program.models[0].alias))  # fmt: skip
    parts = [
        replace(part, icons=icons, icon_sets={name: icon_sets[name] for name in part.fields if name in icon_sets})
        for part in shown
    ]
    first = parts[0]
    ran = [part.model_passes for part in parts]
    return replace(
        first,
        program=job.program,
        fields={name: field for part in parts for name, field in part.fields.items()},
        selections={name: field for part in reversed(parts) for name, field in part.selections.items()},
        sizes={name: field for part in parts for name, field in part.sizes.items()},
        icon_sets=icon_sets,
        budgets={name: it for part in parts for name, it in part.budgets.items()},
        thumbnails={name: it for part in parts for name, it in part.thumbnails.items()},
        followed={name: it for part in parts for name, it in part.followed.items()},
        model_passes=(sum(forward for forward, _ in ran), sum(backward for _, backward in ran)),
        tangents=sum(part.tangents for part in parts),
        reruns=sum(part.reruns for part in parts),
        resumed=sum(part.resumed for part in parts),
        removals=sum(part.removals for part in parts),
        trusted=sum(part.trusted for part in parts),
        scanned=sum(part.scanned for part in parts),
        recalled=sum(part.recalled for part in parts),
        reused=Reused(
            tuple(name for part in parts for name in part.reused.elements),
            all(part.reused.predictions for part in parts),
            sum(part.reused.icons for part in every),
        ),
        passes=None,
        imported=tuple(dict.fromkeys(words for part in parts for words in part.imported)),
        noticed=tuple(
            f"{part.program.models[0].alias}: {words}" for part in parts for words in part.noticed
        ),
        stale=frozenset(name for part in parts for name in part.stale),
        kept=(),
        parts=tuple(parts),
    )  # fmt: skip
