#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The rules of the ovmf recipes, with an edk2 that only writes down what it was asked for: offline and
# quick. tests/e2e/real_ovmf.bats builds the real one.

load project

COMMON=$REPOSITORY/recipes/ovmf-common

setup() {
  make_project
}

firmware() { # file, then what tests/support/make-firmware.py takes
  python3 "$REPOSITORY/tests/support/make-firmware.py" "$@"
}

check() { # kind architecture file
  run python3 "$COMMON/check-firmware.py" "$@"
}

refused() { # kind, why, then how it is made
  local kind=$1 why=$2
  shift 2
  firmware bad.fd "$@"
  check "$kind" x86_64 bad.fd
  [ "$status" -eq 1 ]
  [ "$output" = "bad.fd is no $kind firmware for x86_64: $why" ] || { echo "$output"; return 1; }
}

# ---- what is checked of a firmware ----

@test "firmware that is complete passes, for each kind" {
  firmware good.fd
  for kind in generic sev tdx; do
    check "$kind" x86_64 good.fd
    [ "$status" -eq 0 ]
    [[ "$output" == "good.fd: 2097152 bytes, "*"SEV metadata"* ]]
    [[ "$output" != *"but no SNP page"* ]]
  done
  check generic aarch64 good.fd
  [ "$output" = "good.fd: 2097152 bytes, firmware volume" ]
  # What aarch64 starts with lies behind a jump; a jump to nothing is no firmware.
  python3 - <<'X'
good = open("good.fd", "rb").read()
size = len(good) - 0x1000
jump = b"\x00\x04\x00\x14" + bytes(0xFFC)
open("arm.fd", "wb").write(jump + good[:32] + size.to_bytes(8, "little") + good[40:size])
open("jump.fd", "wb").write(jump + bytes(size))
X
  check generic aarch64 arm.fd
  [ "$output" = "arm.fd: 2097152 bytes, firmware volume" ]
  check generic aarch64 jump.fd
  [[ "$output" == *"it does not begin with a firmware volume"* ]]
}

@test "firmware that cannot measure a kernel for SNP says so" {
  firmware old.fd section=snp:1,2,3
  check sev x86_64 old.fd
  [ "$status" -eq 0 ]
  [[ "$output" == *"no SNP page for the hashes"* ]]
  check generic x86_64 old.fd
  [[ "$output" != *"no SNP page for the hashes"* ]]
}

@test "firmware that lacks what its kind needs is refused" {
  refused sev "there is no place for the table of hashes in it" without=hashes
  refused sev "there is no place for a launch secret in it" without=secret
  refused sev "there is no SEV metadata in it" without=snp
  refused generic "there is no SEV-ES reset block in it" without=reset
  refused tdx "there is no TDX metadata in it" without=tdx
  refused sev "its SEV metadata has no section for the secrets page" section=snp:1,3
  refused sev "its SEV metadata has no section for the CPUID page" section=snp:1,2
  refused tdx "its TDX metadata has no section for the hand-off block" section=tdx:0,3
  refused tdx "its TDX metadata has no section for the boot volume" section=tdx:
}

@test "what is no firmware, cut or inconsistent is refused" {
  refused sev "there is no table of GUIDs before its reset vector" without=table
  refused sev "its table of GUIDs says it has 17 bytes" length=table:17
  refused sev "its table of GUIDs ends inside an entry" length=table:19
  refused sev "an entry of its table of GUIDs says it has 0 bytes" length=reset:0
  refused sev "an entry of its table of GUIDs says it has 65535 bytes" length=reset:65535
  refused sev "it has 2097151 bytes, which is no size of a flash image" 2097151
  refused sev "it has 33554432 bytes, which is no size of a flash image" 33554432
  firmware good.fd
  head -c 1048576 good.fd >cut.fd
  check sev x86_64 cut.fd
  [[ "$output" == *"its first volume says it has 2097152 bytes, the image has 1048576"* ]]
  : >empty.fd
  check generic aarch64 empty.fd
  [ "$status" -eq 1 ]
  [[ "$output" == *"it does not begin with a firmware volume"* ]]
  check sev x86_64 nowhere.fd
  [ "$status" -eq 1 ]
  [[ "$output" == *"No such file"* ]]
}

# ---- what would otherwise be drawn or raced for ----

@test "the stack protector's values come from the source's time alone" {
  mkdir a b c
  for folder in a b; do PYTHONHASHSEED=random python3 "$COMMON/stack-cookies.py" $folder 1700000000; done
  python3 "$COMMON/stack-cookies.py" c 1700000001
  for bits in 32 64; do
    cmp "a/StackCookieValues$bits.json" "b/StackCookieValues$bits.json"
    run cmp -s "a/StackCookieValues$bits.json" "c/StackCookieValues$bits.json"
    [ "$status" -eq 1 ]
    python3 - "a/StackCookieValues$bits.json" $bits <<'X'
import json, sys
values = json.load(open(sys.argv[1]))
assert len(set(values)) == 100 and all(0 < v < 1 << int(sys.argv[2]) for v in values)
X
  done
}

# Six makes at a time, as edk2 runs them: with the jobserver's pipe closed.
six_makes() { # more of the environment
  printf 'all:\n\t@flock log sh -c "echo start >>log"; sleep 0.3; flock log sh -c "echo end >>log"\n' >Makefile
  rm -f log
  local pids=()
  for _ in 1 2 3 4 5 6; do
    env REAL_MAKE="$(command -v make)" MODULE_LOCK="$PROJECT/lock" "$@" \
      bash "$COMMON/module-make.sh" -s all {pipe}>&- &
    pids+=($!)
  done
  wait "${pids[@]}"
  awk '/start/ { if (++n > most) most = n } /end/ { n-- } END { print most }' log
}

@test "makes of modules wait for a job of the jobserver and give it back" {
  mkfifo fifo
  exec {pipe}<>fifo
  printf '++' >&"$pipe" # with the step's own job, three
  [ "$(six_makes MODULE_TAKE=/proc/$$/fd/$pipe MODULE_GIVE=/proc/$$/fd/$pipe)" -eq 3 ]
  # A make that fails says so, and its job is not lost.
  printf 'all:\n\t@exit 3\n' >Makefile
  for _ in 1 2 3 4; do
    run env REAL_MAKE="$(command -v make)" MODULE_LOCK="$PROJECT/lock" MODULE_TAKE=/proc/$$/fd/$pipe \
      MODULE_GIVE=/proc/$$/fd/$pipe bash "$COMMON/module-make.sh" -s all
    [ "$status" -eq 2 ]
  done
  read -r -N 2 -t 5 -u "$pipe" tokens
  [ "$tokens" = ++ ]
  run read -r -N 1 -t 0.1 -u "$pipe"
  [ "$status" -ne 0 ]
  exec {pipe}>&-
}

@test "without a jobserver the makes of modules just run" {
  exec {pipe}</dev/null
  [ "$(six_makes)" -gt 3 ]
}

# ---- the script ----

# An edk2 whose `build` puts a firmware that passes where the platform's would be.
make_edk2() {
  local tag=$1 e=$PROJECT/git/edk2
  mkdir -p "$e"/BaseTools/{Conf,BinWrappers/PosixLike,Source/C} "$e"/OvmfPkg/{AmdSev/Grub,IntelTdx} "$e"/{ArmVirtPkg,Conf}
  touch "$e"/OvmfPkg/{OvmfPkgX64,AmdSev/AmdSevX64,IntelTdx/IntelTdxX64}.dsc "$e/ArmVirtPkg/ArmVirtQemu.dsc"
  touch "$e/OvmfPkg/AmdSev/Grub/grub.cfg" "$e/Conf/ReadMe.txt"
  touch "$e"/BaseTools/Conf/{build_rule,target}.template
  echo "*_${tag}_X64_CC_PATH = x" >"$e/BaseTools/Conf/tools_def.template"
  printf 'all:\n\t@echo made >made\n' >"$e/BaseTools/Source/C/GNUmakefile"
  mkdir -p "$e/ShellPkg"
  echo "a shell" >"$e/ShellPkg/Shell.inf"
  cp "$REPOSITORY/tests/support/make-firmware.py" "$e/BaseTools/"
  cat >"$e/BaseTools/BinWrappers/PosixLike/build" <<'X'
#!/bin/bash
set -eu
test -e "$WORKSPACE/BaseTools/Source/C/made" -a -e "$CONF_PATH/tools_def.txt"
while getopts sn:t:b:a:p:-: option; do [ "$option" = - ] || declare "o_$option=${OPTARG:-}"; done
case $o_p in *AmdSev*) [ -f "$WORKSPACE/OvmfPkg/AmdSev/Grub/grub.efi" ]
  [ "$WORKSPACE/OvmfPkg/AmdSev/Grub/grub.efi" -nt "$WORKSPACE/OvmfPkg/AmdSev/Grub/grub.cfg" ] ;; esac
folder=$(sed -n "s|^$o_p ||p" "$WORKSPACE/OvmfPkg/folders")
cd "$WORKSPACE/Build/$folder/${o_b}_$o_t"
[ -s StackCookieValues64.json ]
mkdir FV
for name in OVMF QEMU_EFI QEMU_VARS; do python3 "$WORKSPACE/BaseTools/make-firmware.py" "FV/$name.fd"; done
[ "$(cat "$WORKSPACE/ShellPkg/Shell.inf")" = "a shell" ]
prefix=${o_t}_AARCH64_PREFIX
mkdir -p "/out/$TARGET"
echo "-n $o_n -t $o_t -b $o_b -a $o_a -p $o_p seed $PYTHONHASHSEED prefix ${!prefix} make $(command -v make)" >"/out/$TARGET/asked"
X
  chmod +x "$e/BaseTools/BinWrappers/PosixLike/build"
  cat >"$e/OvmfPkg/folders" <<'X'
OvmfPkg/OvmfPkgX64.dsc OvmfX64
OvmfPkg/AmdSev/AmdSevX64.dsc AmdSev
OvmfPkg/IntelTdx/IntelTdxX64.dsc IntelTdx
ArmVirtPkg/ArmVirtQemu.dsc ArmVirtQemu-AARCH64
X
  git_here init -q "$e"
  git_here -C "$e" add .
  git_here -C "$e" commit -q -m edk2
  git_here -C "$e" tag edk2-stable202411
  cp -R "$REPOSITORY"/recipes/ovmf* recipes/
  sed -i 's/^  tools: .*/  tools: [bash, flock, make, patch, python3]/' recipes/ovmf*/recipe.yaml
  sed "s|https://github.com/tianocore/edk2|$e|" "$REPOSITORY/versions.yaml" >versions.yaml
}

built() { # target architecture member size
  kb -j 3 --arch="$2" "$1"
  [ "$(content_of "build/kata-static-$1.tar.xz" "opt/kata/share/$3" | wc -c)" -eq "$4" ]
  tar -tvf "build/kata-static-$1.tar.xz" "./opt/kata/share/$3" | grep -q '^-rwxr-xr-x'
}

@test "each firmware is built from its platform and installed under upstream's name" {
  make_edk2 GCC5
  built ovmf x86_64 ovmf/OVMF.fd 2097152
  [[ "$(content_of build/kata-static-ovmf.tar.xz asked)" == "-n 3 -t GCC5 -b RELEASE -a X64 -p OvmfPkg/OvmfPkgX64.dsc seed 1 prefix "*" make /build/bin/make" ]]
  built ovmf-sev x86_64 ovmf/AMDSEV.fd 2097152
  [[ "$(content_of build/kata-static-ovmf-sev.tar.xz asked)" == *" -a X64 -p OvmfPkg/AmdSev/AmdSevX64.dsc "* ]]
  built ovmf-tdx x86_64 ovmf/OVMF.inteltdx.fd 2097152
  built ovmf aarch64 aavmf/AAVMF_CODE.fd 67108864
  built ovmf aarch64 aavmf/AAVMF_VARS.fd 67108864
  [[ "$(content_of build/kata-static-ovmf.tar.xz asked)" == *" -a AARCH64 -p ArmVirtPkg/ArmVirtQemu.dsc "* ]]
  [ "$(uname -m)" = aarch64 ] || [[ "$(content_of build/kata-static-ovmf.tar.xz asked)" == *" prefix aarch64-linux-gnu- "* ]]
}

@test "an edk2 without GCC5 is built with GCC" {
  make_edk2 GCC
  built ovmf-sev x86_64 ovmf/AMDSEV.fd 2097152
  [[ "$(content_of build/kata-static-ovmf-sev.tar.xz asked)" == *" -t GCC -b RELEASE "* ]]
}

@test "what Debian's shell needs of secure boot is taken out again" {
  make_edk2 GCC5
  mkdir -p git/edk2/debian/patches
  (
    cd git/edk2 || exit 1
    sed -i 's/a shell/secure boot/' ShellPkg/Shell.inf
    git diff --src-prefix=a/ --dst-prefix=b/ >debian/patches/Disable-the-Shell-when-SecureBoot-is-enabled.patch
    git_here add . && git_here commit -q -m "As Debian has it" && git_here tag -f edk2-stable202411 >/dev/null
  )
  built ovmf x86_64 ovmf/OVMF.fd 2097152 # build looks into Shell.inf
}

@test "the library that Debian's edk2 has as source only is made for aarch64" {
  [ "$(uname -m)" = aarch64 ] || command -v aarch64-linux-gnu-gcc >/dev/null || skip "there is no compiler for aarch64"
  make_edk2 GCC5
  local folder=ArmPkg/Library/GccLto
  mkdir -p "git/edk2/$folder"
  echo '.long memcpy - .' >"git/edk2/$folder/liblto-aarch64.s"
  echo 'tar -C "$WORKSPACE" -cf "/out/$TARGET/library.tar" ArmPkg/Library/GccLto/liblto-aarch64.a' >>git/edk2/BaseTools/BinWrappers/PosixLike/build
  git_here -C git/edk2 add . && git_here -C git/edk2 commit -q -m "As Debian has it"
  git_here -C git/edk2 tag -f edk2-stable202411 >/dev/null
  built ovmf aarch64 aavmf/AAVMF_CODE.fd 67108864
  content_of build/kata-static-ovmf.tar.xz library.tar | tar -xO | grep -aq '^!<arch>'
}

@test "the platform and its folder are versions.yaml's" {
  make_edk2 GCC5
  sed -i 's|OvmfPkg/AmdSev/AmdSevX64.dsc|OvmfPkg/AmdSev/Other.dsc|' versions.yaml
  run kb --arch=x86_64 ovmf-sev
  [ "$status" -eq 3 ]
  grep -q "this edk2 has no OvmfPkg/AmdSev/Other.dsc" build/logs/ovmf-sev.log
  sed -i '/^    sev:/,/^    [a-z]*:$/ { /package:/d }' versions.yaml
  run kb --arch=x86_64 ovmf-sev
  [ "$status" -eq 1 ]
  [[ "$output" == *"there is no 'externals.ovmf.sev.package' here"* ]]
}

@test "firmware that is not what it should be is not packed" {
  make_edk2 GCC5
  sed -i '/^for name/s/\.fd"/.fd" without=hashes/' git/edk2/BaseTools/BinWrappers/PosixLike/build
  git_here -C git/edk2 commit -q -a -m "No hashes"
  git_here -C git/edk2 tag -f edk2-stable202411 >/dev/null
  run kb --arch=x86_64 ovmf-sev
  [ "$status" -eq 3 ]
  grep -q "no sev firmware for x86_64: there is no place for the table of hashes in it" build/logs/ovmf-sev.log
  [ ! -e build/kata-static-ovmf-sev.tar.xz ]
}
