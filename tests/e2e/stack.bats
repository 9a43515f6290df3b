#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Groups of targets, what a release has to hold, and stacks that are booted whole.

load project

setup() {
  make_project
}

# A recipe that stands for others. $1 name, $2 further lines.
make_group() {
  mkdir -p "$PROJECT/recipes/$1"
  printf 'description: test %s\naction: group\n%s\n' "$1" "$2" >"$PROJECT/recipes/$1/recipe.yaml"
}

# ---- groups ----

@test "building a group builds its members, each as if asked for by name" {
  make_recipe one "release: no"
  make_recipe two "needs: [three]"
  make_recipe three
  make_recipe four "release: no"
  make_group pair "members: [one, {any: [none, two]}, {optional: nothing}]"
  kb pair
  [ -s build/kata-static-one.tar.xz ]
  [ -s build/kata-static-two.tar.xz ]
  [ -s build/kata-static-three.tar.xz ]
  [ ! -e build/kata-static-four.tar.xz ]
  [ ! -e build/kata-static-pair.tar.xz ]
  run kb pair
  [[ "$output" == *"one: cached"* ]]
  [[ "$output" != *started* ]]
}

@test "members can differ by architecture, and a group is for the architectures that it names" {
  make_recipe one
  make_recipe two
  make_group some "members: {x86_64: [one], s390x: [one, two]}"
  kb --arch=s390x --json plan some | jq -r .node | sort >nodes
  printf 'one:s390x\ntwo:s390x\n' | cmp - nodes
  [ "$(kb --arch=x86_64 --json plan some | jq -r .node)" = one:x86_64 ]
  run kb --arch=aarch64 some
  [ "$status" -eq 1 ]
  [[ "$output" == *"some cannot be built for aarch64"*"x86_64, s390x"* ]]
  run kb list
  [[ "$output" == *"some "*"x86_64 s390x "*"test some"* ]]
  [ "$(kb --json list | jq -c 'select(.target == "some").members')" = '{"x86_64":["one"],"s390x":["one","two"]}' ]
}

@test "a member without a recipe or for another architecture is an error before anything is made" {
  make_recipe one
  make_group some "members: [one, oen]"
  run kb some
  [ "$status" -eq 1 ]
  [[ "$output" == *"recipes/some/recipe.yaml:3:16: unknown target 'oen'"*"did you mean one"* ]]
  make_recipe two
  sed -i 's/^architectures:.*/architectures: [s390x]/' recipes/two/recipe.yaml
  make_group some "members: [one, two]"
  run kb --arch=x86_64 some
  [ "$status" -eq 1 ]
  [[ "$output" == *"some stands for two, which cannot be built for x86_64"* ]]
  [ ! -e build ]
}

@test "a group is no input of anything, and has no step" {
  make_recipe one
  make_group some "members: [one]"
  make_recipe two "needs: [some]"
  run kb two
  [ "$status" -eq 1 ]
  [[ "$output" == *"some is a group of targets: it cannot be an input of another target"* ]]
  make_group more "members: [some]"
  run kb more
  [ "$status" -eq 1 ]
  run kb shell some
  [ "$status" -eq 1 ]
  [[ "$output" == *"some is a group of targets, and makes nothing itself"* ]]
  run kb provenance some
  [ "$status" -eq 1 ]
}

@test "explain and verify go through the members" {
  make_recipe one
  make_recipe two "" 'mkdir -p /out/two/opt; date +%N >/out/two/opt/two'
  make_group some "members: [one, two]"
  run kb explain some
  [ "$status" -eq 0 ]
  [[ "$output" == *"# some stands for one:"*"# some stands for two:"* ]]
  run kb verify some
  [ "$status" -eq 1 ]
  [[ "$output" == *"kata-static-one.tar.xz is the same"*"kata-static-two.tar.xz differs"* ]]
  run kb verify some --against build/kata-static-one.tar.xz
  [ "$status" -eq 1 ]
  [[ "$output" == *"one target only"* ]]
}

# ---- stacks ----

# A stack of files that are made here, and a QEMU that is a script: it keeps its command line, says
# what the file `console` holds, and reports as init does. `mode` says what kind of guest it plays.
make_stack() {
  [ "$(uname -m)" = x86_64 ] || skip "the stack's QEMU runs on x86_64"
  export FAKE="$PROJECT/fake" KBUILD
  mkdir -p "$FAKE"
  python3 "$REPOSITORY/tests/support/make_firmware.py" "$FAKE"
  printf 'kvm\ntcg\n' >"$FAKE/accelerators"
  echo snp >"$FAKE/mode"
  cat >"$FAKE/console" <<'Y'
[    0.000000] efi: EFI v2.70 by a test
[    0.299242] Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP
[    0.472286] SEV: Using SNP CPUID table, 31 entries present.
Y
  part firmware OVMF.fd share/OVMF.fd "$FAKE/OVMF.fd"
  part snp-firmware AMDSEV.fd share/AMDSEV.fd "$FAKE/OVMF.fd"
  part kernel vmlinuz share/vmlinuz "$FAKE/vmlinuz"
  part initrd initrd share/initrd "$FAKE/initrd.img"
  cat >"$FAKE/qemu" <<'Y'
#!/bin/bash
if [ "$*" = "-accel help" ]; then
  echo "Accelerators supported in QEMU binary:"
  exec cat "$FAKE/accelerators"
fi
printf '%s\n' "$0" "$@" >>"$FAKE/argv"
[ -z "$(find "$FAKE/kvm-hangs" 2>/dev/null)" ] || [[ " $* " != *" -accel kvm "* ]] || { echo "qemu: no KVM after all"; exit 1; }
while [ "$#" -gt 0 ]; do
  case $1 in
  -bios) bios=$2 ;;
  -kernel) kernel=$2 ;;
  -initrd) initrd=$2 ;;
  -append) append=$2 ;;
  -L) cat "$2/rom" ;;
  esac
  shift
done
cat "$FAKE/console"
case $(cat "$FAKE/mode") in
snp) digest=$("$KBUILD" measure snp --vcpus 1 --vcpu-type EPYC-v4 --ovmf "$bios" --kernel "$kernel" --initrd "$initrd" --append "$append") ;;
other) digest=$(printf '00%.0s' $(seq 48)) ;;
plain) digest= ;;
refused) snp=',"snp":{"error":"Input/output error","firmware":"0000000100000000"}' ;;
esac
[ -z "$digest" ] || snp=$(python3 -c '
import sys
r = bytearray(1184)
r[0] = 2
r[8:16] = (0x30000).to_bytes(8, "little")
r[0x50:0x60] = b"kbuild smoke-ini"
r[0x60] = ord("t")
r[0x90:0xc0] = bytes.fromhex(sys.argv[1])
print(",\"snp\":{\"report\":\"%s\"}" % r.hex())' "$digest")
printf '{"smoke-init":1,"release":"6.1","machine":"x86_64","cmdline":"%s"%s}\n' "$append${bios:+ initrd=initrd}" "$snp"
sleep 30
Y
  chmod +x "$FAKE/qemu"
  make_recipe qemu "architectures: [x86_64]" 'mkdir -p /out/qemu/bin /out/qemu/share/data
echo "the ROM was found" >/out/qemu/share/data/rom; install -m 0755 /recipe/qemu /out/qemu/bin/qemu'
  sed -i '0,/^architectures/{/^architectures/d}' recipes/qemu/recipe.yaml
  cp "$FAKE/qemu" recipes/qemu/qemu
  make_group stack "architectures: [x86_64]
members: [qemu, firmware, snp-firmware, kernel, initrd]
boot:
  qemu: qemu:bin/qemu
  data: share/data
  firmware: firmware:share/OVMF.fd
  kernel: kernel:share/vmlinuz
  initrd: initrd:share/initrd
  append: panic=1
  expect: [by a test]
  confidential:
    snp:
      firmware: snp-firmware:share/AMDSEV.fd
      machine: q35,confidential-guest-support=sev0,memory-backend=ram1
      cpu: EPYC-v4
      options: -object memory-backend-memfd,id=ram1,size={memory}M -object sev-snp-guest,id=sev0,cbitpos={cbitpos}
      expect: [\"active: AMD SEV SEV-ES SEV-SNP\", Using SNP CPUID table]"
  # A machine without KVM and SNP, and an SNP host.
  mkdir -p usual/commands snp/commands snp/sys/module/kvm_amd/parameters
  : >usual/commands/devices.txt
  printf '/dev/kvm usable\n/dev/sev usable\n' >snp/commands/devices.txt
  echo Y >snp/sys/module/kvm_amd/parameters/sev_snp
  echo 'eax 1010f0f ebx 1000003f3 ecx 1fd edx 1' >snp/commands/cpuid-8000001f.txt
}

# A recipe that leaves one file. $1 name, $2 name of the file in its folder, $3 path, $4 the file.
part() {
  make_recipe "$1" "" "install -D -m 0644 /recipe/$2 /out/$1/$3"
  cp "$4" "$PROJECT/recipes/$1/$2"
}

# The value behind an option of the last QEMU's command line.
argument() {
  grep -x -A 1 -e "$1" "$FAKE/argv" | tail -n 1
}

@test "a stack is started with what was built, and says that it is no SNP guest" {
  make_stack
  run kb boot stack --root usual --verbose
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"proven: kernel, initrd, firmware, QEMU: /init reached, Linux 6.1, command line as expected"* ]]
  [[ "$output" == *"this machine is not an SNP host: booted without SNP"* ]]
  [[ "$output" != *"an SNP guest"* ]]
  [[ "$output" == *"the ROM was found"* ]]
  [[ "$(head -n 1 "$FAKE/argv")" == "$PROJECT"/cache/tmp/*/bin/qemu ]]
  [[ "$(argument -bios)" == */firmware ]]
  [ "$(argument -M)" = q35 ]
  [ "$(argument -accel)" = tcg ]
  [ "$(argument -cpu)" = max ]
  [ "$(argument -append)" = "panic=1 console=ttyS0" ]
  ! grep -q sev "$FAKE/argv" || false
  for gone in $(argument -bios) $(argument -kernel) $(argument -L); do [ ! -e "$gone" ]; done
}

@test "on an SNP host it is an SNP guest, with the launch digest that is expected" {
  make_stack
  run kb boot stack --root snp
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"proven: an SNP guest: its attestation report has policy 0x30000 and the expected launch digest"* ]]
  [[ "$output" != *"booted without SNP"* ]]
  [ "$(argument -accel)" = kvm ]
  [ "$(argument -cpu)" = EPYC-v4 ]
  [ "$(argument -M)" = q35,confidential-guest-support=sev0,memory-backend=ram1 ]
  grep -qx 'memory-backend-memfd,id=ram1,size=2048M' "$FAKE/argv"
  grep -qx 'sev-snp-guest,id=sev0,cbitpos=51' "$FAKE/argv"
  [ "$(argument -m)" = 2048 ]
  cmp recipes/snp-firmware/AMDSEV.fd "$FAKE/OVMF.fd"
  # The same machine, asked for less.
  : >"$FAKE/argv"
  run kb boot stack --root snp --plain
  [ "$status" -eq 0 ]
  [[ "$output" == *"booted without SNP, as requested"* ]]
  ! grep -q sev "$FAKE/argv" || false
}

@test "a guest that only looks like an SNP guest is an error" {
  make_stack
  echo plain >"$FAKE/mode"
  run kb boot stack --root snp
  [ "$status" -eq 3 ]
  [[ "$output" == *"the guest provided no attestation report: init found no /dev/sev-guest"* ]]
  echo refused >"$FAKE/mode"
  run kb boot stack --root snp
  [ "$status" -eq 3 ]
  [[ "$output" == *"the guest provided no attestation report: Input/output error"* ]]
  echo other >"$FAKE/mode"
  run kb boot stack --root snp
  [ "$status" -eq 3 ]
  [[ "$output" == *"the guest's launch digest is 0000"*"was expected"* ]]
  echo snp >"$FAKE/mode"
  sed -i '/CPUID table/d' "$FAKE/console"
  run kb boot stack --root snp
  [ "$status" -eq 3 ]
  [[ "$output" == *"it started, but the console did not show 'Using SNP CPUID table'"* ]]
  [[ "$output" != *proven:*"SNP guest"* ]]
  [[ "$output" == *"the whole console output is in build/logs/boot-stack.log"* ]]
  grep -q 'Memory Encryption Features' build/logs/boot-stack.log
}

@test "an SNP host that cannot be used is an error, not a boot without SNP" {
  make_stack
  printf '/dev/kvm usable\n/dev/sev forbidden\n' >snp/commands/devices.txt
  run kb boot stack --root snp
  [ "$status" -eq 1 ]
  [[ "$output" == *"this machine is an SEV-SNP host, but it cannot be used: /dev/sev is there, but this user can't open it"*"--plain"* ]]
  [ ! -e "$FAKE/argv" ]
  printf '/dev/kvm usable\n/dev/sev usable\n' >snp/commands/devices.txt
  rm snp/commands/cpuid-8000001f.txt
  run kb boot stack --root snp
  [ "$status" -eq 1 ]
  [[ "$output" == *8000001F* ]]
  echo 'eax 1010f0f ebx 1000003f3 ecx 1fd edx 1' >snp/commands/cpuid-8000001f.txt
  echo tcg >"$FAKE/accelerators"
  run kb boot stack --root snp
  [ "$status" -eq 1 ]
  [[ "$output" == *"qemu was built without KVM, which a confidential guest needs"* ]]
}

@test "without KVM and without software emulation nothing can be shown, and that is said" {
  make_stack
  echo kvm >"$FAKE/accelerators"
  run kb boot stack --root usual
  [ "$status" -eq 1 ]
  [[ "$output" == *"qemu was built without software emulation (TCG), and KVM cannot be used here"* ]]
  [[ "$output" == *"QEMU_TCG=yes"*"--qemu host"* ]]
  [[ "$output" != *proven* ]]
  [ ! -e "$FAKE/argv" ]
  # KVM that is there and starts nothing.
  echo '/dev/kvm usable' >usual/commands/devices.txt
  touch "$FAKE/kvm-hangs"
  run kb boot stack --root usual
  [ "$status" -eq 1 ]
  [[ "$output" == *"(TCG), and under KVM the machine ended"* ]]
  # The same with emulation to fall back to.
  printf 'kvm\ntcg\n' >"$FAKE/accelerators"
  run kb boot stack --root usual
  [ "$status" -eq 0 ]
  [[ "$output" == *"under KVM the machine ended; trying again in software emulation"* ]]
  # A panic there is no machine that starts nothing.
  sed -i 's/qemu: no KVM after all/Kernel panic - not syncing: under KVM/' "$FAKE/qemu"
  run kb boot stack --root usual --qemu "$FAKE/qemu"
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"the kernel panicked"* && "$output" != *"trying again"* && "$output" != *proven* ]]
}

@test "another QEMU can be taken, and a QEMU that is no program is an error" {
  make_stack
  cp "$FAKE/qemu" other-qemu
  run kb boot stack --root usual --qemu "$PWD/other-qemu"
  [ "$status" -eq 0 ]
  [[ "$output" == *"proven: kernel, initrd, firmware: /init"* ]]
  [ "$(head -n 1 "$FAKE/argv")" = "$PWD/other-qemu" ]
  ! grep -qx -e -L "$FAKE/argv" || false
  run kb boot stack --root usual --qemu "$PWD/nothing"
  [ "$status" -eq 1 ]
  [[ "$output" == *nothing* ]]
  sed -i 's|qemu:bin/qemu|qemu:bin/qme|' recipes/stack/recipe.yaml
  run kb boot stack --root usual
  [ "$status" -eq 1 ]
  [[ "$output" == *"kata-static-qemu.tar.xz has no qemu:bin/qme"* ]]
}

# ---- what a release has to hold ----

members() { # tarball: its files, without what a merge adds
  tar -tf "$1" | sed -n 's|^\./opt/\([^/][^/]*\)$|\1|p' | sort | tr '\n' ' '
}

@test "merge --target takes what belongs to a target, and nothing else" {
  make_recipe one
  make_recipe two "needs: [three]
outputs: [two, two-modules]
guest: [two-modules]" 'for o in two two-modules; do mkdir -p /out/$o/opt; echo $o >/out/$o/opt/$o; done'
  make_recipe three
  make_recipe four "with: [one]"
  make_recipe hidden "release: no"
  make_recipe five "needs: [hidden]"
  make_group release "members: [one, two]"
  kb release four five
  run kb merge build --target=release -o r.tar.xz
  [ "$status" -eq 0 ]
  [[ "$output" == *"kata-static-four.tar.xz does not belong to release, and is left out"* ]]
  [ "$(members r.tar.xz)" = "one three two " ]
  kb merge build --target=four -o f.tar.xz
  [ "$(members f.tar.xz)" = "four one " ]
  kb merge build --target five -o g.tar.xz
  [ "$(members g.tar.xz)" = "five " ]
  kb merge build -o all.tar.xz
  [ "$(members all.tar.xz)" = "five four one three two " ]
}

@test "a component that belongs to the target and is missing is an error that says how to build it" {
  make_recipe one
  make_recipe two "variables: {KEYS: {required: Set KEYS}}"
  make_group release "members: {x86_64: [one, two], s390x: [one]}"
  kb --arch=x86_64 one
  run kb --arch=x86_64 merge build --target=release
  [ "$status" -eq 1 ]
  [[ "$output" == *"build lacks components of release for x86_64: two"* ]]
  [[ "$output" == *"build it: kbuild --arch=x86_64 -o build two"* ]]
  [ ! -e kata-static.tar.xz ]
  # Another architecture's tarball is none.
  run kb --arch=s390x merge build --target=release
  [ "$status" -eq 1 ]
  [[ "$output" == *"one (the existing one is for x86_64)"* ]]
  run kb merge build --target=relaese
  [ "$status" -eq 2 ]
  [[ "$output" == *"did you mean release"* ]]
  run kb merge build --target=release --components=one
  [ "$status" -eq 2 ]
}

@test "what was asked for and did not get built is an error of the merge, also if an old tarball is there" {
  make_recipe one
  make_recipe two
  kb one two
  grep -qE '^[0-9a-f]{64} kata-static-one.tar.xz one ' build/targets
  kb merge build
  before=$(stat -c %i build/targets)
  kb one two
  [ "$(stat -c %i build/targets)" = "$before" ]
  make_recipe two "" 'exit 1'
  run kb -k one two
  [ "$status" -eq 3 ]
  grep -q '^pending kata-static-two.tar.xz two ' build/targets
  run kb merge build -o smaller.tar.xz
  [ "$status" -eq 1 ]
  [[ "$output" == *"kata-static-two.tar.xz was requested in build, but its last build did not finish"* ]]
  [[ "$output" == *"kbuild two"* ]]
  [ ! -e smaller.tar.xz ]
  run kb merge build --target=two
  [ "$status" -eq 1 ]
  [[ "$output" == *"two (its last build did not finish)"* ]]
  kb merge build --components=one -o one.tar.xz
  make_recipe two
  kb two
  kb merge build
}

@test "a build that is interrupted leaves nothing that stops a merge of what is there" {
  make_recipe one
  make_recipe two
  kb one two
  cp build/targets before
  for signal in TERM KILL; do
    make_recipe two "" "echo $signal; sleep 30"
    kb one two >out 2>&1 &
    pid=$!
    for _ in $(seq 300); do
      ! grep -qs "^$signal" build/logs/two.log || break
      sleep 0.05
    done
    grep -q "^$signal" build/logs/two.log
    kill -$signal $pid
    wait $pid || true
    cmp build/targets before
    kb merge build -o "$signal.tar.xz"
  done
}

@test "what is gone, and what was put there by hand" {
  make_recipe one
  make_recipe two
  kb one two
  mv build/kata-static-two.tar.xz kept
  run kb merge build
  [ "$status" -eq 1 ]
  [[ "$output" == *"kata-static-two.tar.xz was built in build, but no longer exists"* ]]
  mv kept build/kata-static-other.tar.xz
  sed -i '/kata-static-two/d' build/targets
  run kb merge build
  [ "$status" -eq 0 ]
  [[ "$output" == *"kata-static-other.tar.xz was not built here; it is included as it is"* ]]
  echo nonsense >>build/targets
  run kb merge build
  [ "$status" -eq 1 ]
  [[ "$output" == *"build/targets: line 2 is not '<digest> <file> <target> <architecture>'"* ]]
}

@test "what cannot be booted is an error before anything is built" {
  make_recipe one
  make_group pair "members: [one]"
  for target in one pair; do
    run kb boot "$target"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"the recipe of $target does not say how it is booted"*"boot"* && "$output" != *started* ]]
  done
  [ ! -e build/kata-static-one.tar.xz ]
}
