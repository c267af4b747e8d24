#!/bin/sh
# Makes .venv-bench: .venv's packages, and beside them the peers of benchmarks/peers.txt without their dependencies, so
# that .venv stays as it is. What cannot be installed is named; the benchmarks go on without it.
set -eu

main=.venv/bin/python
"$main" -m venv --clear .venv-bench
python=.venv-bench/bin/python
packages=$("$main" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
own=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# addsitedir, not a bare path: it also reads the .pth file of the editable install
printf 'import site; site.addsitedir(%s)\n' "'$packages'" > "$own/main.pth"
sh scripts/no_deps.sh "$python" benchmarks/peers.txt
