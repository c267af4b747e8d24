"""`Limits`: one object that every front door takes, compared before the work where the plan knows, else during it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

import bbilang
from bbilang.cli.app import main
from bbilang.compiler.plan.limits import NAMES, limits_of
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.watch import Overtime, Watch, _ended_after
from bbilang.texts import read

TEXT = '"2".channel | attribute(output) | top(3) | present(bars)'
ICONS = '"2".channel | attribute(output) | top(3) | present(featvis)'


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4),
    )  # fmt: skip


def refused(network, text: str = TEXT, settings: dict[str, object] | None = None, **limits: float):
    picture, allowed = torch.rand(3, 32, 32), bbilang.Limits(**limits)
    with pytest.raises(bbilang.BbiError) as caught:
        page = bbilang.run(text, model=network, input=picture, cache=False, settings=settings, limits=allowed)
        page.html()
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def test_what_the_plan_knows_is_compared_before_the_network_runs(network):
    ran = []
    handle = network.register_forward_pre_hook(lambda *_: ran.append(1))
    try:
        ran.clear()
        adapter = bbilang.adapt(network, input_size=(32, 32))
        before = len(ran)
        diagnostic = refused(adapter, passes=1)
        assert diagnostic.code == "E380" and "and 1 are allowed" in diagnostic.message and diagnostic.span is not None
        assert refused(adapter, memory=10).code == "E382"
        assert len(ran) == before, "nothing ran"
    finally:
        handle.remove()
    states = 'photo = input | present(image)\ncell = hover("2".spatial)\n'
    states += '"2".neuron | attribute(output) | at(cell) | top(3) | present(bars)'
    diagnostic = refused(network, states, states=1000)
    assert diagnostic.code == "E381" and "1,024 states" in diagnostic.message
    assert states[diagnostic.span.start : diagnostic.span.end].startswith('"2".neuron')


def test_an_icon_costs_two_passes_a_step(network):
    settings = {"featvis.steps": 4, "featvis.size": 32}
    needed = 3 * 4 * 2
    diagnostic = refused(network, ICONS, settings, passes=needed)
    assert diagnostic.code == "E380" and f"{needed} of them are for icons" in diagnostic.help
    enough = bbilang.Limits(passes=needed + 10)
    bbilang.run(ICONS, model=network, input=torch.rand(3, 32, 32), cache=False, settings=settings, limits=enough)


def test_time_ends_a_run_wherever_it_is(network):
    """Within the icons of one batch, which take far longer than allowed."""
    start = time.monotonic()
    diagnostic = refused(network, ICONS, {"featvis.steps": 20_000}, seconds=1.5)
    assert diagnostic.code == "E587" and ICONS[diagnostic.span.start : diagnostic.span.end] == ICONS
    assert time.monotonic() - start < 120, "20,000 steps take many minutes"


def test_memory_and_size_are_watched(network):
    assert refused(network, "input | present(image)", page=1000).code == "E589"
    watch = Watch(bbilang.Limits(memory=1), None, lambda kind: None, None)
    with pytest.raises(bbilang.BbiError) as caught, watch.within():
        kept = bytearray(50 * 2**20)
        kept[:: 2**12] = b"1" * len(kept[:: 2**12])  # the pages are used, so that they count
    assert caught.value.diagnostics[0].code == "E588"


def test_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("page.bbi").write_text('input "sample:chelsea"\ninput | present(image)\n')
    for limit in ("page=1kB", "seconds=0.001"):
        assert main(["run", "page.bbi", "--limit", limit, "--no-cache", "--quiet"]) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["page.bbi"]
    capsys.readouterr()
    assert main(["run", "page.bbi", "--limit", "page=5MB", "--limit", "seconds=600", "--quiet"]) == 0
    assert main(["run", "page.bbi", "--limit", "page=1kB", "--quiet"]) == 1, "a page from the cache is compared, too"
    Path("page.bbi").write_text('input "sample:chelsea"\nhead.channel | attribute(output) | top(3) | present(bars)\n')
    for command in (["explain", "page.bbi"], ["complete", "page.bbi", "--run", "1"]):
        assert main([*command, "--limit", "passes=1"]) == 1
        assert "E380" in capsys.readouterr().err


def test_limits_are_numbers_above_zero(capsys):
    assert limits_of({"memory": "2GB", "page": "5 MB".replace(" ", ""), "seconds": "1.5", "passes": "1_000"}) == (
        bbilang.Limits(memory=2 * 10**9, page=5 * 10**6, seconds=1.5, passes=1000)
    )
    for wrong in ({"second": 1}, {"seconds": "nan"}, {"seconds": "x"}, {"states": 0}, {"page": "5PB"}, {"passes": -1}):
        with pytest.raises(bbilang.BbiError) as caught:
            limits_of(wrong)
        assert caught.value.diagnostics[0].code == "E433"
    assert main(["run", "-e", "input | present(image)", "--limit", "second=1"]) == 2
    with pytest.raises(bbilang.BbiError) as caught:
        bbilang.run("input | present(image)", input="sample:chelsea", limits=60)
    assert caught.value.diagnostics[0].code == "E423"
    assert not bbilang.Limits() and all(getattr(bbilang.Limits.strangers(), name) for name in NAMES)


def test_a_timer_that_is_late_ends_nothing():
    """What ends in time is left alone, also in another thread, and also where the time is over just then."""
    results: list[str] = []

    def work() -> None:
        for _ in range(300):
            try:
                with _ended_after(0.0005):
                    time.sleep(0.0005)
            except Overtime:
                pass
        sum(range(10**5))
        results.append("whole")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert results == ["whole"]


def test_a_text_reads_nothing_outside_of_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    Image.new("RGB", (32, 32)).save("secret.png")
    Image.new("RGB", (32, 32)).save("in/fine.png")
    Path("secret.txt").write_text("a\nb\n")
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    show = "input | present(image)"
    texts = {
        f'input "../secret.png"\n{show}': "E244",
        f'input "link.png"\n{show}': "E244",
        f'input "*.png"\n{show}': "E244",  # the link is among them
        f'input "{tmp_path}/secret.png"\n{show}': "E244",
        f'model m = efficientnet_lite0 from "../secret.safetensors"\ninput "fine.png"\n{show}': "E244",
        f'set labels "../secret.txt"\ninput "fine.png"\n{show}': "E244",
        f'input "fine.png"\n{show}': "",
    }
    for text, code in texts.items():
        path = tmp_path / "in" / "page.bbi"
        path.write_text(text)
        program, diagnostics = Pipeline(Request(read(str(path)), root=tmp_path / "in")).checked
        assert [d.code for d in diagnostics] == ([code] if code else []), text
        assert (program is None) == bool(code)
    with pytest.raises(bbilang.BbiError) as caught:
        path.write_text(next(iter(texts)))
        bbilang.run(path, root="in")
    assert caught.value.diagnostics[0].code == "E244"
