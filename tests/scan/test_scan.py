"""A scan gives what a full dump of activations gives, and computes nothing twice."""

import os

import numpy as np
import pytest
from PIL import Image
from tiny_scan import Pictures, TwoLayers, _png, arrays, equal

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.source import FileSource
from bbilang.runtime.scan import batch_size, shards
from bbilang.runtime.scan.scan import scan, stored
from bbilang.runtime.scan.summary import NAMES, _extremes, summary


def dump(pictures, layer):
    """Every activation of a layer, (example, channel, position), one picture at a time."""
    import torch

    work = TwoLayers()
    rows = []
    with torch.inference_mode():
        for number in range(len(pictures)):
            image = torch.from_numpy(work.prepare(pictures.picture(number)))[None]
            low = work.low(image).relu()
            rows.append((low if layer == "low" else work.high(low)).flatten(2).numpy()[0])
    return np.stack(rows)


def twin(activation):
    """The summary of (example, channel, position), said plainly."""
    return {
        "max": activation.max(-1), "argmax": activation.argmax(-1), "min": activation.min(-1),
        "argmin": activation.argmin(-1), "mean": activation.mean(-1), "norm": np.sqrt((activation**2).sum(-1)),
        "above": (activation > 0).mean(-1),
    }  # fmt: skip


def code_of(raised):
    return raised.value.diagnostics[0].code


def test_equal_to_a_full_dump(pictures, cache):
    scanned = scan(pictures, TwoLayers(), cache)
    assert (scanned.fresh, scanned.recalled) == (3, 0)
    assert scanned.rows.tolist() == list(range(600)) and not scanned.unreadable
    for layer in ("low", "high"):
        assert scanned.names(layer) == NAMES
        expected = twin(dump(pictures, layer))
        for name in NAMES:
            value = scanned.array(layer, name)
            assert value.dtype == (np.int32 if name.startswith("arg") else np.float32)
            assert np.concatenate(list(scanned.stream(layer, name))).tobytes() == value.tobytes()
            if name.startswith("arg"):  # batches round otherwise than single pictures: two values may be as close
                assert (value == expected[name]).mean() > 0.999
            else:
                np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


def test_summary_names_the_first_of_equal_positions():
    """Clamped activations tie in nine of ten channels. Every way: NumPy's on the CPU, torch's where the channels are
    side by side, and elsewhere."""
    import torch

    values = torch.randn(5, 7, 4, 9).clamp(-0.5, 0.5)
    expected = twin(values.flatten(2).numpy())
    own, elsewhere = summary(values), _extremes(values.flatten(2))
    last = summary(values.contiguous(memory_format=torch.channels_last))
    for name in ("max", "argmax", "min", "argmin"):
        for made in (own, elsewhere, last):
            assert (made[name] == expected[name]).all()
    for name in ("mean", "norm", "above"):
        np.testing.assert_allclose(last[name], expected[name], rtol=1e-5, atol=1e-6)
    values[2, 3, 1, 1] = torch.nan
    last = summary(values.contiguous(memory_format=torch.channels_last))
    for name in ("max", "min", "mean", "norm"):
        assert np.argwhere(np.isnan(last[name])).tolist() == [[2, 3]]
    assert (own["above"] == expected["above"].astype(np.float32)).all()
    assert summary(torch.ones(2, 3))["argmax"].tolist() == [[0] * 3] * 2  # a layer without positions


def test_nothing_is_computed_twice(pictures, cache):
    first = scan(pictures, TwoLayers(), cache)
    work = TwoLayers()
    pictures.decoded.clear()
    again = scan(pictures, work, Cache(cache.folder))
    assert not work.runs and not pictures.decoded
    assert (again.fresh, again.recalled) == (0, 3)
    assert equal(arrays(again), arrays(first))
    assert equal(arrays(stored(pictures, work, cache)), arrays(first))


def test_another_layer_costs_that_layer(pictures, cache):
    scan(pictures, TwoLayers("low"), cache)
    assert stored(pictures, TwoLayers(), cache) is None
    work = TwoLayers()
    both = scan(pictures, work, cache)
    assert {wanted for _, wanted in work.runs} == {("high",)}
    assert equal(arrays(both), arrays(scan(pictures, TwoLayers(), None)))


def test_changed_picture_costs_its_shard(pictures, cache):
    before = arrays(scan(pictures, TwoLayers(), cache))
    pictures.put(300, Image.new("RGB", (8, 8), "red"))
    pictures.decoded.clear()
    after = scan(pictures, TwoLayers(), cache)
    assert sorted(pictures.decoded) == list(range(256, 512)) and (after.fresh, after.recalled) == (1, 2)
    assert equal(arrays(after), arrays(scan(pictures, TwoLayers(), None)))
    changed = np.flatnonzero((after.array("low", "max") != before["low", "max"]).any(1))
    assert changed.tolist() == [300]


def test_files_that_did_not_change_are_not_read_again(pictures, cache, tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(pictures.files[:300]):
        (folder / name).write_bytes(pictures.data[number])
        os.utime(folder / name, (10**9 + number, 10**9 + number))
    read, usual = [], FileSource.read
    monkeypatch.setattr(FileSource, "read", lambda source, number: read.append(number) or usual(source, number))

    def scanned():
        read.clear()
        dataset = open_dataset("photos", tmp_path, store=cache)
        made = scan(dataset, TwoLayers(), cache)
        dataset.keep()
        return made.fresh

    assert scanned() == 2 and set(read) == set(range(300))
    assert scanned() == 0 and not read
    (folder / pictures.files[280]).write_bytes(_png(Image.new("RGB", (8, 8), "red")))
    os.utime(folder / pictures.files[280], (10**9, 10**9))
    assert scanned() == 1 and set(read) == set(range(256, 300))
    os.utime(folder / pictures.files[0])  # it may change again within the same tick
    for expected in (list(range(256)), [0]):
        assert scanned() == 0 and sorted(read) == expected


def test_batches_are_of_one_size_and_stay_within_a_shard(pictures):
    work = TwoLayers()
    scan(pictures, work, None, batch=48)
    assert {count for count, _ in work.runs} == {48}
    assert len(work.runs) == 2 * 6 + 2  # 256 = 5 x 48 + 16, and 88 = 48 + 40


def test_unreadable_pictures_are_left_out_and_named(pictures, cache):
    pictures.data[0] = pictures.data[599] = b"no picture"
    pictures.data[299] = None
    pictures.data[255] = pictures.data[255][:100]  # cut short
    scanned = scan(pictures, TwoLayers(), cache)
    assert [one.name for one in scanned.unreadable] == ["00000.png", "00255.png", "00299.png", "00599.png"]
    assert scanned.unreadable[2].reason == "it is not there any more"
    assert all(
        "identify" in one.reason or "truncated" in one.reason or "there" in one.reason for one in scanned.unreadable
    )
    assert len(scanned.rows) == 596 and 299 not in scanned.rows
    again = stored(pictures, TwoLayers(), cache)
    assert list(map(str, again.unreadable)) == list(map(str, scanned.unreadable))
    assert equal(arrays(again), arrays(scanned))
    readable = Pictures(0)
    readable.data = [file for number, file in enumerate(pictures.data) if number in scanned.rows]
    np.testing.assert_allclose(scanned.array("low", "max"), scan(readable, TwoLayers(), None).array("low", "max"), 1e-5)


def test_nothing_readable():
    pictures = Pictures(3)
    pictures.data = [b""] * 3
    with pytest.raises(BbiError) as raised:
        scan(pictures, TwoLayers(), None)
    assert code_of(raised) == "E452"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_are_left_out(pictures, cache, value):
    for number in (7, 300):
        pictures.put(number, Image.new("RGB", (8, 8)))
    scanned = scan(pictures, TwoLayers(spoil=value), cache)
    assert scanned.nonfinite == {"low": 2, "high": 2}
    for layer in ("low", "high"):
        fine = scanned.finite(layer)
        assert np.flatnonzero(~fine).tolist() == [7, 300]
        plain = scan(pictures, TwoLayers(), None)
        for name in NAMES:
            value = scanned.array(layer, name)
            assert (value[~fine] == -1).all() if name.startswith("arg") else np.isnan(value[~fine]).all()
            assert value[fine].tobytes() == plain.array(layer, name)[fine].tobytes()


def test_pictures_of_several_shapes_are_refused(pictures):
    pictures.put(20, Image.new("RGB", (9, 9)))
    with pytest.raises(BbiError) as raised:
        scan(pictures, TwoLayers(), None)
    assert code_of(raised) == "E418" and "example 20" in str(raised.value)


def test_grey_and_transparent_pictures_are_converted(pictures):
    pictures.put(20, Image.new("L", (8, 8), 90))
    pictures.put(21, Image.new("RGBA", (8, 8), (90, 90, 90, 10)))
    scanned = scan(pictures, TwoLayers(), None)
    assert (scanned.array("low", "max")[20] == scanned.array("low", "max")[21]).all()


def test_damaged_shard_is_computed_again(pictures, cache):
    scanned = scan(pictures, TwoLayers(), cache)
    before = arrays(scanned)
    (victim, other) = (scanned._heads["low"][n].key for n in (0, 1))
    path = cache._path(victim)
    path.write_bytes(path.read_bytes()[:-1])  # cut short
    assert scan(pictures, TwoLayers(), cache).fresh == 1
    data = bytearray(cache._path(other).read_bytes())
    data[-1] ^= 1
    cache._path(other).write_bytes(data)
    with pytest.raises(BbiError) as raised:
        arrays(scan(pictures, TwoLayers(), cache))
    assert code_of(raised) == "E449"
    assert equal(arrays(scan(pictures, TwoLayers(), cache)), before)


def test_batch_size_is_chosen_once(cache, monkeypatch):
    """By a short trial for a large dataset; then it is remembered, since shards depend on it."""
    pictures = Pictures(40)
    monkeypatch.setattr(batch_size, "FEWEST", 40)
    assert stored(pictures, TwoLayers(), cache) is None
    work = TwoLayers()
    first = scan(pictures, work, cache)
    tried = [count for count, _ in work.runs]
    assert tried[:3] == [8, 8, 16] and first.batch in batch_size.SIZES
    monkeypatch.setattr(batch_size, "choose", None)
    assert scan(pictures, TwoLayers(), cache).batch == first.batch
    assert stored(pictures, TwoLayers(), cache).recalled == 1
    assert scan(Pictures(39), TwoLayers(), cache).batch == batch_size.USUAL


def test_events_say_how_fast(pictures, cache):
    events = []
    scan(pictures, TwoLayers(), cache, listener=events.append)
    assert {event.words for event in events} == {"scanning pictures"} and {event.total for event in events} == {600}
    done = [event.done for event in events]
    assert done == sorted(done) and done[0] == 0 and done[-1] == 600
    assert events[-1].rate > 0 and events[-1].seconds == 0
    pictures.data[-1] = pictures.data[0]
    scan(pictures, TwoLayers(), cache, listener=(later := []).append)
    assert later[0].done == 512 and later[-1].done == 600


def test_ranges_of_shards():
    assert [len(one) for one in shards.ranges(600)] == [256, 256, 88]
    assert list(shards.ranges(0)) == []


def test_bbi_cache_counts_shards(pictures, tmp_path, monkeypatch, capsys):
    from bbilang.cli.app import main

    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "cache"))
    scan(pictures, TwoLayers(), Cache())
    assert main(["cache"]) == 0
    assert "6 shards of scanned datasets" in capsys.readouterr().out


class Maps(TwoLayers):
    """Keeps whole maps, of which each example has a checksum of its own."""

    def batch(self, images, wanted, numbers=()):
        maps = np.repeat(images.numpy().astype(np.float32), 1024, 1)  # 786 kB an example
        return {part: {"maps": maps, "mean": maps.mean((1, 2, 3))} for part in wanted}


def test_some_examples_of_large_arrays_are_read_without_the_others(cache, monkeypatch):
    pictures = Pictures(20)
    scanned = scan(pictures, Maps("low"), cache)
    whole, mean = scanned.array("low", "maps"), scanned.array("low", "mean")
    wanted = np.zeros(20, bool)
    wanted[[0, 1, 2, 7, 19]] = True
    usual, read = cache.piece, []

    def piece(key, at, count):
        read.append(count)
        return usual(key, at, count)

    monkeypatch.setattr(type(cache), "piece", lambda self, *given: piece(*given))
    (some,) = scanned.stream("low", "maps", wanted)
    assert some.tobytes() == whole[wanted].tobytes()
    assert read == [3 * whole[0].nbytes, whole[0].nbytes, whole[0].nbytes]
    (some,) = scanned.stream("low", "mean", wanted)
    assert some.tolist() == mean[wanted].tolist()
    assert not list(scanned.stream("low", "maps", np.zeros(20, bool)))
    (path,) = [path for path in cache.folder.rglob("*") if path.is_file() and path.stat().st_size > whole.nbytes]
    with path.open("r+b") as file:
        file.seek(-whole.nbytes // 2 - mean.nbytes, os.SEEK_END)  # in the maps of example 10
        file.write(b"damaged")
    assert [len(one) for one in scanned.stream("low", "maps", wanted)] == [5]
    with pytest.raises(BbiError) as raised:
        list(scanned.stream("low", "maps", ~wanted))
    assert code_of(raised) == "E449" and not cache.keys()
