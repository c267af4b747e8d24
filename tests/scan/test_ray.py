"""A scan on a real Ray cluster of two workers on this machine: equal to the bit, with workers and the driver killed."""

import importlib.util
import os
import re
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_scan import Pictures, TwoLayers, arrays, equal

from bbilang.runtime.scan.scan import scan, stored

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="without the extra `ray`: pip install ray"),
]
ROOT = Path(__file__).parents[2]
CLUSTER = """
import ray
print(ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False).address_info["gcs_address"], flush=True)
input()
"""
DRIVER = """
import sys
from pathlib import Path
from tiny_scan import Pictures, TwoLayers
from tiny_tasks import Mortal
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.scan.scan import scan
from bbilang.runtime.workers.cluster import Cluster
folder, address = Path(sys.argv[1]), sys.argv[2]
scanned = scan(
    Pictures(1000), TwoLayers(), Cache(folder / "cache"), pool=Cluster(address, 2), recipe=Mortal(folder, (5,)),
    listener=lambda event: print("done", event.done, flush=True),
)
print("fresh", scanned.fresh, flush=True)
"""


@pytest.fixture
def start(tmp_path):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "shared")])
    environment = {**os.environ, "PYTHONPATH": paths, "HOME": str(tmp_path)}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # nobody else runs code on it
    running = []

    def run(program, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)], env=environment, cwd=tmp_path, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(tmp_path / "errors").open("a"),
        )  # fmt: skip
        running.append(process)
        return process

    yield run
    for process in reversed(running):
        process.communicate(timeout=60)  # closes its standard input, which ends the cluster


def test_equal_to_one_process(start, cache, tmp_path):
    cluster = start(CLUSTER)
    address = cluster.stdout.readline().strip()
    killed = start(DRIVER, tmp_path, address)
    while not re.match(r"done [1-9]", line := killed.stdout.readline()):  # the first shard; Ray writes there too
        assert line, (tmp_path / "errors").read_text()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    second = start(DRIVER, tmp_path, address)
    lines = second.stdout.read().splitlines()
    assert lines[-1].startswith("fresh ") and 1 <= int(lines[-1].split()[1]) <= 3, "it went on from there"
    assert len(list(tmp_path.glob("death *"))) == 1, "a worker was killed meanwhile"
    pictures = Pictures(1000)
    assert equal(arrays(stored(pictures, TwoLayers(), cache)), arrays(scan(pictures, TwoLayers(), None)))


def test_no_cluster_there(start):
    program = DRIVER.replace("scanned = ", "try: scanned = ").replace(
        'print("fresh"', 'except Exception as e: print("said", e, flush=True)\nelse: print("fresh"'
    )
    assert "said error[E517]: there is no Ray cluster" in start(program, ".", "127.0.0.1:1").stdout.read()
