#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the runtime in Rust. Upstream's own Makefile says what is built, and makes what is generated and installed; cargo itself is
# called here, since that Makefile makes each warning of a newer compiler an error.
# Needs: /src/kata, /src/crates; what cargo-common/setup.sh says; make, perl; EXTRA_OPTS; with MEASURED_ROOTFS=yes the root hash
#        file of /deps/rootfs-image-confidential, for releases that take one.
# Leaves: /out/$TARGET$PREFIX: runtime-rs/bin/containerd-shim-kata-v2, share/defaults/kata-containers/runtime-rs.
set -eu
umask 022

die() {
    echo "shim-v2-rust: $*" >&2
    exit 1
}

out=/out/$TARGET
configurations=$out$PREFIX/share/defaults/kata-containers/runtime-rs
runtime=/build/kata/src/runtime-rs
packaging=/src/kata/tools/packaging/static-build/shim-v2/build.sh

# shellcheck source-path=SCRIPTDIR source=../cargo-common/setup.sh
. /shared/cargo-common/setup.sh

# Build scripts write into the sources. The runtime in Go has a tree of modules of its own, of no use here.
mkdir kata
tar -C /src/kata --exclude=./src/runtime --exclude=./docs --exclude=./tests -cf - . | tar -C kata -xf -
chmod -R u+w kata
cd "$runtime"
manifests=(Cargo.toml)
[ ! -f ../../Cargo.toml ] || manifests+=(../../Cargo.toml)
cargo_setup --needs="$(cargo_rust_version "${manifests[@]}")" "$PWD/Cargo.lock" "$(realpath ../..)/Cargo.lock"

# A source has no commit.
options=(PREFIX="$PREFIX" QEMUCMD="qemu-system-$ARCH" ARCH="$ARCH" LIBC=gnu DESTDIR="$out" COMMIT=unknown)

knows() { grep -qE "^[[:space:]]*$1[[:space:]]*[?:]?=" Makefile; }

if [ "$MEASURED_ROOTFS" = yes ] && knows COCOVERITYPARAMS; then
    die "MEASURED_ROOTFS=yes: this release's runtime in Rust starts a measured image with an extension for confidential guests, and there is no recipe for that one; RUNTIME_CHOICE=go builds the runtime in Go alone"
elif [ "$MEASURED_ROOTFS" = yes ] && knows KERNELVERITYPARAMS; then
    root_hashes=(/deps/rootfs-image-confidential"$PREFIX"/share/kata-containers/root_hash*.txt)
    [ -f "${root_hashes[0]}" ] ||
        die "MEASURED_ROOTFS=yes, but no rootfs-image-confidential with a root hash could be made: MEASURED_ROOTFS=no builds the runtime without"
    measured=$(awk -v form=parameters -f /shared/shim-common/root-hash.awk "${root_hashes[0]}")
    options+=("KERNELVERITYPARAMS=$measured")
elif [ "$MEASURED_ROOTFS" = yes ]; then
    echo "this release's runtime in Rust takes no root hash (MEASURED_ROOTFS)" >/build/summary
fi

# EXTRA_OPTS is part of a command line, with a shell's quotes. In older releases it is for the runtime in Go alone.
if [ -n "$EXTRA_OPTS" ] && awk '/src\/runtime-rs"/ { here = 1 } /;;/ { here = 0 } here' "$packaging" | grep -qF "\${EXTRA_OPTS}"; then
    extra=()
    eval "extra=($EXTRA_OPTS)"
    options+=("${extra[@]}")
fi

# What a variable of the Makefile is.
value() {
    make "${options[@]}" --no-print-directory --eval="print-value: ; @echo 'value=\$($1)'" print-value | sed -n 's/^value=//p'
}

# All packages together, as upstream's `cargo build` does it: a feature is then on in each that has it.
selection=()
! grep -qF 'cargo build -p runtime-rs' Makefile || selection=(-p runtime-rs)
read -r -a features <<<"$(value EXTRA_RUSTFEATURES)"
read -r -a profile <<<"$(value RELEASE_CARGO_PROFILE_ENV)"
echo "features: ${features[*]:-none}; profile: ${profile[*]:-as in Cargo.toml}"
[ ${#profile[@]} -eq 0 ] || export "${profile[@]}"

make "${options[@]}" static-checks-build # what is made from templates
cargo_build "${selection[@]}" --bin containerd-shim-kata-v2 "${features[@]}"

make "${options[@]}" install-configs
install -D -m 0755 "$CARGO_TARGET_DIR/$RUST_TARGET/release/containerd-shim-kata-v2" \
    "$out$PREFIX/runtime-rs/bin/containerd-shim-kata-v2"

# Where the Makefile's default is a hypervisor that there is not for this architecture, its link names nothing.
if [ ! -f "$configurations/configuration.toml" ]; then
    [ -f "$configurations/configuration-qemu-runtime-rs.toml" ] || die "the Makefile made no configuration-qemu-runtime-rs.toml"
    ln -sf configuration-qemu-runtime-rs.toml "$configurations/configuration.toml"
fi
