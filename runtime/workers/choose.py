"""Which workers `--workers` and `--ray` name."""

from __future__ import annotations

from bbilang.runtime.workers.cluster import Cluster
from bbilang.runtime.workers.processes import Processes
from bbilang.runtime.workers.task import Pool


def pool_of(workers: int | None, ray: str | None) -> Pool | None:
    """Return the workers that the options name; None for this process. Raises BbiError E440."""
    if ray is not None:
        return Cluster(ray, workers)
    return None if workers is None else Processes(workers)
