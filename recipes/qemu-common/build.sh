#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds a static QEMU that runs on, and for, the target's architecture; shared by the QEMU recipes.
# Needs: /src/qemu; where that is a git tree, /src/keycodemapdb; where it lacks firmware, packages
#        with it in /src; ARCH, TRIPLET, CROSS_COMPILE, PREFIX, TARGET, JOBS; QEMU_SUFFIX ("" or
#        snp-experimental), QEMU_TCG (yes, no); for another architecture, libraries in /sysroot/$TRIPLET.
# Leaves: /out/$TARGET$PREFIX/bin/qemu-system-<arch>[-suffix], share/kata-qemu[-suffix]/qemu/.
# Fails where the source or the program lacks what Kata's runtime uses (required-$ARCH.txt).
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
source=/src/qemu
suffix=${QEMU_SUFFIX:+-$QEMU_SUFFIX}
name=kata-qemu$suffix
out=/out/$TARGET

case $ARCH in
    ppc64le) system=ppc64 ;;
    *) system=$ARCH ;;
esac

# Before minutes are spent on it. What the source is too old for is said again after the build.
"$BASH" "$here/required.sh" wanted "$source" "$here/required-$ARCH.txt" >needed 2>notes ||
    { cat notes >&2; exit 1; }
cat notes >&2
sed -n 's/^note: //p' notes >summary

# Meson looks for it in the source tree, which nobody can write to.
if [ -d /src/keycodemapdb ] && [ ! -e "$source/subprojects/keycodemapdb/meson.build" ]; then
    mkdir source
    tar -C "$source" --exclude=./roms -cf - . | tar -C source -xf -
    rm -rf source/subprojects/keycodemapdb
    cp -R /src/keycodemapdb source/subprojects/keycodemapdb
    source=$PWD/source
fi

compiler=${CROSS_COMPILE}gcc
sysroot=/sysroot/$TRIPLET
if [ -n "$CROSS_COMPILE" ] && [ -d "$sysroot" ]; then
    compiler="$compiler --sysroot=$sysroot"
    export PKG_CONFIG_SYSROOT_DIR=$sysroot
    export PKG_CONFIG_LIBDIR=$sysroot/usr/lib/$TRIPLET/pkgconfig:$sysroot/usr/share/pkgconfig
fi
export PKG_CONFIG=pkg-config

# The build starts hundreds of Python programs, most as `python3 -B`. With this, their modules are
# compiled once and not by each of them.
export PYTHONPYCACHEPREFIX=$PWD/pycache
python3 "$source/scripts/tracetool.py" --help >/dev/null 2>&1
python3 "$source/scripts/qapi-gen.py" --help >/dev/null 2>&1

mkdir objects
cd objects
tcg=
[ "$QEMU_TCG" = no ] || tcg=tcg
"$source/configure" --help >../help
awk -v arch="$ARCH" -v last="$tcg" -f "$here/switches.awk" ../help "$here/switches" >../switches
blobs=()
[ -f "$source/pc-bios/bios-256k.bin" ] || blobs=(--disable-install-blobs)
mapfile -t switches <../switches
echo "QEMU $(cat "$source/VERSION") for $ARCH: ${switches[*]}"
if ! "$source/configure" --target-list="$system-softmmu" --static --enable-fdt=system \
    --cc="$compiler" --host-cc=gcc ${CROSS_COMPILE:+--cross-prefix="$CROSS_COMPILE"} \
    --prefix="$PREFIX" --libdir="lib/$name" --libexecdir="libexec/$name" --datadir="share/$name" \
    --with-pkgversion="kata-static$suffix" --disable-werror \
    --extra-cflags="-O2 -fno-semantic-interposition -falign-functions=32 -D_FORTIFY_SOURCE=2 -ffile-prefix-map=$source/= -ffile-prefix-map=$PWD/=" \
    --extra-ldflags="-Wl,-z,noexecstack -Wl,-z,relro -Wl,-z,now -Wl,--build-id=none" \
    "${blobs[@]}" "${switches[@]}"; then
    tail -n 60 config.log meson-logs/meson-log.txt >&2 || true
    exit 1
fi
# What is installed and what that needs. `all` would link 100 static test programs too.
mapfile -t wanted < <(python3 - <<'PYTHON'
import json
import os

built = os.getcwd() + "/"
for path in json.load(open("meson-info/intro-installed.json")):
    if path.startswith(built) and not os.path.exists(path):
        print(path[len(built):])
PYTHON
)
ninja -j "$JOBS" "${wanted[@]}"

binary=$PWD/qemu-system-$system
if [ -z "$CROSS_COMPILE" ]; then
    "$BASH" "$here/required.sh" in-program "$binary" ../needed
else
    "$BASH" "$here/required.sh" in-objects "$PWD" "qemu-system-$system" ../needed
fi

meson=$(sed -n 's/^MESON=//p' config-host.mak)
DESTDIR=$out ${meson:-meson} install --no-rebuild >../install.log || { cat ../install.log >&2; exit 1; }
"${CROSS_COMPILE}strip" "$out$PREFIX/bin/qemu-system-$system"
"$BASH" "$here/firmware.sh" "$source" /src "$out$PREFIX/share/$name/qemu"
"$BASH" "$here/prune.sh" "$out$PREFIX"
if [ -n "$suffix" ]; then
    for file in "$out$PREFIX"/bin/qemu-system-*; do
        mv "$file" "$file$suffix"
    done
fi
