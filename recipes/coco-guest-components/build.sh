#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the guest components: attestation-agent, confidential-data-hub, api-server-rest
# (docs/components.md).
# Needs: /src/guest-components, /src/crates; what cargo-common/setup.sh needs; protoc, cmake, perl, libclang;
#        GUEST_COMPONENTS_VERSION.
# Leaves: /out/coco-guest-components/usr/local/bin: the three programs, stripped, and luks-encrypt-storage
#         where the source has it; .../etc/ocicrypt_config.json where the source has it.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../cargo-common/setup.sh
. /shared/cargo-common/setup.sh

# Build scripts write generated code beside the sources.
cp -R --no-preserve=mode /src/guest-components source
cargo_setup --stubs="$here/stubs" --needs="$(sed -n 's/^channel = "\(.*\)"/\1/p' source/rust-toolchain.toml)" "$PWD/source/Cargo.lock"

mkdir bin
install -m 0755 "$here/git.sh" bin/git
export PATH=$PWD/bin:$PATH
if [ -n "$CROSS_COMPILE" ]; then
    # bindgen reads C headers with libclang, which knows nothing of the cross compiler.
    export "BINDGEN_EXTRA_CLANG_ARGS_${RUST_TARGET//-/_}=--sysroot=/sysroot/$TRIPLET"
    # AWS-LC has no bindings for s390x. There its build script makes them; on another machine it does so only
    # if it is asked by a feature.
    for manifest in cargo/crates/aws-lc-sys-*/Cargo.toml; do
        if [ -f "$manifest" ] && [ "$ARCH" = s390x ] && ! grep -q '^default = ' "$manifest"; then
            sed -i '/^\[features\]/a default = ["bindgen"]' "$manifest"
        fi
    done
fi

# The features of upstream's makefiles, which cannot be used: they call apt-get and rustup.
case $ARCH in
    x86_64) attesters=snp-attester,tdx-attester crypto=rust-crypto ;;
    s390x) attesters=se-attester crypto=openssl ;;
    *)
        echo "guest components for $ARCH have no attester" >&2
        exit 1
        ;;
esac
# What the makefile of the data hub takes if nothing is said: key services and kinds of storage
# that this version has.
default_of() { # variable
    sed -n "s/^$1 *?= *//p" source/confidential-data-hub/Makefile
}
hub=bin,ttrpc,kbs,sev,$(default_of KMS_PROVIDER)
storage=$(default_of STORAGE)
if [ -n "$storage" ]; then
    hub=$hub,$storage
fi

build() { # folder, options of cargo
    (cd "source/$1" && shift && cargo_build "$@")
}
build api-server-rest
build attestation-agent/attestation-agent --no-default-features \
    --features "coco_as,kbs,bin,ttrpc,$attesters,$crypto" --bin ttrpc-aa
build confidential-data-hub/hub --no-default-features --features "$hub" --bin ttrpc-cdh

out=/out/coco-guest-components
program() { # what cargo made, its name in the guest
    "${CROSS_COMPILE}strip" -o "$2" "target/$RUST_TARGET/release/$1"
    install -D -m 0755 "$2" "$out/usr/local/bin/$2"
}
program api-server-rest api-server-rest
program ttrpc-aa attestation-agent
program ttrpc-cdh confidential-data-hub

# Each is in the tarballs of those releases of Kata whose guest components have it.
script=source/confidential-data-hub/hub/src/storage/scripts/luks-encrypt-storage
if [ -f "$script" ]; then
    install -D -m 0755 "$script" "$out/usr/local/bin/luks-encrypt-storage"
fi
settings=source/confidential-data-hub/hub/src/image/ocicrypt_config.json
if [ -f "$settings" ]; then
    install -D -m 0644 "$settings" "$out/etc/ocicrypt_config.json"
fi
