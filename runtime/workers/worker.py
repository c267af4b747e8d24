"""A worker process: reads tasks and units from standard input, and writes the units' outcomes to standard output."""

from __future__ import annotations

import os
import pickle
import signal
import sys

from bbilang.runtime.workers.task import TASK, TaskRunner


def main() -> None:
    """Work until the driver closes the pipe or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which ends its workers
    outcomes = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the work prints must not mix with the outcomes
    units = sys.stdin.buffer
    try:
        runner = TaskRunner()
        while True:
            kind, value = pickle.load(units)
            if kind == TASK:
                runner.begin(value)
            else:
                outcomes.write(pickle.dumps(runner.outcome(value)))
                outcomes.flush()
    except EOFError:  # the driver has ended, or needs no more
        pass
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
