"""The network as it was at checkpoints of its training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bbilang.runtime.influence.weights import weighted_layers
from bbilang.runtime.influence.work import Network
from bbilang.runtime.models.copy_module import copy_module
from bbilang.runtime.models.score_output import own
from bbilang.runtime.models.weights.load import fit_file


def at_checkpoint(network: Network, path: str) -> Network:
    """Return a copy of a network with the weights of a file. Raises BbiError E403 to E405, E444 for one that does not
    fit."""
    adapter = network.adapter
    module = copy_module(adapter.module)
    fit_file(own(module), Path(path))
    module.requires_grad_(False).to(adapter.device)
    changed = replace(adapter, module=module, weights=Path(path).name, _hashed=None)
    return Network(changed, weighted_layers(module), network.kind)
