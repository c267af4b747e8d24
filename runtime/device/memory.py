"""Free memory, work in chunks that fit into it, and the peak memory of a block.

A chunk is as large as a share of the free memory allows. Where an allocation fails all the same, the chunk is halved
and the work resumes where it was; a single row that does not fit is E504.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error

if TYPE_CHECKING:
    import torch

    Device = torch.device | str

T = TypeVar("T")
SHARE = 0.5  # of the free memory that one chunk may take: estimates are rough, and others want some too
_CGROUP = Path("/sys/fs/cgroup")
_LARGEST_KEPT = (32 << 20) - (1 << 16)  # the largest block that raises glibc's threshold, with room for its header


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is an out-of-memory error of torch on any device, including the CPU's allocator, or
    E504."""
    if isinstance(error, BbiError):
        return any(d.code == "E504" for d in error.diagnostics)
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    words = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "could not create a memory object",
        "could not create a primitive",
    )
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


def free_bytes(device: Device = "cpu") -> int:
    """Return the free memory of a device ("cpu", "cuda:0", "mps" or a torch.device) in bytes.

    On the CPU this is the minimum of the memory available on the system, what the control group still allows, and what
    is left of RLIMIT_AS.
    """
    kind = getattr(device, "type", None) or str(device).partition(":")[0]
    if kind == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)  # and what torch has reserved but does not use
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if kind == "mps":
        import torch

        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    import psutil

    left = [psutil.virtual_memory().available, *_group_left()]
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            left.append(limit - psutil.Process().memory_info().vms)
    return max(0, min(left))


def _group_left() -> Iterator[int]:
    """Yield the memory that each control group above this process still allows (cgroup v2 and v1), including
    reclaimable file caches."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = _CGROUP, ("memory.max", "memory.current", "inactive_file ")
        elif "memory" in controllers.split(","):
            root = _CGROUP / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
        else:
            continue
        folder = root / path.lstrip("/")
        for group in (folder, *folder.parents):
            if not group.is_relative_to(root):
                break
            try:
                limit = (group / names[0]).read_text().strip()
                if limit != "max" and int(limit) < 1 << 60:
                    used = int((group / names[1]).read_text())
                    stat = (group / "memory.stat").read_text().splitlines()
                    cached = next((int(row.split()[1]) for row in stat if row.startswith(names[2])), 0)
                    yield int(limit) - used + cached
            except (OSError, ValueError):
                continue


def chunk_size(total: int, bytes_each: float, at_most: int | None = None, device: Device = "cpu") -> int:
    """Return how many rows of ``bytes_each`` fit in `SHARE` of the free memory: at least 1, at most ``at_most`` and
    ``total``."""
    fits = int(free_bytes(device) * SHARE / max(1.0, bytes_each))
    return max(1, min(total, fits, at_most or total))


def chunks(
    total: int,
    bytes_each: float,
    work: Callable[[int, int], T],
    at_most: int | None = None,
    device: Device = "cpu",
    chunk: int | None = None,
) -> Iterator[tuple[int, T]]:
    """Run ``work(start, stop)`` over ``range(total)`` in chunks, and yield (start, result) of each.

    ``bytes_each``: an estimate for one row; chunks are about equal. ``chunk`` sets the size instead. Running out of
    memory halves the chunk size for the rest, and continues at the same row. Raises BbiError E504 when one row does not
    fit.
    """
    size = max(1, min(chunk, total)) if chunk else _even(total, chunk_size(total, bytes_each, at_most, device))
    start = 0
    while start < total:
        stop = min(total, start + size)
        try:
            result = work(start, stop)
        except (RuntimeError, MemoryError, BbiError) as e:
            if not is_out_of_memory(e):
                raise
            if stop - start == 1:
                raise e if isinstance(e, BbiError) else _too_much() from e
            size = max(1, (stop - start) // 2)
        else:
            yield start, result
            del result
            start = stop
            continue
        release_memory(device)  # outside the handler: the error's frames hold the tensors that did not fit


def _even(total: int, most: int) -> int:
    """Return the size of the fewest chunks that ``most`` allows, about equally large, because a small last chunk is
    inefficient."""
    return -(-total // max(1, -(-total // most)))


def in_chunks(
    total: int,
    bytes_each: float,
    work: Callable[[int, int], T],
    at_most: int | None = None,
    device: Device = "cpu",
    chunk: int | None = None,
) -> list[T]:
    """Return the results of `chunks`, in order."""
    return [result for _, result in chunks(total, bytes_each, work, at_most, device, chunk)]


def _too_much() -> BbiError:
    help = "use fewer inputs, a smaller image size or smaller batches; or free some memory"
    return error("E504", "out of memory: one row of the work does not fit", help)


def release_memory(device: Device = "cpu") -> None:
    """Collect garbage, and let the device's allocator return free memory to the system."""
    gc.collect()
    kind = getattr(device, "type", None) or str(device).partition(":")[0]
    if kind in ("cuda", "mps"):
        import torch

        getattr(torch, kind).empty_cache()
    elif sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others give back by themselves
        if trim is not None:
            trim(0)


@cache
def keep_freed_memory() -> None:
    """Let glibc keep freed memory from one step of a loop to the next. Once per process.

    Above a threshold it returns freed memory to the system, and clearing the pages again took a tenth of the processor
    time of an icon's steps of 96 px and a fifth at 128 px. Freeing one block of 32 MB raises the threshold to 64 MB,
    the most that glibc chooses by itself; no setting of the process is changed (`bbi` sets more, in cli/heap.py).
    """
    import torch

    torch.empty(_LARGEST_KEPT, dtype=torch.uint8)


class Peak:
    """The peak memory of a block above that at its start, in ``bytes``, which is set when the block ends."""

    bytes: int = 0
    _seen: int = 0


_open: list[Peak] = []  # blocks inside each other share the one high-water mark of the process


@contextmanager
def peak(device: Device = "cpu") -> Iterator[Peak]:
    """Measure a block: resident memory on the CPU (the kernel's high-water mark on Linux, sampled every 5 ms
    elsewhere), allocated memory on CUDA. Blocks may lie inside each other, in one thread."""
    measured = Peak()
    kind = getattr(device, "type", None) or str(device).partition(":")[0]
    if kind == "cuda":
        import torch

        def now() -> int:
            return torch.cuda.memory_allocated(device)

        def high() -> int:
            return torch.cuda.max_memory_allocated(device)

        def reset() -> bool:
            torch.cuda.reset_peak_memory_stats(device)
            return True

    else:
        now, high, reset = _resident, _high_water, _reset_high_water
    if _open:  # what the outer ones have seen so far would be lost
        mark = high()
        for outer in _open:
            outer._seen = max(outer._seen, mark)
    release_memory(device)  # memory that is freed but not returned would hide what the block takes
    start = now()
    stop = threading.Event()
    thread = None if reset() else threading.Thread(target=_sample, args=(measured, stop), daemon=True)
    _open.append(measured)
    try:
        if thread:
            thread.start()
        yield measured
    finally:
        stop.set()
        if thread:
            thread.join()
        measured._seen = max(measured._seen, now(), 0 if thread else high())
        _open.remove(measured)
        for outer in _open:
            outer._seen = max(outer._seen, measured._seen)
        measured.bytes = max(0, measured._seen - start)


def _sample(peak: Peak, stop: threading.Event) -> None:
    while not stop.wait(0.005):
        peak._seen = max(peak._seen, _resident())


def _resident() -> int:
    import psutil

    return psutil.Process().memory_info().rss


def _high_water() -> int:
    try:
        with open("/proc/self/status", encoding="ascii", errors="ignore") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return _resident()


def _reset_high_water() -> bool:
    """Reset the high-water mark to the resident memory (on Linux: write 5 to /proc/self/clear_refs)."""
    try:
        mark = os.open("/proc/self/clear_refs", os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(mark, b"5")
        return _high_water() <= _resident() + (64 << 20)
    except OSError:
        return False
    finally:
        os.close(mark)
