#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the agent for the target, and its systemd units.
# Needs: /src/kata, /src/crates; what cargo-common/setup.sh says; with SECCOMP=yes /deps/libseccomp.
#        AGENT_POLICY, INIT_DATA, SECCOMP (yes, no), LIBC (gnu).
# Leaves: /out/agent/usr/bin/kata-agent and usr/lib/systemd/system/{kata-agent.service,kata-containers.target}.
set -eu
umask 022

die() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}
[ "$LIBC" = gnu ] || die "LIBC=$LIBC: only gnu can be built: distributions have no standard library of Rust for musl"

# shellcheck source-path=SCRIPTDIR source=../cargo-common/setup.sh
. /shared/cargo-common/setup.sh

# Build scripts write into the sources. The runtime has a tree of modules of its own, of no use here.
mkdir kata
tar -C /src/kata --exclude=./src/runtime --exclude=./docs --exclude=./tests -cf - . | tar -C kata -xf -
chmod -R u+w kata
cd kata/src/agent
manifests=(Cargo.toml)
[ ! -f ../../Cargo.toml ] || manifests+=(../../Cargo.toml)
cargo_setup --needs="$(cargo_rust_version "${manifests[@]}")" "$PWD/Cargo.lock" "$(realpath ../..)/Cargo.lock"

# What upstream's Makefile asks for, of that which this release has.
features=()
feature() { # name, yes or no, variable
    if [ "$2" = no ]; then
        return
    fi
    if awk -v name="$1" '/^\[/ { here = $0 == "[features]" } here && $1 == name { found = 1 } END { exit !found }' Cargo.toml; then
        features+=("$1")
    else
        echo "this agent has no feature $1, so $3 changes nothing"
    fi
}
feature seccomp "$SECCOMP" SECCOMP
feature agent-policy "$AGENT_POLICY" AGENT_POLICY
feature init-data "$INIT_DATA" INIT_DATA
echo "features: ${features[*]}"

# What its Makefile writes: there is no git here, so the version stands for the commit, too.
version=$(grep -v '^#' VERSION)
api=$(sed -n 's/^API_VERSION *= *//p' Makefile)
[ -n "$api" ] || die "the agent's Makefile names no API_VERSION"
fill() {
    sed -e 's|@AGENT_NAME@|kata-agent|g' -e "s|@AGENT_VERSION@|$version|g" -e "s|@API_VERSION@|$api|g" \
        -e 's|@BINDIR@|/usr/bin|g' -e 's|@COMMIT@||g' -e "s|@VERSION_COMMIT@|$version|g" "$1.in" >"$1"
    ! grep -q '@[A-Z_]*@' "$1" || die "nothing is known for a placeholder of $1.in: $(grep -o '@[A-Z_]*@' "$1" | head -n 1)"
}
fill src/version.rs
fill kata-agent.service

if [ "$SECCOMP" = yes ]; then
    export LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH=/deps/libseccomp/usr/lib
fi
cargo_build --bin kata-agent --features "${features[*]}"

install -D -m 0755 "$CARGO_TARGET_DIR/$RUST_TARGET/release/kata-agent" /out/agent/usr/bin/kata-agent
for unit in kata-agent.service kata-containers.target; do
    install -D -m 0644 "$unit" "/out/agent/usr/lib/systemd/system/$unit"
done
