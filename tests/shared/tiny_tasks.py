"""Tasks for workers, which must be importable in them."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tiny_scan import TwoLayers

from bbilang.runtime.errors import error


@dataclass(frozen=True)
class Squares:
    """Squares of numbers. ``dies``: the unit at which a worker is killed, ``times`` times; ``fails``: one that raises;
    ``folder``: where that is counted, with a file for each process that worked."""

    folder: Path
    dies: int = -1
    times: int = 1
    fails: int = -1
    refuses: int = -1

    def start(self):
        return self.square

    def square(self, number):
        (self.folder / f"worker {os.getpid()}").touch()
        if number == self.dies and once(self.folder, self.times):
            os.kill(os.getpid(), signal.SIGKILL)
        if number == self.fails:
            raise ZeroDivisionError("no unit")
        if number == self.refuses:
            raise error("E504", "out of memory", "take less")
        print("what a task prints is no result")
        return number * number


def once(folder, times=1):
    """Return True so many times."""
    for time in range(times):
        try:
            (folder / f"death {time}").touch(exist_ok=False)
            return True
        except FileExistsError:
            pass
    return False


@dataclass(frozen=True)
class Mortal:
    """A recipe for `TwoLayers` whose worker is killed at each of some ``batches``, once."""

    folder: Path
    batches: tuple = ()

    def __call__(self):
        work = TwoLayers()
        usual = work.batch

        def batch(images, wanted, numbers=()):
            if len(work.runs) in self.batches and once(self.folder, len(self.batches)):
                os.kill(os.getpid(), signal.SIGKILL)
            return usual(images, wanted)

        work.batch = batch
        return work
