"""`bbi watch`: a reader objects to a mark, the line goes into the text, and the page shows before and after."""

from __future__ import annotations

import http.client
import re
from pathlib import Path

import pytest
from watching import Watched, until

import bbilang
from bbilang import BbiError
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.preview.objection import TRAINING, Objections, with_objection
from bbilang.preview.server import LARGEST, Server
from bbilang.preview.state import Shown

LINE = 'model mended = a | discourage(first.channel[5] -> output["square"], data=marks)'
TEXT = """bbi 1
# Marks
model a = "sample:marks"
dataset marks = "sample:marks" | sample(90)
first.channel | attribute(output["square"]) | across(marks) | mean(example) | top(3) | present(bars)
"""


def test_the_line_stands_behind_what_it_names():
    text, added = with_objection(TEXT, LINE)
    assert added == f"{TRAINING}\n{LINE}"
    assert text == TEXT.replace("sample(90)\n", f"sample(90)\n{added}\n")
    again, second = with_objection(text, LINE)
    assert second == LINE.replace("mended =", "mended2 =") and again.count(TRAINING) == 1
    assert again.index(LINE) < again.index(second)


def test_a_network_without_a_name_gets_one():
    text, added = with_objection(TEXT.replace("model a = ", "model "), LINE.replace("= a ", '= "sample:marks" '))
    assert 'model a = "sample:marks"\n' in text and added.endswith(LINE)
    text, added = with_objection("input | present(image)", LINE.replace("= a ", "= efficientnet_lite0 "))
    assert text == f"{added}\ninput | present(image)" and "model a" not in text
    text, _ = with_objection("\ufeff# comment\nmodel net\ninput | present(image)", LINE)
    assert text.startswith(f"# comment\nmodel a = net\n{TRAINING}\n")


def test_the_line_names_a_dataset_that_nothing_shows_yet():
    text = (
        'model a = "sample:marks"\ndataset pics = "sample:marks"\ninput "sample:marked_disc"\n'
        'first.channel | attribute(output["square"]) | top(2) | present(bars)'
    )
    (interface,) = bbilang.run(text, cache=False).view.interfaces
    (element,) = interface.elements
    assert element.objection[-1].endswith("data=pics)")


@pytest.mark.parametrize("line", [
    "", "input | present(image)", f"{LINE}\ninput | present(image)", "model b = a | ablate(first.channel[1])",
    f"{LINE}, c = a | ablate(first.channel[1])", "model b = a", f"{LINE} | ablate(first.channel[1])",
    LINE.replace("mended = ", ""), 'use "other.bbi"', LINE.replace("data=marks", f"data={'m' * 2000}"),
    "model m = a | (",
])  # fmt: skip
def test_no_other_line_is_added(line: str, tmp_path: Path):
    file = tmp_path / "page.bbi"
    file.write_text(TEXT)
    with pytest.raises(BbiError) as caught:
        Objections(str(file), lambda text: None).add(line)
    assert caught.value.diagnostics[0].code == "E557" and file.read_text() == TEXT


def test_a_text_that_would_have_errors_stays_as_it_is(tmp_path: Path):
    file = tmp_path / "page.bbi"
    file.write_text(TEXT)

    def check(source) -> None:
        assert LINE in source.text and source.name == str(file)
        raise BbiError(Diagnostic("E204", "no such layer"))

    with pytest.raises(BbiError):
        Objections(str(file), check).add(LINE)
    assert file.read_text() == TEXT


def test_what_was_added_is_taken_back_and_nothing_else(tmp_path: Path):
    file = tmp_path / "page.bbi"
    nameless = TEXT.replace("model a = ", "model ")
    file.write_text(nameless)
    lines = Objections(str(file), lambda text: None)
    first = lines.add(LINE.replace("= a ", '= "sample:marks" '))
    second = lines.add(LINE)
    assert second in file.read_text() and first in file.read_text()
    assert lines.undo() == second and lines.undo() == first
    assert file.read_text() == nameless  # to the letter, the name of the network too
    with pytest.raises(BbiError, match="nothing was added"):
        lines.undo()

    lines.add(LINE.replace("= a ", '= "sample:marks" '))
    file.write_text(f"{file.read_text()}# a note\n")
    lines.undo()
    assert file.read_text() == f"{TEXT}# a note\n"  # what was written since stays

    lines.add(LINE)
    file.write_text(TEXT.replace("# Marks", "# Other"))
    with pytest.raises(BbiError) as caught:
        lines.undo()
    assert caught.value.diagnostics[0].code == "E557" and "# Other" in file.read_text()


def test_a_line_that_is_used_is_not_taken_back(tmp_path: Path):
    file = tmp_path / "page.bbi"
    file.write_text(TEXT)

    def check(source) -> None:
        if "mended:" in source.text and LINE not in source.text:
            raise BbiError(Diagnostic("E239", "no such model"))

    lines = Objections(str(file), check)
    lines.add(LINE)
    used = f"{file.read_text()}mended:output | present(number)\n"
    file.write_text(used)
    with pytest.raises(BbiError, match="no such model"):
        lines.undo()
    assert file.read_text() == used
    file.write_text(used.replace("mended:output | present(number)\n", ""))
    lines.undo()
    assert file.read_text() == TEXT


class Served:
    """A server whose lines are collected, and requests to it."""

    def __init__(self) -> None:
        from threading import Thread

        self.lines: list[str] = []
        self.server = Server(Shown(), 0, self)
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.host = f"127.0.0.1:{self.server.guard.port}"

    def undo(self) -> str:
        return f"took back {self.lines.pop()}"

    def add(self, line: str) -> str:
        if "wrong" in line:
            raise BbiError(Diagnostic("E204", "no such layer"))
        self.lines.append(line)
        return f"added {line}"

    def post(self, path: str = "/object", body: str = LINE, **headers: str) -> tuple[int, str]:
        own = {"Host": self.host, "Origin": f"http://{self.host}", "Cookie": self.server.guard.cookie.split(";")[0]}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.guard.port, timeout=60)
        try:
            sent = {name.replace("_", "-"): value for name, value in (own | headers).items() if value}
            connection.request("POST", path, body.encode(), sent)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served():
    made = Served()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_only_the_page_itself_adds_to_the_text(served: Served):
    assert served.post() == (200, f"added {LINE}\n")
    assert served.post("/undo", "") == (200, f"took back {LINE}\n")
    assert served.post("/undo", "", Origin="")[0] == 403 and served.post("/undo", "", Cookie="")[0] == 403
    refused = [
        served.post(Origin=""), served.post(Origin="http://example.org"), served.post(Cookie=""),
        served.post(Cookie="bbi=1"), served.post(Host="example.org"), served.post(Sec_Fetch_Site="cross-site"),
    ]  # fmt: skip
    assert [status for status, _ in refused] == [403] * 6
    assert served.post("/other")[0] == 404 and served.post(body="x" * (LARGEST + 1))[0] == 404
    status, words = served.post(body="wrong")
    assert status == 409 and "E204" in words
    assert not served.lines


@pytest.mark.browser
def test_a_reader_objects_and_sees_before_and_after(tmp_path: Path, chromium):
    training = "set training(loss=cross_entropy, epochs=2)\n"
    (tmp_path / "page.bbi").write_text(TEXT.replace("model a", f"{training}model a"))
    running = Watched(tmp_path)
    context = chromium.new_context(viewport={"width": 900, "height": 700})
    context.set_default_timeout(120000)
    try:
        page = context.new_page()
        page.goto(running.url)
        frame = page.frame_locator("#pages iframe:not(.next)")
        frame.locator(".copy summary").first.click()
        frame.get_by_text("This should not count", exact=True).wait_for()
        frame.locator(".copy button").last.click()
        until(lambda: "discourage(" in running.file.read_text(), 120)
        line = next(one for one in running.file.read_text().splitlines() if "discourage(" in one)
        stage = r'discourage\(first\.channel\[\d\] -> output\["square"\], data=marks\)'
        assert re.fullmatch(rf"model mended = a \| {stage}", line)
        frame.get_by_text("Before and after").wait_for()
        assert "held-out examples of marks" in frame.locator(".verdicts").inner_text()
        assert line in page.locator("#added pre").inner_text()
        page.get_by_role("button", name="Undo").click()
        until(lambda: "discourage(" not in running.file.read_text(), 120)
        assert running.file.read_text() == TEXT.replace("model a", f"{training}model a")
        frame.get_by_text("Before and after").wait_for(state="detached")
        assert page.locator("#added").is_hidden() and page.locator("#refusals").is_hidden()
    finally:
        context.close()
        if running.process.poll() is None:
            running.process.kill()
        running.process.stdout.close()
