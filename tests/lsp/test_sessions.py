"""Recorded sessions over the real protocol: `python tests/lsp/record.py` records them anew."""

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytest.importorskip("pygls", reason="without the test extra")
spec = spec_from_file_location("bbi_lsp_record", HERE / "record.py")
record = module_from_spec(spec)
spec.loader.exec_module(record)


@pytest.fixture(scope="module")
def editor():
    made = record.Editor("file:///texts/empty.bbi", "")
    yield made
    assert made.stop() == 0, "it ends as the protocol says"


@pytest.mark.parametrize("name", record.TEXTS)
def test_session(editor, name):
    golden = json.loads((HERE / "sessions" / f"{name}.json").read_text(encoding="utf-8"))
    recorded = json.loads(json.dumps(record.session(editor, name)))
    assert recorded["text"] == golden["text"], "the session itself is another: record it"
    for was, now in zip(golden["steps"], recorded["steps"], strict=True):
        assert now == was


def test_no_session_is_left_over():
    assert {path.stem for path in (HERE / "sessions").glob("*.json")} == set(record.TEXTS)


def test_the_server_loads_nothing_heavy():
    """Its answers need descriptions of models, and no model."""
    code = """
import sys
from bbilang.lsp.server import server
made = server()
document = made.document("file:///page.bbi")
document.update('model efficientnet_lite0\\ninput "sample:chelsea"\\nblock5c.expand.channel | present(bars)\\n')
from bbilang.lsp.completion import complete
from bbilang.lsp.hover import hover
complete(document, 70), hover(document, 60)
print([d.code for d in document.state.diagnostics])
print([name for name in ("torch", "altair", "sklearn", "vl_convert", "PIL", "timm") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_without_pygls(tmp_path):
    """A clear line, and no traceback."""
    code = "import sys; sys.modules['pygls'] = None\n"
    code += "import importlib.util as u; f = u.find_spec\n"
    code += "u.find_spec = lambda name, *rest: None if name == 'pygls' else f(name, *rest)\n"
    code += "from bbilang.cli.app import main; sys.exit(main(['lsp']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pygls" in done.stderr and "pip install 'bbilang[lsp]'" in done.stderr and "Traceback" not in done.stderr
