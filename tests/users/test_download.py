"""`--weights download`: a weights file from its known address, through every failure. Only this machine is
contacted."""

import errno
import hashlib
import json
import shutil
import threading
from collections import namedtuple

import pytest
import torch
from brings import brings
from weightserver import serving

from bbilang.cli.app import main
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime.models.loading import load
from bbilang.runtime.models.registry import MODELS
from bbilang.runtime.models.weights import download as transfer
from bbilang.runtime.models.weights.fetch import fetch
from bbilang.runtime.models.weights.remote_files import MIRROR, Remote
from bbilang.runtime.models.zoo import inceptionv1

CONTENT = bytes(range(256)) * 800
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def own(monkeypatch, tmp_path):
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", MIRROR):
        monkeypatch.delenv(name, raising=False)


def remote(server, **options):
    return Remote("w.pth", f"{server.address}/w.pth", **options)


def got(server, progress=None, pin=None, check=lambda path: None, **options):
    path, receipt = fetch(remote(server, **options), check, "a model", progress, pin)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == receipt.sha256
    assert not list(path.parent.glob("*.part*")) and not list(path.parent.glob(".new-*"))
    return receipt


def refused(code, act):
    with pytest.raises(BbiError) as caught:
        act()
    [diagnostic] = caught.value.diagnostics
    words = f"{diagnostic.message} / {diagnostic.help}"
    assert diagnostic.code == code, words
    assert "\n" not in words
    return words


def test_fetched_once_and_told_of():
    events = []
    with serving(CONTENT, "slow") as server:
        assert got(server, events.append).sha256 == HASH
        assert got(server).sha256 == HASH
        assert server.asked == [None]  # the second time nothing was asked
    assert {event.kind for event in events} == {"work"}
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert events[-1].total == len(CONTENT) and "fetching w.pth" in events[-1].words
    assert remote(server).remembered().bytes == len(CONTENT)


@brings("Weights", "a download that is interrupted, slow or redirected", "works: it resumes")
def test_broken_off_again_and_again():
    with serving(CONTENT, "break", "500", "break", "redirect", "break") as server:
        got(server)
        half, more = len(CONTENT) // 2, len(CONTENT) // 4
        assert server.asked[:3] == [None, f"bytes={half}-", f"bytes={half}-"]
        assert server.asked[-1] == f"bytes={half + more + (len(CONTENT) - half - more) // 2}-"
        assert "/elsewhere" in server.paths


def test_the_next_call_goes_on(monkeypatch):
    monkeypatch.setattr(transfer, "TRIES", 1)
    with serving(CONTENT, "break") as server:
        words = refused("E419", lambda: got(server))
        assert "broke off at 102.4 kB" in words or "broke off at 0.1 MB" in words, words
        got(server)
        assert server.asked == [None, f"bytes={len(CONTENT) // 2}-"]


@brings(
    "Weights", "a file that changes on the server between two parts of a download", "works: the download starts again"
)
def test_changed_between_tries():
    with serving(b"old" * 50_000, "break") as server:

        def change(event):
            server.content, server.etag = CONTENT, '"2"'

        got(server, change)
    assert remote(server).remembered().sha256 == HASH


@pytest.mark.parametrize("etag", ["", 'W/"1"'])
def test_without_a_version_it_begins_anew(etag):
    with serving(CONTENT, "break", etag=etag) as server:
        got(server)
        assert server.asked == [None, None]


def test_another_part_than_asked_for():
    with serving(CONTENT, "break", "wrong part") as server:
        got(server)
        assert server.asked[-1] is None


def test_what_lies_there_and_is_too_long():
    with serving(CONTENT) as server:
        path = remote(server).path
        path.parent.mkdir(parents=True)
        part = transfer.Part(path.with_name("w.pth.part"), f"{server.address}/w.pth")
        part.begin('"1"')
        part.path.write_bytes(CONTENT + b"more")
        got(server)
        assert server.asked == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_server_that_stalls(monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.3)
    with serving(CONTENT, "stall") as server:
        got(server)
        assert server.asked[-1] == f"bytes={len(CONTENT) // 2}-"


@brings("Weights", "a download that is an HTML page, too large, or not the same file as before", "refused with E445")
def test_what_is_not_the_file():
    with serving(CONTENT, "html") as server:
        assert "an HTML page" in refused("E445", lambda: got(server))
    with serving(CONTENT) as server:
        assert "at most" in refused("E445", lambda: got(server, limit=1000))
    with serving(CONTENT, "chunked") as server:
        assert "goes on beyond" in refused("E445", lambda: got(server, limit=100_000))
    with serving(CONTENT) as server:
        assert f"not the published {'0' * 8}..." in refused("E445", lambda: got(server, digits="0" * 8))
        assert f"not the pinned {'1' * 64}" in refused("E445", lambda: got(server, pin="1" * 64))
        assert got(server, pin=HASH, digits=HASH[:8]).sha256 == HASH
        assert HASH in refused("E445", lambda: got(server, pin="1" * 64))  # what lies here is no other
    with serving(b"other") as server:
        remote(server).path.unlink()
        words = refused("E445", lambda: got(server))
        assert f"not the remembered {HASH}" in words and "delete" in words
        assert not remote(server).path.exists()


def test_a_stored_file_that_was_changed_is_downloaded_again():
    with serving(CONTENT) as server:
        got(server)
        remote(server).path.write_bytes(b"damaged")
        assert got(server).sha256 == HASH


def test_a_file_that_does_not_fit_the_model_is_neither_stored_nor_remembered():
    def check(path):
        raise BbiError(Diagnostic("E404", f"{path.name} does not fit"))

    with serving(CONTENT) as server:
        assert "w.pth does not fit" in refused("E445", lambda: got(server, check=check))
        assert remote(server).remembered() is None and not remote(server).path.exists()


@brings(
    "Weights",
    "`--weights download` without an internet connection",
    "refused with E419, which says where to get the file",
)
def test_no_network_and_no_file(monkeypatch):
    with serving(CONTENT, "404", "500", "500", "500", "500") as server:
        assert "404" in refused("E419", lambda: got(server))
        assert "500" in refused("E419", lambda: got(server))
        assert len(server.asked) == 5
    words = refused("E419", lambda: got(server))
    assert f"from {server.address}/w.pth" in words and "`--weights w.pth`" in words and "refused" in words
    monkeypatch.setenv(MIRROR, "file:///etc")
    assert "only http" in refused("E419", lambda: got(server))


def test_no_room(monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    with serving(CONTENT) as server:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda folder: Usage(10, 9, 1))
            assert "the disk is full" in refused("E431", lambda: got(server))

        def full(file, *rest, **named):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(transfer, "_copied", full)
            assert "the disk is full" in refused("E431", lambda: got(server))
        got(server)


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "file"))
    with serving(CONTENT) as server:
        assert "BBI_CACHE_DIR" in refused("E431", lambda: got(server))


def test_interrupted_and_resumed():
    def interrupt(event):
        if event.done > len(CONTENT) // 3:
            raise KeyboardInterrupt

    with serving(CONTENT, "slow") as server:
        with pytest.raises(KeyboardInterrupt, match="are stored; the same command resumes"):
            got(server, interrupt)
        got(server)
        assert server.asked[1] is not None


def test_two_at_once():
    receipts = []
    with serving(CONTENT, "slow") as server:
        threads = [threading.Thread(target=lambda: receipts.append(got(server))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(receipts) == 2 and server.asked == [None]


def test_by_way_of_a_proxy(monkeypatch):
    with serving(CONTENT) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.setenv(MIRROR, "http://mirror.invalid/weights/")
        got(proxy)
        assert proxy.paths == ["http://mirror.invalid/weights/w.pth"]


# --- the command line -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """A file of random weights under the names of the known port, with an auxiliary classifier as it has."""
    state = load("inceptionv1", "random", seed=5).module.state_dict()
    short = {f"{ours}.convolution": tf for tf, ours in inceptionv1.aliases().items()}
    named = {"nn0_pre_relu_matmul.weight": torch.zeros(1)}
    for name, value in state.items():
        path, kind = name.rsplit(".", 1)
        tf = short.get(path, path.removesuffix(".convolution")).removesuffix("_pre_activation")
        named[f"{tf}{'_pre_activation_matmul' if tf == 'softmax2' else '_pre_relu_conv'}.{kind}"] = value
    file = tmp_path_factory.mktemp("port") / "inception5h.pth"
    torch.save(named, file)
    return file.read_bytes(), state


CARD = "mixed4d.channel | attribute(output) | top(2) | present(featvis)"


@brings(
    "Weights",
    "`--weights download` for the article's network",
    "works: downloaded, verified, stored, and stated on the page",
)
def test_the_line_of_the_card(port, monkeypatch, tmp_path, capsys):
    content, state = port
    digest = hashlib.sha256(content).hexdigest()
    icons = ["--draft", "--set", "featvis.steps=1", "--set", "featvis.size=32", "-o", str(tmp_path / "page.html")]
    line = ["run", "-e", CARD, "--model", "inceptionv1", "--input", "sample:chelsea", "--weights", "download", *icons]
    with serving(content, "break") as server:
        monkeypatch.setenv(MIRROR, server.address)
        assert main([*line, "--sha256", "0" * 64]) == 1
        assert "E445" in capsys.readouterr().err
        assert main([*line, "--sha256", digest]) == 0
        said = capsys.readouterr()
        assert "loaded inception5h.pth: 116 tensors; fetched from 127.0.0.1" in said.err and digest in said.err
        assert server.paths[-1] == "/inception5h.pth"
        count = len(server.asked)
        assert main(line) == 0 and len(server.asked) == count
        assert digest in capsys.readouterr().err
    assert digest in (tmp_path / "page.html").read_text(encoding="utf-8")
    adapter = load("inceptionv1", "download")  # without the server
    assert all(torch.equal(value, state[name]) for name, value in adapter.module.state_dict().items())
    assert main(["models"]) == 0
    assert digest in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    [entry] = [m for m in json.loads(capsys.readouterr().out) if m["name"] == "inceptionv1"]
    assert entry["download"]["sha256"] == digest


def test_fetched_ahead(port, monkeypatch, capsys):
    content, _ = port
    with serving(content) as server:
        monkeypatch.setenv(MIRROR, server.address)
        assert main(["models", "fetch", "inceptionv1"]) == 0
        assert "inception5h.pth" in capsys.readouterr().out
        assert main(["models", "fetch", "googlenet"]) == 1
        assert "not the published 1378be20..." in capsys.readouterr().err
    assert main(["models", "fetch", "efficientnet_lite0"]) == 1
    assert "E446" in capsys.readouterr().err
    assert main(["models", "fetch", "inceptionv1", "--sha256", "12"]) == 2


def test_nothing_is_fetched_without_the_word(monkeypatch, capsys, tmp_path):
    with serving(CONTENT) as server:
        monkeypatch.setenv(MIRROR, server.address)
        line = ["run", "-e", "input | present(image)", "--model", "inceptionv1", "--input", "sample:chelsea"]
        assert main(line) == 1
        assert "E402" in (said := capsys.readouterr().err) and "`--weights download`" in said
        assert (
            main(["run", "-e", 'model inceptionv1 from "download"\ninput "sample:chelsea"\ninput | present(image)'])
            == 1
        )
        assert "E446" in capsys.readouterr().err
        assert main(["models"]) == 0
        assert main([*line, "--sha256", HASH]) == 2
        assert server.asked == []


def test_a_pin_holds_for_a_file_too(port, tmp_path, capsys, monkeypatch):
    file = tmp_path / "w.pth"
    file.write_bytes(port[0])
    line = ["run", "-e", "input | present(image)", "--model", "inceptionv1", "--input", "sample:chelsea",
            "-o", str(tmp_path / "p.html"), "--weights", str(file), "--sha256"]  # fmt: skip
    assert main([*line, "0" * 64]) == 1
    assert "E445" in capsys.readouterr().err
    assert main([*line, hashlib.sha256(port[0]).hexdigest()]) == 0


def test_known_addresses():
    known = {name: entry.remote for name, entry in MODELS.items() if entry.remote is not None}
    assert set(known) == {"inceptionv1", "googlenet"}
    assert all(remote.address.startswith("https://") for remote in known.values())
    assert known["googlenet"].file == f"googlenet-{known['googlenet'].digits}.pth"  # torchvision's way to name it
