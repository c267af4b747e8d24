"""Writes docs/users.md: inputs and what happens, one row for each test marked `@brings(...)` in tests/users.

python scripts/users_table.py          write it
python scripts/users_table.py --check  fail where it is not up to date
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "users.md"
GROUPS = (
    "Networks",
    "Scores",
    "Inputs",
    "Texts",
    "Weights",
    "Methods",
    "Size and memory",
    "Files",
    "Texts of the language",
    "Python API",
)
HEAD = """# Supported inputs

<!-- Written by scripts/users_table.py from the tests in tests/users; a test holds it to them. -->

No value on a page is silently wrong: anything that cannot be computed correctly is refused with a
[code](reference/errors.md). Each row is a test.
"""


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield (group, input, what happens) in the order of the files and of the tests in them."""
    for path in sorted((ROOT / "tests" / "users").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for call in getattr(node, "decorator_list", ()):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "brings":
                    group, what, happens = (ast.literal_eval(argument) for argument in call.args)
                    if group not in GROUPS:
                        raise SystemExit(f"{path.name}:{call.lineno}: there is no group {group!r}: {', '.join(GROUPS)}")
                    yield group, what, happens


def page() -> str:
    """Return the whole page."""
    table = list(rows())
    parts = [HEAD]
    for group in GROUPS:
        lines = [f"| {what} | {happens} |" for g, what, happens in table if g == group]
        if lines:
            head = [f"## {group}\n", "| input | what happens |", "|---|---|"]
            parts.append("\n".join([*head, *lines]) + "\n")
    return "\n".join(parts)


def main() -> int:
    """Write the page. Returns 0, or 1 if ``--check`` finds that it is out of date."""
    text = page()
    if "--check" in sys.argv[1:]:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
