"""A notebook's cell with holes shows its completions."""

from __future__ import annotations

import bbilang
from bbilang.notebook import run_cell


class Shell:
    def __init__(self) -> None:
        self.user_ns: dict[str, object] = {}


def test_a_cell_with_holes_gives_its_completions(monkeypatch):
    shown = []
    monkeypatch.setattr("bbilang.notebook._Shown._show", lambda self, bundle: shown.append(bundle))
    shell = Shell()
    run_cell(shell, "--name open", 'input "sample:chelsea"\nblock5c.expand.? | attribute(output) | present(heatmap)')
    (only,) = shell.user_ns["open"]
    assert only.filled.fillings == ("spatial",)
    assert "<code>block5c.expand.spatial | attribute(output) | present(heatmap)</code>" in shown[-1]["text/html"]
    text = 'output.? | present(bars, title="<script>")'
    assert "<script" not in bbilang.complete(text, input="sample:chelsea")._repr_html_()
