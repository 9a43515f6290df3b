#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the phases of a kernel have in common; they read it with `.`, from /build.
# Needs: /src/linux; LINUX_ARCH, CROSS_COMPILE, SOURCE_DATE_EPOCH;
#        KERNEL_CONFIDENTIAL (yes, no), KERNEL_DEBUG_ENABLED (yes, no); MODULE_SIGNING_CERT.
# Gives: KERNEL_SOURCE, OBJECTS; suffix, debug; image, compressed, uncompressed; kernel_make, has_modules.
# shellcheck disable=SC2034 # those who read this use them

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

has_modules() {
    grep -qx 'CONFIG_MODULES=y' "$OBJECTS/.config"
}
