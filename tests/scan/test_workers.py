"""Shards computed by worker processes are those of one process, to the bit, whoever is killed meanwhile."""

from tiny_scan import Pictures, TwoLayers, arrays, equal
from tiny_tasks import Mortal

from bbilang.runtime.scan.scan import scan, stored
from bbilang.runtime.workers.processes import Processes


def test_equal_to_one_process_with_workers_killed(cache, tmp_path):
    pictures = Pictures(1000)
    expected = arrays(scan(pictures, TwoLayers(), None))
    events = []
    work = TwoLayers()
    pool, recipe = Processes(2, threads=1), Mortal(tmp_path, (5, 20))
    scanned = scan(pictures, work, cache, pool=pool, recipe=recipe, listener=events.append)
    assert len(list(tmp_path.glob("death *"))) == 2
    assert equal(arrays(scanned), expected) and scanned.fresh == 4
    assert events[0].done == 0 and events[-1].done == 1000
    assert len(work.runs) == 1, "this process runs one batch, to see whether all of them will fit"
    assert equal(arrays(stored(pictures, work, cache)), expected)
