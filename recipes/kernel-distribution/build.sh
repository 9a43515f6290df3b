#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Needs: /src/linux-image, the content of a distribution's kernel package; TARGET, PREFIX.
# Leaves: vmlinuz of that kernel in $PREFIX/share/kata-containers, its config if the package has it, and
# vmlinuz-distribution, a link.
set -eu
umask 022

share=/out/$TARGET$PREFIX/share/kata-containers
kernels=(/src/linux-image/boot/vmlinuz-*)
if [ "${#kernels[@]}" -ne 1 ] || [ ! -f "${kernels[0]}" ]; then
    echo "the kernel package has no file boot/vmlinuz-VERSION, or more than one" >&2
    exit 1
fi
release=${kernels[0]#/src/linux-image/boot/vmlinuz-}
install -D -m 0644 "${kernels[0]}" "$share/vmlinuz-$release"
config=/src/linux-image/boot/config-$release # Ubuntu has it in another package
if [ -f "$config" ]; then
    install -m 0644 "$config" "$share/config-$release"
fi
ln -s "vmlinuz-$release" "$share/vmlinuz-distribution"
