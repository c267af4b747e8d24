#!/bin/sh
# no_deps.sh PYTHON FILE: installs the packages of FILE, one a line, without their dependencies, which would draw another
# torch. What cannot be installed is named at the end, and everything else goes on without it.
set -eu

missing=
while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    printf 'installing %s\n' "$line"
    "$1" -m pip --disable-pip-version-check install --quiet --no-deps "$line" 2>/dev/null || missing="$missing $line"
done < "$2"
[ -z "$missing" ] || printf 'could not be installed:%s; what needs them is left out\n' "$missing" >&2
