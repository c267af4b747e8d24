"""Chunks sized by free memory, real out-of-memory errors, and peaks."""

import subprocess
import sys

import pytest

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.device import memory
from bbilang.runtime.device.memory import chunks, free_bytes, in_chunks, peak

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
MEGA = 1 << 20


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


def test_chunks_cover_everything_once_and_fit(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    got = in_chunks(23, 100, lambda a, b: (a, b))
    assert got == [(0, 5), (5, 10), (10, 15), (15, 20), (20, 23)]
    assert in_chunks(23, 100, lambda a, b: b - a, at_most=2) == [2] * 11 + [1]
    assert in_chunks(2, 10_000, lambda a, b: b - a) == [1, 1], "one row is always tried"
    assert in_chunks(0, 1, lambda a, b: 1) == []
    assert in_chunks(7, 1e9, lambda a, b: b - a, chunk=4) == [4, 3]
    assert in_chunks(20, 1, lambda a, b: b - a, at_most=16) == [10, 10], "no small one at the end"


@pytest.mark.parametrize("fits", [1, 2, 3, 7, 50])
def test_out_of_memory_halves_and_goes_on_from_where_it_was(fits):
    done, tried = [], []

    def work(start, stop):
        tried.append(stop - start)
        if stop - start > fits:
            raise MemoryError
        done.extend(range(start, stop))
        return start

    starts = [start for start, _ in chunks(50, 1, work)]
    assert done == list(range(50)) and starts == sorted(starts)
    assert sum(size > fits for size in tried) <= 6, "a size that failed is not tried again"


def test_a_row_that_does_not_fit_is_an_error():
    def work(start, stop):
        raise MemoryError

    with pytest.raises(BbiError) as error:
        in_chunks(9, 1, work)
    assert error.value.diagnostics[0].code == "E504"


def test_other_errors_pass():
    def work(start, stop):
        raise RuntimeError("shapes")

    with pytest.raises(RuntimeError, match="shapes"):
        in_chunks(9, 1, work)


@LINUX
def test_free_memory_knows_the_limit_of_the_address_space():
    code = f"""
import resource, psutil
from bbilang.runtime.device.memory import free_bytes
before = free_bytes()
used = psutil.Process().memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * {MEGA}, -1))
after = free_bytes()
print(before > after, 250 * {MEGA} < after <= 300 * {MEGA})
"""
    assert python(code) == ["True", "True"]


def test_free_memory_knows_control_groups(tmp_path, monkeypatch):
    """Version 2; the folder above has the tighter limit, and file caches count as free."""
    group = tmp_path / "a" / "b"
    group.mkdir(parents=True)
    for folder, limit, used, cached in ((tmp_path / "a", 500, 450, 100), (group, 900, 10, 0)):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory.Path, "read_text", _with_group(memory.Path.read_text))
    assert free_bytes() == 150
    (group / "memory.max").write_text("max\n")
    assert free_bytes() == 150
    (tmp_path / "a" / "memory.max").write_text("max\n")
    assert free_bytes() > 10 * MEGA


def _with_group(plain):
    def read(path, *arguments, **named):
        return "0::/a/b\n" if str(path) == "/proc/self/cgroup" else plain(path, *arguments, **named)

    return read


@LINUX
def test_results_are_the_same_where_memory_is_short():
    """torch's own allocator fails, and the chunks get smaller; the numbers are those of the run without a limit."""
    code = f"""
import gc, resource, sys, psutil, torch
from types import SimpleNamespace
from torch import nn
from bbilang.runtime.device import memory
from bbilang.runtime.passes import Passes, above, forward, gradients, rerun_gradients, tangents
torch.set_num_threads(1)
# chunks as large as they ever get, whose memory goes back to the system each time:
sys.modules["bbilang.runtime.passes.vjp"].CACHE_BYTES = 1 << 40
torch.manual_seed(0)
module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 256, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4096, 64))
adapter = SimpleNamespace(module=module, normalize=lambda x: x, module_of=module.get_submodule,
    device=torch.device("cpu"), description=SimpleNamespace(output="", input_size=(8, 8)))
def run(counter, rows, targets):
    images = torch.linspace(0, 1, rows * 192).view(rows, 3, 8, 8)
    captured = forward(adapter, images, ["0"], grad=True, cuts=["0"])
    seeds = torch.eye(64)[:targets, None].expand(-1, rows, -1)
    one = gradients(captured, seeds, ["0"], counter)["0"].sum()
    moves = torch.ones(targets, rows, 8, 6, 6)
    with above(adapter, captured, "0", counter=counter) as upper:
        two = tangents(upper, moves)["output"].sum()
        index = torch.arange(rows).repeat(4)
        three = rerun_gradients(upper, upper.activations[index], index, torch.ones(2, 4 * rows, 64)).sum()
    return torch.stack([one, two, three])
run(Passes(), 1, 2)  # what is imported late is there
memory.free_bytes = lambda device: 1 << 40  # as if all would fit: only the allocator says no
free = Passes()
want = run(free, 160, 32)
for room in range(240, 40, -20):  # how much is short depends on what the process holds
    gc.collect()
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + room * {MEGA}, -1))
    short = Passes()
    got = run(short, 160, 32)
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)  # a process of its own, without the tests' helpers
    if short.calls > free.calls:
        break
print(short.backwards == free.backwards, short.calls > free.calls)
"""
    assert python(code) == ["True", "True"]


@LINUX
def test_peak_counts_what_a_block_held_above_its_start():
    code = f"""
import torch
from bbilang.runtime.device.memory import peak
torch.set_num_threads(1)
torch.ones(10)
held = torch.ones(30 * {MEGA} // 4)
with peak() as outer:
    with peak() as first:
        torch.ones(200 * {MEGA} // 4)
    with peak() as second:
        torch.ones(50 * {MEGA} // 4)
    with peak() as third:
        pass
for found in (outer, first, second, third):
    print(round(found.bytes / {MEGA}, -1))
"""
    assert python(code) == ["200.0", "200.0", "50.0", "0.0"]


@LINUX
def test_kept_memory_costs_no_page_faults_in_a_loop():
    code = f"""
import ctypes, resource, torch
from bbilang.runtime.device.memory import keep_freed_memory
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        blocks = [torch.ones(7 * {MEGA} // 4) for _ in range(6)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
before = faults()
keep_freed_memory()
faults()
print(before, faults(), hasattr(ctypes.CDLL(None), "gnu_get_libc_version"))
"""
    before, after, glibc = python(code)
    if glibc != "True":
        pytest.skip("not glibc")
    if int(before) == 0:
        pytest.skip("this kernel does not count page faults")
    assert int(after) * 20 < int(before)


def test_peak_is_sampled_where_the_kernel_keeps_no_mark(monkeypatch):
    seen = iter([100, *[700] * 1000])
    monkeypatch.setattr(memory, "_reset_high_water", lambda: False)
    monkeypatch.setattr(memory, "_resident", lambda: next(seen))
    monkeypatch.setattr(memory, "_high_water", lambda: 0)
    with peak() as measured:
        pass
    assert measured.bytes == 600
