"""The pages of a text in one process: what is recomputed, what is reused, and what is cancelled."""

import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bbilang.cli.request import CommandLine
from bbilang.grammar.source import Source
from bbilang.pipeline import Request
from bbilang.preview.build import Outdated, PageBuilder
from bbilang.preview.placeholders import placeholder
from bbilang.preview.state import Shown
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.icon import Objective
from bbilang.runtime.models import program_model

TEXT = """input "sample:coffee"
set featvis(size=16, steps=2, batch=1)
a = block4b.channel | attribute(output) | top(3) | present(bars, title="The first")
b = block4b.spatial | attribute(output) | present(heatmap, title="The second")
"""
ICONS = TEXT + "c = block4b.channel | attribute(output) | top({}) | present(featvis)\n"


class Log(Shown):
    """Keeps every state."""

    def __init__(self):
        super().__init__()
        self.states = []

    def _set(self, **changes):
        super()._set(**changes)
        self.states.append(self.state)


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "cache"))
    stale = []
    source = Source("", "page.bbi")
    line = CommandLine(Request(source, cache=Cache()), source)
    made = PageBuilder(line, Log(), lambda: bool(stale))
    made.stale = stale
    return made


@pytest.fixture
def counted(monkeypatch):
    """How often the network was loaded, and ran forward."""
    counts = {"loaded": 0, "forward": 0}

    def count(name, module, attribute):
        real = getattr(module, attribute)

        def counting(*arguments, **options):
            counts[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(module, attribute, counting)

    count("loaded", program_model, "load_for")
    count("forward", passes, "forward")
    return counts


def test_only_what_changed_is_computed(work, counted):
    Path("page.bbi").write_text(TEXT)
    assert work.page()[1] and counted == {"loaded": 1, "forward": 2}, "once as it is, once without the layer"
    first = work.shown.state
    Path("page.bbi").write_text(TEXT + "layout row(a, b)\n")
    assert work.page()[1] and counted == {"loaded": 1, "forward": 2}, "a layout costs no pass"
    assert b"layout row(a, b)" in work.shown.state.html and work.shown.state.page == first.page + 1
    assert work.page()[1] and work.shown.state.page == first.page + 1, "the same text is no new page"
    Path("page.bbi").write_text(TEXT.replace("top(3)", "top(4)"))
    assert work.page()[1] and counted == {"loaded": 1, "forward": 4}, "the network stays loaded"
    Path("page.bbi").write_text(TEXT)
    assert work.page()[1] and counted == {"loaded": 1, "forward": 4}, "what was there before is recalled"


def test_another_network_is_loaded(work, counted):
    Path("page.bbi").write_text(TEXT)
    work.page()
    Path("page.bbi").write_text(TEXT.replace("input", "set preprocess(size=240)\ninput", 1))
    assert work.page()[1] and counted["loaded"] == 2


def test_errors_are_shown_over_the_last_page(work):
    Path("page.bbi").write_text(TEXT)
    work.page()
    page = work.shown.state.page
    Path("page.bbi").write_text(TEXT.replace("block4b.spatial", "block4x.spatial"))
    words, fine = work.page()
    assert not fine and "error[E204]" in words and "--> page.bbi:4:5" in words and "^^^^^^^" in words
    state = work.shown.state
    assert state.errors == words and state.page == page and not state.busy
    Path("page.bbi").unlink()
    words, fine = work.page()
    assert not fine and "error[E441]" in words
    Path("page.bbi").write_bytes(b"\xff\xfe")
    assert "error[E441]" in work.page()[0]
    Path("page.bbi").write_text(TEXT)
    assert work.page()[1] and not work.shown.state.errors


def test_icons_come_one_after_the_other(work, monkeypatch):
    """First placeholders, then each icon, and at last the page as `bbi run` makes it."""
    monkeypatch.setattr("bbilang.runtime.featvis.engine._Clock.step", _tell_every_step)
    monkeypatch.setattr("bbilang.preview.build.SHARE", 0)
    Path("page.bbi").write_text(ICONS.format(4))
    assert work.page()[1]
    states = work.shown.states
    pages = [state for state in states if state.html]
    first, last = pages[0], pages[-1]
    assert (first.page, last.page) == (1, 2) and first.busy and not last.busy
    brought = [set(state.pictures) for state in states if state.page == 1]
    assert len(brought[-1]) >= 3 and all(a <= b for a, b in pairwise(brought))
    assert all(
        address.startswith("data:image/webp") for _, address in states[brought.index(brought[-1])].pictures.values()
    )
    import bbilang

    whole = bbilang.run(Source(ICONS.format(4), "page.bbi"), cache=False).html()
    assert _pictures(whole) == _pictures(last.html.decode()) and _pictures(first.html.decode()) != _pictures(whole)
    for _, address in last_of(states, 1).pictures.values():
        assert address in whole, "an icon that was brought is the icon of the whole page"
    Path("page.bbi").write_text(ICONS.format(5))
    at = len(states)
    assert work.page()[1]
    early = next(state for state in states[at:] if state.page == 3)
    assert len(set(_pictures(early.html.decode())) & set(_pictures(whole))) >= 4, "icons that are there come at once"


def last_of(states, page):
    return [state for state in states if state.page == page][-1]


def _tell_every_step(self, later, left):
    if self.progress:
        self.progress(self.done, self.total, 1.0)


def _pictures(html):
    return re.findall(r"data:image/webp;base64,[\w+/=]+", html)


def test_a_save_gives_up_what_is_computed(work):
    Path("page.bbi").write_text(ICONS.format(3))
    work.shown.say = lambda words, busy=True: work.stale.append(words) if words.startswith("asking") else None
    with pytest.raises(Outdated):
        work.page()
    assert work.shown.state.page == 0
    work.stale.clear()
    del work.shown.say
    assert work.page()[1], "the network is as it was"


def test_placeholders_differ_and_say_what_they_stand_for():
    first = placeholder(Objective("a", 3), 672, 0, 48).picture
    assert first.shape == (48, 48, 3) and first.dtype == np.uint8
    seen = {placeholder(Objective("a", 3), 672, number, 48).picture.tobytes() for number in range(200)}
    assert len(seen) == 200, "equal pictures would be one on the page"
    other = placeholder(Objective("a", 600), 672, 0, 48).picture
    assert (first != other).any()
    vector = placeholder(Objective("a", tuple(np.linspace(0, 1, 64))), 64, 0, 64).picture[..., 0]
    assert vector[4, 4] > vector[52, 60], "the larger the magnitude, the darker"
    assert first.min() >= 100, "grey, not black: still to come"


def test_without_watchfiles(monkeypatch, tmp_path, capfd):
    from bbilang.cli.app import main

    monkeypatch.setitem(sys.modules, "watchfiles", None)
    monkeypatch.chdir(tmp_path)
    Path("page.bbi").write_text(TEXT)
    assert main(["watch", "page.bbi"]) == 1
    err = capfd.readouterr().err
    assert "error[E903]: `bbi watch` needs the package watchfiles" in err and "bbilang[watch]" in err


def test_wrong_command_lines(tmp_path, capfd, monkeypatch):
    from bbilang.cli.app import main
    from bbilang.preview.server import Server

    monkeypatch.chdir(tmp_path)
    assert main(["watch", "nothing.bbi"]) == 1 and "error[E441]" in capfd.readouterr().err
    Path("page.bbi").write_text(TEXT)
    taken = Server(Shown())
    assert main(["watch", "page.bbi", "--port", str(taken.guard.port)]) == 2
    assert "is not free" in capfd.readouterr().err
    taken.server_close()
