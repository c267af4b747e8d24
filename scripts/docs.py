"""The documentation site, `make docs`: the text by mkdocs, and the gallery's live pages by `bbi run`, one for each spec.

python scripts/docs.py [--draft] [--site FOLDER] [--only NAME ...]

Links, anchors and pictures that lead nowhere stop it, and so does a spec whose page fails. Icons come from the cache where
they are there; without them a page takes minutes on a CPU, and seconds with --draft.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPECS = sorted((ROOT / "specs").glob("*.bbi"))


def build(site: Path, names: Sequence[str], draft: bool, options: Sequence[str] = ()) -> None:
    """Write the whole site, with live pages of the specs that are named. Raises CalledProcessError."""
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "true"}
    mkdocs = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    subprocess.run(mkdocs, cwd=ROOT, env=quiet, check=True)
    for name in names:
        page = site / "gallery" / f"{name}.html"
        page.parent.mkdir(exist_ok=True)
        bbi = [sys.executable, "-m", "bbilang.cli", "run", f"specs/{name}.bbi", "-o", str(page), *options]
        subprocess.run(bbi + ["--draft"] * draft, cwd=ROOT, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draft", action="store_true", help="small, quick icons, marked on the pages")
    parser.add_argument("--site", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="live pages of these specs alone")
    given = parser.parse_args()
    try:
        build(given.site.resolve(), given.only or [path.stem for path in SPECS], given.draft)
    except subprocess.CalledProcessError as failed:
        print(f"stopped: {' '.join(failed.cmd[1:])}", file=sys.stderr)
        return 1
    print(given.site.resolve() / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
