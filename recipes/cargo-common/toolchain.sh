#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Lists the archives of Rust's own distribution, for a source that is a list (docs/rust.md).
# Usage: toolchain.sh VERSION HOST TARGET    as uname -m says the two architectures
# Needs: RUSTUP_DIST_SERVER, the server that rustup uses. /answers: the manifest of the release that this
#        script asks for in the first round, with the address of each archive.
# Leaves: a line for rustc, cargo and the standard library for HOST, and one for the standard library for
#         TARGET where that is another one. None has a digest, since the manifest is not pinned itself:
#         versions.lock pins each file at its first use.
set -eu

answers=${CARGO_ANSWERS:-/answers}
die() {
    echo "toolchain.sh: $*" >&2
    exit 1
}
version=$1
case $version in
    *[!0-9.]* | '' | .*) die "'$version' is not a version of Rust" ;;
esac
triple() {
    case $1 in
        ppc64le) echo powerpc64le-unknown-linux-gnu ;;
        *) echo "$1-unknown-linux-gnu" ;;
    esac
}
host=$(triple "$2")
target=$(triple "$3")
server=${RUSTUP_DIST_SERVER:-}
server=${server%/}
[ -n "$server" ] ||
    die "RUST_TOOLCHAIN=upstream needs RUSTUP_DIST_SERVER in the environment: the server of Rust's archives, or a mirror of it (rustup's book, 'Environment variables', names the usual one)"
manifest=channel-rust-$version.toml
if [ ! -f "$answers/$manifest" ]; then
    echo "ask $server/dist/$manifest $manifest"
    exit 0
fi

archive() { # component, triple
    local url path package=pkg:generic/$1@$version
    # [pkg.rustc.target.x86_64-unknown-linux-gnu], then xz_url = "..."
    url=$(awk -v wanted="[pkg.$1.target.$2]" '
        /^\[/ { here = $0 == wanted }
        here && /^xz_url = "/ { split($0, field, "\""); url = field[2] }
        END { print url }' "$answers/$manifest")
    [ -n "$url" ] || die "Rust $version has no $1 for $2"
    # Upstream's own address; a mirror has the same path.
    path=${url#https://*/}
    case $path in
        dist/*.tar.xz) ;;
        *) die "the manifest of Rust $version names an odd address: $url" ;;
    esac
    echo "file $package?file_name=${url##*/} $server/$path purl=$package ${url##*/}"
}

archive rustc "$host"
archive cargo "$host"
archive rust-std "$host"
if [ "$target" != "$host" ]; then
    archive rust-std "$target"
fi
