#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds UEFI firmware for virtual machines from edk2; shared by the ovmf recipes (docs/ovmf.md).
# Needs: /src/edk2 with its submodules; ARCH, CROSS_COMPILE, PREFIX, TARGET, SOURCE_DATE_EPOCH, JOBS,
#        MAKEFLAGS; OVMF_KIND (generic, sev, tdx); EDK2_PACKAGE (the platform's .dsc) and
#        EDK2_OUTPUT_DIR (its folder below edk2's Build/).
# Leaves: /out/$TARGET$PREFIX/share/ovmf/OVMF.fd (generic, x86_64), .../AMDSEV.fd (sev),
#         .../OVMF.inteltdx.fd (tdx) or share/aavmf/AAVMF_{CODE,VARS}.fd (generic, aarch64).
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
source=/src/edk2
export WORKSPACE=$PWD/edk2

# For each kind and architecture: edk2's name of the architecture, what the build leaves in FV/ and
# what that is installed as, the size that it is padded to, files that need only exist.
size='' empty=''
case $OVMF_KIND-$ARCH in
    generic-x86_64) edk2_arch=X64 files=(OVMF.fd=ovmf/OVMF.fd) ;;
    generic-aarch64)
        edk2_arch=AARCH64 size=64M # what QEMU's machine "virt" has room for
        files=(QEMU_EFI.fd=aavmf/AAVMF_CODE.fd QEMU_VARS.fd=aavmf/AAVMF_VARS.fd)
        ;;
    # The kernel is started directly and measured, so the boot loader inside is an empty file.
    sev-x86_64)
        edk2_arch=X64 files=(OVMF.fd=ovmf/AMDSEV.fd) empty=OvmfPkg/AmdSev/Grub/grub.efi
        ;;
    tdx-x86_64) edk2_arch=X64 files=(OVMF.fd=ovmf/OVMF.inteltdx.fd) ;;
    *) echo "there is no firmware of the kind '$OVMF_KIND' for $ARCH" >&2; exit 1 ;;
esac
if [ ! -e "$source/$EDK2_PACKAGE" ]; then
    echo "this edk2 has no $EDK2_PACKAGE; take another version in versions.yaml" >&2
    exit 1
fi

# Debian's shell refuses to start under secure boot, for which it needs a library that platforms
# have only if they are built with secure boot; these are not.
undone=$source/debian/patches/Disable-the-Shell-when-SecureBoot-is-enabled.patch

# Linking for aarch64 takes a library of a few references along. Debian's edk2 has only its source.
library=
for folder in ArmPkg/Library/GccLto BaseTools/Bin/GccLto; do # the second since 2024
    if [ "$edk2_arch" = AARCH64 ] && [ -e "$source/$folder/liblto-aarch64.s" ] \
        && [ ! -e "$source/$folder/liblto-aarch64.a" ]; then
        library=$folder/liblto-aarch64
    fi
done

# A workspace that may be written to: links into the source, but for what is changed. BaseTools is
# compiled in place.
mkdir -p "$WORKSPACE/Conf"
copied="BaseTools ${empty%%/*} ${library%%/*}"
if [ -e "$undone" ]; then
    copied+=" ShellPkg"
fi
for package in "$source"/*; do
    name=${package##*/}
    case " $copied Conf " in
        *" $name "*)
            [ "$name" = Conf ] || cp -R --preserve=mode,timestamps "$package" "$WORKSPACE/"
            ;;
        *) ln -s "$package" "$WORKSPACE/$name" ;;
    esac
done
chmod -R u+w "$WORKSPACE"
if [ -e "$undone" ]; then
    patch -d "$WORKSPACE" -p1 -R -f <"$undone"
fi
if [ -n "$library" ]; then
    "${CROSS_COMPILE}gcc" -c -o lto.o "$WORKSPACE/$library.s"
    "${CROSS_COMPILE}ar" -rcD "$WORKSPACE/$library.a" lto.o
fi
if [ -n "$empty" ]; then
    : >"$WORKSPACE/$empty" # newer than the files beside it, or edk2 would make it with grub-mkimage
fi

# edk2's own compilers of firmware volumes, forms and so on run on this machine.
if ! make -C "$WORKSPACE/BaseTools/Source/C" >tools.log 2>&1; then
    cat tools.log >&2
    exit 1
fi

export EDK_TOOLS_PATH=$WORKSPACE/BaseTools CONF_PATH=$WORKSPACE/Conf PYTHON_COMMAND=python3
# Python orders sets of strings by a hash that is otherwise drawn for each run.
export PYTHONHASHSEED=1
for name in build_rule tools_def target; do
    cp "$EDK_TOOLS_PATH/Conf/$name.template" "$CONF_PATH/$name.txt"
done
tag=GCC # its name since GCC5 was removed
if grep -q '^\*_GCC5_' "$CONF_PATH/tools_def.txt"; then
    tag=GCC5
fi
# edk2 calls ${prefix}gcc and so on; X64 and IA32 share one variable.
export "${tag}_BIN=$CROSS_COMPILE" "${tag}_AARCH64_PREFIX=$CROSS_COMPILE"

# Newer edk2 draws the stack protector's values unless it finds them here.
platform=$WORKSPACE/Build/$EDK2_OUTPUT_DIR/RELEASE_$tag
mkdir -p "$platform"
python3 "$here/stack-cookies.py" "$platform" "$SOURCE_DATE_EPOCH"

# edk2 runs $JOBS makes at a time, each for one module; ours waits for a job of kbuild's first.
REAL_MAKE=$(command -v make)
export REAL_MAKE MODULE_LOCK=$PWD/module.lock
if [[ ${MAKEFLAGS:-} =~ --jobserver-auth=([0-9]+),([0-9]+) ]]; then
    MODULE_TAKE=/proc/$$/fd/${BASH_REMATCH[1]} MODULE_GIVE=/proc/$$/fd/${BASH_REMATCH[2]}
    export MODULE_TAKE MODULE_GIVE
fi
mkdir bin
install -m 0755 "$here/module-make.sh" bin/make
export PATH=$PWD/bin:$EDK_TOOLS_PATH/BinWrappers/PosixLike:$PATH
cd "$WORKSPACE"
build -s -n "$JOBS" -t "$tag" -b RELEASE -a "$edk2_arch" -p "$EDK2_PACKAGE" --cmd-len=64436

for entry in "${files[@]}"; do
    installed=/out/$TARGET$PREFIX/share/${entry#*=}
    python3 "$here/check-firmware.py" "$OVMF_KIND" "$ARCH" "$platform/FV/${entry%%=*}"
    install -D -m 0755 "$platform/FV/${entry%%=*}" "$installed"
    if [ -n "$size" ]; then
        truncate -s "$size" "$installed"
    fi
done
