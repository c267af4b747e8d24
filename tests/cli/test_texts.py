"""Commands that run no network: check, explain, fmt, extract, layers, models, cache, help."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_ICONS = "block5c.channel | attribute(output) | top(3) | present(bars)"

GOOD = f'input "sample:chelsea"\n\n{NO_ICONS}\n'
UGLY = GOOD.replace(" | ", "|") + "# the end\n"
BAD = 'input "sample:chelsea"\nblock5c.expnd.channel | top(3) | present(bars)\na = 3 4\n'


def test_check(bbi, tmp_path):
    (tmp_path / "good.bbi").write_text(GOOD)
    (tmp_path / "bad.bbi").write_text(BAD)
    done = bbi("check", "good.bbi")
    assert (done.code, done.out, done.err) == (0, "good.bbi is fine\n", "")
    done = bbi("check", "good.bbi", "bad.bbi", "no.bbi")
    assert done.code == 1 and done.out == ""
    assert re.findall(r"error\[(\w+)\]", done.err) == ["E204", "E125", "E441"]
    assert "--> bad.bbi:2:1\n" in done.err and done.err.endswith("\n3 errors in 2 of 3 texts\n")
    done = bbi("check", ".")
    assert done.code == 1 and done.err.endswith("\n2 errors in 1 of 2 texts\n")
    assert bbi("check", "-e", NO_ICONS).code == 0, "a pipe may leave its picture to the command line"


def test_check_json(bbi, tmp_path):
    (tmp_path / "good.bbi").write_text(GOOD)
    (tmp_path / "bad.bbi").write_text(BAD)
    assert json.loads(bbi("check", "good.bbi", "--json").out) == []
    done = bbi("check", "good.bbi", "bad.bbi", "--json")
    assert (done.code, done.err) == (1, "")
    answer = json.loads(done.out)
    assert [(d["code"], d["file"], d["span"]["line"]) for d in answer] == [
        ("E204", "bad.bbi", 2),
        ("E125", "bad.bbi", 3),
    ]


def test_check_warns(bbi, tmp_path):
    (tmp_path / "page.bbi").write_text(GOOD + "unused = block5c.channel\n")
    done = bbi("check", "page.bbi")
    assert done.code == 0 and done.err.startswith("warning[W202]")
    assert done.out == "page.bbi is fine, with 1 warning\n"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("a = 3 4\na.channel | present(bars)\n", ["E125"]),
        ("model 3 3\nmixed4d.channel | present(bars)\n", ["E125", "E117"]),
        ('interface "x" {\n  a = 3 4\n  layout row(a)\n}\n', ["E125"]),
        ("a = 3 4\nb = block5c\n", ["E125"]),
        ("", ["E301"]),
    ],
)
def test_no_cascades(bbi, text, codes):
    done = bbi("check", "-e", text, "--json")
    assert done.code == 1
    reported = [d["code"] for d in json.loads(done.out)]
    assert len(reported) == 1 and reported[0] in codes


def test_explain(bbi, tmp_path):
    (tmp_path / "good.bbi").write_text(GOOD)
    done = bbi("explain", "good.bbi")
    assert (done.code, done.err) == (0, "")
    for words in ("LOGICAL PLAN", "PHYSICAL PLAN, as written", "PHYSICAL PLAN, optimized", "backward passes 1 -> 1"):
        assert words in done.out
    alone = bbi("explain", "good.bbi", "--no-optimize")
    assert "as written: not optimized" in alone.out and alone.out.count("PHYSICAL PLAN") == 1
    plans = json.loads(bbi("explain", "good.bbi", "--json").out)
    assert len(plans["before"]) > len(plans["after"])
    wrong = bbi("explain", "-e", BAD, "--json")
    assert (wrong.code, wrong.err) == (1, "") and [d["code"] for d in json.loads(wrong.out)] == ["E204", "E125"]


def test_explain_analyze(bbi, tmp_path):
    done = bbi("explain", "-e", GOOD, "--analyze")
    assert done.code == 0, done.err
    assert (
        re.search(r"^ +step .* time +peak |measured: took .*, peak memory ", done.out, re.MULTILINE)
        and len(re.findall(r" (\d+ ms|[\d.]+ s)[ ,]", done.out)) >= 2
    )


def test_fmt(bbi, tmp_path):
    page = tmp_path / "page.bbi"
    page.write_bytes(UGLY.replace("\n", "\r\n").encode("utf-8-sig"))
    page.chmod(0o640)
    (tmp_path / "link.bbi").symlink_to("page.bbi")
    checked = bbi("fmt", "--check", "page.bbi")
    assert (checked.code, checked.out, checked.err) == (1, "page.bbi\n", "1 text would change\n")
    shown = bbi("fmt", "--diff", "page.bbi")
    assert shown.code == 0 and shown.out.startswith("--- page.bbi") and "\n+block5c.channel | attribute" in shown.out
    assert bbi("fmt", "--check", "--diff", "page.bbi").code == 1
    assert page.read_bytes() == UGLY.replace("\n", "\r\n").encode("utf-8-sig"), "--check and --diff change nothing"
    done = bbi("fmt", "link.bbi")
    assert (done.code, done.out, done.err) == (0, "", "1 text changed\n")
    expected = (GOOD + "# the end\n").replace("\n", "\r\n").encode("utf-8-sig")
    assert page.read_bytes() == expected and (tmp_path / "link.bbi").is_symlink()
    assert page.stat().st_mode & 0o777 == 0o640
    time = page.stat().st_mtime_ns
    again = bbi("fmt", ".", "--check")
    assert again.code == 0 and page.stat().st_mtime_ns == time
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.bbi", "page.bbi"]


def test_fmt_leaves_what_it_cannot_read(bbi, tmp_path):
    (tmp_path / "bad.bbi").write_text(BAD)
    (tmp_path / "ugly.bbi").write_text(UGLY)
    done = bbi("fmt", "bad.bbi", "ugly.bbi")
    assert done.code == 1 and "error[E125]" in done.err
    assert done.err.endswith("1 text changed, 1 with errors, left as it is\n")
    assert (tmp_path / "bad.bbi").read_text() == BAD and (tmp_path / "ugly.bbi").read_text() == GOOD + "# the end\n"


def test_fmt_stdin(process):
    done = process("fmt", "-", stdin=subprocess.PIPE)
    out, err = done.communicate(UGLY)
    assert (done.returncode, out, err) == (0, GOOD + "# the end\n", "")


def test_layers(bbi):
    done = bbi("layers", "efficientnet_lite0")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^layer +channel +y +x +numbers +sign +place$", done.out, re.MULTILINE)
    assert re.search(r"^block5c +112 .*\n├ expand +672 +14 +14 +132 k +0 or more +branch$", done.out, re.MULTILINE)
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80 and not any(line != line.rstrip() for line in lines)
    answer = json.loads(bbi("layers", "inceptionv1", "--json").out)
    layer = next(x for x in answer["layers"] if x["name"] == "mixed4d")
    assert layer["shape"] == {"channel": 528, "y": 14, "x": 14} and layer["nonnegative"]
    assert layer["place"] == "cut"
    assert layer["atoms"] == ["neuron", "spatial", "channel"]
    wrong = bbi("layers", "x", "--json")
    assert wrong.code == 1 and json.loads(wrong.out)[0]["code"] == "E401"


def test_models(bbi):
    done = bbi("models")
    assert (
        done.code == 0 and done.out.startswith("efficientnet_lite0  (the default)\n") and "--weights random" in done.out
    )
    names = [m["name"] for m in json.loads(bbi("models", "--json").out)]
    assert names == ["efficientnet_lite0", "inceptionv1", "googlenet", "crepe_tiny"]


def test_cache(bbi, tmp_path, monkeypatch):
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "cache"))
    from bbilang.runtime.cache.disk import Cache, key_of

    Cache().put(key_of({"a": 1}), b"x" * 2000)
    assert re.search(r"cache: 1 entry, 2\.\d+ kB of at most 1\.07 GB\n +1 other, 2", bbi("cache", "show").out)
    assert json.loads(bbi("cache", "show", "--json").out)["records"] == 1
    assert "1 entry removed" in bbi("cache", "clear").out
    assert "0 entries, 0 B" in bbi("cache", "show").out


def test_help(bbi):
    done = bbi("--help")
    assert done.code == 0 and "Exit codes" in done.out and "130" in done.out and "error[CODE]" in done.out
    for name in ("run", "check", "explain", "fmt", "extract", "models", "layers", "cache"):
        assert re.search(rf"^│ {name} ", done.out, re.MULTILINE)
        page = bbi(name, "--help")
        assert page.code == 0 and "Usage: bbi " + name in page.out and "<bool>" not in page.out
    for name in ("run", "check", "explain", "fmt", "extract", "layers"):
        assert f"\n   bbi {name} " in bbi(name, "--help").out, "an example to copy"
    assert bbi().code == 2


def test_every_code_is_explained(bbi):
    from bbilang.runtime.codes import CODES

    used = set()
    sources = [path for folder in ("bbilang", "runtime") for path in (ROOT / folder).rglob("*.py")]
    for path in (path for path in sources if path.name != "codes.py"):
        used |= set(re.findall(r"\"([EW](?:44|90)\d)\"", path.read_text(encoding="utf-8")))
    assert used == {code for code in CODES if re.fullmatch(r"[EW](?:44|90)\d", code)}


LIGHT = [
    ["--help"], ["run", "--help"], ["check", "page.bbi"], ["explain", "page.bbi"], ["fmt", "--check", "page.bbi"],
    ["extract", "page.html"], ["layers", "inceptionv1"], ["models"], ["cache", "show"],
]  # fmt: skip


def test_torch_waits(tmp_path):
    """What runs no network loads none."""
    (tmp_path / "page.bbi").write_text(GOOD)
    (tmp_path / "page.html").write_text('<script type="text/plain" id="bbi-source">x</script>')
    code = (
        "import sys; from bbilang.cli.app import main\n"
        f"for command in {LIGHT!r}:\n"
        "    assert main(command) == 0, command\n"
        "    loaded = [m for m in ('torch', 'sklearn', 'vl_convert') if m in sys.modules]\n"
        "    assert not loaded, (command, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_plan_is_made_without_computing_a_number():
    """`bbi explain` runs while a page is being written, so it imports no numerical library."""
    specs = sorted(str(path) for path in (ROOT / "specs").glob("*.bbi"))
    code = (
        "import sys; from bbilang.cli.app import main\n"
        f"for spec in {specs!r}:\n"
        "    assert main(['explain', spec]) == 0, spec\n"
        "print([m for m in ('numpy._core', 'torch', 'sklearn', 'altair', 'rapidfuzz') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("[]\n"), done.stderr


def test_help_loads_little(tmp_path):
    code = "import sys; from bbilang.cli.app import main; main(['--help']); print([m for m in ('numpy._core', 'lark', 'torch') if m in sys.modules])"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.endswith("[]\n"), done.stderr


def test_a_reader_that_goes_away(process):
    """`bbi layers inceptionv1 | head -1`: no traceback, no word."""
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m bbilang.cli check -e 'a = 3 4' --json | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout.strip() in ("1", "141") and done.stderr == ""


def test_check_compares_with_limits(bbi, tmp_path):
    icons = "head.channel | attribute(output) | top(3) | present(featvis)"
    (tmp_path / "page.bbi").write_text(f'input "sample:chelsea"\n{icons}\n')
    done = bbi("check", "page.bbi", "--limit", "passes=10000", "--limit", "elements=1")
    assert (done.code, done.out) == (0, "page.bbi is fine\n")
    done = bbi("check", "page.bbi", "--limit", "passes=10")
    assert done.code == 1 and "error[E380]" in done.err and "page.bbi:2:" in done.err
    done = bbi("check", "page.bbi", "--limit", "passes=10", "--json")
    (only,) = json.loads(done.out)
    assert done.code == 1 and only["code"] == "E380" and only["span"]["line"] == 2
    assert "E433" in bbi("check", "page.bbi", "--limit", "hours=1").err
