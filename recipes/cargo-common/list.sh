#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists what a Cargo.lock names, for a source that is a list (docs/rust.md).
# Usage: list.sh [--stubs=FILE] LOCK...     the first LOCK that exists counts; FILE: packages that are
# never compiled, one a line; a git dependency that is only of those is not listed
# Needs: lock.awk, lines.awk, config.awk beside it; awk. /configuration/{CARGO_HOME,.cargo}/{config,config.toml},
#        where the user has one: its replacement of crates.io says where crates come from. /answers: what
#        this script asked for in the round before.
# Leaves: on standard output, for each crate `archive URL [MIRROR] sha256=HEX purl=... NAME-VERSION.crate`
#         (`file` instead where an old lock has no checksum), for each commit of a git dependency
#         `git URL commit=HEX git-REPOSITORY-COMMIT`, and `ask URL NAME` for a registry's config.json;
#         `nothing` for a lock without any.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
configuration=${CARGO_CONFIGURATION:-/configuration}
answers=${CARGO_ANSWERS:-/answers}
die() {
    echo "list.sh: $*" >&2
    exit 1
}

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

# What the user's configuration puts in the place of crates.io.
replacement=
for file in "$configuration"/{CARGO_HOME,.cargo}/{config,config.toml}; do
    if [ -f "$file" ]; then
        replacement=$(awk -f "$here/config.awk" "$file")
        break
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk -f "$here/lock.awk" "$lock" >"$work/packages"
if [ ! -s "$work/packages" ]; then # a lock of the project's own packages alone
    echo nothing
    exit 0
fi

# The address template ("dl") of a registry, out of its config.json.
template_of() { # answer's name
    awk 'BEGIN { RS = "\1" } {
        if (match($0, /"dl"[ \t\r\n]*:[ \t\r\n]*"[^"]*"/)) {
            text = substr($0, RSTART, RLENGTH)
            sub(/^"dl"[ \t\r\n]*:[ \t\r\n]*"/, "", text); sub(/"$/, "", text); gsub(/\\\//, "/", text)
            print text
        }
    }' "$answers/$1"
}

# Registries that have to be asked where their files are: "sparse URL of its index", a name for each.
registries=$work/registries
: >"$registries"
asked=
ask() { # index of a registry, its source in the lock (crates.io for the replacement)
    local index=$1 name template
    case $index in
        http://* | https://*) ;;
        *) die "the registry $index has no address that can be asked" ;;
    esac
    name=registry-$(printf '%s' "$index" | sha256sum | cut -c1-16).json
    if [ ! -f "$answers/$name" ]; then
        echo "ask ${index%/}/config.json $name"
        asked=yes
        return
    fi
    template=$(template_of "$name")
    case $template in
        http://*[\ \"\']* | https://*[\ \"\']*) die "config.json of the registry $index names no usable address: $template" ;;
        http://* | https://* | file:///*) printf '%s\t%s\n' "$2" "$template" >>"$registries" ;;
        *) die "config.json of the registry $index names no address of crates (\"dl\")" ;;
    esac
}

mirror=none
case $replacement in
    'sparse '*)
        mirror=asked
        ask "${replacement#sparse }" crates.io
        ;;
    'folder '/*)
        mirror=folder
        printf 'crates.io\tfile://%s/{crate}-{version}.crate\n' "${replacement#folder }" >>"$registries"
        ;;
    '') ;;
    *) echo "list.sh: note: cargo's configuration replaces crates.io by '$replacement', which has no files that can be fetched one by one; crates come from crates.io itself" >&2 ;;
esac
# Registries of the lock other than crates.io.
while read -r source; do
    case $source in
        sparse+*) ask "${source#sparse+}" "$source" ;;
        *) die "$lock: the registry ${source#registry+} is a git repository; only sparse ones can be read" ;;
    esac
done < <(awk -F'\t' '$3 !~ /^git\+/ && $3 != "registry+https://github.com/rust-lang/crates.io-index" &&
    $3 != "sparse+https://index.crates.io/" { print $3 }' "$work/packages" | LC_ALL=C sort -u)
[ -z "$asked" ] || exit 0

awk -F'\t' -v mirror="$mirror" -v lock="$lock" -f "$here/lines.awk" "$registries" "$stubs" "$work/packages"
