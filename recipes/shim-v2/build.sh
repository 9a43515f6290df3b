#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the runtime in Go with upstream's own Makefile, makes the edits that upstream makes afterwards
# (tools/packaging/static-build/shim-v2/build.sh), and lays the runtime in Rust beside it.
# Needs: RUNTIME_CHOICE (go, rust, both); for Rust /deps/shim-v2-rust; for Go /src/kata; /src/go and /src/gomod
#        (go-common/setup.sh); with MEASURED_ROOTFS=yes the root hash file of /deps/rootfs-image-confidential;
#        STATIC_RUNTIME, EXTRA_OPTS; a C compiler for the target.
# Leaves: /out/$TARGET$PREFIX: bin, share/bash-completion, share/defaults/kata-containers; of Rust runtime-rs and
#         share/defaults/kata-containers/runtime-rs.
set -eu
umask 022

die() {
    echo "shim-v2: $*" >&2
    exit 1
}

out=/out/$TARGET
configurations=$out$PREFIX/share/defaults/kata-containers
runtime=/build/kata/src/runtime
packaging=/src/kata/tools/packaging/static-build/shim-v2/build.sh

# The user is shown one line.
said=
say() {
    said=${said:+$said; }$1
    echo "$said" >/build/summary
}

# ---- the runtime in Rust ----

case $RUNTIME_CHOICE in
    go) say "the runtime in Go alone: runtime-rs is not in it (RUNTIME_CHOICE=go)" ;;
    rust | both)
        if [ -d /deps/shim-v2-rust ]; then
            cp -R --preserve=mode /deps/shim-v2-rust/. "$out/"
        elif [ "$RUNTIME_CHOICE" = rust ]; then
            die "RUNTIME_CHOICE=rust, but there is no runtime in Rust (shim-v2-rust)"
        else
            say "the runtime in Go alone: there is no runtime-rs for $ARCH here"
        fi
        ;;
esac
if [ "$RUNTIME_CHOICE" = rust ]; then
    # Upstream's link configuration.toml would name a file of the runtime in Go.
    say "the runtime in Rust alone: no kata-runtime and no kata-monitor (RUNTIME_CHOICE=rust)"
    exit 0
fi

# ---- the runtime in Go ----

root_hashes=(/deps/rootfs-image-confidential"$PREFIX"/share/kata-containers/root_hash*.txt)
if [ "$MEASURED_ROOTFS" = yes ] && [ ! -f "${root_hashes[0]}" ]; then
    die "MEASURED_ROOTFS=yes, but no rootfs-image-confidential with a root hash could be made: MEASURED_ROOTFS=no builds the runtime without"
fi

# The Makefile writes beside its sources, and follows VERSION to the top of the tree.
mkdir -p /build/kata/src
cp -R --no-preserve=mode /src/kata/src/runtime /build/kata/src/
cp --no-preserve=mode /src/kata/VERSION /build/kata/
find "$runtime" -name '*.sh' -exec chmod 0755 {} +

# shellcheck source-path=SCRIPTDIR source=../go-common/setup.sh
. /shared/go-common/setup.sh
go_setup "$runtime"
export CGO_ENABLED=1

# It asks git for a commit. A source has none: `kata-runtime --version` says the version alone.
mkdir /build/no-git
printf '#!/bin/sh\nexit 1\n' >/build/no-git/git
chmod 0755 /build/no-git/git
PATH=/build/no-git:$PATH

emulator=qemu-system-$ARCH
[ "$ARCH" != ppc64le ] || emulator=qemu-system-ppc64
options=(PREFIX="$PREFIX" QEMUCMD="$emulator" ARCH="$ARCH" SKIP_GO_VERSION_CHECK=y DESTDIR="$out")

knows() { grep -qE "^[[:space:]]*$1[[:space:]]*[?:]?=" "$runtime/Makefile"; }

case $STATIC_RUNTIME in
    no) ! knows STATIC || options+=(STATIC=no) ;; # releases before 4.1.0 know no other way
    yes)
        knows STATIC || die "STATIC_RUNTIME=yes: this release of Kata builds a dynamic runtime only"
        options+=(STATIC=yes)
        ;;
esac

if [ "$MEASURED_ROOTFS" = yes ]; then
    if knows KERNELVERITYPARAMS; then
        form=parameters name=KERNELVERITYPARAMS
    elif knows ROOTMEASURECONFIG; then
        form=arguments name=ROOTMEASURECONFIG
        say "WARNING: guests of this release start UNMEASURED in spite of MEASURED_ROOTFS=yes: its runtime names the root hash as rootfs_verity.*, which no kernel built here reads. Use an initrd, which the launch measures, or a release from 3.27.0 on"
    else
        die "MEASURED_ROOTFS=yes: this release of Kata has no place for a root hash"
    fi
    measured=$(awk -v form="$form" -f /shared/shim-common/root-hash.awk "${root_hashes[0]}")
    options+=("$name=$measured")
fi

# EXTRA_OPTS is part of a command line, with a shell's quotes.
extra=()
eval "extra=($EXTRA_OPTS)"

# One at a time: go has its own workers, and three of it would compile the same packages side by side.
unset MAKEFLAGS
make -C "$runtime" "${options[@]}" "${extra[@]}" all install

# The default configuration, and of image and initrd the one that there is (ppc64le has no image).
[ -f "$configurations/configuration-qemu.toml" ] || die "the Makefile made no configuration-qemu.toml"
ln -sf configuration-qemu.toml "$configurations/configuration.toml"
variants=
! grep -qF "configuration-\${vmm}\"*" "$packaging" || variants='*'
# shellcheck disable=SC2086 # the pattern
for file in "$configurations"/configuration-qemu$variants.toml "$configurations"/configuration-fc$variants.toml; do
    [ -f "$file" ] || continue
    if [ "$ARCH" != ppc64le ]; then
        sed -i '/^initrd =/d' "$file"
    elif grep -q '^# initrd =' "$file"; then
        sed -i -e '/^image =/d' -e 's/^# \(initrd =.*\)/\1/' "$file"
    else
        sed -i "s|^image = .*|initrd = \"$PREFIX/share/kata-containers/kata-containers-initrd.img\"|" "$file"
    fi
done

# The host's kernel gives a process the page tables of KVM on s390x only for this mark.
if [ "$ARCH" = s390x ]; then
    "${CROSS_COMPILE}readelf" -lW "$out$PREFIX/bin/containerd-shim-kata-v2" | grep -q S390_PGSTE ||
        die "the shim lacks the program header S390_PGSTE"
fi
