# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Prepares an offline build with cargo; sourced by the build scripts of recipes (docs/rust.md).
#   cargo_setup [--crates=FOLDER] [--stubs=FILE] [--needs=VERSION] LOCK...
# lays out the files that list.sh listed for the first LOCK that exists, checks the toolchain, and sets the
# environment; then
#   cargo_build [OPTION...]
# is `cargo build --offline --locked --release` for the target.
# Needs: FOLDER (/src/crates); FILE: the one that list.sh had; VERSION: the oldest Rust that will do;
#        ARCH, TRIPLET, CROSS_COMPILE, JOBS; RUST_TOOLCHAIN (distribution, upstream: then /src/rust). For
#        another architecture, Rust's standard library and a C library in /sysroot/$TRIPLET.
# Leaves: /build/cargo; RUST_TARGET (s390x-unknown-linux-gnu), CARGO_LOCK (the lock that counted).

cargo_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cargo_top=$PWD
cargo_work=$PWD/cargo

cargo_die() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}

cargo_setup() {
    local crates=/src/crates stubs=/dev/null needs='' candidate
    while :; do
        case ${1:-} in
            --crates=*) crates=${1#*=} ;;
            --stubs=*) stubs=${1#*=} ;;
            --needs=*) needs=${1#*=} ;;
            *) break ;;
        esac
        shift
    done
    CARGO_LOCK=
    for candidate in "$@"; do
        if [ -z "$CARGO_LOCK" ] && [ -f "$candidate" ]; then
            CARGO_LOCK=$candidate
        fi
    done
    [ -n "$CARGO_LOCK" ] || cargo_die "there is none of these lock files: $*"
    [ -r "$stubs" ] || cargo_die "there is no $stubs, the list of packages that are never compiled"
    mkdir -p "$cargo_work/home"
    cargo_toolchain "$needs"
    awk -f "$cargo_here/lock.awk" "$CARGO_LOCK" >"$cargo_work/packages"
    bash "$cargo_here/layout.sh" "$crates" "$stubs" "$cargo_work"
    cargo_environment
}

# ---- the toolchain ----

# The archives of upstream's distribution, unpacked into one folder.
cargo_upstream() {
    local archive
    mkdir "$cargo_work/rust"
    for archive in /src/rust/*.tar.xz; do
        [ -f "$archive" ] || cargo_die "RUST_TOOLCHAIN=upstream, but /src/rust holds no archive"
        echo "unpacking ${archive##*/}"
        # NAME/COMPONENT/..., of which NAME/COMPONENT goes away; the installer's own files are above it
        tar -xJf "$archive" -C "$cargo_work/rust" --no-same-owner --strip-components=2 --wildcards '*/*/*' \
            --exclude='*/manifest.in' --exclude='*/share/doc'
    done
    PATH=$cargo_work/rust/bin:$PATH
}

# "1.85" of 1.85.1, as a number that can be compared: 1085
cargo_minor() {
    echo "$1" | awk -F. '{ print $1 * 1000 + $2 }'
}

cargo_toolchain() { # oldest version that will do, or nothing
    local host
    case $RUST_TOOLCHAIN in
        distribution) ;;
        upstream) cargo_upstream ;;
        *) cargo_die "RUST_TOOLCHAIN is '$RUST_TOOLCHAIN'; it can be distribution or upstream" ;;
    esac
    command -v rustc >/dev/null || cargo_die "there is no rustc in the builder"
    RUST_VERSION=$(rustc --version | cut -d' ' -f2)
    echo "$(rustc --version), $(cargo --version), for $ARCH"
    if [ -n "$1" ] && [ "$(cargo_minor "$RUST_VERSION")" -lt "$(cargo_minor "$1")" ]; then
        cargo_die "rustc $RUST_VERSION here, $1 needed for $TARGET" \
            "a newer release of the distribution may have it, RUST_TOOLCHAIN=upstream takes Rust's own archives, and an older version of the source may need less"
    fi
    case $ARCH in
        ppc64le) RUST_TARGET=powerpc64le-unknown-linux-gnu ;;
        *) RUST_TARGET=$ARCH-unknown-linux-gnu ;;
    esac
    host=$(rustc -vV | sed -n 's/^host: //p')
    cargo_sysroot "$host"
}

# rustc looks for the standard library of a target in its own sysroot. Where that one lies elsewhere,
# a folder of links has both.
cargo_sysroot() { # the host's triple
    local own other=/sysroot/$TRIPLET/usr/lib/rustlib/$RUST_TARGET
    RUST_SYSROOT=$(rustc --print sysroot)
    own=$RUST_SYSROOT/lib/rustlib
    if [ ! -d "$own/$RUST_TARGET/lib" ] && [ -d "$other" ]; then
        RUST_SYSROOT=$cargo_work/sysroot
        mkdir -p "$RUST_SYSROOT/lib/rustlib"
        ln -s "$own/$1" "$RUST_SYSROOT/lib/rustlib/$1"
        ln -s "$other" "$RUST_SYSROOT/lib/rustlib/$RUST_TARGET"
    fi
    [ -d "$RUST_SYSROOT/lib/rustlib/$RUST_TARGET/lib" ] ||
        cargo_die "the builder has no standard library of Rust for $RUST_TARGET"
}

# ---- the environment ----

cargo_environment() {
    local name=${RUST_TARGET//-/_} compiler=${CROSS_COMPILE}gcc flags="-ffile-prefix-map=$cargo_top/=" link='' root=/sysroot/$TRIPLET
    export CARGO_HOME=$cargo_work/home CARGO_TARGET_DIR=$PWD/target CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
    if [ -n "$CROSS_COMPILE" ] && [ -d "$root" ]; then
        flags="$flags --sysroot=$root"
        link="-C link-arg=--sysroot=$root"
        export PKG_CONFIG_ALLOW_CROSS=1
        export "PKG_CONFIG_SYSROOT_DIR_$name=$root" \
            "PKG_CONFIG_LIBDIR_$name=$root/usr/lib/$TRIPLET/pkgconfig:$root/usr/share/pkgconfig"
    fi
    # Only these, and not RUSTFLAGS or CC, stay away from build scripts, which run here.
    export "CC_$name=$compiler" "AR_$name=${CROSS_COMPILE}ar" "CFLAGS_$name=$flags" "CXXFLAGS_$name=$flags"
    if command -v "${CROSS_COMPILE}g++" >/dev/null; then
        export "CXX_$name=${CROSS_COMPILE}g++"
    fi
    link="$link --sysroot=$RUST_SYSROOT --remap-path-prefix=$cargo_top/= ${RUST_FLAGS:-}"
    export "CARGO_TARGET_${name^^}_LINKER=$compiler" "CARGO_TARGET_${name^^}_RUSTFLAGS=$link"
    cargo_probe "$compiler" "$link"
}

# Whether a program for the target can be made at all, before minutes are spent on it.
cargo_probe() { # linker, flags
    local library
    # shellcheck disable=SC2086 # flags are words
    if echo 'fn main() {}' | rustc --target "$RUST_TARGET" -C linker="$1" $2 -o "$cargo_work/probe" - \
        2>"$cargo_work/probe.log"; then
        rm -f "$cargo_work/probe"
        return
    fi
    library=$(cd "$RUST_SYSROOT/lib/rustlib/$RUST_TARGET/lib" && echo libstd-*.rlib)
    cat "$cargo_work/probe.log" >&2
    if grep -q E0514 "$cargo_work/probe.log"; then
        cargo_die "rustc here is $RUST_VERSION, and the standard library for $RUST_TARGET ($library) was built by another version" \
            "name the packages of both in 'same-version' of the recipe's builder, or set RUST_TOOLCHAIN=upstream"
    fi
    cargo_die "rustc $RUST_VERSION cannot make the smallest program for $RUST_TARGET"
}

# The version of Rust that a manifest says it needs, or nothing.
cargo_rust_version() { # Cargo.toml...
    sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$@" | head -n 1
}

# Cargo takes its jobs from kbuild's jobserver, through MAKEFLAGS. A rust-version that differs in the
# last number is no other language: Debian 12 has 1.85.0 where 1.85.1 is asked for.
cargo_build() {
    local own='' ignore=()
    own=$(cargo_rust_version Cargo.toml "$(dirname "$CARGO_LOCK")/Cargo.toml")
    if [ -n "$own" ] && [ "$own" != "$RUST_VERSION" ] && [ "$(cargo_minor "$own")" = "$(cargo_minor "$RUST_VERSION")" ]; then
        ignore=(--ignore-rust-version)
    fi
    cargo build --offline --locked --release --target "$RUST_TARGET" "${ignore[@]}" "$@" ||
        cargo_die "cargo build failed for $TARGET with rustc $RUST_VERSION"
}
