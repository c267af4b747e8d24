"""Prints the path of a Chrome or Chromium for the browser tests; `--install` fetches it on Debian as root.

Order: the environment variable BBI_CHROMIUM, the programs on the path, the usual places of macOS and Windows. Without
any, one line says what to install, and the browser tests are skipped with that line. Standard library only.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
MISSING = "browser tests need Chrome or Chromium: install one (Debian: apt-get install chromium), or set BBI_CHROMIUM"


def find() -> str | None:
    """Return the path of a browser, or None."""
    given = os.environ.get("BBI_CHROMIUM")
    if given:
        return shutil.which(given)
    on_path = (shutil.which(name) for name in PROGRAMS)
    installed = (path for path in PATHS if Path(path).is_file())
    return next((path for path in (*on_path, *installed) if path), None)


def install() -> None:
    """Install Debian's package, where this may be done: as root with apt-get. Quiet; its output is shown if it
    fails."""
    if not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get")):
        return
    print("installing Chromium for the browser tests", file=sys.stderr)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    packages = ["chromium", "fonts-liberation"]
    for command in (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            print(f"{' '.join(command)}: {done.stderr.strip()[-500:]}", file=sys.stderr)
            return


if __name__ == "__main__":
    if find() is None and "--install" in sys.argv[1:] and not os.environ.get("BBI_CHROMIUM"):
        install()
    print(find() or MISSING)
