"""Failures of every kind end in a sentence, and a terminal receives only text and colours."""

import errno
import re

import pytest

from bbilang.cli import console
from bbilang.cli import errors as faults

NO_ICONS = "block5c.channel | attribute(output) | top(3) | present(bars)"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyError("x"), "E900", "KeyError: 'x'"),
        (RecursionError(), "E900", "RecursionError"),
        (MemoryError(), "E902", "--draft"),
        (
            ModuleNotFoundError("No module named 'skimage'", name="skimage.data"),
            "E903",
            "pip install scikit-image",
        ),
        (ModuleNotFoundError("No module named 'bbilang.x'", name="bbilang.x"), "E900", "report it"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "E904", "the disk is full: /x"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "E904", "not allowed: /x"),
    ],
)
def test_unexpected(bbi, monkeypatch, error, code, words):
    from bbilang.cli import run as running

    def raises(request):
        raise error

    monkeypatch.setattr(running, "run", raises)
    done = bbi("run", "-e", NO_ICONS, "-i", "sample:chelsea")
    assert done.code == 1 and done.out == "" and "Traceback" not in done.err
    assert done.err.startswith(f"error[{code}]: ") and words in done.err
    monkeypatch.setenv("BBI_DEBUG", "1")
    debugged = bbi("run", "-e", NO_ICONS, "-i", "sample:chelsea")
    assert "Traceback" in debugged.err and f"error[{code}]" in debugged.err


def test_terminal(bbi, tmp_path, monkeypatch):
    """Colour; long lines cropped around the carets; no line is wider than the terminal."""
    long = (
        "a = block5c.channel | attribute(output) | filter(value > 0.1 and channel < 100 and value < 7) | sort(value) "
    )
    (tmp_path / "page.bbi").write_text(long + "| normalise(scope=layer) | top(3) | present(bars)\n")
    monkeypatch.setenv("FORCE_COLOR", "1")
    for width in (40, 80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        done = bbi("check", "page.bbi")
        assert "\x1b[1;31merror[E210]" in done.err
        plain = re.sub(r"\x1b\[[\d;]*m", "", done.err)
        if width > 40:
            assert max(map(len, plain.splitlines())) <= width
        shown = next(line for line in plain.splitlines() if line.startswith("   1 | "))
        carets = plain.splitlines()[plain.splitlines().index(shown) + 1]
        start, end = carets.index("^"), carets.rindex("^") + 1
        assert "…" in shown and shown[start:end] == "normalise(scope=layer)"[: end - start] and end - start >= 9


def test_no_escape_codes_of_strangers(bbi, tmp_path):
    (tmp_path / "page.bbi").write_text("a = \x1b[31mred\x07\n")
    done = bbi("check", "page.bbi", "no\x1b[2J.bbi")
    assert done.code == 1 and not re.search(r"[\x00-\x09\x0b-\x1f]", done.err)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.1 s"), (3.21, "3.2 s"), (59.7, "1 min"), (80, "1 min 20 s"), (700, "11 min"), (7500, "2 h 5 min")],
)
def test_duration(seconds, words):
    assert console.duration(seconds) == words


def test_size():
    assert [console.size(n) for n in (7, 1234, 1_450_000, 2e9)] == ["7 B", "1.23 kB", "1.45 MB", "2 GB"]


def test_exit_codes_are_documented():
    from bbilang.cli.app import EPILOG

    for code in (faults.FINE, faults.WRONG, faults.MISUSE, faults.INTERRUPTED):
        assert f" {code} " in EPILOG


def test_a_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    import os

    from bbilang.cli.files import write
    from bbilang.grammar.diagnostic import BbiError

    page = tmp_path / "page.bbi"
    page.write_text("before")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(BbiError, match="E431"):
        write(page, b"after")
    assert page.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["page.bbi"]
