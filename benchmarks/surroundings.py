"""The machine, the versions and the commit of a measurement."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
PACKAGES = ("bbilang", "torch", "numpy", "captum", "torch-lucent", "grad-cam", "zennit", "torchray")


def surroundings() -> dict[str, Any]:
    """Return machine, system, versions, threads, load and commit, as a record."""
    import torch

    return {
        "machine": {"cpu": processor(), "cores": os.cpu_count(), "memory_gb": memory_gb(), "device": device()},
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: own_version for name in PACKAGES if (own_version := _version(name))},
        "threads": torch.get_num_threads(),
        "load": load(),
        **commit(),
    }


def processor() -> str:
    """Return the name of the CPU and the vector instructions that torch uses."""
    import torch

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def load() -> float:
    """Return the mean number of processes that ran or waited over the last minute."""
    return round(os.getloadavg()[0], 2)


def processor_seconds() -> tuple[float, float, float]:
    """Return (seconds stolen by other machines on the same processors, used by processes of this one, all) since the
    start; Linux calls the first steal."""
    times = psutil.cpu_times()
    stolen, idle = getattr(times, "steal", 0.0), times.idle + getattr(times, "iowait", 0.0)
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return stolen, total - stolen - idle, total


def commit() -> dict[str, Any]:
    """Return the commit, and whether the code that runs differs from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    code = ("bbilang", "compiler", "grammar", "runtime", "benchmarks/*.py")
    return {
        "commit": git("rev-parse", "--short=10", "HEAD"),
        "changed": bool(git("diff", "HEAD", "--name-only", "--", *code)),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
