"""Scans, attributions, influences and icons on a real Ray cluster of two workers on this machine: equal to the bit,
with workers and the driver killed."""

import importlib.util
import os
import re
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_icons import RECIPE, Network, channels, same
from tiny_scan import Pictures, TwoLayers, arrays, equal

from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.engine import visualize
from bbilang.runtime.featvis.schedule import schedule_of
from bbilang.runtime.passes import Passes
from bbilang.runtime.scan.scan import scan, stored

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="without the extra `ray`: pip install ray"),
]
ROOT = Path(__file__).parents[2]
STEPS = schedule_of(RECIPE).steps
CLUSTER = """
import ray
print(ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False).address_info["gcs_address"], flush=True)
input()
"""
SCAN = """
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
ICONS = """
import os, signal, sys
from pathlib import Path
from tiny_icons import RECIPE, Network, channels
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.engine import visualize
from bbilang.runtime.featvis.remote import IconWorkers
from bbilang.runtime.passes import Passes
from bbilang.runtime.workers.cluster import Cluster
folder, address, dies, ends, counter = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:], Passes()

def take(objective, icon):
    if ends:
        os.kill(os.getpid(), signal.SIGKILL)

workers = IconWorkers(Cluster(address, 2), Network(folder, (dies,)))
visualize(
    Network()(), channels(), RECIPE, Cache(folder / "cache"), counter=counter, take=take, workers=workers,
)
print("cached", counter.cached_icons, flush=True)
"""
KEPT = """
import sys
from pathlib import Path
from tiny_tasks import Squares
from bbilang.runtime.workers.cluster import Cluster
pool = Cluster(sys.argv[2], 2)
with pool.kept():
    for name, count in (("one", 1), ("two", 8)):
        folder = Path(sys.argv[1]) / name
        folder.mkdir()
        assert sorted(pool.run(Squares(folder), range(count))) == [(n, n * n) for n in range(count)]
print("ended", flush=True)
"""
ATTRIBUTIONS = '''
import sys
from pathlib import Path
import tiny_examples
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.cache.disk import Cache
folder, address = Path(sys.argv[1]), sys.argv[2]
text = Source("""dataset some = photos | sample(24)
b.channel | attribute(output) | across(photos) | mean(example) | present(bars)
b.channel[2] | isolate(source=some) | effect(output["ant"]) | across(photos) | mean(example) | present(number)
""")
for ray in (address, None):
    data = {"photos": tiny_examples.Pictures(300, folder, dies=270 if ray else -1)}
    scans = Pipeline(Request(
        text, tiny_examples.network(), data=data, cache=Cache(folder / f"cache{ray is None}"), ray=ray,
        workers=2 if ray else None,
    )).scan()
    arrays = (one.array(part, name) for one in scans for part in one.parts for name in one.names(part))
    print("computed", sum(one.fresh for one in scans), *(array.tobytes().hex() for array in arrays))
'''

INFLUENCE = '''
import sys
from pathlib import Path
import tiny_examples, torch
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.cache.disk import Cache
folder, address = Path(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)  # as many as a worker has
text = Source("""output["ant"] | influence(photos) | present(bars)
b.channel[2] | activation | influence(photos, method=trak) | present(bars)
photos | self_influence | present(bars)
""")
picture = tiny_examples.Pictures(1)[0][0]
for ray in (address, None):
    data = {"photos": tiny_examples.Pictures(300, folder, dies=270 if ray else -1)}
    results = Pipeline(Request(
        text, tiny_examples.network(), picture, data=data, cache=Cache(folder / f"cache{ray is None}"), ray=ray,
        workers=2 if ray else None,
    )).results
    print("computed", *(field.values.data.tobytes().hex() for field in results.fields.values()))
'''


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts a program with the address of a cluster among its arguments; the cluster starts first, and ends last."""
    home = tmp_path_factory.mktemp("home")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "shared"), str(ROOT / "tests" / "compiler")])
    environment = {**os.environ, "PYTHONPATH": paths, "HOME": str(home)}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # nobody else runs code on it
    running = []

    def run(program, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)], env=environment, cwd=home, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(home / "errors").open("a"),
        )  # fmt: skip
        process.errors = home / "errors"
        running.append(process)
        return process

    yield run
    for process in reversed(running):
        process.communicate(timeout=60)  # closes its standard input, which ends the cluster


@pytest.fixture(scope="module")
def address(start):
    return start(CLUSTER).stdout.readline().strip()


def last_line(process):
    lines = process.stdout.read().splitlines()
    assert lines, process.errors.read_text()
    return lines[-1]


def test_scan(start, address, tmp_path):
    killed = start(SCAN, tmp_path, address)
    while not re.match(r"done [1-9]", line := killed.stdout.readline()):  # the first shard; Ray writes there too
        assert line, killed.errors.read_text()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    name, fresh = last_line(start(SCAN, tmp_path, address)).split()
    assert name == "fresh" and 1 <= int(fresh) <= 3, "it went on from there"
    assert len(list(tmp_path.glob("death *"))) == 1, "a worker was killed meanwhile"
    pictures = Pictures(1000)
    kept = stored(pictures, TwoLayers(), Cache(tmp_path / "cache"))
    assert equal(arrays(kept), arrays(scan(pictures, TwoLayers(), None)))


def test_icons(start, address, tmp_path):
    assert start(ICONS, tmp_path, address, STEPS + 20, "ends").wait() == -signal.SIGKILL  # after the first batch
    name, cached = last_line(start(ICONS, tmp_path, address, 20)).split()
    assert name == "cached" and 4 <= int(cached) <= 12, "it went on from there"
    assert len(list(tmp_path.glob("death *"))) == 1, "a worker was killed meanwhile"
    counter, expected = Passes(), visualize(Network()(), channels(), RECIPE)
    again = visualize(Network()(), channels(), RECIPE, Cache(tmp_path / "cache"), counter=counter)
    assert counter.backwards == 0 and same(again, expected)


def test_attributions_and_interventions(start, address, tmp_path):
    """Of a source that a first scan reads, too."""
    lines = start(ATTRIBUTIONS, tmp_path, address).stdout.read().splitlines()
    by_workers, by_one = [line for line in lines if line.startswith("computed 4 ")]  # 2 scans of 2 shards
    assert len(list(tmp_path.glob("death *"))) == 1, "a worker was killed meanwhile"
    assert by_workers == by_one and len(by_one) > 300 * 8 * 4


def test_influence(start, address, tmp_path):
    """The gradients of each example's loss are units of work, too, by any method."""
    process = start(INFLUENCE, tmp_path, address)
    lines = [line for line in process.stdout.read().splitlines() if line.startswith("computed ")]
    assert len(lines) == 2, process.errors.read_text()
    assert len(list(tmp_path.glob("death *"))) == 1, "a worker was killed meanwhile"
    assert lines[0] == lines[1] and len(lines[0]) > 3 * 300 * 8


def test_workers_are_kept_for_another_task(start, address, tmp_path):
    assert last_line(start(KEPT, tmp_path, address)) == "ended"
    one, two = ({path.name for path in (tmp_path / name).glob("worker *")} for name in ("one", "two"))
    assert len(one) == 1 and len(two | one) <= 2, "the second task has the worker of the first"


def test_no_cluster_there(start):
    program = SCAN.replace("scanned = ", "try: scanned = ").replace(
        'print("fresh"', 'except Exception as e: print("said", e, flush=True)\nelse: print("fresh"'
    )
    assert "said error[E517]: there is no Ray cluster" in start(program, ".", "127.0.0.1:1").stdout.read()
