#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The phase install of a guest kernel: what was built, under upstream's names.
# Needs: what kernel.sh says; PREFIX, TARGET; /build/obj as build.sh left it.
# Leaves: /out/$TARGET$PREFIX/share/kata-containers/{vmlinuz,vmlinux,config}-<version>-<config version><suffix>
#         with links {vmlinuz,vmlinux}<suffix>.container, and, where /out/$TARGET-modules is there,
#         the content of lib/modules/<release> in it.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=kernel.sh
. "$here/kernel.sh"

# kernel.org's first release of a series is 6.7, but the tree calls itself 6.7.0.
version=$(make -s -C "$KERNEL_SOURCE" kernelversion | sed 's/^\([0-9]*\.[0-9]*\)\.0\(-\|$\)/\1\2/')
name=$version-$(cat "$here/kata_config_version")$suffix$debug
share=/out/$TARGET$PREFIX/share/kata-containers
mkdir -p "$share"
install -m 0644 "$OBJECTS/$compressed" "$share/vmlinuz-$name"
install -m 0644 "$OBJECTS/$uncompressed" "$share/vmlinux-$name"
install -m 0644 "$OBJECTS/.config" "$share/config-$name"
ln -s "vmlinuz-$name" "$share/vmlinuz$suffix.container"
ln -s "vmlinux-$name" "$share/vmlinux$suffix.container"

if [ -d "/out/$TARGET-modules" ] && has_modules; then
    kernel_make INSTALL_MOD_PATH="$PWD/modules" INSTALL_MOD_STRIP=1 modules_install
    # The links lead into this build's own folders.
    rm -f modules/lib/modules/*/build modules/lib/modules/*/source
    cp -R modules/lib/modules/*/. "/out/$TARGET-modules/"
fi
