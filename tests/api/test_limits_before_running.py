"""`Limits` where nothing runs, and texts that are bad in size, depth, number of elements, time and holes at every front
door: each gets one clear error and no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

import bbilang
from bbilang.cli.app import main

PICTURE = 'input "sample:chelsea"\n'
SHOW = "head.channel | attribute(output) | top(3) | present(bars)\n"
MANY = PICTURE + "".join(f"head.channel[{number % 1280}] | activation | present(table)\n" for number in range(4000))
STATES = "photo = input | present(image)\ncell = hover(head.spatial)\n"
STATES += "head.neuron | attribute(output) | at(cell) | top(3) | present(bars)\n"
BAD = {
    "size": ("#" * 300_000, "E101"),
    "brackets": (f"{'(' * 5000}\n", "E102"),
    "long pipe": (f"{PICTURE}head.channel | attribute(output){' | abs' * 5000} | present(bars)\n", "E313"),
    "elements": (PICTURE + SHOW * 3, "E435"),
    "states": (PICTURE + STATES, "E381"),
    "passes": (PICTURE + "head.channel | attribute(output) | top(3) | present(featvis)\n", "E380"),
    "time": (MANY, "E587"),
}
ALLOWED, BRIEF = bbilang.Limits(passes=100, states=20, elements=2), bbilang.Limits(seconds=0.2)
DOORS = {
    "check": lambda text, allowed=ALLOWED: bbilang.check(text, limits=allowed),
    "complete": lambda text, allowed=ALLOWED: list(bbilang.complete(text, limits=allowed)),
    "explain": lambda text, allowed=ALLOWED: bbilang.explain(text, limits=allowed),
    "run": lambda text, allowed=ALLOWED: bbilang.run(text, limits=allowed, cache=False),
}


def code_of(door, text: str) -> str:
    with pytest.raises(bbilang.BbiError) as caught:
        door(text)
    return caught.value.diagnostics[-1].code  # after what else is wrong with it


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("door", DOORS)
def test_a_bad_text_is_refused_at_every_door(door: str, bad: str) -> None:
    text, code = BAD[bad]
    start = time.monotonic()
    allowed = BRIEF if code == "E587" else ALLOWED
    assert code_of(lambda given: DOORS[door](given, allowed), text) == code
    assert time.monotonic() - start < 240, "4,000 elements take longer than that without limits, on a slow machine"


def test_a_tree_is_checked_within_the_limits_too() -> None:
    tree = bbilang.parse(PICTURE + SHOW * 3)
    assert code_of(lambda given: bbilang.check(given, limits=ALLOWED), tree) == "E435"
    assert bbilang.check(tree, limits=bbilang.Limits(elements=3)).elements


def test_holes_are_filled_within_the_limits() -> None:
    text = PICTURE + "block5c.expand.channel | attribute(output) | top(3) | present(?)\n"
    every = bbilang.complete(text)
    few = bbilang.complete(text, limits=bbilang.Limits(passes=20))
    assert 0 < len(few) < len(every)
    assert all(each.goals.passes <= 20 and not each.goals.icons for each in few)
    assert any(each.goals.icons for each in every), "icons are what is left out"
    assert {each.filled.fillings for each in few} < {each.filled.fillings for each in every}
    assert code_of(lambda given: list(bbilang.complete(given, limits=bbilang.Limits(memory=1))), text) == "E382"
    slow = PICTURE + "?.? | ?* | ?* | present(?)\n"
    assert code_of(lambda given: list(bbilang.complete(given, limits=bbilang.Limits(seconds=0.5))), slow) == "E587"


def test_a_memory_limit_is_that_of_the_plan() -> None:
    assert code_of(lambda text: bbilang.check(text, limits=bbilang.Limits(memory=10)), PICTURE + SHOW) == "E382"


def test_files_of_a_text_stay_in_a_folder_where_nothing_runs(tmp_path) -> None:
    text = 'input "../secret.png"\ninput | present(image)\n'
    assert code_of(lambda given: bbilang.check(given, root=tmp_path), text) == "E244"
    holes = text + "head.channel | attribute(output) | present(?)\n"
    assert code_of(lambda given: list(bbilang.complete(given, root=tmp_path)), holes) == "E244"


@pytest.mark.parametrize("command", ["run", "explain", "complete"])
def test_the_command_line_says_the_same(command: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.bbi").write_text(PICTURE + SHOW * 3)
    assert main([command, "page.bbi", "--limit", "elements=2"]) == 1
    assert "E435" in capsys.readouterr().err
    (tmp_path / "page.bbi").write_text(MANY)
    assert main([command, "page.bbi", "--limit", "seconds=0.5"]) == 1
    assert "E587" in capsys.readouterr().err


def test_limits_load_no_torch() -> None:
    code = (
        "import bbilang, sys, json\n"
        f"try: bbilang.check({PICTURE + SHOW * 3!r}, limits=bbilang.Limits(seconds=600, elements=2))\n"
        "except bbilang.BbiError as error:\n"
        "    print(json.dumps([error.to_json()[0]['code'], 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["E435", False]
