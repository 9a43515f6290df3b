#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The rules of the QEMU recipes, on small made-up sources and trees: which switches a source gets, what
# is removed, where firmware comes from, and which devices and objects must be there. Then, only with
# KBUILD_TEST_MIRROR=1, QEMU itself from the distribution's source (docs/qemu.md).

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}
COMMON=$REPOSITORY/recipes/qemu-common

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
}

# A source that names what $1 (a list) needs, but for the names in $2....
make_source() {
  local list=$1
  shift
  mkdir -p source/hw source/include source/qapi
  echo 9.9.9 >source/VERSION
  sed 's/#.*//' "$list" | awk 'NF { print "static const char *n = \"" $2 "\";" }' >source/hw/all.c
  for name; do
    grep -v "\"$name\"" source/hw/all.c >less && mv less source/hw/all.c
  done
}

# A program that lists the devices and objects of $1, but for $2, as QEMU does.
make_program() {
  {
    echo '#!/bin/sh'
    echo 'case $3 in'
    echo '-device) cat <<E'
    sed -n "/^device $2\$/d; s/^device \(.*\)/name \"\1\", bus PCI, desc \"x\"/p" "$1"
    printf 'E\n;;\n-object) cat <<E\nList of user creatable objects:\n'
    sed -n "/^object $2\$/d; s/^object /  /p" "$1"
    printf 'E\n;;\nesac\n'
  } >program
  chmod +x program
}

@test "the pins of the guide are in versions.yaml" {
  run "$KBUILD" --versions "$REPOSITORY/versions.yaml" versions get assets.hypervisor.qemu-snp-experimental.url
  [ "$output" = "https://github.com/confidential-containers/qemu.git" ]
  run "$KBUILD" --versions "$REPOSITORY/versions.yaml" versions get assets.hypervisor.qemu-snp-experimental.tag
  [[ "$output" =~ ^[a-z0-9-]+$ ]]
  run "$KBUILD" --versions "$REPOSITORY/versions.yaml" versions get assets.hypervisor.qemu.version
  [[ "$output" =~ ^v[0-9.]+$ ]]
}

# ---- switches ----

help_of() { # features...
  printf '  --prefix=PREFIX          install in PREFIX [/usr/local]\n'
  printf '  --enable-debug-thing     a line of its own\n'
  printf 'Optional features, enabled with --enable-FEATURE and\n\n'
  printf '  %s\n' "$@"
  printf '\nNOTE: The object files are built here\n  pie     not a feature\n'
}

switches() { # architecture, last
  awk -v arch="$1" -v last="${2:-}" -f "$COMMON/switches.awk" help "$COMMON/switches"
}

@test "a feature that the source does not know is left out and named" {
  help_of "kvm             KVM" "seccomp" "docs            Documentation" >help
  switches x86_64 >out 2>err
  [ "$(cat out)" = "$(printf -- '--disable-docs\n--enable-kvm\n--enable-seccomp')" ]
  grep -q '^note: this QEMU has no switch to disable:.* hv-balloon ' err
  grep -q '^note: this QEMU has no switch to enable:.* virtfs ' err
  [[ "$(cat out)" != *prefix* ]]
}

@test "each architecture gets its own switches, and a later line goes before an earlier one" {
  help_of tcg avx2 avx512bw pie >help
  grep -q '^all disable.* avx512bw' "$COMMON/switches"
  [ "$(switches x86_64 2>/dev/null | sort | tr '\n' ' ')" = "--disable-tcg --enable-avx2 --enable-avx512bw " ] || {
    switches x86_64 && return 1
  }
  [ "$(switches s390x 2>/dev/null | sort | tr '\n' ' ')" = "--disable-avx2 --disable-avx512bw --disable-tcg " ]
  [ "$(switches ppc64le 2>/dev/null | sort | tr '\n' ' ')" = "--disable-avx2 --disable-avx512bw --disable-tcg " ]
}

@test "aarch64 keeps TCG and is no PIE, as upstream's" {
  printf '  --disable-pie            x\n' >help
  help_of tcg avx2 >>help
  run switches aarch64
  [[ "$output" != *-tcg* ]]
  [[ "$output" == *--disable-pie* ]]
  switches aarch64 2>/dev/null | grep -qx -- --disable-avx2
}

@test "QEMU_TCG=yes leaves TCG in" {
  help_of tcg >help
  [ "$(switches x86_64 tcg 2>/dev/null)" = --enable-tcg ]
  [ "$(switches x86_64 2>/dev/null)" = --disable-tcg ]
}

# ---- what must be there ----

@test "every list names devices and objects, and nothing twice" {
  for arch in x86_64 s390x aarch64 ppc64le; do
    list=$COMMON/required-$arch.txt
    [ "$(sed 's/#.*//' "$list" | grep -Ec '^(device|object) [a-z0-9-]+( [a-z0-9/.-]+)?$')" -ge 15 ]
    [ -z "$(sed 's/#.*//' "$list" | grep -Ev '^((device|object) [a-z0-9-]+( [a-z0-9/.-]+)?)?$')" ]
    [ -z "$(sed 's/#.*//' "$list" | awk 'NF {print $1, $2}' | sort | uniq -d)" ]
  done
}

@test "a source without a needed object is refused before it is built" {
  make_source "$COMMON/required-s390x.txt" s390-pv-guest
  run bash "$COMMON/required.sh" wanted source "$COMMON/required-s390x.txt"
  [ "$status" -ne 0 ]
  [[ "$output" == *"it does not know: s390-pv-guest"* ]]
  make_source "$COMMON/required-s390x.txt"
  run bash "$COMMON/required.sh" wanted source "$COMMON/required-s390x.txt"
  [ "$status" -eq 0 ]
}

@test "an object that only newer sources have is wanted of them, and named where it is not there" {
  list=$COMMON/required-x86_64.txt
  make_source "$list"
  echo "{ 'enum': 'ObjectType', 'data': [ 'sev-guest', 'x-sev-snp-guest' ] }" >source/qapi/qom.json
  run bash "$COMMON/required.sh" wanted source "$list"
  [ "$status" -eq 0 ]
  [[ "$output" == *"note: QEMU 9.9.9 does not have, and so is built without: sev-snp-guest tdx-guest"* ]]
  [[ "$output" != *"object sev-snp-guest"* ]]
  echo "{ 'enum': 'ObjectType', 'data': [ 'sev-guest', 'sev-snp-guest' ] }" >source/qapi/qom.json
  run bash "$COMMON/required.sh" wanted source "$list"
  [ "$status" -eq 0 ]
  [[ "$output" == *"object sev-snp-guest"* ]]
  [[ "$output" == *"built without: tdx-guest"* ]]
}

@test "a source that is to have sev-snp-guest and has no such type is refused" {
  list=$COMMON/required-x86_64.txt
  make_source "$list" sev-snp-guest
  echo "{ 'data': [ 'sev-snp-guest' ] }" >source/qapi/qom.json
  run bash "$COMMON/required.sh" wanted source "$list"
  [ "$status" -ne 0 ]
  [[ "$output" == *"it does not know: sev-snp-guest"* ]]
}

@test "what is no QEMU source at all is refused" {
  mkdir source
  run bash "$COMMON/required.sh" wanted source "$COMMON/required-x86_64.txt"
  [ "$status" -ne 0 ]
  [[ "$output" == *"source is no QEMU that Kata can use"* ]]
}

@test "a program that lacks a device or an object is refused with its name" {
  printf 'device a-pci\ndevice b-pci\nobject c-object\n' >wanted
  make_program wanted ""
  bash "$COMMON/required.sh" in-program ./program wanted
  make_program wanted b-pci
  run bash "$COMMON/required.sh" in-program ./program wanted
  [ "$status" -ne 0 ]
  [[ "$output" == *"lacks these devices: b-pci"* ]]
  make_program wanted c-object
  run bash "$COMMON/required.sh" in-program ./program wanted
  [ "$status" -ne 0 ]
  [[ "$output" == *"lacks these objects: c-object"* ]]
}

@test "a program that does not run has nothing" {
  echo 'device a-pci' >wanted
  run bash "$COMMON/required.sh" in-program ./missing wanted
  [ "$status" -ne 0 ]
}

# Objects of another architecture: only their strings are read. Names in tables of other types' names
# do not count.
@test "where the program cannot run, the objects that it is linked from are asked" {
  command -v ninja >/dev/null || skip "ninja is not installed"
  mkdir build
  echo 'const char *a = "a-pci", *longer = "prefix-b-pci";' >build/one.c
  echo 'const char *table[] = {"b-pci"};' >build/hw_core_machine.c
  echo 'const char *c = "c-object";' >build/two.c
  echo 'const char *schema[] = {"d-object"};' >build/x_.._qapi_qapi-types-qom.c
  for f in one two hw_core_machine x_.._qapi_qapi-types-qom; do gcc -c -o "build/$f.c.o" "build/$f.c"; done
  (cd build && ar rcT lib.fa two.c.o)
  printf 'rule link\n  command = touch $out\nbuild prog: link one.c.o hw_core_machine.c.o x_.._qapi_qapi-types-qom.c.o lib.fa\n' >build/build.ninja
  printf 'device a-pci\nobject c-object\n' >wanted
  bash "$COMMON/required.sh" in-objects "$PWD/build" prog wanted
  echo 'device b-pci' >>wanted
  run bash "$COMMON/required.sh" in-objects "$PWD/build" prog wanted
  [ "$status" -ne 0 ]
  [[ "$output" == *"lacks these devices or objects: b-pci" ]]
  printf 'object d-object\n' >wanted
  run bash "$COMMON/required.sh" in-objects "$PWD/build" prog wanted
  [ "$status" -ne 0 ]
}

# ---- the installed tree ----

@test "what no guest of Kata uses is removed, the rest stays" {
  data=prefix/share/kata-qemu/qemu
  mkdir -p prefix/bin prefix/libexec/kata-qemu $data/keymaps $data/firmware prefix/share/kata-qemu/applications
  keep=(bios.bin bios-256k.bin efi-virtio.rom kvmvapic.bin linuxboot_dma.bin multiboot_dma.bin pvh.bin s390-ccw.img
    slof.bin vof.bin qboot.rom edk2-x86_64-code.fd firmware/50-edk2-x86_64.json)
  drop=(efi-e1000.rom pxe-virtio.rom vgabios-qxl.bin multiboot.bin openbios-ppc opensbi-riscv64-generic-fw_dynamic.bin
    QEMU,tcx.bin u-boot.e500 bamboo.dtb keymaps/de trace-events-all palcode-clipper)
  for f in "${keep[@]}" "${drop[@]}"; do : >"$data/$f"; done
  touch prefix/bin/qemu-system-x86_64 prefix/bin/qemu-pr-helper prefix/libexec/kata-qemu/qemu-bridge-helper \
    prefix/share/kata-qemu/applications/qemu.desktop
  bash "$COMMON/prune.sh" prefix
  for f in "${keep[@]}"; do [ -e "$data/$f" ]; done
  for f in "${drop[@]}"; do [ ! -e "$data/$f" ]; done
  [ "$(cd prefix && find bin libexec share/kata-qemu/applications 2>/dev/null | sort | tr '\n' ' ')" = "bin bin/qemu-system-x86_64 " ]
}

@test "firmware comes from the packages where the source has none, and what is missing is named" {
  mkdir -p src/qemu/pc-bios src/seabios/usr/share/seabios src/ipxe/usr/lib/ipxe/qemu data
  printf "blobs = [\n  'bios.bin',\n  'efi-virtio.rom',\n  'vgabios.bin',\n  'vof-nvram.bin',\n  'nowhere.bin',\n]\n" \
    >src/qemu/pc-bios/meson.build
  echo nvram >src/qemu/pc-bios/vof-nvram.bin
  echo bios >src/seabios/usr/share/seabios/bios.bin
  echo vga >src/seabios/usr/share/seabios/vgabios.bin
  echo rom >src/ipxe/usr/lib/ipxe/qemu/efi-virtio.rom
  run bash "$COMMON/firmware.sh" src/qemu src data
  [ "$status" -eq 0 ]
  [ "$output" = "note: neither the source nor the packages have this firmware: nowhere.bin" ]
  [ "$(cat data/bios.bin data/efi-virtio.rom data/vof-nvram.bin | tr '\n' ' ')" = "bios rom nvram " ]
  [ "$(find data -type f | wc -l)" -eq 3 ] # vgabios.bin would be removed again
}
