"""`bbi watch` as a process, for tests of what it serves."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Watched:
    """The process, and what it said."""

    def __init__(self, folder, *options):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bbilang.cli", "watch", "page.bbi", *options], cwd=folder, env=environment,
            stdout=subprocess.PIPE, stderr=(folder / "said").open("w"), text=True,
        )  # fmt: skip
        self.file, self.log = folder / "page.bbi", folder / "said"
        self.url = self.process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}", self.url), self.log.read_text()

    def save(self, text):
        """As editors do: another file, renamed."""
        other = self.file.with_suffix(".new")
        other.write_text(text)
        other.replace(self.file)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return result
