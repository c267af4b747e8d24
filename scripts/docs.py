"""The documentation site, `make docs`: the text by mkdocs, and the gallery's live pages by `bbi run`.

python scripts/docs.py [--draft] [--site FOLDER] [--only NAME ...]

It stops at a broken link, anchor or picture, and at a spec whose page fails. Icons come from the cache; without it, a
page may take minutes on a CPU.
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


def text(site: Path) -> None:
    """Write the site without live pages. Raises CalledProcessError after mkdocs has printed the reason."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "true"}, check=True)


def live(site: Path, name: str, options: Sequence[str] = ()) -> Path:
    """Write the page of one spec into the site. Raises CalledProcessError after `bbi` has printed the reason."""
    page = site / "gallery" / f"{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bbilang.cli", "run", f"specs/{name}.bbi", "-o", str(page), *options]
    subprocess.run(command, cwd=ROOT, check=True)
    return page


def space(site: Path) -> Path:
    """Write where the specs lie in the space of interfaces, with links to their live pages."""
    page = site / "gallery" / "space.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bbilang.cli", "space", "specs", "-o", str(page)]
    subprocess.run(command, cwd=ROOT, check=True)
    return page


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draft", action="store_true", help="small icons, made quickly; the pages say so")
    parser.add_argument("--site", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="only the live pages of these specs")
    given = parser.parse_args()
    site = given.site.resolve()
    try:
        text(site)
        for name in given.only or [path.stem for path in SPECS]:
            live(site, name, ["--draft"] if given.draft else [])
        space(site)
    except subprocess.CalledProcessError as failed:
        print(f"stopped: {' '.join(failed.cmd[1:])}", file=sys.stderr)
        return 1
    print(site / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
