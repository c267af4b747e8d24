"""Units in processes of this machine: each is computed once, whatever becomes of a worker."""

import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from tiny_tasks import Squares

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.workers.choose import pool_of
from bbilang.runtime.workers.cluster import Cluster
from bbilang.runtime.workers.processes import Processes

ROOT = Path(__file__).parents[2]
EXPECTED = {number: number**2 for number in range(12)}


def workers(folder):
    return [int(path.name.split()[1]) for path in folder.glob("worker *")]


def lives(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2][:3]


def test_every_unit_once(tmp_path, capfd):
    results = list(Processes(2).run(Squares(tmp_path), range(12)))
    assert sorted(results) == sorted(EXPECTED.items())
    assert 1 <= len(workers(tmp_path)) <= 2 and os.getpid() not in workers(tmp_path)
    assert not any(lives(process) for process in workers(tmp_path))
    assert capfd.readouterr().out == ""


def test_worker_that_is_killed_costs_its_unit(tmp_path):
    results = list(Processes(2).run(Squares(tmp_path, dies=5, times=2), range(12)))
    assert sorted(results) == sorted(EXPECTED.items())
    assert len(list(tmp_path.glob("death *"))) == 2


def test_unit_that_kills_its_workers(tmp_path):
    with pytest.raises(BbiError) as raised:
        list(Processes(1).run(Squares(tmp_path, dies=1, times=99), range(3)))
    assert raised.value.diagnostics[0].code == "E518" and "signal 9" in raised.value.diagnostics[0].message


def test_errors_of_a_task_are_raised_here(tmp_path):
    with pytest.raises(RuntimeError, match="ZeroDivisionError: no unit"):
        list(Processes(1).run(Squares(tmp_path, fails=2), range(3)))
    with pytest.raises(BbiError) as raised:
        list(Processes(1).run(Squares(tmp_path, refuses=2), range(3)))
    assert raised.value.diagnostics[0].code == "E504" and raised.value.diagnostics[0].help == "take less"


def test_what_cannot_be_sent(tmp_path):
    class Local(Squares):
        pass

    with pytest.raises(BbiError) as raised:
        list(Processes(1).run(Local(tmp_path), range(3)))
    assert raised.value.diagnostics[0].code == "E517"


def test_what_a_worker_cannot_import(tmp_path, monkeypatch):
    """As what a script or a notebook defines."""
    here = types.ModuleType("only_here")
    exec("class Script:\n    def start(self): return abs", here.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", here)
    with pytest.raises(BbiError) as raised:
        list(Processes(1).run(here.Script(), range(3)))
    assert raised.value.diagnostics[0].code == "E517" and "only_here" in raised.value.diagnostics[0].message


def test_no_worker_outlives_a_run_that_is_left(tmp_path):
    for _unit, _ in Processes(2).run(Squares(tmp_path), range(12)):
        break
    assert workers(tmp_path) and not any(lives(process) for process in workers(tmp_path))


def test_workers_are_kept_for_another_task(tmp_path):
    pool = Processes(2)
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for folder in (one, two, three):
        folder.mkdir()
    with pool.kept():
        assert sorted(pool.run(Squares(one), range(12))) == sorted(EXPECTED.items())
        there = set(workers(one))
        assert there and all(lives(process) for process in there)
        os.kill(next(iter(there)), signal.SIGKILL)  # one that waits: another takes its place
        assert sorted(pool.run(Squares(two), range(12))) == sorted(EXPECTED.items())
        assert set(workers(two)) & there or len(there) == 1
        with pytest.raises(RuntimeError, match="no unit"):
            list(pool.run(Squares(three, fails=2), range(3)))
        assert not any(lives(process) for process in workers(three))
    assert not any(lives(process) for folder in (one, two, three) for process in workers(folder))


def test_no_worker_outlives_its_driver(tmp_path):
    program = (
        "import sys, time, pathlib\nfrom tiny_tasks import Squares\n"
        "from bbilang.runtime.workers.processes import Processes\n"
        "for _ in Processes(1).run(Squares(pathlib.Path(sys.argv[1])), range(10**6)): print(flush=True)"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "shared")])
    command = [sys.executable, "-c", program, str(tmp_path)]
    driver = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE)
    driver.stdout.readline()
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    until = time.monotonic() + 20
    while any(lives(process) for process in workers(tmp_path)) and time.monotonic() < until:
        time.sleep(0.05)
    assert workers(tmp_path) and not any(lives(process) for process in workers(tmp_path))


def test_options_name_workers():
    assert pool_of(None, None) is None
    assert pool_of(3, None).count == 3
    cluster = pool_of(4, "auto")
    assert isinstance(cluster, Cluster) and (cluster.address, cluster.count) == ("auto", 4)
    with pytest.raises(BbiError) as raised:
        pool_of(0, None)
    assert raised.value.diagnostics[0].code == "E440"


def test_ray_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BbiError) as raised:
        list(pool_of(None, "auto").run(Squares(tmp_path), range(2)))
    assert raised.value.diagnostics[0].code == "E903" and "bbilang[ray]" in raised.value.diagnostics[0].help
