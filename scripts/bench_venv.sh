#!/bin/sh
# Makes .venv-bench: .venv's packages, and beside them the peers of benchmarks/peers.txt without their dependencies, so
# that .venv stays as it is. What cannot be installed is named at the end; the benchmarks go on without it.
set -eu

main=.venv/bin/python
"$main" -m venv --clear .venv-bench
python=.venv-bench/bin/python
packages=$("$main" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
own=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# addsitedir, not a bare path: it also reads the .pth file of the editable install
printf 'import site; site.addsitedir(%s)\n' "'$packages'" > "$own/main.pth"

missing=
while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    printf 'installing %s\n' "$line"
    "$python" -m pip --disable-pip-version-check install --quiet --no-deps "$line" 2>/dev/null || missing="$missing $line"
done < benchmarks/peers.txt
[ -z "$missing" ] || printf 'could not be installed:%s; rows that need them are run without them\n' "$missing" >&2
