#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Runs the s390x loader stages in qemu-system-s390x: on images put together by hand without
# encryption, with a small kernel that reports what it was given, and with a debugger that plays the
# hypervisor. Needs the s390x compiler and QEMU. docs/loaders.md says what each part proves.

setup_file() {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
  make -s OBJ="${OBJ:=obj}" loader-tests
  case $OBJ in /*) ;; *) OBJ=$PWD/$OBJ ;; esac
  export STAGES=$OBJ/lib/loader TOOLS=$OBJ/tests/e2e/loaders
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  printf 'agent.log=debug quoted="a b"' >cmdline
  tail -c 70001 "$TOOLS/kernel.bin" >initrd # any bytes, an odd number of them
}

# emulate IMAGE [QEMU OPTION...]: console in `console`, the PSW of the final stop in `stop`.
emulate() {
  local image=$1
  shift
  timeout 20 qemu-system-s390x -M s390-ccw-virtio -accel tcg -m 128M -display none -monitor none \
    -serial stdio -no-reboot -d guest_errors -D qemu.log -kernel "$image" "$@" >raw
  local status=$?
  tr -d '\0' <raw >console
  sed -n 's/^PSW: 0x0002000080000000 0x0*\([0-9a-f]*\)$/\1/p' qemu.log >stop
  echo "qemu: status $status, stopped at 0x$(cat stop), console:"
  cat console
  return $status
}

unsealed() {
  "$TOOLS/image" unsealed image "$STAGES/stage3a.bin" "$STAGES/stage3b-relocated.bin" "$@"
}

sealed() {
  "$TOOLS/image" sealed image "$STAGES/stage3a.bin"
}

says() {
  grep -qxF -- "$1" console || {
    echo "the console does not say: $1"
    return 1
  }
}

stops_at() {
  [ "$(cat stop)" = "$1" ]
}

# What a boot that must not happen has printed: the message and nothing else.
is_refused() {
  [ "$(cat console)" = "$1" ]
  stops_at "$2"
}

@test "the first stage says that the machine has no unpack facility" {
  sealed
  emulate image
  is_refused "Secure unpack facility is not available" 4607
}

# QEMU takes entry 0x10000 for Linux, and writes command line and initrd fields as zipl does.
@test "the first stage starts at the Linux entry address too, with a parameter area written" {
  ENTRY=10000 sealed
  head -c 100000 /dev/zero | tr '\0' x >other
  emulate image -append "$(head -c 800 other)" -initrd other
  is_refused "Secure unpack facility is not available" 4607
}

@test "the second stage hands over kernel, command line and initrd" {
  unsealed "$TOOLS/kernel.bin" cmdline initrd
  emulate image
  says "console: was off"
  says "entered with PSW mask 0x180000000"
  says "body: intact"
  says 'agent.log=debug quoted="a b"'
  says "command line length: 0x1c"
  says "initrd size: 0x11171"
  # 0x15000 + the kernel's pages + one page of command line
  local pages=$((($(stat -c %s "$TOOLS/kernel.bin") + 4095) / 4096))
  says "$(printf 'initrd address: 0x%x' $((0x15000 + pages * 4096 + 4096)))"
  says "$(od -An -v -tu1 -w1 initrd | awk '{ s = (s * 31 + $1) % 4294967296 }
    END { printf "initrd sum: 0x%x", s }')"
  stops_at d01e
}

@test "command line and initrd may be absent" {
  unsealed "$TOOLS/kernel.bin"
  emulate image
  says "body: intact"
  says "command line length: 0x0"
  says "initrd address: 0x0"
  says "initrd size: 0x0"
  stops_at d01e
}

@test "a trailing newline of the command line stays" {
  printf 'quiet\n' >cmdline
  unsealed "$TOOLS/kernel.bin" cmdline
  emulate image
  says "command line length: 0x6"
  stops_at d01e
}

@test "an empty command line file is one NUL" {
  : >cmdline
  unsealed "$TOOLS/kernel.bin" cmdline initrd
  emulate image
  says "command line length: 0x0"
  says "initrd size: 0x11171"
  stops_at d01e
}

@test "a kernel below 64 KiB is refused" {
  head -c 65535 "$TOOLS/kernel.bin" >kernel
  unsealed kernel cmdline initrd
  emulate image
  is_refused "Invalid kernel" 4511
}

@test "an empty kernel is refused" {
  : >kernel
  unsealed kernel cmdline
  emulate image
  is_refused "Invalid kernel" 4511
}

# Nothing of it is moved: what lies at 0x10000, and is started, is still the first stage.
@test "a kernel of exactly 64 KiB is not refused" {
  head -c 65536 "$TOOLS/kernel.bin" >kernel
  unsealed kernel
  emulate image
  is_refused "Secure unpack facility is not available" 4607
}

@test "the longest command line that the kernel allows is taken, one byte more is refused" {
  head -c 4095 /dev/zero | tr '\0' x >cmdline
  unsealed "$TOOLS/kernel.bin" cmdline initrd
  emulate image
  says "command line length: 0xfff"
  says "body: intact"
  stops_at d01e
  printf x >>cmdline
  unsealed "$TOOLS/kernel.bin" cmdline initrd
  emulate image
  is_refused "Command line is too large" 4511
}

@test "a kernel that tells no limit gets at most 896 bytes" {
  head -c 895 /dev/zero | tr '\0' x >cmdline
  unsealed "$TOOLS/old-kernel.bin" cmdline
  emulate image
  says "command line length: 0x37f"
  stops_at d01e
  printf x >>cmdline
  unsealed "$TOOLS/old-kernel.bin" cmdline
  emulate image
  is_refused "Command line is too large" 4511
}

@test "a command line without its NUL is refused" {
  NO_NUL=1 unsealed "$TOOLS/kernel.bin" cmdline
  emulate image
  is_refused "Command line needs to be null-terminated" 4511
}

# 0x10410 is the initrd size: zero here, which is no instruction.
@test "the kernel is started where the argument block says, and a program check stops" {
  PSW=10410 unsealed "$TOOLS/kernel.bin" cmdline
  emulate image
  is_refused "" 10412
}

# A disabled wait shows 31 bits; with more, loading it would be the next program check, for ever.
@test "a program check above 2 GiB stops too" {
  PSW=180012000 unsealed "$TOOLS/kernel.bin" cmdline
  emulate image
  [ "$(cat console)" = "" ]
  grep -qx '1200[02468]' stop
}

# hypervised CODE8 [CODE10]: runs stage3a on a machine whose DIAGNOSE 0x308 answers so.
hypervised() {
  sealed
  "$TOOLS/hypervisor" debugger.sock "$@" >asked &
  local hypervisor=$!
  emulate image -S -gdb unix:debugger.sock,server=on,wait=off || emulated=$?
  wait "$hypervisor"
  cat asked
}

# The IPIB is page-aligned and has got address and size of the header, before anyone is asked.
asked_for_setup() {
  grep -qx "subcode 8 block 13000" asked
  grep -qx "header 14000 size 280 magic 49424d5365634578" asked
}

@test "a hypervisor that refuses the parameters is reported" {
  hypervised 402
  asked_for_setup
  is_refused "Protected boot setup has failed: 0x402" 4608
}

@test "a return code of zero is no success" {
  hypervised 0
  is_refused "Protected boot setup has failed: 0x0" 4608
}

@test "an ultravisor that refuses the image is reported with all 64 bits" {
  hypervised 1 0002003400080108
  asked_for_setup
  grep -q "^subcode 10 " asked
  is_refused "Protected boot has failed: 0x2003400080108" 4608
}

@test "after the ultravisor has accepted, the first stage says and does nothing more" {
  # The emulator would run for ever; two seconds are enough to see that it does.
  timeout() { command timeout 2 "${@:2}"; }
  emulated=0
  hypervised 1 1
  asked_for_setup
  [ "$emulated" -eq 124 ]
  is_refused "" ""
}

@test "the same sources give the same bytes elsewhere, whatever the program's flags" {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  make -s OBJ="$BATS_TEST_TMPDIR/other" CFLAGS='-O0 -g3 -fsanitize=address' \
    "$BATS_TEST_TMPDIR/other/lib/loader/stages.o"
  cmp "$STAGES/stage3a.bin" "$BATS_TEST_TMPDIR/other/lib/loader/stage3a.bin"
  cmp "$STAGES/stage3b-relocated.bin" "$BATS_TEST_TMPDIR/other/lib/loader/stage3b-relocated.bin"
}

@test "a missing s390x compiler is named with its package" {
  cd "$BATS_TEST_DIRNAME/../.." || return 1
  run make -s OBJ="$BATS_TEST_TMPDIR/none" CROSS_S390X=no-such-compiler- \
    "$BATS_TEST_TMPDIR/none/lib/loader/stages.o"
  [ "$status" -ne 0 ]
  [[ $output == *"no-such-compiler-gcc is missing"* ]]
  [[ $output == *"apt-get install gcc-s390x-linux-gnu"* ]]
}

@test "a stage that has become too large does not link" {
  local prefix=s390x-linux-gnu-
  [ "$(uname -m)" != s390x ] || prefix=
  echo '.data; .fill 0x5000, 1, 1' | "${prefix}as" -m64 -o large.o -
  for stage in 3a 3b; do
    local objects=("$STAGES"/{stub,"stage$stage",machine,console}.s390x.o)
    [ $stage = 3a ] || objects=("${objects[@]:1}")
    "${prefix}ld" -static -T "$BATS_TEST_DIRNAME/../../lib/loader/stage$stage.lds" -o out "${objects[@]}"
    run "${prefix}ld" -static -T "$BATS_TEST_DIRNAME/../../lib/loader/stage$stage.lds" -o out \
      "${objects[@]}" large.o
    [ "$status" -ne 0 ]
    [[ $output == *"stage$stage: code and data must end below"* ]]
  done
}
