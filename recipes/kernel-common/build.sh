#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds a guest kernel; shared by the kernel recipes.
# Needs: /src/linux; LINUX_ARCH, CROSS_COMPILE, PREFIX, TARGET, SOURCE_DATE_EPOCH;
#        KERNEL_CONFIDENTIAL (yes, no), KERNEL_DEBUG_ENABLED (yes, no).
# Leaves: /out/$TARGET$PREFIX/share/kata-containers/{vmlinuz,vmlinux,config}-<version>-<config version><suffix>
#         with links {vmlinuz,vmlinux}<suffix>.container, and, where /out/$TARGET-modules is there,
#         the content of lib/modules/<release> in it.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
# Linux has its own name for the architecture; the step's ARCH is that of uname.
export ARCH=$LINUX_ARCH CROSS_COMPILE
export KERNEL_SOURCE=/src/linux OBJECTS=$PWD/obj

suffix=
if [ "${KERNEL_CONFIDENTIAL:-no}" = yes ]; then
    suffix=-confidential
fi
debug=
if [ "${KERNEL_DEBUG_ENABLED:-no}" = yes ]; then
    debug=-debug
fi

# Where each architecture leaves the image that boots, the uncompressed one, and what to make.
case $LINUX_ARCH in
    x86_64) image=bzImage compressed=arch/x86/boot/bzImage uncompressed=vmlinux ;;
    s390) image=bzImage compressed=arch/s390/boot/bzImage uncompressed=arch/s390/boot/vmlinux ;;
    arm64) image=Image.gz compressed=arch/arm64/boot/Image.gz uncompressed=arch/arm64/boot/Image ;;
    powerpc) image=vmlinux compressed=vmlinux uncompressed=vmlinux ;;
    *) echo "no kernel image is known for LINUX_ARCH=$LINUX_ARCH" >&2; exit 1 ;;
esac

# The same sources give the same bytes: no clock, user, host, counter or path of this build.
KBUILD_BUILD_TIMESTAMP=$(date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %e %H:%M:%S UTC %Y')
export KBUILD_BUILD_TIMESTAMP KBUILD_BUILD_USER=kbuild KBUILD_BUILD_HOST=kata
export KBUILD_BUILD_VERSION=1
export KCFLAGS="-ffile-prefix-map=$KERNEL_SOURCE/= -ffile-prefix-map=$OBJECTS/="
export KAFLAGS=$KCFLAGS

kernel_make() {
    make -C "$KERNEL_SOURCE" O="$OBJECTS" LOCALVERSION= "$@"
}

"$BASH" "$here/configure.sh"
modules=()
if grep -qx 'CONFIG_MODULES=y' "$OBJECTS/.config"; then
    modules=(modules)
fi
kernel_make "$image" "${modules[@]}"

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

if [ -d "/out/$TARGET-modules" ] && [ "${#modules[@]}" -gt 0 ]; then
    kernel_make INSTALL_MOD_PATH="$PWD/modules" INSTALL_MOD_STRIP=1 modules_install
    # The links lead into this build's own folders.
    rm -f modules/lib/modules/*/build modules/lib/modules/*/source
    cp -R modules/lib/modules/*/. "/out/$TARGET-modules/"
fi
