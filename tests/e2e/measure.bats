#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `kbuild measure` as users meet it: digests, reference values, bad input. The files are made here.

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}

# sev-snp-measure 0.0.13 on the same files, with one and two vCPUs.
ONE=11e49bbd7254007d67cac6e774f752cd68e33695290b05854877a371f801e14c2dc6bb65d979bb65b67e338b0b2eb413
TWO=bdf0b9e6b1f2ca48a7a1895da867cb9e1693719622c0a4b1f0a471f23f658f6c713cc3fa076d62bb360137c40ccff578

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  firmware
}

firmware() { # what to leave out...
  python3 "$REPOSITORY/tests/support/make_firmware.py" . "$@"
}

measure() { # further options..., of which --ovmf and --vcpu-type take the place of the usual ones
  local usual=()
  [[ " $* " == *" --ovmf"* ]] || usual+=(--ovmf OVMF.fd)
  [[ " $* " == *" --vcpu-typ"* ]] || usual+=(--vcpu-type EPYC-v4)
  "$KBUILD" measure snp "${usual[@]}" --kernel vmlinuz --initrd initrd.img --append "console=ttyS0 panic=1" "$@"
}

refused() { # status, what the output must hold, command...
  local status_wanted=$1 text=$2
  shift 2
  run "$@"
  [ "$status" -eq "$status_wanted" ] && [[ "$output" == *"error: "*"$text"* ]] || { echo "status $status: $output"; return 1; }
}

@test "the digest of one launch is one line" {
  measure --vcpus 1 >out 2>err
  [ "$(cat out)" = "$ONE" ]
  [ ! -s err ]
}

@test "a range of vCPUs has a line each" {
  run measure --vcpus 01-0x2
  [ "$status" -eq 0 ]
  [ "$output" = "1 $ONE"$'\n'"2 $TWO" ]
}

@test "a CPU signature stands for a CPU type" {
  run "$KBUILD" measure snp --ovmf OVMF.fd --kernel vmlinuz --initrd initrd.img --append "console=ttyS0 panic=1" \
    --vcpus=1 --vcpu-sig=0x800f12
  [ "$output" = "$ONE" ]
}

@test "older kinds and TDX are measured, too" {
  run "$KBUILD" measure sev --ovmf OVMF.fd --kernel vmlinuz
  [ "$output" = e315c7db0fbb3087bf2db80b13d6c18ed9226d2724e316a5b319c81b95f8fb8d ]
  run "$KBUILD" measure sev-es --ovmf OVMF.fd --kernel vmlinuz --initrd initrd.img \
    --append "console=ttyS0 panic=1" --vcpus 3 --vcpu-type EPYC-Genoa
  [ "$output" = 0fd58f6265e549e7903ce888e4fc82b9f4469a9b6339ba3a27df3f5e9be38479 ]
  run "$KBUILD" measure tdx --ovmf OVMF.fd
  [ "$output" = 97555c73c78c2cd5388c901408e24daa73bfa866338b1aba5278af3ff41b7a6db3713b11beec35751b5c3cd50eda24f0 ]
}

# tdx-measure 0.1.0 on the same files.
RTMR1=f8dd4f93f1cf78bf61304fd499d68357f38ac9633c09da738fc4846b6b385da2ececeaf0e935d5c3392f1f956744638b
RTMR2=6236f700a0b70ad0383cb0b62e6417ac799b145030d2d897a861dd726631d31e13e4e3792b7c30b75a39e20723909713

tdx() { # further options..., of which --ovmf takes the place of the usual one
  local usual=()
  [[ " $* " == *" --ovmf"* ]] || usual+=(--ovmf TDVF-202502.fd)
  [ -e TDVF-202502.fd ] || firmware modules
  "$KBUILD" measure tdx "${usual[@]}" --kernel vmlinuz.efi --initrd initrd.img --append "console=ttyS0 panic=1" "$@"
}

@test "with a kernel a trust domain has run-time measurements, too" {
  run tdx --qemu-version 9.1.2 --memory 4096
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = "mrtd $("$KBUILD" measure tdx --ovmf OVMF.fd)" ]
  [ "${lines[1]}" = "rtmr1 $RTMR1" ]
  [ "${lines[2]}" = "rtmr2 $RTMR2" ]
  tdx --qemu-version 9.1.2 --memory 4096 -o .
  python3 - "$RTMR1" "$RTMR2" <<'X'
import json, sys
d = json.load(open("kata-tdx-reference.json"))
assert (d["qemu"], d["memory_mib"]) == ("9.1", 4096), d
assert [d["measurements"][0][r] for r in ("rtmr1", "rtmr2")] == sys.argv[1:], d
X
  sed -i 's/6\.12\.1/6.8.121/' vmlinuz.efi
  run tdx --qemu-version 10.2
  [ "$status" -eq 0 ]
  [[ "$output" == *"is Linux 6.8, which measures neither command line nor initrd"* ]]
  [[ "$output" != *rtmr2* ]]
}

# Registers of the file's own release of edk2, and never of another.
@test "what depends on the firmware's release is read from it, asked for, or refused" {
  firmware modules
  before="rtmr2 $(python3 - <<'X'
import hashlib
h = lambda b: hashlib.sha384(b).digest()
text = "initrd=initrd console=ttyS0 panic=1\0".encode("utf-16le")
one = h(bytes(48) + h(text))
print(h(one + h(open("initrd.img", "rb").read())).hex())
X
)"
  run tdx --ovmf TDVF-202508.fd --qemu-version 10.2
  [ "$status" -eq 0 ]
  [ "${lines[2]}" = "$before" ]
  newer=${lines[1]}
  refused 1 "built from edk2-stable202411 or later cannot be read" tdx --ovmf TDVF-202408.fd --qemu-version 10.2
  [[ "$output" == *"--edk2"* ]]
  run tdx --ovmf TDVF-202408.fd --qemu-version 10.2 --edk2 edk2-stable202408
  [ "$status" -eq 0 ]
  [ "${lines[1]}" != "$newer" ]
  [ "${lines[2]}" = "rtmr2 $RTMR2" ]
  run tdx --ovmf TDVF-202411.fd --qemu-version 10.2 --edk2 202411
  [ "${lines[1]}" = "$newer" ]
  refused 1 "was not built from edk2-stable202505" tdx --ovmf TDVF-202508.fd --qemu-version 10.2 --edk2 202505
  refused 1 "it has no TdTcg2Dxe" tdx --ovmf TDVF-none.fd --qemu-version 10.2
  [[ "$output" == *"kbuild ovmf-tdx"* && "$output" != *ovmf-sev* ]]
  refused 1 "no program in it can be read" tdx --ovmf OVMF.fd --qemu-version 10.2 --edk2 202508
  refused 2 "it must look like edk2-stable202411" tdx --qemu-version 10.2 --edk2 2024
  # Without a kernel none of this matters.
  "$KBUILD" measure tdx --ovmf TDVF-none.fd
  refused 2 "--edk2 is not used for tdx without a kernel" "$KBUILD" measure tdx --ovmf TDVF-none.fd --edk2 202411
}

# QEMU hands the whole file to the firmware, and gives it no initrd.
@test "a unified kernel image is measured as QEMU loads it" {
  firmware modules
  uki=("$KBUILD" measure snp --ovmf OVMF.fd --kernel uki.efi --append quiet --vcpus 1 --vcpu-type EPYC-v4)
  run "${uki[@]}"
  [ "$status" -eq 0 ]
  first=$output
  "${uki[@]}" -o reference.json
  grep -q "$(sha256sum <uki.efi | cut -d' ' -f1)" reference.json
  printf X | dd of=uki.efi bs=1 seek=5000 conv=notrunc status=none
  run "${uki[@]}"
  [ "$status" -eq 0 ]
  [ "$output" != "$first" ]
  refused 1 "QEMU gives those no initrd" "${uki[@]}" --initrd initrd.img
  refused 1 "it is an EFI program around a kernel" "$KBUILD" measure tdx --ovmf TDVF-202508.fd --kernel uki.efi --qemu-version 10.2
  head -c 9000 uki.efi >cut.efi
  refused 1 "it is cut off" "$KBUILD" measure snp --ovmf OVMF.fd --kernel cut.efi --vcpus 1 --vcpu-type EPYC
  sed 's/\.linux/.lisux/' uki.efi >other.efi
  refused 1 "no section .linux" "$KBUILD" measure snp --ovmf OVMF.fd --kernel other.efi --vcpus 1 --vcpu-type EPYC
  { printf IGVM; tail -c +5 OVMF.fd; } >svsm.igvm
  refused 1 "it is an IGVM file" "$KBUILD" measure snp --ovmf svsm.igvm --vcpus 1 --vcpu-type EPYC
}

@test "the VM type that SEV-ES guests have on older hosts is asked for" {
  es=("$KBUILD" measure sev-es --ovmf OVMF.fd --vcpus 1 --vcpu-type EPYC)
  # SHA-256 over the firmware and the page of the vCPU, whose MXCSR and x87 control word are 0 then.
  run "${es[@]}" --legacy-vm-type
  legacy=$output
  run "${es[@]}"
  [ "$status" -eq 0 ]
  [ "$output" != "$legacy" ]
  python3 - "$output" "$legacy" <<'X'
import hashlib, struct, sys
image = open("OVMF.fd", "rb").read()
def digest(mxcsr, fcw):
    page = bytearray(4096)
    for at, selector, attributes, limit, base in (
            (0, 0, 0x93, 0xFFFF, 0), (0x10, 0xF000, 0x9B, 0xFFFF, 0xFFFF0000), (0x20, 0, 0x93, 0xFFFF, 0),
            (0x30, 0, 0x93, 0xFFFF, 0), (0x40, 0, 0x93, 0xFFFF, 0), (0x50, 0, 0x93, 0xFFFF, 0),
            (0x60, 0, 0, 0xFFFF, 0), (0x70, 0, 0x82, 0xFFFF, 0), (0x80, 0, 0, 0xFFFF, 0), (0x90, 0, 0x8B, 0xFFFF, 0)):
        struct.pack_into("<HHIQ", page, at, selector, attributes, limit, base)
    for at, form, value in ((0xD0, "Q", 0x1000), (0x148, "Q", 0x40), (0x158, "Q", 0x10), (0x160, "Q", 0x400),
                            (0x168, "Q", 0xFFFF0FF0), (0x170, "Q", 2), (0x178, "Q", 0xFFF0),
                            (0x268, "Q", 0x0007040600070406), (0x310, "Q", 0x800F12), (0x3E8, "Q", 1),
                            (0x408, "I", mxcsr), (0x410, "H", fcw)):
        struct.pack_into("<" + form, page, at, value)
    return hashlib.sha256(image + page).hexdigest()
assert [digest(0x1F80, 0x37F), digest(0, 0)] == sys.argv[1:]
X
  refused 2 "--legacy-vm-type is not used for snp" "$KBUILD" measure snp --ovmf OVMF.fd --vcpus 1 --legacy-vm-type
}

# Before 10.2 QEMU writes into the header of the kernel. What this machine's QEMU makes of it, measured
# unchanged, must be what is expected of the file.
@test "RTMR 1 is that of the kernel that a real QEMU hands over" {
  qemu=$(command -v qemu-system-x86_64) || skip "qemu-system-x86_64 is not installed"
  for memory in 512 2048 2500 3000; do
    python3 "$REPOSITORY/tests/support/fw_cfg_kernel.py" "$qemu" vmlinuz.efi initrd.img "console=ttyS0 panic=1" \
      "$memory" seen
    run cmp -s seen vmlinuz.efi
    [ "$status" -eq 1 ]
    tdx --qemu-version 9.1 --memory "$memory" >expected
    "$KBUILD" measure tdx --ovmf TDVF-202502.fd --kernel seen --initrd initrd.img --append "console=ttyS0 panic=1" \
      --qemu-version 10.2 >unchanged
    cmp expected unchanged
  done
}

@test "reference values are the same JSON on every run" {
  measure --vcpus 1-2 -o first.json
  measure --vcpus 1-2 --json >second.json
  measure --vcpus 1-2 -o .
  cmp first.json second.json || { diff first.json second.json; return 1; }
  cmp first.json kata-snp-reference.json
  python3 - "$ONE" "$TWO" <<'X'
import hashlib, json, sys
d = json.load(open("first.json"))
assert [(m["vcpus"], m["digest"]) for m in d["measurements"]] == [(1, sys.argv[1]), (2, sys.argv[2])]
assert d["inputs"]["kernel"]["sha256"] == hashlib.sha256(open("vmlinuz", "rb").read()).hexdigest()
assert d["inputs"]["append"] == "console=ttyS0 panic=1" and d["cpu_signature"] == "0x800f12"
assert d["id_block"]["signed"] is False and "snp_id_auth" not in d["measurements"][0]
X
  run cat first.json
  [[ "$output" != *"$BATS_TEST_TMPDIR"* ]]
}

@test "an ID key signs an ID block for each count" {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out TEST-id.pem 2>/dev/null
  measure --vcpus 1-2 --id-key TEST-id.pem --policy 0x30000 --family-id 000102030405060708090a0b0c0d0e0f \
    --guest-svn 7 -o reference.json
  # The signature is verified by OpenSSL's own program.
  python3 - <<'X'
import base64, json
for i, m in enumerate(json.load(open("reference.json"))["measurements"]):
    block, auth = (base64.b64decode(m["snp_id_" + n]) for n in ("block", "auth"))
    assert len(block) == 96 and len(auth) == 4096
    assert block[:48].hex() == m["digest"] and block[48:64] == bytes(range(16))
    assert block[84:88] == b"\7\0\0\0" and block[88:] == b"\0\0\3\0\0\0\0\0"
    def number(b):
        n = int.from_bytes(b, "little")
        b = n.to_bytes(n.bit_length() // 8 + 1, "big")
        return b"\2" + bytes([len(b)]) + b
    r_s = number(auth[0x40:0x88]) + number(auth[0x88:0xD0])
    open("block%d" % i, "wb").write(block)
    open("signature%d" % i, "wb").write(b"\x30" + bytes([len(r_s)]) + r_s)
X
  openssl pkey -in TEST-id.pem -pubout -out public.pem
  openssl dgst -sha384 -verify public.pem -signature signature0 block0
  openssl dgst -sha384 -verify public.pem -signature signature1 block1
  run openssl dgst -sha384 -verify public.pem -signature signature0 block1
  [ "$status" -ne 0 ]
}

@test "what is no firmware is named and refused" {
  head -c 100000 OVMF.fd >cut.fd
  refused 1 "cut.fd: its size (100000 bytes) is no multiple of 4 KiB" measure --vcpus 1 --ovmf cut.fd
  head -c 65536 OVMF.fd >cut.fd
  refused 1 "cut.fd: OVMF's table is not at its end" measure --vcpus 1 --ovmf cut.fd
  tail -c 4096 OVMF.fd >cut.fd
  refused 1 "cut off at the start" measure --vcpus 1 --ovmf cut.fd
  [[ "$output" == *"hint: give an OVMF.fd"* ]]
  refused 1 "/dev/null: its size (0 bytes)" measure --vcpus 1 --ovmf /dev/null
  refused 1 "missing.fd: No such file" measure --vcpus 1 --ovmf missing.fd
}

@test "firmware without what the launch needs is refused" {
  firmware sev
  refused 1 "no SEV metadata" measure --vcpus 1
  firmware hashes
  refused 1 "no area for the hashes of a kernel" measure --vcpus 1
  [[ "$output" == *AmdSev* ]]
  firmware kernel-hashes
  refused 1 "SNP_KERNEL_HASHES" measure --vcpus 1
  firmware reset
  refused 1 "no SEV-ES reset block" measure --vcpus 1
  firmware tdx
  refused 1 "no TDX metadata" "$KBUILD" measure tdx --ovmf OVMF.fd
}

@test "a kernel that is no bzImage is refused" {
  head -c 30000 /dev/zero >vmlinuz
  refused 1 "vmlinuz: it is no bzImage" measure --vcpus 1
  printf '\177ELF' >vmlinuz
  head -c 30000 /dev/zero >>vmlinuz
  refused 1 "vmlinuz: it is an ELF file" measure --vcpus 1
  : >vmlinuz
  refused 1 "vmlinuz: it is empty" measure --vcpus 1
  [[ "$output" == *"hint: give the bzImage"* ]]
}

@test "absurd numbers are a usage error" {
  for n in 0 1025 2-1 0-3 x 1- -1 1-2-3 99999999999999999999 ''; do
    refused 2 "--vcpus" measure "--vcpus=$n"
  done
  refused 2 "--guest-features" measure --vcpus 1 --guest-features=none
  refused 2 "bit 0" measure --vcpus 1 --guest-features=2
  refused 2 "--family-id" measure --vcpus 1 --family-id=12
  refused 2 "bit 17" measure --vcpus 1 --policy=0
  refused 2 "--guest-svn" measure --vcpus 1 --guest-svn=0x100000000
}

@test "an unknown CPU type names the nearest" {
  refused 2 "did you mean EPYC-Milan?" measure --vcpus 1 --vcpu-type EPYC-Milann
  refused 2 "--vcpu-type is missing" "$KBUILD" measure snp --ovmf OVMF.fd --vcpus 1
}

@test "options that do not matter are refused, not ignored" {
  refused 2 "--vcpus is not used for sev" "$KBUILD" measure sev --ovmf OVMF.fd --vcpus 1
  refused 2 "--memory is not used for tdx without a kernel" "$KBUILD" measure tdx --ovmf OVMF.fd --memory 2048
  refused 2 "QEMU's version is missing (--qemu-version)" tdx
  refused 2 "(--memory)" tdx --qemu-version 9.1
  refused 2 "it must look like 10.1.2" tdx --qemu-version ten
  refused 2 "--guest-features is not used for sev-es" "$KBUILD" measure sev-es --ovmf OVMF.fd --vcpus 1 --guest-features 1
  refused 2 "give the kernel, too" "$KBUILD" measure sev --ovmf OVMF.fd --initrd initrd.img
  refused 2 "--author-key" measure --vcpus 1 --author-key x
  refused 2 "--author-key" measure --vcpus 1 --author-key x -o .
  refused 2 "--id-key is not used for snp without -o or --json" measure --vcpus 1 --id-key x
  refused 2 "--policy is not used for snp without -o or --json" measure --vcpus 1 --policy 0x30000
  refused 2 "--vcpu-type is not used for snp on another VMM" measure --vcpus 1 --vmm-type ec2 -o .
  refused 2 "--memory is not used for tdx without an initrd, or with QEMU 10.2" tdx --qemu-version 10.2 --memory 2048
  refused 2 "--build is not used for snp" measure --vcpus 1 --build
  refused 2 "--two-pass is not used for sev" "$KBUILD" measure sev --ovmf OVMF.fd --two-pass
  refused 2 "--kernel is not used for a target" "$KBUILD" measure snp stack --kernel vmlinuz
  refused 2 "--vcpus '-1'" measure --vcpus=-1
  refused 2 "expected: snp|sev-es|sev|tdx" "$KBUILD" measure
  refused 2 "unknown option --vcpu-typ" measure --vcpu-typ EPYC
}

@test "a failure leaves no file, and an old one as it was" {
  echo old >reference.json
  chmod 600 vmlinuz
  refused 1 "no private key" measure --vcpus 1 -o reference.json --id-key vmlinuz
  firmware sev
  refused 1 "no SEV metadata" measure --vcpus 1 -o reference.json
  [ "$(cat reference.json)" = old ]
  refused 1 "no SEV metadata" measure --vcpus 1 -o new.json
  firmware
  run measure --vcpus 1 -o missing/new.json
  [ "$status" -eq 1 ]
  [ "$(ls)" = "OVMF.fd"$'\n'"initrd.img"$'\n'"reference.json"$'\n'"vmlinuz"$'\n'"vmlinuz.efi" ]
}

# ---- a target instead of files ----

@test "a target that says how SNP guests are started is measured without naming files" {
  load project
  cp "$BATS_TEST_TMPDIR"/{OVMF.fd,vmlinuz,initrd.img} "$BATS_TEST_TMPDIR/.." # make_project changes the folder
  make_project
  for file in OVMF.fd vmlinuz initrd.img; do
    name=$(tr 'A-Z.' 'a-z-' <<<"$file")
    make_recipe "$name" "" "mkdir /out/$name/opt; cp /recipe/$file /out/$name/opt/"
    mv "$BATS_TEST_TMPDIR/../$file" "recipes/$name/"
  done
  mkdir recipes/stack
  cat >recipes/stack/recipe.yaml <<'X'
description: test stack
action: group
members: {x86_64: [ovmf-fd, vmlinuz, initrd-img]}
boot:
  kernel: vmlinuz:opt/vmlinuz
  initrd: initrd-img:opt/initrd.img
  append: panic=1
  confidential:
    snp: {firmware: "ovmf-fd:opt/OVMF.fd", cpu: EPYC-v4}
X
  # Measuring looks: it builds only when it is told to, and leaves nothing behind.
  refused 1 "measuring stack: not built: ovmf-fd, vmlinuz, initrd-img" kb -q --arch=x86_64 measure snp stack
  [[ "$output" == *"--build"*"kbuild --arch=x86_64 ovmf-fd vmlinuz initrd-img"* ]]
  [ ! -e build ]
  kb -q --arch=x86_64 measure snp stack --build >out
  [ "$(wc -l <out)" -eq 64 ]
  files=(--ovmf recipes/ovmf-fd/OVMF.fd --kernel recipes/vmlinuz/vmlinuz --initrd recipes/initrd-img/initrd.img)
  "$KBUILD" measure snp "${files[@]}" --append "panic=1 console=ttyS0" --vcpus 1-64 --vcpu-type EPYC-v4 -o by-hand.json | cmp - out
  cmp by-hand.json build/kata-snp-reference.json
  # A runtime's own command line, and another range.
  kb -q --arch=x86_64 measure snp stack --append other --vcpus 2 >out
  "$KBUILD" measure snp "${files[@]}" --append other --vcpus 2 --vcpu-type EPYC-v4 | cmp - out
  run kb -q --arch=x86_64 measure snp vmlinuz
  [ "$status" -eq 1 ]
  [[ "$output" == *"the recipe of vmlinuz does not say how SNP guests are started"* ]]
  run kb measure snp stack --ovmf recipes/ovmf-fd/OVMF.fd
  [ "$status" -eq 2 ]
  # Nothing is left behind in the cache's scratch.
  [ -z "$(ls -A cache/tmp)" ]
}
