"""See `benchmarks.space`."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks import space
from benchmarks.space import page, table
from benchmarks.surroundings import surroundings


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.space", description=space.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--row", action="append", default=[], help="its id; repeatable")
    parser.add_argument("--tool", action="append", default=[], help=f"of {', '.join(table.TOOLS)}; repeatable")
    parser.add_argument("--adapter", action="append", default=[], metavar="MODULE:CLASS", help="a tool of your own")
    parser.add_argument("--write", action="store_true", help="only write the page, from what was measured before")
    given = parser.parse_args()
    known = {row.id for row in table.rows()}
    if unknown := [*sorted({*given.row} - known), *sorted({*given.tool} - {*table.TOOLS})]:
        parser.error(f"there is no {unknown[0]}; rows are {', '.join(sorted(known))}")
    if not given.write:
        chosen = [*given.tool, *given.adapter] or list(table.TOOLS)
        record = table.measured(chosen, given.row)
        if given.adapter:  # somebody's own: not of the page
            return int(not record)
        _keep(record)
    page.write()
    return 0


def _keep(record: dict[str, object]) -> None:
    """Replace what was measured again in results/space.json."""
    path = table.RESULT
    before = table.stored() if path.exists() else {"tools": {}}
    for name, one in record.items():
        own = before["tools"].setdefault(name, {"rows": {}})
        own |= {"version": one["version"], "rows": own["rows"] | one["rows"]}
    before |= {"environment": surroundings()}
    path.write_text(json.dumps(before, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
