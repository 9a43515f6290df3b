#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Completes the firmware of an installed QEMU from the distribution's packages, where the source has
# none, and says what is missing of QEMU's own list.
# Usage: firmware.sh SOURCE PACKAGES DATA
#   SOURCE   QEMU's source: pc-bios/ and the list in pc-bios/meson.build
#   PACKAGES folder with the content of packages, one folder each
#   DATA     where the firmware belongs
set -eu
umask 022

source=$1 packages=$2 data=$3
here=$(cd "$(dirname "$0")" && pwd)

# The names in the lists `blobs` and `fds`: quoted, one a line.
listed() {
    sed -n "/^ *\(blobs\|fds\) = \[/,/^ *\]/s/^ *'\([^']*\)',\{0,1\}$/\1/p" "$source/pc-bios/meson.build"
}

is_pruned() {
    local pattern
    while read -r pattern; do
        # shellcheck disable=SC2254 # it is a pattern
        case share/x/qemu/$1 in $pattern) return 0 ;; esac
    done < <(grep '^share/' "$here/prune")
    return 1
}

find_in_packages() {
    find "$packages" -path "$source" -prune -o -name "$1" \
        \( -path '*/usr/share/*' -o -path '*/usr/lib/*' \) -type f -print | sort | head -n 1
}

mkdir -p "$data"
missing=()
while read -r name; do
    if is_pruned "$name" || [ -e "$data/$name" ]; then
        continue
    fi
    file=$source/pc-bios/$name
    [ -f "$file" ] || file=$(find_in_packages "$name")
    if [ -n "$file" ]; then
        install -m 0644 "$file" "$data/$name"
    else
        missing+=("$name")
    fi
done < <(listed)
[ "${#missing[@]}" -eq 0 ] ||
    echo "note: neither the source nor the packages have this firmware: ${missing[*]}" >&2
