#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds virtiofsd as a static program for the target.
# Needs: /src/virtiofsd, a crate or a tree; /src/crates; what cargo-common/setup.sh says; static libseccomp and libcap-ng of the
#        target, which the builder's packages have.
# Leaves: /out/virtiofsd$PREFIX/libexec/virtiofsd.
set -eu
umask 022

libraries=/usr/lib/$TRIPLET
if [ -n "$CROSS_COMPILE" ]; then
    libraries=/sysroot/$TRIPLET$libraries
fi
# shellcheck disable=SC2034 # setup.sh reads it
RUST_FLAGS="-C target-feature=+crt-static"
# shellcheck source-path=SCRIPTDIR source=../cargo-common/setup.sh
. /shared/cargo-common/setup.sh
if [ -f /src/virtiofsd/Cargo.toml ]; then # a local tree
    cp -R /src/virtiofsd source
    chmod -R u+w source
else
    mkdir source
    tar -xzf /src/virtiofsd/virtiofsd-*.crate -C source --strip-components=1 --no-same-owner
fi
cd source
cargo_setup --needs="$(cargo_rust_version Cargo.toml)" Cargo.lock

export LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH=$libraries
export LIBCAPNG_LINK_TYPE=static LIBCAPNG_LIB_PATH=$libraries
cargo_build --bin virtiofsd
# Like upstream's it keeps its symbols. A release normalizes modes (docs/packing.md), so 0744 becomes 0755 there.
install -D -m 0744 "$CARGO_TARGET_DIR/$RUST_TARGET/release/virtiofsd" "/out/virtiofsd$PREFIX/libexec/virtiofsd"
