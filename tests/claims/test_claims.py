"""Claims about a planted circuit, through the compiler, the command, pytest and the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import circuit
import numpy as np
import pytest
import torch

import bbilang
from bbilang.cli.app import main
from bbilang.grammar.diagnostic import BbiError

TEXT = """
carriers = parts.channel | attribute(output[0]) | top(2)
claim "The circuit is two channels" = carriers | ablate(zero, together=true) | effect(output[0]) < -0.1
claim "Two others do as much" = parts.channel | activation | top(2) | ablate(zero, together=true)
    | effect(output[0]) < -0.1
claim "Class 0 is ahead" = output[0] > output[1] and output[0] < 100
claim "Half of the score is elsewhere" = carriers | sum(channel) < 0.1
carriers | present(bars)
"""


def run(text: str = TEXT, **options):
    options = {"input": circuit.image(), "cache": False} | options
    return bbilang.run(text, model=circuit.Circuit(), device="cpu", **options)


def test_a_planted_circuit():
    page = run()
    field = page.results.fields["claims"]
    assert field.verdicts == ("holds", "fails", "holds", "fails")
    net, x = circuit.Circuit(), circuit.image()[None]
    with torch.no_grad():
        parts = net.parts(x).mean((2, 3))[0].double().numpy()
        scores = net(x)[0].double().numpy()
    rows = field.outcomes.data
    assert rows[0][0] == pytest.approx(-parts[list(circuit.CARRIERS)].sum(), rel=1e-5)
    assert rows[0][3] == pytest.approx(1 / 1000) and rows[0][4] == 999, "no random set does as much"
    assert rows[2][0] == pytest.approx(scores[0] - scores[1], rel=1e-5)
    assert "2 of 4 claims hold" in field.finding


def test_several_inputs_are_cases():
    images = torch.stack([circuit.image(seed) for seed in range(4)])
    text = 'claim "It is high" = output[0] > 0.5\nparts.channel | top(2) | present(bars)'
    field = run(text, input=images).results.fields["claims"]
    scores = circuit.Circuit()(images)[:, 0].detach().double().numpy()
    half = 3.182446305284263 * scores.std(ddof=1) / 2
    assert field.outcomes.data[0][:3] == pytest.approx(
        [scores.mean(), scores.mean() - half, scores.mean() + half], rel=1e-4
    )
    assert field.names["measure"].data.tolist() == ["value", "from", "to"]


def test_a_claim_of_chance():
    """Channels that nothing reads change nothing, as random sets do; and few random sets can tell nothing."""
    text = """claim "They matter" = parts.channel | filter(value < -1) | top(1) | sum(channel) < 5
claim "Nothing falls more" = parts.channel[11] | ablate(zero, together=true) | effect(output[0], controls=39) < 0.5
parts.channel | top(2) | present(bars)"""
    field = run(text).results.fields["claims"]
    assert field.verdicts[1] in ("no different from chance", "cannot be told from chance")
    assert field.verdicts[0] == "undefined"


def test_the_claims_of_a_cached_page_need_no_network(tmp_path):
    first = run(cache=tmp_path)
    again = run(cache=tmp_path)
    assert again.plan and again.results.fields["claims"].verdicts == first.results.fields["claims"].verdicts
    assert np.array_equal(
        again.results.fields["claims"].outcomes.data, first.results.fields["claims"].outcomes.data, equal_nan=True
    )


@pytest.mark.parametrize(
    ("claim", "code", "words"),
    [
        ('"x" = output[0]', "E285", "output[0]"),
        ('"x" = output[0] == 3', "E285", "output[0] == 3"),
        ('"x" = 2 < 3', "E285", "2 < 3"),
        ('"" = output[0] > 3', "E285", '""'),
        ('"x" = parts.channel | activation > 3', "E286", "parts.channel | activation"),
        ('"x" = (parts.channel | across(shapes) | mean(channel)) > output[0]', "E286", "(parts.channel"),
        ('"x" = parts.channel[2] | ablate(zero) > 3', "E285", "parts.channel[2] | ablate(zero)"),
        ('"x" = parts.channel[2] | ablate(zero, together=true) | effect(output, controls=18) < 1', "E287", "parts"),
    ],
)
def test_refused(claim, code, words):
    head = 'dataset shapes = "sample:shapes"\n' if "shapes" in claim else ""
    text = f"{head}claim {claim}\nparts.channel | top(2) | present(bars)"
    with pytest.raises(BbiError) as caught:
        run(text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert text[diagnostic.span.start : diagnostic.span.end].startswith(words)


def outcome_of(head: str, claim: str):
    field = run(f'{head}\nclaim "x" = {claim}\nparts.channel | top(2) | present(bars)').results.fields["claims"]
    return field.outcomes.data[0], field.notes


def test_examples_are_paired_with_themselves_only():
    """Two parts of a dataset that happen to have equally many examples are two groups."""
    head = """dataset shapes = "sample:shapes" | sample(24)
dataset first = shapes | filter(split == "train") | sample(6)
dataset second = shapes | filter(split == "train") | sample(6)
dataset third = shapes | filter(split == "test") | sample(6)"""
    pipe = "(parts.channel[{}] | activation | across({}))"
    one, two, three = (
        outcome_of(head, f"{pipe.format(n, part)} > 0")[0] for n, part in ((3, "first"), (5, "second"), (5, "third"))
    )
    paired, notes = outcome_of(head, f"{pipe.format(3, 'first')} > {pipe.format(5, 'second')}")
    assert paired[0] == pytest.approx(one[0] - two[0], abs=1e-5) and not any("Welch" in note for note in notes)
    groups, notes = outcome_of(head, f"{pipe.format(3, 'first')} > {pipe.format(5, 'third')}")
    assert groups[0] == pytest.approx(one[0] - three[0], abs=1e-5) and any("Welch" in note for note in notes)
    halves = [(row[2] - row[1]) / 2 for row in (one, three, groups)]
    assert max(halves[:2]) < halves[2] < halves[0] + halves[1], "of the difference of two independent means"


WHOLE = """input "sample:chelsea"
claim "It is a cat" = output["tiger cat", score=probability] > 0.1
claim "It is a dog" = output["beagle", score=probability] > 0.1 and output["tiger cat"] < 3
photo = input | present(image)
icons = block5c.expand.channel | attribute(output) | top(9) | present(featvis)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "claims.bbi").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "page.bbi").write_text('input "sample:chelsea"\ninput | present(image)\n', encoding="utf-8")
    return tmp_path


def test_bbi_test(folder, capsys):
    """A table and the exit code; icons and other elements of the page are not computed."""
    assert main(["test", str(folder), "--junit", str(folder / "claims.xml")]) == 1
    out = capsys.readouterr().out
    assert "holds" in out and "fails" in out and "2 claims: 1 hold, 1 do not" in out
    suite = ElementTree.parse(folder / "claims.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    case = suite[1]
    assert case.get("name") == "It is a dog" and case.get("line") == "3" and case[0].get("message") == "fails"
    assert main(["test", str(folder / "claims.bbi"), "--json"]) == 1
    entries = json.loads(capsys.readouterr().out)
    assert [e["verdict"] for e in entries] == ["holds", "fails"] and len(entries[1]["conditions"]) == 2
    assert main(["run", str(folder / "claims.bbi"), "-o", str(folder / "page.html"), "--draft", "--quiet"]) == 0


def test_bbi_test_of_several_models(folder, capsys):
    cat = 'claim "It is a cat" = output["tiger cat", score=probability] > 0.1\n'
    (folder / "claims.bbi").write_text(WHOLE.split("claim")[0] + cat)
    code = main(
        ["test", str(folder / "claims.bbi"), "-m", "efficientnet_lite0", "-m", "googlenet", "--weights", "random"]
    )
    out = capsys.readouterr().out
    assert code == 1 and "efficientnet_lite0" in out and "googlenet" in out


def test_bbi_test_without_claims(folder, capsys):
    assert main(["test", str(folder / "page.bbi")]) == 1
    assert "states no claims" in capsys.readouterr().err
    assert main(["test"]) == 2
    (folder / "claims.bbi").write_text('claim "x" = output["tigre cat"] > 3\ninput | present(image)')
    assert (
        main(["test", str(folder / "claims.bbi"), "--input", "sample:chelsea", "--junit", str(folder / "x.xml")]) == 1
    )
    assert "E205" in (err := capsys.readouterr().err) or "error[" in err
    assert not (folder / "x.xml").exists(), "nothing is written for a text with errors"


def test_pytest_collects_claims(folder):
    arguments = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "bbilang.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
    ]
    ran = subprocess.run(
        [sys.executable, *arguments, "--bbi", str(folder)], capture_output=True, text=True, cwd=folder, env=os.environ
    )
    assert ran.returncode == 1 and "1 failed, 1 passed" in ran.stdout, ran.stdout
    assert "fails: It is a dog" in ran.stdout and 'output["tiger cat"] < 3' in ran.stdout
    assert "Traceback" not in ran.stdout
    without = subprocess.run([sys.executable, *arguments, str(folder)], capture_output=True, text=True, cwd=folder)
    assert without.returncode == 5, "nothing is collected without --bbi"


def test_the_page_lists_claims(chromium, tmp_path):
    text = TEXT.replace("Class 0 is ahead", "<b>Class 0</b> is ahead & <script>alert(1)</script>")
    path = run(text).save(tmp_path / "page.html")
    tab = chromium.new_page(viewport={"width": 420, "height": 900})
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    claims = tab.locator("#element-claims .verdicts li")
    assert [word.strip() for word in claims.locator(".verdict").all_inner_texts()] == [
        "holds",
        "fails",
        "holds",
        "fails",
    ]
    assert "<b>Class 0</b> is ahead & <script>" in claims.nth(2).inner_text()
    assert "0 of 999 random sets do as much" in claims.nth(0).inner_text()
    assert "carriers | sum(channel) < 0.1" in claims.nth(3).inner_text()
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth") and not complaints
    tab.close()
