#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists one crate of the usual registry, for a source that a project publishes there (docs/rust.md).
# Usage: crate.sh NAME VERSION
# Needs: crates.sha256, lines.awk, and what registries.sh needs, beside it.
# Leaves: a line for NAME-VERSION.crate, with a digest if crates.sha256 has it; or `ask URL NAME` for a registry's
#         config.json.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=registries.sh
. "$here/registries.sh"

[[ $1 =~ ^[A-Za-z0-9_-]+$ && $2 =~ ^[0-9][0-9A-Za-z.+-]*$ ]] || die "'$1' and '$2' are no name and version of a crate"
digest=$(awk -v file="$1-$2.crate" '$2 == file { print $1 }' "$here/crates.sha256")
ask_usual usual
[ -z "$asked" ] || exit 0
printf '%s\t%s\tusual\t%s\n' "$1" "$2" "${digest:--}" >"$work/packages"
awk -F'\t' -v lock="$1" -v usual=usual -f "$here/lines.awk" "$work/registries" /dev/null "$work/packages"
