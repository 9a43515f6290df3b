#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/bench/components.sh DIR
# Makes DIR/tree-<name>: ten trees of what Kata's components are made of (kernels, firmware, QEMU, Go and Rust
# programs, a root file system image), from the distribution's own packages, some 650 MB. Needs the
# distribution's mirror, mmdebstrap and mke2fs.
set -eu

to=$1
mkdir -p "$to/packages"
cd "$to/packages"

# Component, and the packages that have what it is made of.
components="
shim-v2             containerd podman buildah
kernel              linux-image
kernel-confidential linux-image-cloud
qemu                qemu-system-x86 qemu-system-data seabios
qemu-snp            qemu-system-s390x
ovmf                ovmf
virtiofsd           fd-find ripgrep
tools               skopeo cargo
runtimes            docker.io
"

# The name of the package that a meta package stands for.
behind() {
    apt-cache depends "$1" | awk '/Depends: linux-image/ { print $2; exit }'
}

real_name() {
    case $1 in
        linux-image) behind linux-image-amd64 ;;
        linux-image-cloud) behind linux-image-cloud-amd64 ;;
        qemu-system-s390x) echo qemu-system-misc ;;
        *) echo "$1" ;;
    esac
}

echo "$components" | while read -r component packages; do
    [ -n "$component" ] || continue
    tree=$to/tree-$component
    mkdir -p "$tree/opt/kata"
    for package in $packages; do
        name=$(real_name "$package")
        apt-get -o APT::Sandbox::User=root download -q "$name" >/dev/null
        dpkg-deb --extract "${name}"_*.deb "$tree/opt/kata/$package"
    done
    # Documents compress unlike anything that Kata has, and its kernels have no drivers for hosts.
    rm -rf "$tree"/opt/kata/*/usr/share/{doc,man,locale,applications,icons,lintian}
    rm -rf "$tree"/opt/kata/*/lib/modules/*/kernel/{drivers,sound}
    find "$tree" -name 'qemu-system-*' -type f ! -name '*-x86_64' ! -name '*-s390x' ! -name '*-riscv64' -delete
    find "$tree" -xtype l -delete
done

tree=$to/tree-rootfs-image
mkdir -p "$tree/opt/kata/share/kata-containers"
# From where this machine takes its packages.
sources=$(ls /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true)
# shellcheck disable=SC2086 # one word each
mmdebstrap --quiet --variant=extract --include=systemd,dbus,chrony,iptables,cryptsetup-bin,e2fsprogs \
    "" "$to/rootfs" $sources >/dev/null
truncate -s 256M "$tree/opt/kata/share/kata-containers/kata.image"
mke2fs -q -t ext4 -d "$to/rootfs" "$tree/opt/kata/share/kata-containers/kata.image"
rm -rf "$to/rootfs" "$to/packages"
du -sm "$to"/tree-*
