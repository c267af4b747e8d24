"""Icons made by worker processes are those of one process, to the bit, whoever is killed meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from tiny_icons import RECIPE, Network, channels, objectives, same

from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.engine import estimate, visualize
from bbilang.runtime.featvis.remote import IconWorkers, units_of
from bbilang.runtime.featvis.schedule import schedule_of
from bbilang.runtime.passes import Passes
from bbilang.runtime.workers.processes import Processes

ROOT = Path(__file__).parents[2]
STEPS = schedule_of(RECIPE).steps
CHANNELS = channels()
DRIVER = """
import sys
from pathlib import Path
import torch
from tiny_icons import RECIPE, Network, channels
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.engine import visualize
from bbilang.runtime.featvis.remote import IconWorkers
from bbilang.runtime.workers.processes import Processes
folder = Path(sys.argv[1])
network = Network(folder, (int(sys.argv[2]),), driver=True)
visualize(network(), channels(), RECIPE, Cache(folder / "cache"), workers=IconWorkers(Processes(1, 1), network))
"""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_units_are_batches_and_what_is_made_together():
    units = units_of(objectives(), batch=4)
    assert sorted(len(unit.objectives) for unit in units) == [1, 1, 2, 2, 2, 3, 3, 4, 4, 4]
    by_first = {str(unit).partition(" (")[2]: unit for unit in units}
    assert [unit.number for unit in units] == list(range(len(units))) and len(by_first) > 3
    assert sorted(map(repr, (o for unit in units for o in unit.objectives))) == sorted(map(repr, objectives()))
    for unit in units:
        assert len({(o.layer, o.kind, o.pictures, o.on_pixels, o.grid) for o in unit.objectives}) == 1


def test_equal_to_one_process_with_a_worker_killed(tmp_path):
    expected = visualize(Network()(), objectives(), RECIPE)
    network, counter, told, announced = Network(tmp_path, (STEPS + 5,)), Passes(), [], []
    icons = visualize(
        Network()(), objectives(), RECIPE, Cache(tmp_path / "cache"), lambda *all: told.append(all), counter,
        lambda *all: announced.append(all), workers=IconWorkers(Processes(2, threads=1), network),
    )  # fmt: skip
    assert len(list(tmp_path.glob("death *"))) == 1
    assert same(icons, expected)
    assert announced == [(len(icons), None)] and told[-1] == (len(icons), len(icons), 0.0)
    assert counter.backwards > STEPS and counter.cached_icons == 0
    assert estimate(Network()(), objectives(), RECIPE, Cache(tmp_path / "cache")) == (0, 0.0), "workers stored them"


def test_a_killed_driver_costs_the_batch_in_progress(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "shared")])}
    command = [sys.executable, "-c", DRIVER, str(tmp_path), str(STEPS + 20)]
    assert subprocess.run(command, env=environment, timeout=120).returncode == -signal.SIGKILL
    counter, expected = Passes(), visualize(Network()(), CHANNELS, RECIPE)
    again = visualize(Network()(), CHANNELS, RECIPE, Cache(tmp_path / "cache"), counter=counter)
    assert counter.cached_icons == 4, "it had finished one batch"
    assert same(again, expected)


def test_ctrl_c_keeps_finished_icons_and_leaves_no_worker(tmp_path):
    def interrupt(objective, icon):
        signal.raise_signal(signal.SIGINT)

    workers = IconWorkers(Processes(2, threads=1), Network())
    with pytest.raises(KeyboardInterrupt) as raised:  # whose traceback holds every frame
        visualize(Network()(), CHANNELS, RECIPE, Cache(tmp_path), take=interrupt, workers=workers)
    left = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not any("bbilang.runtime.workers.worker" in words for words in left)
    assert estimate(Network()(), CHANNELS, RECIPE, Cache(tmp_path))[0] <= 16 and raised


def test_one_batch_is_made_here(tmp_path):
    icons = visualize(
        Network()(), CHANNELS[:4], RECIPE, workers=IconWorkers(Processes(2), Network(tmp_path, (1, 2), driver=True))
    )
    assert same(icons, visualize(Network()(), CHANNELS[:4], RECIPE)) and not list(tmp_path.iterdir())
