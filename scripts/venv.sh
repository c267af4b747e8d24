#!/bin/sh
# Creates .venv with $PYTHON, else with the first of python3, python3.14 ... python3.11 that is new enough.
set -eu

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

interpreter=
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if new_enough "$python"; then
        interpreter=$python
        break
    fi
done
if [ -z "$interpreter" ]; then
    echo "bbilang needs Python 3.11 or later: install it, or name it with make PYTHON=/path/to/python3.12" >&2
    exit 1
fi

complete() {
    "$interpreter" -m venv .venv >/dev/null 2>&1 || { rm -rf .venv; return 1; }
}

if ! complete; then # Debian ships venv in a package of its own
    package=$("$interpreter" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        { apt-get update && apt-get install --yes --no-install-recommends "$package"; } >/dev/null 2>&1 || true
    fi
    if ! complete; then
        echo "$interpreter cannot make a virtual environment: install $package (or your system's name for it)" >&2
        exit 1
    fi
fi
