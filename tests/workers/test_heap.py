"""The command's own process keeps freed blocks; programs that import bbilang or call its command are unaffected."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc")

USES = """
import resource, numpy
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        numpy.ones(12 << 20, numpy.float32)  # 48 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""


def faults(setting: str) -> int:
    code = f"{USES}from bbilang.runtime import heap\nfaults()\n{setting}heap.keep_freed_blocks()\nfaults()\n"
    done = subprocess.run([sys.executable, "-c", code + "print(faults())"], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_the_command_retains_freed_blocks():
    import ctypes

    if not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        pytest.skip("not glibc")
    retained, left_alone = faults("heap.own_process()\n"), faults("")
    assert retained * 20 < left_alone
