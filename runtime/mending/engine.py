"""Fine-tune a network above some atoms so that they count less, or recall a network that was: the original stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Node
from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.versions import version_of
from bbilang.runtime.data.dataset import Dataset
from bbilang.runtime.data.duplicates import overlap
from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.mending.above import Cached, Examples, Whole
from bbilang.runtime.mending.evidence import Evidence
from bbilang.runtime.mending.examples import Labelled, check_sides, held_out, labelled
from bbilang.runtime.mending.measure import Measured, measure
from bbilang.runtime.mending.recipe import Recipe
from bbilang.runtime.mending.report import Report, compared
from bbilang.runtime.mending.stored import IN_MEMORY, MOST, Rows
from bbilang.runtime.mending.trainable import trainable_above
from bbilang.runtime.mending.training import Progressed, Trainer, loss_of
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.models.copy_module import copy_module
from bbilang.runtime.models.score_output import kind_of_rows
from bbilang.runtime.passes.fallback import OPERATION_ERRORS, NotTraceable, log_fallback
from bbilang.runtime.passes.hooks import guard_memory
from bbilang.runtime.passes.module.memo import module_unchanged

VERSION = 3  # of what is computed: raise it when results change
TRAINS = "batches of the training"
PIECE = 1 << 22  # bytes of pictures that run below the layer at once: more leave the processor's cache

MOST_RECENT = 2  # results that `recent` keeps

Recent = dict[str, tuple[dict[str, Tensor], Report]]  # by their keys
Listener = Callable[[str, int, int], None]  # what is done, so many parts of it, and of all


@dataclass(frozen=True)
class Task:
    """What to train. node: the evidence, of the operation `attribute`. dataset: with labels, of which a part is held
    out: the examples where ``measured`` (example,) is true, else a share. other: a dataset that only measures."""

    node: Node
    recipe: Recipe
    dataset: Dataset
    measured: np.ndarray | None = None
    other: Dataset | None = None
    called: str = "the dataset"
    other_called: str = ""


@dataclass(frozen=True)
class Mended:
    """A copy of the network with its new weights, and the report of their training. ``recalled``: from the cache."""

    adapter: Adapter
    report: Report
    recalled: bool


def mend(
    adapter: Adapter,
    task: Task,
    registry: Registry,
    cache: Cache | None = None,
    listen: Listener = lambda words, done, total: None,
    recent: Recent | None = None,
    in_memory: int = IN_MEMORY,
    most: int = MOST,
) -> Mended:
    """Train a copy of the network's weights above the evidence's layer. The result goes into the cache by the content
    of the weights, the text and the data; after each epoch so does its state, from which an interrupted training goes
    on. ``recent``: results of this process. Raises BbiError E487 to E489 for examples, labels or a loss that do not
    fit, E553 to E556."""
    description = adapter.description
    training = labelled(task.dataset, description)
    other = None if task.other is None else labelled(task.other, description)
    key = _key(adapter, task, training, other)
    if (known := _recalled(adapter, cache, key, recent or {})) is not None:
        return known
    copied = replace(adapter, module=copy_module(adapter.module), _hashed=None)
    copied.module.requires_grad_(False)
    with ExitStack() as stack, torch.inference_mode(False), guard_memory("the training"):
        stack.enter_context(copied.evaluating())
        stack.enter_context(module_unchanged())
        work = _Work(copied, task, training, other, registry, cache, key, listen)
        rows = stack.enter_context(Rows(work.count, in_memory, most))
        report, weights = work.run(rows)
    copied.module.requires_grad_(False)
    mended = _described(copied, report)
    _keep(cache, key, weights, report, recent)
    return Mended(mended, report, False)


class _Work:
    """One training."""

    def __init__(
        self,
        adapter: Adapter,
        task: Task,
        training: Labelled,
        other: Labelled | None,
        registry: Registry,
        cache: Cache | None,
        key: str,
        listen: Listener,
    ):
        self.adapter, self.task, self.training, self.other = adapter, task, training, other
        self.registry, self.cache, self.key, self.listen = registry, cache, key, listen
        self.count = len(training) + (0 if other is None else len(other))
        classes = [training.classes] if other is None else [training.classes, other.classes]
        self.labels = torch.from_numpy(np.concatenate(classes)).to(adapter.device)
        if task.measured is not None:
            held = np.asarray(task.measured, bool)[training.numbers]
            check_sides(held)
        else:
            held = held_out(training, task.recipe.held_out, task.recipe.seed)
        self.trained, self.held = np.flatnonzero(~held), np.flatnonzero(held)
        self.others = np.arange(len(training), self.count)

    def run(self, rows: Rows) -> tuple[Report, dict[str, Tensor]]:
        recipe = self.task.recipe
        first = self._picture(0)
        kind = kind_of_rows(self._scores(first[None]), self.adapter.description.scores)
        self.adapter = replace(self.adapter, description=replace(self.adapter.description, scores=kind))
        loss_of(recipe, kind)
        evidence = Evidence(self.task.node, self.registry, kind)
        parameters = trainable_above(self.adapter, evidence.layer, first[None].to(self.adapter.device))
        examples = self._stored(evidence.layer, rows)
        before = self._measured(examples, evidence, "before the training")
        trainer = Trainer(examples, evidence, parameters, self.labels, self.trained, recipe)
        self._train(trainer)
        after = self._measured(examples, evidence, "after the training")
        others = None
        if self.other is not None:
            others = compared(self.task.other_called, before[1], after[1])
        near = overlap(
            self.training.dataset.subset(self.training.numbers[self.held]),
            self.training.dataset.subset(self.training.numbers[self.trained]),
            read=False,
        )
        done = trainer.progressed
        report = Report(
            compared(self.task.called, before[0], after[0]), others, len(self.trained), self.training.unlabelled,
            self.training.unreadable, len(near.near), sum(p.numel() for p in parameters.values()), tuple(parameters),
            done.epochs, done.seconds, tuple(done.losses), tuple(done.penalties),
            tuple(done.differences), examples.way,
        )  # fmt: skip
        return report, {name: p.detach().clone() for name, p in parameters.items()}

    def _stored(self, layer: str, rows: Rows) -> Examples:
        """Run all examples below the layer, as a graph where there is one."""
        try:
            return self._filled(Cached(self.adapter, layer, rows))
        except (NotTraceable, *OPERATION_ERRORS) as failure:
            log_fallback(f"no graph above `{layer}`", "the whole network is run for each batch", failure)
        rows.clear()
        return self._filled(Whole(self.adapter, layer, rows))

    def _filled(self, examples: Examples) -> Examples:
        size = max(1, min(64, PIECE // (4 * int(np.prod(self.adapter.description.input.shape)))))
        for start in range(0, self.count, size):
            self.listen("pictures below the layer", start, self.count)
            numbers = range(start, min(self.count, start + size))
            examples.add(start, torch.stack([self._picture(number) for number in numbers]).to(self.adapter.device))
        return examples

    def _picture(self, number: int) -> Tensor:
        part, own = (
            (self.training, number) if number < len(self.training) else (self.other, number - len(self.training))
        )
        assert part is not None
        return self.adapter.prepare(part.dataset.picture(int(part.numbers[own])))[0]

    def _scores(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = self.adapter.module(self.adapter.normalize(images.to(self.adapter.device)))
        return scores

    def _measured(self, examples: Examples, evidence: Evidence, when: str) -> list[Measured]:
        def work(done: int, total: int) -> None:
            self.listen(f"measurements {when}", done, total)

        sides = [self.held, self.others] if self.other is not None else [self.held]
        return [measure(examples, evidence, self.labels, rows, work) for rows in sides]

    def _train(self, trainer: Trainer) -> None:
        """Train the epochs that are left, and keep the state after each."""
        if self.cache is not None and (known := _unpacked(self.cache, self._state_key)) is not None:
            state, about = known
            trainer.resume(state, Progressed(**{each.name: about[each.name] for each in fields(Progressed)}))
        progressed, recipe = trainer.progressed, self.task.recipe
        while trainer.progressed.epochs < recipe.epochs:
            start = time.monotonic()
            trainer.epoch(lambda done, total: self.listen(TRAINS, done, total))
            progressed = trainer.progressed
            progressed.seconds += time.monotonic() - start
            if self.cache is not None and progressed.epochs < recipe.epochs:
                self.cache.put(self._state_key, _packed(trainer.state()), {"kind": "training", **asdict(progressed)})

    @property
    def _state_key(self) -> str:
        return key_of({"what": "training", "of": self.key})


def _key(adapter: Adapter, task: Task, training: Labelled, other: Labelled | None) -> str:
    """Return the key of a result: the weights, the evidence and how it is trained, and the examples."""
    data = [_content(part) for part in (training, other) if part is not None]
    sides = None if task.measured is None else np.asarray(task.measured, bool)[training.numbers].tolist()
    return key_of({
        "what": "mended", "version": VERSION, "model": adapter.fingerprint, "device": adapter.device.type,
        "evidence": task.node.digest, "recipe": task.recipe.plain, "data": data, "sides": sides,
        "torch": version_of("torch"),
    })  # fmt: skip


def _content(part: Labelled) -> list[list[str | int]]:
    return [[digest, int(own)] for digest, own in zip(part.digests, part.classes, strict=True)]


def _packed(values: dict[str, Tensor]) -> bytes:
    from safetensors.torch import save

    return save({name: value.cpu().contiguous() for name, value in values.items()})


def _unpacked(cache: Cache, key: str) -> tuple[dict[str, Tensor], JsonObject] | None:
    from safetensors import SafetensorError
    from safetensors.torch import load

    record = cache.get(key)
    if record is None:
        return None
    try:
        return load(record[0]), dict(record[1])
    except (SafetensorError, ValueError):
        cache.drop(key)
        return None


def _keep(cache: Cache | None, key: str, weights: dict[str, Tensor], report: Report, recent: Recent | None) -> None:
    if recent is not None:
        recent[key] = weights, report
        while len(recent) > MOST_RECENT:
            del recent[next(iter(recent))]
    if cache is not None:
        cache.put(key, _packed(weights), {"kind": "network", "report": report.plain})


def _recalled(adapter: Adapter, cache: Cache | None, key: str, recent: Recent) -> Mended | None:
    """Return a network that was trained before: a copy with the weights of this process or of the cache."""
    if key in recent:
        return _loaded(adapter, *recent[key])
    known = _unpacked(cache, key) if cache is not None else None
    if cache is None or known is None:
        return None
    try:
        return _loaded(adapter, known[0], Report.of(known[1]["report"]))
    except (KeyError, TypeError, RuntimeError):
        cache.drop(key)
        return None


def _loaded(adapter: Adapter, weights: dict[str, Tensor], report: Report) -> Mended:
    """Return a copy of a network with other weights. Raises KeyError, RuntimeError where they are another network's."""
    copied = replace(adapter, module=copy_module(adapter.module), _hashed=None)
    own = dict(copied.module.named_parameters())
    with torch.inference_mode(False), torch.no_grad():
        for name, value in weights.items():
            own[name].copy_(value)
    return Mended(_described(copied, report), report, True)


def _described(adapter: Adapter, report: Report) -> Adapter:
    """Say of the weights that they were trained here."""
    words = f"{adapter.weights}, fine-tuned here on {report.trained:,} examples"
    return replace(adapter, weights=words, _hashed=None)
