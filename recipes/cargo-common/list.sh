#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists what a Cargo.lock names, for a source that is a list (docs/rust.md).
# Usage: list.sh [--stubs=FILE] LOCK...     the first LOCK that exists counts; a LOCK may be a .crate, which
# has one; FILE: packages that are never compiled, one a line; a git dependency that is only of those is not listed
# Needs: lock.awk, lines.awk, and what registries.sh needs, beside it; awk; for a .crate tar and gzip.
# Leaves: on standard output, for each crate `archive PURL URL sha256=HEX purl=... NAME-VERSION.crate`
#         (`file` instead where an old lock has no checksum), for each commit of a git dependency
#         `git URL commit=HEX git-REPOSITORY-COMMIT`, and `ask URL NAME` for a registry's config.json;
#         `nothing` for a lock without any.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=registries.sh
. "$here/registries.sh"

stubs=/dev/null
case ${1:-} in
    --stubs=*)
        stubs=${1#--stubs=}
        [ -r "$stubs" ] || die "there is no $stubs"
        shift
        ;;
esac
lock=
for candidate in "$@"; do
    if [ -f "$candidate" ]; then
        lock=$candidate
        break
    fi
done
[ -n "$lock" ] || die "there is none of these lock files: $*"

case $lock in
    *.crate)
        tar -xzOf "$lock" --wildcards --no-wildcards-match-slash '*/Cargo.lock' >"$work/Cargo.lock" ||
            die "$lock has no Cargo.lock"
        lock=$work/Cargo.lock
        ;;
esac
awk -f "$here/lock.awk" "$lock" >"$work/packages"
if [ ! -s "$work/packages" ]; then # a lock of the project's own packages alone
    echo nothing
    exit 0
fi

usual=registry+https://github.com/rust-lang/crates.io-index # what every lock calls it
if awk -F'\t' -v it="$usual" '$3 == it { found = 1 } END { exit !found }' "$work/packages"; then
    ask_usual "$usual"
fi
# The other registries of the lock.
while read -r source; do
    case $source in
        sparse+*) ask_registry "${source#sparse+}" "$source" ;;
        *) die "$lock: the registry ${source#registry+} is a git repository; only sparse ones can be read" ;;
    esac
done < <(awk -F'\t' '$3 !~ /^git\+/ && $3 != it { print $3 }' it="$usual" "$work/packages" | LC_ALL=C sort -u)
[ -z "$asked" ] || exit 0

awk -F'\t' -v lock="$lock" -v usual="$usual" -f "$here/lines.awk" "$work/registries" "$stubs" "$work/packages"
