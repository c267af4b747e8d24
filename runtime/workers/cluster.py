"""Workers as actors of a Ray cluster (the extra `ray`)."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Generator, Sequence
from types import ModuleType
from typing import Generic, Protocol

from bbilang.runtime.errors import error
from bbilang.runtime.workers.task import MOST_DEATHS, Failure, R, Reserve, Task, TaskRunner, U, pickled, too_many_deaths

PATIENCE = 10.0  # seconds for a machine to answer


class Cluster(Reserve["_Actor"]):
    """Actors on the cluster at an ``address``: "auto" for the one that this machine is part of, "local" for a new one
    here. ``count``: of actors; by default one for each GPU, else for each processor.

    Results go through files: the cache's folder and the pictures are on a file system that all machines share.
    """

    def __init__(self, address: str, count: int | None = None):
        super().__init__()
        self.address, self.count = address, count
        self._started = False  # whether this connected Ray

    def _dismiss(self, waiting: Sequence[_Actor]) -> None:
        for actor in waiting:
            _ray().kill(actor)
        if self._started:
            self._started = False
            _ray().shutdown()

    def run(self, task: Task[U, R], units: Sequence[U]) -> Generator[tuple[U, R], None, None]:
        """See `Pool`."""
        ray = _ray()
        sent = pickled(task)
        with self.kept():
            assert self._waiting is not None
            self._connect(ray)
            actors = _Actors[U, R](ray, sent, self.count, len(units), self._waiting)
            try:
                yield from actors.run(units)
                self._waiting += actors.leave()
            finally:
                actors.stop()

    def _connect(self, ray: ModuleType) -> None:
        """Connect to the cluster, unless that was done. Raises BbiError E517."""
        if ray.is_initialized():
            return
        try:
            _check_reachable(self.address)
            ray.init(address=self.address, log_to_driver=False, include_dashboard=_dashboard(self.address))
        except (OSError, ValueError, RuntimeError) as failure:
            message = f"there is no Ray cluster at {self.address}: {failure}"
            raise error(
                "E517", message, "`ray start --head` starts one; `--ray local` uses this machine alone"
            ) from failure
        self._started = True


class _Remote(Protocol):
    def remote(self, argument: object, /) -> object: ...


class _Actor(Protocol):
    """A `TaskRunner` in another process."""

    begin: _Remote
    outcome: _Remote


class _Actors(Generic[U, R]):
    """One task on its actors, each with one unit at a time. ``there``: actors that wait for a task; those that are
    used are taken out."""

    def __init__(self, ray: ModuleType, task: bytes, count: int | None, most: int, there: list[_Actor]):
        self.ray = ray
        resources = ray.cluster_resources()
        processors, graphics = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
        full = max(1, count or graphics or processors)  # also where there are fewer units: more may come later
        self.count = max(1, min(full, most))
        each = {"num_cpus": max(1, processors // full)} if count else {"num_cpus": 1}
        each |= {"num_gpus": 1} if graphics >= full else {}
        self._make, self._there = ray.remote(**each)(TaskRunner), there
        self._task = ray.put(task)
        self._all: list[_Actor] = []

    def _actor(self) -> _Actor:
        actor: _Actor = self._there.pop() if self._there else self._make.remote()
        self._all.append(actor)
        actor.begin.remote(self._task)
        return actor

    def run(self, units: Sequence[U]) -> Generator[tuple[U, R], None, None]:
        waiting = deque((unit, 0) for unit in units)
        free = [self._actor() for _ in range(self.count)]
        running: dict[object, tuple[_Actor, U, int]] = {}
        while waiting or running:
            while waiting and free:
                actor, (unit, deaths) = free.pop(), waiting.popleft()
                running[actor.outcome.remote(unit)] = (actor, unit, deaths)
            (ready,), _ = self.ray.wait(list(running), num_returns=1)
            actor, unit, deaths = running.pop(ready)
            try:
                result = self.ray.get(ready)
            except self.ray.exceptions.RayError as failure:  # the actor, its machine or its result is gone
                if deaths + 1 >= MOST_DEATHS:
                    raise too_many_deaths(unit, str(failure).splitlines()[0]) from failure
                waiting.append((unit, deaths + 1))
                self._all.remove(actor)
                free.append(self._actor())
                continue
            free.append(actor)
            if isinstance(result, Failure):
                result.raise_here()
            yield unit, result

    def leave(self) -> list[_Actor]:
        """Return the actors after the last unit: they wait for another task."""
        actors, self._all = self._all, []
        return actors

    def stop(self) -> None:
        for actor in self._all:
            self.ray.kill(actor)


def _check_reachable(address: str) -> None:
    """Raise OSError where nothing listens at "host:port": Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), PATIENCE).close()


def _dashboard(address: str) -> bool | None:
    return False if address == "local" else None


def _ray() -> ModuleType:
    try:
        import ray
    except ImportError as failure:
        raise error("E903", "`--ray` needs the package ray", "`pip install 'bbilang[ray]'`") from failure
    return ray
