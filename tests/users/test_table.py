"""docs/users.md agrees with the tests of this folder."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = runpy.run_path(str(ROOT / "scripts" / "users_table.py"))


def test_the_page_is_up_to_date():
    assert (ROOT / "docs" / "users.md").read_text(encoding="utf-8") == TABLE["page"](), (
        "write it anew: python scripts/users_table.py"
    )
