#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists the modules that a go.mod needs: each .mod that go.sum names, and each .zip of the versions that go.mod selects.
# The files carry no SHA-256 in go.sum: they are pinned in versions.lock at the first use, and go itself checks them
# against go.sum in the step.
# Usage: modules.sh FOLDER...   the first FOLDER that has a go.mod counts; for one with a vendor folder the list is `nothing`
# Needs: beside it proxies.sh; what proxies.sh says about GOPROXY.
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
[ -f "$folder/go.sum" ] || { echo "modules.sh: $folder has no go.sum, so its modules are not known" >&2 && exit 1; }

# "MODULE VERSION mod|zip" for each file. From go 1.17 on go.mod names every module that a build reads, so that the .zip of
# another version is never opened (Go Modules Reference, "Module graph pruning").
awk '
    function bad(text) { print "modules.sh: " FILENAME ":" FNR ": " text >"/dev/stderr"; failed = 1; exit 1 }
    FILENAME == ARGV[1] {
        sub(/[[:space:]]*\/\/.*/, "")
        if ($1 == "go" && NF == 2) { split($2, part, "."); pruned = part[1] > 1 || part[2] + 0 >= 17 }
        if ($2 == "(") { block = $1; next }
        if ($1 == ")") { block = ""; next }
        if (block == "require" || block == "replace") $0 = block " " $0
        if ($1 == "require") selected[$2 " " $3] = 1
        if ($1 == "replace") for (i = 2; i < NF; i++) if ($i == "=>" && i + 2 == NF) selected[$(i + 1) " " $(i + 2)] = 1
        next
    }
    NF == 0 { next }
    NF != 3 || $3 !~ /^h1:[A-Za-z0-9+\/]+=$/ { bad("this is no line of a go.sum") }
    {
        version = $2
        kind = sub(/\/go\.mod$/, "", version) ? "mod" : "zip"
        if ($1 !~ /^[A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*$/ || $1 ~ /(^|\/)\.\.?(\/|$)/ ||
            version !~ /^v[0-9][A-Za-z0-9.+-]*$/) bad("this names no module")
        if (kind == "mod" || !pruned || ($1 " " version) in selected)
            if (!seen[$1 " " version " " kind]++) print $1, version, kind
    }
' "$folder/go.mod" "$folder/go.sum" |
    while read -r module version kind; do
        module_line "$module" "$version" "$kind"
    done
[ "${PIPESTATUS[0]}" = 0 ]
