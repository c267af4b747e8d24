"""Untrusted files: where a page is written, and what is read. Pipes stand for devices, which no test opens."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from brings import brings

from bbilang.cli.app import main
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import opened, path_of, read_bytes
from bbilang.runtime import files as writing
from bbilang.runtime.files import NEW, check, replacing, write

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
PIPE = "input | present(image)"
LONG = "x" * 5000


@pytest.fixture
def bbi(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "cache"))

    def run(*arguments):
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err and "E900" not in err, err
        return code, out, err

    return run


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


class Reader(threading.Thread):
    """Somebody at the other end of a pipe."""

    def __init__(self, path: Path):
        super().__init__(daemon=True)
        self.path, self.data = path, b""
        self.start()

    def run(self) -> None:
        self.data = self.path.read_bytes()

    def got(self) -> bytes:
        self.join(20)
        assert not self.is_alive()
        return self.data


def picture(folder: Path) -> Path:
    from PIL import Image

    path = folder / "grey.png"
    Image.fromarray(np.full((32, 32, 3), 128, np.uint8)).save(path)
    return path


def is_pipe(path: Path) -> bool:
    return stat.S_ISFIFO(path.stat().st_mode)


# --- writing --------------------------------------------------------------------------------------------------------

COMMANDS = [
    ("run", "page.bbi", "--no-cache", "--format", "html", "-o"),
    ("run", "page.bbi", "--no-cache", "--format", "csv", "-o"),
    ("run", "page.bbi", "--format", "html", "-o"),
    ("explain", "page.bbi", "--format", "text", "-o"),
    ("examples", "teaser", "-o"),
    ("new", "--model", "efficientnet_lite0", "--input", "grey.png"),
    ("cache", "export"),
]


@brings("Files", "`-o` with a pipe or a device", "works: it is written to, never replaced")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[:5]))
def test_a_pipe_is_written_into(command, bbi, fifo, tmp_path):
    picture(tmp_path)
    (tmp_path / "page.bbi").write_text(f'input "grey.png"\n{PIPE}\n')
    reader = Reader(fifo)
    code, _, err = bbi(*command, "pipe")
    assert code == 0, err
    data = reader.got()
    assert is_pipe(fifo) and data
    beside = tmp_path / "same"
    assert bbi(*command, "same")[0] == 0
    if "run" not in command:  # the page says how long it took
        assert beside.read_bytes().replace(b"same", b"pipe") == data
    assert not list(tmp_path.glob(f"{NEW}*"))


def test_extract_into_a_pipe(bbi, fifo, tmp_path):
    picture(tmp_path)
    (tmp_path / "page.bbi").write_text(f'input "grey.png"\n{PIPE}\n')
    assert bbi("run", "page.bbi")[0] == 0
    reader = Reader(fifo)
    assert bbi("extract", "page.html", "-o", "pipe")[0] == 0
    assert reader.got() == (tmp_path / "page.bbi").read_bytes() and is_pipe(fifo)


def test_save_into_a_pipe(fifo, tmp_path, monkeypatch):
    import bbilang

    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "cache"))
    page = bbilang.run(PIPE, input=str(picture(tmp_path)))
    reader = Reader(fifo)
    assert page.save(fifo, "html") == fifo
    assert reader.got().decode() == page.html() and is_pipe(fifo)
    with pytest.raises(BbiError, match=r"E431.*there is no folder(?s:.*)parents=True"):
        page.save(tmp_path / "a" / "b" / "page.html")
    page.save(tmp_path / "a" / "b" / "page.html", parents=True)
    page.save(str(tmp_path / "c" / "page.json"), parents=True)
    assert (tmp_path / "a" / "b" / "page.html").exists() and (tmp_path / "c" / "page_files").is_dir()
    with pytest.raises(BbiError, match="E431"):
        page.save(tmp_path / "d" / "page.json")
    assert not (tmp_path / "d").exists()


def test_more_than_a_pipe_holds(fifo):
    data = os.urandom(1 << 20)  # a pipe holds 64 kB
    reader = Reader(fifo)
    write(fifo, data)
    assert reader.got() == data and is_pipe(fifo)


def test_nobody_reads(fifo, monkeypatch):
    monkeypatch.setattr(writing, "PATIENCE", 0.1)
    with pytest.raises(OSError, match="nobody reads"):
        write(fifo, b"data")
    check(fifo)  # never opens it
    assert is_pipe(fifo)


def test_somebody_leaves(fifo, bbi, tmp_path):
    """Whoever reads the first bytes and goes away breaks the pipe: an error, and no end of the process."""
    handle = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    ended = threading.Timer(0.3, os.close, [handle])
    ended.start()
    with pytest.raises(OSError) as raised:
        write(fifo, bytes(1 << 20))
    ended.join()
    assert raised.value.errno == errno.EPIPE and is_pipe(fifo)


@brings("Files", "`-o` with a symbolic link", "works: the target of the link is written")
def test_links_are_written_through(tmp_path, fifo):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "page.html", tmp_path / "link.html"
    link.symlink_to(target)
    write(link, b"first")  # nothing there yet
    assert link.is_symlink() and target.read_bytes() == b"first"
    target.chmod(0o640)
    write(link, b"second")
    assert target.read_bytes() == b"second" and stat.S_IMODE(target.stat().st_mode) == 0o640
    second = tmp_path / "to-the-pipe"
    second.symlink_to(fifo)
    reader = Reader(fifo)
    write(second, b"through")
    assert reader.got() == b"through" and second.is_symlink() and is_pipe(fifo)
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError):
        write(tmp_path / "a", b"")
    assert (tmp_path / "a").is_symlink()


@brings("Files", "`-o` into a missing folder", "refused with E431; `--parents` creates it")
@pytest.mark.parametrize(
    "command",
    [
        ("run", "-e", PIPE, "--input", "grey.png", "-o", "no/such/page.html"),
        ("run", "-e", PIPE, "--input", "grey.png", "-o", "no/such/"),
        ("run", "-e", PIPE, "--input", "grey.png", "--each", "-o", "no/such"),
        ("explain", "-e", PIPE, "-o", "no/such/plan.txt"),
        ("examples", "teaser", "-o", "no/such/teaser.bbi"),
        ("new", "no/such/first.bbi", "--input", "grey.png"),
        ("cache", "export", "no/such/icons.bbicache"),
    ],
    ids=lambda words: words[0],
)
def test_missing_folders(command, bbi, tmp_path):
    picture(tmp_path)
    code, _, err = bbi(*command)
    assert code == 1 and "E431" in err and "--parents" in err, err
    assert not (tmp_path / "no").exists()
    code, _, err = bbi(*command, "--parents")
    assert code == 0, err
    assert list((tmp_path / "no").rglob("*.*"))


def test_each_makes_its_own_folder(bbi, tmp_path):
    picture(tmp_path)
    assert bbi("run", "-e", PIPE, "--input", "grey.png", "--each", "-o", "pages")[0] == 0
    assert (tmp_path / "pages" / "grey.html").exists()


@pytest.mark.parametrize(
    "target", ["folder", "socket", "missing/plan.txt/", "~nobody.of.this.name/page.html", LONG, "a\0b", "\ud800"]
)
@pytest.mark.parametrize("command", [("examples", "teaser", "-o"), ("explain", "-e", PIPE, "--format", "text", "-o")])
def test_invalid_output_locations(command, target, bbi, tmp_path):
    import socket

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "teaser.bbi").mkdir()
    with socket.socket(socket.AF_UNIX) as served:
        served.bind("socket")
        code, _, err = bbi(*command, target)
    assert code == 1 and "error[E431]" in err and len(err) < 1000, err
    assert stat.S_ISSOCK((tmp_path / "socket").stat().st_mode)


def test_nothing_is_left_of_what_fails(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["page.html"]


@brings("Files", "a full disk", "refused with E431; the old file is unchanged")
def test_fmt_on_a_full_disk(bbi, tmp_path, monkeypatch):
    text = "input   |present( image )\n"
    (tmp_path / "page.bbi").write_text(text)

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code, out, err = bbi("fmt", "page.bbi")
    assert code == 1 and "E431" in err and "1 text changed" not in out + err
    assert (tmp_path / "page.bbi").read_text() == text and not list(tmp_path.glob(f"{NEW}*"))
    code, out, err = bbi("fmt", "page.bbi")
    assert code == 0 and "1 text changed" in out + err
    assert (tmp_path / "page.bbi").read_text() == "input | present(image)\n"


# --- reading --------------------------------------------------------------------------------------------------------

WEIGHTS = ("run", "-e", PIPE, "--input", "grey.png", "--model", "inceptionv1", "--weights", "{}")
BOXES = 'input.pixel | attribute(output) | trust([localization], boxes="{}") | present(heatmap)'
READS = [  # which command, the code of its error
    (("check", "{}"), "E441"),
    (("run", "{}"), "E441"),
    (("fmt", "{}"), "E441"),
    (("explain", "{}"), "E441"),
    (("extract", "{}"), "E441"),
    (("cache", "import", "{}"), "E441"),
    (("run", "-e", PIPE, "--input", "{}"), "E411"),
    (("check", "-e", f'input "{{}}"\n{PIPE}'), "E411"),
    (WEIGHTS, "E403"),
    (("check", "-e", f'set labels "{{}}"\n{PIPE}', "--input", "grey.png"), "E422"),
    (("check", "-e", f'use "{{}}"\n{PIPE}', "--input", "grey.png"), "E242"),
    (("check", "-e", BOXES, "--input", "grey.png"), "E246"),
]


@brings("Files", "a pipe or a device instead of an input file", "refused at once, with the code for that kind of file")
@pytest.mark.parametrize("name", ["pipe", "~nobody.of.this.name/file", LONG, "no.such.file"])
@pytest.mark.parametrize(("command", "expected"), READS, ids=lambda words: words if isinstance(words, str) else "")
def test_what_is_no_file(command, expected, name, bbi, fifo, tmp_path):
    picture(tmp_path)
    code, _, err = bbi(*(word.replace("{}", name) for word in command))
    assert code == 1 and f"error[{expected}]" in err, err
    assert len(err) < 16_000  # of which 5,000 and the carets below them are the line of the text itself


@pytest.mark.parametrize("text", ['set labels "a\\u0000b"', 'use "a\\u0000b"', 'input "a\\u0000b"'])
def test_a_name_with_nul(text, bbi, tmp_path):
    picture(tmp_path)
    code, _, err = bbi("check", "-e", f"{text}\n{PIPE}", *(() if "input" in text else ("--input", "grey.png")))
    assert code == 1 and "NUL" in err, err


@brings("Files", "an endless or huge file", "refused by the size limit for its kind")
def test_bounds(bbi, tmp_path):
    picture(tmp_path)
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(40 << 30)  # a hole: it takes no room
    for command, _ in READS[4:]:
        code, _, err = bbi(*(word.replace("{}", "huge.txt") for word in command))
        assert code == 1 and "error[" in err, (command, err)
    with pytest.raises(OSError, match="larger than 1 kB"):
        read_bytes(tmp_path / "huge.txt", 1024)


@brings("Files", "`~` in a file name, and an empty BBI_CACHE_DIR", "works: `~` is expanded; empty means unset")
def test_home_is_expanded(bbi, tmp_path, monkeypatch):
    from bbilang.runtime.cache.disk import default_folder

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / "other.bbi").write_text("mine = input\n")
    (home / "labels.txt").write_text("\n".join(f"class {n}" for n in range(1000)))
    picture(home)
    text = f'use "~/other.bbi"\nset labels "~/labels.txt"\ninput "~/grey.png"\n{PIPE}\n'
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "page.bbi").write_text(text)
    (home / "page.bbi").write_text(text)
    code, _, err = bbi("run", folder / "page.bbi", "-o", "~/made.html")
    assert code == 0 and (home / "made.html").exists(), err
    assert bbi("check", "~/page.bbi")[0] == 0
    assert bbi("fmt", "~/page.bbi")[0] == 0
    assert bbi("extract", "~/made.html", "-o", "~/again.bbi")[0] == 0
    assert (home / "again.bbi").read_text() == text
    assert "E403" in bbi("run", "-e", PIPE, "--input", "~/grey.png", "--weights", "~/labels.txt")[2]
    monkeypatch.setenv("BBI_CACHE_DIR", "~/kept")
    assert default_folder() == home / "kept"
    monkeypatch.setenv("BBI_CACHE_DIR", "")
    assert default_folder().is_absolute() and default_folder() != Path.cwd()
    monkeypatch.setenv("BBI_CACHE_DIR", "~nobody.of.this.name/x")
    code, _, err = bbi("cache")
    assert code == 1 and "E432" in err


def test_names_are_taken_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~draft.bbi").write_text("")
    assert path_of("~draft.bbi") == Path("~draft.bbi")  # as a shell takes it
    with pytest.raises(OSError, match="no user"):
        path_of("~other.bbi")
    with pytest.raises(IsADirectoryError):
        opened(tmp_path)


# --- around the commands --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["typer", "bbilang.cli.typer_help", "bbilang.cli.lazy_import"])
def test_ctrl_c_while_it_is_imported(module):
    """In the first tenth of a second the command is still being imported."""
    code = f"""
import sys
class Interrupted:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from bbilang.entry import main
sys.exit(main())
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, "check", "nowhere.bbi"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 130 and done.stderr == "interrupted\n" and not done.stdout


def test_the_entry_runs_the_command():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "bbilang.entry", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0 and done.stdout.startswith("bbi ")


@brings(
    "Files",
    "a label file with a byte order mark, or with a label of a thousand letters",
    "the mark is ignored; the label is refused with E422",
)
def test_labels(bbi, tmp_path):
    picture(tmp_path)
    names = [f"class {number}" for number in range(1000)]
    text = f'set labels "labels.txt"\n{PIPE}'
    (tmp_path / "labels.txt").write_text("\ufeff" + "\r\n".join(names) + "\r\n\r\n", encoding="utf-8")
    assert bbi("check", "-e", text, "--input", "grey.png")[0] == 0
    code, _, err = bbi(
        "check",
        "-e",
        f'{text}\nblock5c.channel | attribute(output["class 0"]) | top(3) | present(bars)',
        "--input",
        "grey.png",
    )
    assert code == 0, err
    (tmp_path / "labels.txt").write_text("\n".join([*names[1:], "x" * 100_000]))
    code, _, err = bbi("check", "-e", text, "--input", "grey.png")
    assert code == 1 and "E422" in err and "100,000 letters" in err and len(err) < 1000
    (tmp_path / "labels.txt").write_text("\n".join(names[1:]))
    assert "999 labels" in bbi("check", "-e", text, "--input", "grey.png")[2]


@brings(
    "Files",
    "the text that `bbi watch` shows is replaced by a pipe",
    "refused with E441 in the page; watching continues",
)
def test_watch_goes_on(tmp_path, fifo, monkeypatch):
    from bbilang.cli.request import command_line
    from bbilang.preview.build import PageBuilder
    from bbilang.preview.state import Shown

    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "page.bbi").write_text(f'input "{picture(tmp_path)}"\n{PIPE}\n')
    line = command_line(str(tmp_path / "page.bbi"))
    (tmp_path / "page.bbi").unlink()
    fifo.rename(tmp_path / "page.bbi")
    words, fine = PageBuilder(line, Shown(), lambda: False).page()
    assert not fine and "E441" in words and "a pipe" in words
