"""The identity of a job's results: its model, its inputs and its device. Imports no torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bbilang.compiler.check.preamble import DEFAULT_MODEL
from bbilang.runtime.cache.disk import key_of
from bbilang.runtime.cache.versions import code_digest
from bbilang.runtime.inputs import texts
from bbilang.runtime.models.program_model import PREPROCESS, is_name
from bbilang.runtime.models.registry import is_registered
from bbilang.runtime.recall import identity

if TYPE_CHECKING:
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.execution.job import Job
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.recall.identity import KnownModel


@dataclass(eq=False, repr=False)
class JobIdentity:
    """What the results of a job depend on, computed without torch where the cache knows the model."""

    job: Job
    cache: Cache

    @cached_property
    def inputs(self) -> list[str] | None:
        """A hash of each input; None where one cannot be read, or is a text, for which only the tokenizers of the
        registry's models are known."""
        hashes = [self._text(item) or identity.input_identity(item) for item, _ in self.job.named_inputs]
        return None if None in hashes else [one for one in hashes if one is not None]

    def _text(self, item: object) -> str | None:
        """Return a hash of literal words that a model of the registry reads; None for anything else."""
        literal = isinstance(item, str) and item.startswith(texts.PREFIX) and self.model_key is not None
        return hashlib.sha256(str(item).encode()).hexdigest() if literal else None

    @cached_property
    def model_key(self) -> str | None:
        """The key of the record about the model, if it is one of the registry."""
        job, own = self.job, self.job.program.models[0].lineage
        slot = own[-1]
        name = slot.name or DEFAULT_MODEL
        if not is_name(job.own_model) or not is_registered(name):
            return None
        changes = {key: job.program.setting(f"preprocess.{key}") for key in PREPROCESS}
        key = identity.model_key(name, slot.weights, job.program.setting("seed", 0), changes, job.listener)
        stages = [change.digest for derived in reversed(own) for change in derived.changes]
        if key is None or not stages:
            return key
        return key_of({"what": "derived model", "base": key, "stages": stages, "code": code_digest()})

    def model(self) -> KnownModel | None:
        """Return the model without torch, from the cache. None where it has to be loaded first."""
        job, description = self.job, self.job.program.description
        device = identity.expected_device(job.device, self.cache)
        if job.loaded is not None or device is None or description is None or self.model_key is None:
            return None
        return identity.known(self.cache, self.model_key, description, device)

    def fingerprint(self) -> str | None:
        """Return the digest of the model's definition and weights; None where it has to be loaded first."""
        known = self.job.loaded or self.model()
        return known.fingerprint if known is not None else None

    def adapter(self) -> Adapter:
        """Return the model itself. Loading it teaches the cache its identity."""
        new = self.job.loaded is None
        adapter = self.job.adapter()
        if new and self.model_key is not None and self.cache.writable:
            identity.learn(self.cache, self.model_key, adapter)
            identity.remember_device(self.job.device, str(adapter.device), self.cache)
        return adapter

    def loaded_model(self) -> KnownModel | None:
        """Return the identity of the loaded model; None where it cannot be known."""
        return identity.known_model_of(self.adapter(), callers=self.model_key is None)
