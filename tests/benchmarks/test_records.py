"""Which record of a processor is current: the replacement rule, on records made by hand."""

import json

import pytest

from benchmarks.harness import ROUNDS
from benchmarks.records import current, disturbances, processor_name


def record(number, cpu="AMD EPYC, AVX2", device="cpu", rounds=ROUNDS, **measured):
    fields = {"load": 0.1, "load_after": 1.9, "threads": 2, "stolen": 0.0} | measured
    return {"number": number, "machine": {"cpu": cpu, "device": device}, "rounds": rounds, **fields}


def numbers(*records):
    return [one["number"] for one in current(records)]


LOADED = {"others": 0.3}


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ({}, {}, 2),  # a later one replaces its equal
        ({}, LOADED, 1),  # a loaded one never a quiet one
        ({"rounds": 3}, LOADED, 1),  # not even one of few rounds
        (LOADED, {}, 2),
        (LOADED, {"rounds": 3}, 2),  # a quiet one of few rounds is worth more
        (LOADED, {"stolen": 0.5}, 2),  # of two loaded ones the later
        ({}, {"rounds": 3}, 1),  # of quiet ones the full one
        ({"rounds": 3}, {}, 2),
        (LOADED, {**LOADED, "rounds": 3}, 1),
    ],
)
def test_one_record_of_a_processor_is_left(first, second, left):
    assert numbers(record(1, **first), record(2, **second)) == [left]


def test_processors_and_devices_do_not_replace_each_other():
    one, two = record(1, "Intel(R) Xeon(R) Processor, AVX512"), record(2)
    assert numbers(one, two, record(3, device="H200"), record(4)) == [1, 4, 3]
    assert numbers(one, record(5, one["machine"]["cpu"], **LOADED)) == [1]
    names = [processor_name(each) for each in (one, two, record(3, device="H200"))]
    assert names == ["Intel Xeon, AVX512", "AMD EPYC, AVX2", "AMD EPYC, AVX2, H200"]


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ({}, ()),
        ({"others": 0.05}, ()),
        ({"others": 0.06}, ("6% of the processors' time went to other processes",)),
        ({"stolen": 0.02}, ()),
        ({"stolen": 0.03, "others": 0.0}, ("3% of the processors' time went to other machines",)),
        ({"load": 2.5}, ()),  # what ran before may have been ours
        ({"load": 3.2, "load_after": 2.1}, ("load 3.2 before and 2.1 after, with 2 threads",)),
        ({"load": 3.2, "others": 0.0}, ()),  # measured: what was before is over
    ],
)
def test_what_makes_a_record_a_loaded_one(measured, words):
    assert disturbances(record(1, **measured)) == words


def test_the_quality_of_icons_is_that_of_the_last_record(tmp_path, monkeypatch):
    from benchmarks import quality

    def way(objective, distance):
        sizes = {"objective_128": objective + 1, "objective_224": objective - 1, "objective": objective}
        return {"all": {"units": 31, **sizes, "times_99th_percentile": objective / 2, "distance": distance}}

    where = {"photographs": 100, "photographs_distance": 0.4, "date": "today", "commit": "abc", "changed": False}
    records = [
        {"bbilang": way(9, 0.1), "lucent": way(3, 0.2), **where},
        {"bbilang": way(4, 0.6), "lucent": way(5, 0.5), **where},
        {"bbilang": way(7, 0.1), **where},  # without the peer's
    ]
    monkeypatch.setattr(quality, "RESULTS", tmp_path / "lines.jsonl")
    assert quality.last_record() is None
    quality.RESULTS.write_text("".join(json.dumps(record) + "\n" for record in records))
    last = quality.last_record()
    assert last == records[1]
    assert [reached for _, _, reached in quality.verdicts(last)] == [False, False, False]
    assert [reached for _, _, reached in quality.verdicts(records[0])] == [True, True, True]
    text = "\n".join(quality.section(last))
    assert "| bbilang | 5.00 | 3.00 | 4.00 | 2.0 | 0.600 |" in text and "0.80 of it **(not reached)**" in text
