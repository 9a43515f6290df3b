#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Removes from an installed tree what `prune` names, and the folders that are empty then.
# Usage: prune.sh PREFIX
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
shopt -s nullglob
while read -r pattern; do
    case $pattern in '' | '#'*) continue ;; esac
    # Unquoted, so that it is a pattern; none of them has a blank.
    # shellcheck disable=SC2086
    set -- $pattern
    [ $# -eq 0 ] || rm -rf -- "$@"
done <"$here/prune"
find . -mindepth 1 -depth -type d -empty -delete
