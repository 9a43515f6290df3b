#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists the modules that a go.mod needs: each .mod that go.sum names, and each .zip of the versions that go.mod selects.
# The files carry no SHA-256 in go.sum: they are pinned in versions.lock at the first use, and go itself checks them
# against go.sum in the step.
# Usage: modules.sh FOLDER...   the first FOLDER that has a go.mod counts; for one with a vendor folder, or that needs no module, the
#                             list is `nothing`
# Needs: beside it proxies.sh, gomod.awk, gosum.awk; what proxies.sh says about GOPROXY.
# Leaves: lines on standard output.
set -eu

here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=proxies.sh
. "$here/proxies.sh"

folder=
for candidate in "$@"; do
    if [ -f "$candidate/go.mod" ]; then
        folder=$candidate
        break
    fi
done
[ -n "$folder" ] || { echo "modules.sh: there is no go.mod in $*" >&2 && exit 1; }
[ ! -f "$folder/vendor/modules.txt" ] || { echo nothing && exit 0; }

# A module of the standard library alone has no go.sum, or an empty one.
needs=$(awk -v ask=needs -f "$here/gomod.awk" "$folder/go.mod")
if [ ! -s "$folder/go.sum" ]; then
    [ "$needs" != 0 ] || { echo nothing && exit 0; }
    echo "modules.sh: $folder has no go.sum, or an empty one, so its modules are not known" >&2
    exit 1
fi

awk -f "$here/gomod.awk" -f "$here/gosum.awk" "$folder/go.mod" "$folder/go.sum" |
    while read -r module version kind; do
        module_line "$module" "$version" "$kind"
    done
[ "${PIPESTATUS[0]}" = 0 ]
