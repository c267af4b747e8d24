"""A worker process: reads a task and units from standard input, and writes outcomes to standard output."""

from __future__ import annotations

import os
import pickle
import signal
import sys

from bbilang.runtime.workers.task import Desk, Failure


def main() -> None:
    """Work until the driver closes the pipe or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's, who ends its workers
    outcomes = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the work prints is no outcome
    units = sys.stdin.buffer
    broken: Failure | None = None
    try:
        desk = Desk(pickle.load(units))
    except EOFError:
        return
    except Exception as failure:  # a class that this process does not have
        broken = Failure.of(failure)
    while True:
        try:
            unit = pickle.load(units)
        except EOFError:
            return
        try:
            outcomes.write(pickle.dumps(broken or desk.outcome(unit)))
            outcomes.flush()
        except BrokenPipeError:
            os._exit(0)


if __name__ == "__main__":
    main()
