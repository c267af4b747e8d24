"""Decode examples ahead in threads, in their order and a bounded number at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from PIL.Image import Image

from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.scan.work import Examples
from bbilang.runtime.workers.processes import usable_processors

MOST_THREADS = 8
Prepare = Callable[[Image], np.ndarray]


def threads() -> int:
    """Return how many threads read and decode: the processors that this process may use, within reason."""
    return min(MOST_THREADS, usable_processors())


def ready(dataset: Examples, prepare: Prepare, number: int) -> np.ndarray | Unreadable:
    """Decode one example for the network, or return the reason why it cannot be read."""
    try:
        return np.asarray(prepare(dataset.picture(number)))
    except Unreadable as error:
        return error
    except (OSError, SyntaxError) as error:  # what a decoder raises for a damaged file that it reads late
        return Unreadable(str(dataset.files[number]), str(error) or type(error).__name__)


class Prefetcher:
    """Examples ready for the network, each an array or the reason why there is none. At most ``most`` are decoded and
    not yet taken."""

    def __init__(self, dataset: Examples, prepare: Prepare, numbers: Iterable[int], most: int, decoders: int):
        self._dataset, self._prepare = dataset, prepare
        self._numbers, self._most = iter(numbers), most
        self._waiting: deque[Future[np.ndarray | Unreadable]] = deque()
        self._pool = ThreadPoolExecutor(decoders, "decode")

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fill(self) -> None:
        for number in islice(self._numbers, self._most - len(self._waiting)):
            self._waiting.append(self._pool.submit(ready, self._dataset, self._prepare, number))

    def take(self) -> np.ndarray | Unreadable:
        """Return the next example."""
        self._fill()
        ready = self._waiting.popleft().result()
        self._fill()
        return ready
