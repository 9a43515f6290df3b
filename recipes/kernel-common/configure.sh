#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the kernel's configuration from the fragments that hold for its version.
# Needs: KERNEL_SOURCE (kernel tree), OBJECTS (output folder of make O=), LINUX_ARCH, CROSS_COMPILE,
#        KERNEL_CONFIDENTIAL=yes for a confidential guest, KERNEL_DEBUG_ENABLED=yes for debugging;
#        MODULE_SIGNING_CERT, the certificate of signed modules, or empty;
#        fragments beside this script in configs/.
# Leaves: $OBJECTS/.config, $OBJECTS/certs/module-signing.pem; fails with a list of the options that did not make it.
set -eu
export ARCH=$LINUX_ARCH CROSS_COMPILE

here=$(dirname "$0")
configs=$here/configs
version=$(make -s -C "$KERNEL_SOURCE" kernelversion)

shopt -s nullglob
fragments=("$configs"/common/*.conf "$configs/$LINUX_ARCH"/*.conf)
if [ "${KERNEL_CONFIDENTIAL:-no}" = yes ]; then
    fragments+=("$configs"/common/confidential/*.conf "$configs/$LINUX_ARCH"/confidential/*.conf)
fi
if [ "${KERNEL_DEBUG_ENABLED:-no}" = yes ]; then
    fragments+=("$configs"/debug/*.conf)
fi
if [ -n "${MODULE_SIGNING_CERT:-}" ]; then
    fragments+=("$configs"/signing/*.conf)
    mkdir -p "$OBJECTS/certs"
    install -m 0644 "$MODULE_SIGNING_CERT" "$OBJECTS/certs/module-signing.pem"
fi

mkdir -p "$OBJECTS"
wanted=$OBJECTS/.wanted
awk -v version="$version" -v architecture="$LINUX_ARCH" -f "$here/select-options.awk" \
    "${fragments[@]}" >"$wanted"
cut -f1,3 "$wanted" | tr '\t' '\n' >"$wanted.config"

# allnoconfig starts from nothing: an option is on because a fragment asks for it, or because
# something that is on selects it.
make -s -C "$KERNEL_SOURCE" O="$OBJECTS" KCONFIG_ALLCONFIG="$wanted.config" allnoconfig

if ! awk -f "$here/check-config.awk" "$wanted" "$OBJECTS/.config"; then
    echo "Linux $version for $LINUX_ARCH: say in recipes/kernel-common/configs for which versions" \
        "these lines hold, or add what they depend on (docs/kernel.md)" >&2
    exit 1
fi
