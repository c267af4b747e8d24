"""Every block of docs/space.md runs, and says what stands below it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from bbilang.cli.app import main

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / "space.md").read_text("utf-8"), re.DOTALL)
OPEN = 'input "sample:chelsea"\nhead.? | attribute(output) | top(3) | present(?)\n'


def test_every_block_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("page.bbi").write_text(OPEN)
    Path("specs").mkdir()
    for name in ("teaser", "one_channel"):
        shutil.copy(ROOT / "specs" / f"{name}.bbi", "specs")
    kinds = [kind for kind, _ in BLOCKS]
    assert set(kinds) == {"bbi", "console", "python"} and len(kinds) == 5
    for kind, text in BLOCKS:
        if kind == "bbi":
            Path("map.bbi").write_text(text)
            assert main(["run", "map.bbi"]) == 0 and 'class="places"' in Path("map.html").read_text("utf-8")
            continue
        if kind == "python":
            exec(compile(text, "docs/space.md", "exec"), {})
            continue
        for line in text.strip().splitlines():
            command, *arguments = shlex.split(line.removeprefix("$ "))
            assert command == "bbi" and main(arguments) == 0, line
    said = capsys.readouterr().out
    assert "\n10 completions, " in said, "`lists ten completions`"
    assert Path("best.html").exists() and Path("space.html").exists()
