#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kbuild under the names genprotimg and pvimg, and `kbuild se seal` with their options. That the
# messages are genprotimg's own is compared with the real one by `make check-parity`.

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  mkdir bin
  ln -s "$KBUILD" bin/genprotimg
  ln -s "$KBUILD" bin/pvimg
  PATH=$PWD/bin:$PATH
  "$KBUILD" se test-key hkd >/dev/null 2>&1
  HKD=$(echo hkd/HKD-*.crt)
  python3 - <<'X'
k = bytearray((7 * i) % 251 for i in range(131072))
k[0:4] = b"\x00\x08\x00\x01"
k[0x10008:0x1000E] = b"S390EP"
k[0x10430:0x10438] = (4096).to_bytes(8, "big")
open("kernel", "wb").write(k)
open("k32", "wb").write(bytes(range(32)))
open("k64", "wb").write(bytes(range(64)))
X
  printf 'panic=1 quiet' >parmfile
  head -c 100000 /dev/urandom >initrd
}

no_image() {
  [ ! -e image ]
  [ -z "$(find . -name '.image*')" ]
}

# Runs genprotimg with words that must be refused with exactly this first line after the warnings.
refused() { # message, words...
  local message=$1
  shift
  run genprotimg "$@"
  [ "$status" -eq 1 ] || { echo "status $status: $output"; return 1; }
  grep -v -e '^WARNING: ' <<<"$output" | head -n 1 | grep -qxF -- "$message" || { echo "$output"; return 1; }
  no_image
}

header_word() { # image, offset in the header: the 8 bytes there in hexadecimal
  dd if="$1" bs=1 skip="$((0x14000 + $2))" count=8 status=none | od -An -tx1 | tr -d ' \n'
}

# Seals, and compares the plaintext control flags.
flags_are() { # expected, command...
  "${@:2}" -i kernel -k "$HKD" -o image --no-verify 2>/dev/null
  [ "$(header_word image 0x38)" = "$1" ] || { echo "$*: $(header_word image 0x38)"; return 1; }
}

@test "scripts that look for a version of at least 2.17.0 understand ours" {
  run genprotimg --version
  [ "$status" -eq 0 ]
  [[ "$output" == "genprotimg version 2."* ]]
  # As upstream's lib_se.sh takes it apart and compares it.
  version=$(genprotimg --version | grep -Po '(?<=version )[^-]+')
  [ "$(printf '%s\n2.17.0\n' "$version" | sort -V | head -n 1)" = 2.17.0 ]
  genprotimg -v | grep -q '^genprotimg version'
}

@test "an image is sealed with long options, short ones, and letters together" {
  genprotimg --image=kernel --ramdisk=initrd --parmfile parmfile --host-key-document="$HKD" --output=long --no-verify
  genprotimg -i kernel -r initrd -p parmfile -k "$HKD" -o short --no-verify
  genprotimg -Vi kernel -r initrd -p parmfile -k "$HKD" -o together --no-verify
  for image in long short together; do
    "$KBUILD" se open $image --host-key hkd/TEST-host-key.pem -o parts
    cmp kernel parts/kernel
    cmp initrd parts/initrd
  done
}

@test "warnings go to standard error in genprotimg's words, and standard output stays empty" {
  genprotimg -i kernel -k "$HKD" -o image --no-verify --root-ca nowhere >out 2>err
  [ ! -s out ]
  grep -qxF 'WARNING: host-key document verification is disabled. Your workload is not secured.' err
  grep -qxF 'WARNING: The root CA is selected through the command line. Ensure that this root CA is trusted.' err
  run grep kbuild: err
  [ "$status" -eq 1 ]
}

@test "missing options are asked for in genprotimg's order" {
  refused "Option '--output' is required."
  refused "Option '--image' is required." -o image
  refused "Option '--host-key-document' is required." -o image -i kernel
  refused "Either specify the IBM Z signing key and intermediate CA certificate" -o image -i kernel -k "$HKD"
  run genprotimg -o image
  [ "${lines[1]}" = "Use 'genprotimg --help' for more information" ]
}

@test "wrong words are refused in genprotimg's words" {
  ok=(-i kernel -k "$HKD" -o image --no-verify)
  refused "Unknown option --foo" --foo "${ok[@]}"
  refused "Unknown option --kernl" --kernl kernel
  refused "Unrecognized arguments: 'a b'." a "${ok[@]}" b
  refused "Multiple values for option '-i'" "${ok[@]}" -i kernel
  refused "Multiple values for option '--image'" "${ok[@]}" --image=kernel
  refused "Missing argument for -r" "${ok[@]}" -r
  refused "'--enable-pckmo' and '--disable-pckmo' are mutually exclusive" "${ok[@]}" --enable-pckmo --disable-pckmo
  refused "Option '--enable-dump' requires the '--comm-key' option." "${ok[@]}" --enable-dump
  refused "Option '--enable-cck-extension-secret' requires the '--comm-key' option." "${ok[@]}" --enable-cck-extension-secret
  refused "Invalid value: 'zz'. A hexadecimal value is required, for example '0xcfe'" "${ok[@]}" --x-pcf zz
  refused "Wrong file size 'k32': read 32, expected 64" "${ok[@]}" --x-comp-key k32
  refused "Wrong file size 'k64': read 64, expected 32" "${ok[@]}" --comm-key k64
  refused "Failed to get file status 'nowhere': No such file or directory" "${ok[@]}" --x-header-key nowhere
  refused "The '--x-pcf' option cannot be used with the '--(enable|disable)-pckmo' or '--(enable|disable)-dump' flags." \
    "${ok[@]}" --x-pcf e0 --enable-pckmo
}

@test "files that cannot be used are named in genprotimg's words" {
  refused "Failed to get file status 'nowhere': No such file or directory" -i nowhere -k "$HKD" -o image --no-verify
  refused "File 'hkd' is not a regular file" -i hkd -k "$HKD" -o image --no-verify
  refused "Failed to open file 'nowhere/image': No such file or directory" -i kernel -k "$HKD" -o nowhere/image --no-verify
  refused "Failed to open file 'hkd': Is a directory" -i kernel -k "$HKD" -o hkd --no-verify
  run genprotimg -i kernel -k nowhere -o image --no-verify
  [[ "$output" == *"unable to read certificate: 'nowhere'"* ]]
  run genprotimg -i kernel -k parmfile -o image --no-verify
  [[ "$output" == *"unable to load certificate: 'parmfile'"* ]]
  run genprotimg -i kernel -k "$HKD" -o image --offline -C nowhere
  [ "$status" -eq 1 ]
  [[ "$output" == *"Failed to verify host-key document: unable to read certificate: 'nowhere'"* ]]
  no_image
}

@test "what comes first is checked first: values, keys, documents, parts, output" {
  all=(-o nowhere/image -i no-kernel -k no-document --x-header-key no-key --no-verify)
  refused "Invalid value: 'x'. A hexadecimal value is required, for example '0xcfe'" "${all[@]}" --x-psw x
  refused "Failed to get file status 'no-key': No such file or directory" "${all[@]}"
  run genprotimg -o nowhere/image -i no-kernel -k no-document --no-verify
  [[ "$output" == *"unable to read certificate: 'no-document'"* ]]
  refused "Failed to get file status 'no-kernel': No such file or directory" -o nowhere/image -i no-kernel -k "$HKD" --no-verify
}

@test "an output that exists is replaced, through a link too, and what is no file stays" {
  echo old >image
  chmod 600 image
  ln -s image link
  genprotimg -i kernel -k "$HKD" -o link --no-verify
  [ -L link ]
  [ "$(stat -c %a image)" = 600 ]
  "$KBUILD" se open image --host-key hkd/TEST-host-key.pem -o parts
  mkfifo fifo
  run timeout 10 "$KBUILD" se seal -i kernel -k "$HKD" -o fifo --no-verify
  [ "$status" -eq 1 ]
  [ -p fifo ]
}

@test "a failure leaves the output that was there as it was" {
  echo old >image
  : >empty
  run genprotimg -i empty -k "$HKD" -o image --no-verify
  [ "$status" -eq 1 ]
  [ "$(cat image)" = old ]
}

@test "flags and their switches end up in the header" {
  flags_are 00000000000000e0 genprotimg
  flags_are 0000000000000000 genprotimg --disable-pckmo
  flags_are 00000000000000e0 genprotimg --enable-pckmo --disable-dump
  flags_are 00000000200000e0 genprotimg --enable-dump --comm-key k32
  flags_are 00000000100000e0 genprotimg --x-pcf 0x100000e0
  flags_are 00000000000000f0 pvimg create --overwrite --enable-pckmo-hmac
  flags_are 00000000000000e2 pvimg create --overwrite --enable-backup-keys
  flags_are 00000000100000e0 pvimg create --overwrite --disable-image-encryption
}

@test "flags without a known meaning are refused unless they are forced" {
  ok=(-i kernel -k "$HKD" -o image --no-verify)
  for words in "--x-pcf 0x1" "--x-scf=1" "--x-pcf ffffffffffffffff"; do
    # shellcheck disable=SC2086 # words
    run "$KBUILD" se seal "${ok[@]}" $words
    [ "$status" -eq 1 ]
    [[ "$output" == *"no meaning is known"*"--force-unknown-flags"* ]]
    no_image
  done
  flags_are 8000000000000001 "$KBUILD" se seal --x-pcf 0x8000000000000001 --force-unknown-flags
}

@test "keys that the user brings are the image's keys" {
  genprotimg -i kernel -k "$HKD" -o image --no-verify --x-header-key k32 --x-comp-key k64 --comm-key k32
  "$KBUILD" se open image --host-key hkd/TEST-host-key.pem -o parts
  cmp kernel parts/kernel
  # The header's encrypted area under the given key: cck, then the component key.
  python3 - <<'X'
from subprocess import run
image = open("image", "rb").read()
header = image[0x14000:0x14000 + 640]
# AES-GCM is AES-CTR that starts at 2.
area = run(["openssl", "enc", "-d", "-aes-256-ctr", "-K", bytes(range(32)).hex(), "-iv", (header[16:28] + b"\0\0\0\2").hex()],
           input=header[496:624], capture_output=True, check=True).stdout
assert area[:32] == bytes(range(32)) and area[32:96] == bytes(range(64)), area.hex()
X
}

@test "two images of the same inputs differ, and no environment makes them equal" {
  head -c 4096 /dev/zero >random
  export KBUILD_TEST_RANDOM=$PWD/random KBUILD_TEST_CUSTOMER=$PWD/hkd/TEST-host-key.pem
  genprotimg -i kernel -k "$HKD" -o one --no-verify
  genprotimg -i kernel -k "$HKD" -o two --no-verify
  run cmp -s one two
  [ "$status" -eq 1 ]
  run grep -q KBUILD_TEST_ "$KBUILD"
  [ "$status" -eq 1 ]
}

@test "verbose says where the parts lie" {
  run genprotimg -V -i kernel -r initrd -p parmfile -k "$HKD" -o image --no-verify
  [ "$status" -eq 0 ]
  [[ "$output" == *"      kernel:	0x000000015000 (      131072 /       131072 Bytes)"* ]]
  [[ "$output" == *"    parmline:	0x000000035000 (        4096 /           14 Bytes)"* ]]
  [[ "$output" == *"     ramdisk:	0x000000036000 (      102400 /       100000 Bytes)"* ]]
  [[ "$output" == *"     stage3b:"* ]]
  [[ "$output" == *"     stage3a:	0x000000010000 (       20480 /        20480 Bytes)"* ]]
}

@test "help is on standard output, for each name its own options" {
  genprotimg --help-all | grep -q -- --x-header-key
  run genprotimg --help
  [[ "$output" != *--x-header-key* ]]
  run genprotimg --help-all
  [[ "$output" != *--seal-secret* ]]
  pvimg create --help | grep -q -- able-cck-update
  [ "$(pvimg test --help | head -n 1)" = "usage: pvimg test [OPTION...] IMAGE" ]
  [ "$(pvimg help | grep -c .)" -gt 4 ]
  "$KBUILD" se seal --help | grep -q -- --seal-secret
  "$KBUILD" se seal --help-experimental | grep -q -- --x-psw
}

@test "kbuild se seal takes the options of both, and says a wrong command line with status 2" {
  "$KBUILD" se seal --kernel kernel --ramdisk=initrd -k "$HKD,$HKD" --cck k32 --hdr-key k32 --image-key k64 --overwrite \
    -oimage --no-verify --enable-pckmo-hmac
  [ "$(header_word image 0x20)" = 0000000000000002 ]
  run "$KBUILD" se seal --kernel kernel -k "$HKD" -o image --no-verify --imgae-key k64
  [ "$status" -eq 2 ]
  [[ "$output" == *"did you mean --image-key?"* ]]
  for words in "" "--no-verify -C x" "--no-verify --crl x" "--no-verify --enable-cck-update --enable-cck-extension-secret --cck k32" \
    "--no-verify --disable-image-encryption --image-key k64" "-C x --online --offline=x"; do
    # shellcheck disable=SC2086 # words
    run "$KBUILD" se seal -i kernel -k "$HKD" -o other $words
    [ "$status" -eq 2 ] || { echo "$words: $status $output"; return 1; }
    [ ! -e other ]
  done
}

@test "a seal secret makes equal images, and the record says of what" {
  head -c 64 /dev/urandom >secret
  chmod 600 secret
  words=(-i kernel -r initrd -p parmfile -k "$HKD" --no-verify --seal-secret secret)
  "$KBUILD" se seal "${words[@]}" -o one --seal-record record.json
  "$KBUILD" se seal "${words[@]}" -o two
  cmp one two
  python3 -c 'import json; assert json.load(open("record.json"))["kernel"]["size"] == 131072'
  refused "Unknown option --seal-secret" "${words[@]}" -o image
}

@test "components that cannot work are refused unless they are not to be looked at" {
  : >empty
  run genprotimg -i kernel -r empty -k "$HKD" -o image --no-verify
  [ "$status" -eq 1 ]
  no_image
  pvimg create -i empty -k "$HKD" -o image --no-verify --no-component-check
  [ -s image ]
}

@test "more host keys than a header holds are refused with genprotimg's sum" {
  many=()
  for _ in $(seq 96); do many+=(-k "$HKD"); done
  refused "PV header size is too large: '8240' > '8192'" -i kernel "${many[@]}" -o image --no-verify
  genprotimg -i kernel "${many[@]:2}" -o image --no-verify
}

@test "pvimg create overwrites only when told, and a wrong command line is status 2" {
  pvimg create --kernel kernel -k "$HKD" -o image --no-verify
  run pvimg create --kernel kernel -k "$HKD" -o image --no-verify
  [ "$status" -eq 1 ]
  [[ "$output" == *"error: "*"image"* ]]
  pvimg create --kernel kernel -k "$HKD" -o image --no-verify --overwrite
  for words in "create --kernel kernel --no-such-option" create no-such-command ""; do
    # shellcheck disable=SC2086 # words
    run pvimg $words
    [ "$status" -eq 2 ]
  done
  pvimg version | grep -q '^pvimg version'
  pvimg --version | grep -q '^pvimg version'
}

@test "pvimg info describes an image, in JSON when nobody reads it on a terminal" {
  genprotimg -i kernel -k "$HKD" -k "$HKD" -o image --no-verify --x-header-key k32 --disable-pckmo
  pvimg info image 2>/dev/null | python3 -c '
import json, sys
data = json.load(sys.stdin)["data"]
assert (data["kind"], data["nks"], data["sehs"], data["verified"]) == ("se_hdr", 2, 720, False), data
assert data["pcf_hex"] == 16 * "0", data'
  pvimg info image --format json --hdr-key k32 | grep -Eq '"verified": ?true'
  run pvimg info image --hdr-key parmfile
  [ "$status" -eq 1 ]
  [[ "$output" == *"error: "* ]]
  run pvimg info kernel
  [ "$status" -eq 1 ]
}

@test "pvimg test tells whether a machine is among those that an image was sealed for" {
  "$KBUILD" se test-key other >/dev/null 2>&1
  OTHER=$(echo other/HKD-*.crt)
  genprotimg -i kernel -k "$HKD" -o image --no-verify
  run pvimg test image -k "$OTHER" -k "$HKD"
  [ "$status" -eq 0 ]
  [[ "$output" == *"✘ Host key document '$OTHER' is not included"* ]]
  [[ "$output" == *"✓ Host key document '$HKD' is included"* ]]
  run pvimg test image -k "$OTHER"
  [ "$status" -eq 1 ]
  zeros=$(printf '0%.0s' {1..64})
  hash=$(dd if=image bs=1 skip=$((0x141A0)) count=32 status=none | od -An -tx1 | tr -d ' \n')
  for _ in {1..15}; do echo "$zeros"; done >none
  { echo "$zeros"; echo "$hash"; tail -n 13 none; } >backup
  run pvimg test image --key-hashes=none
  [ "$status" -eq 1 ]
  [[ "$output" == *"None of the key hashes is included"* ]]
  pvimg test image --key-hashes=backup
  head -n 3 backup >short
  run pvimg test image --key-hashes=short
  [ "$status" -eq 1 ]
  run pvimg test image
  [ "$status" -eq 2 ]
}

# ---- genprotimg since s390-tools 2.36, which is pvimg ----

@test "genprotimg takes what the genprotimg of today's distributions takes" {
  genprotimg -v -k "$HKD" --no-verify -i kernel -o image 2>/dev/null | grep -q ' kernel:'
  "$KBUILD" se open image --host-key hkd/TEST-host-key.pem -o parts >/dev/null
  genprotimg --kernel kernel -k"$HKD,$HKD" --cck k32 --hdr-key k32 --image-key k64 -o=list --overwrite --no-component-check \
    --enable-pckmo-hmac --enable-backup-keys --enable-cck-update --no-verify -q 2>err
  [ ! -s err ]
  [ "$(header_word list 0x20)" = 0000000000000002 ]
  genprotimg -ikernel -k "$HKD" -o attached --no-verify --enable-dump --enable-cck-update 2>/dev/null
  [ "$(header_word attached 0x38)" = 00000000200000e0 ]
  genprotimg --disable-image-encryption -i kernel -k "$HKD" -o clear --no-verify 2>/dev/null
  [ "$(header_word clear 0x38)" = 00000000100000e0 ]
}

@test "success without the image that was asked for does not happen, whatever -v and --version mean where" {
  genprotimg -v | grep -q '^genprotimg version'
  for words in "-v foo" "-v -V" "-vq" "--version -i kernel -o image" "-v --version" "-i kernel -o image --no-verify -v" \
    "--version -h=x" "-v -i kernel -k $HKD --no-verify" "-vo image" "--offline=x"; do
    # shellcheck disable=SC2086 # words
    run genprotimg $words
    [ "$status" -eq 1 ] || { echo "$words: $status $output"; return 1; }
    no_image
  done
  run genprotimg --version -i kernel -k "$HKD" -o image --no-verify
  [[ "$output" == *"before s390-tools 2.36 then prints its version and ignores the others, later ones reject it"* ]]
  run genprotimg -v -i kernel -o image --no-verify
  [[ "$output" == *"-v alone prints the version, with other options it is --verbose"* ]]
  run genprotimg -i kernel -k "$HKD" -o image --no-verify --cert nowhere
  [ "$status" -eq 1 ]
  [[ "$output" == *"mutually exclusive"*"before s390-tools 2.36"* ]]
  run genprotimg -i kernel -k "$HKD" -o image --no-verify --x-bootloader-directory .
  [ "$status" -eq 1 ]
  run "$KBUILD" se seal -v -i kernel -k "$HKD" --no-verify
  [ "$status" -eq 2 ]
  no_image
}

@test "a name with a comma is one file or two, and refused if it could be both" {
  cp "$HKD" a
  cp "$HKD" b
  genprotimg -k a,b -i kernel -o two --no-verify 2>/dev/null
  [ "$(header_word two 0x20)" = 0000000000000002 ]
  mv a a,b
  genprotimg -k a,b -i kernel -o one --no-verify 2>/dev/null
  [ "$(header_word one 0x20)" = 0000000000000001 ]
  cp b a
  run genprotimg -k a,b -i kernel -o image --no-verify
  [ "$status" -eq 1 ]
  [[ "$output" == *"a file of that name exists, and so do files of its parts"* ]]
  no_image
}

@test "every input can be a pipe or a device" {
  head -c 64 /dev/urandom >secret
  chmod 600 secret
  for tool in genprotimg "pvimg create" "$KBUILD se seal"; do
    rm -f image
    # shellcheck disable=SC2086 # words
    timeout 60 $tool -i <(cat kernel) -r <(cat initrd) -p <(cat parmfile) -k <(cat "$HKD") -o image --no-verify --x-header-key <(cat k32) \
      --comm-key <(cat k32) --x-comp-key <(cat k64) 2>/dev/null
    "$KBUILD" se open <(cat image) --host-key <(cat hkd/TEST-host-key.pem) -o parts >/dev/null
    cmp kernel parts/kernel
    cmp initrd parts/initrd
    [ "$(cat parts/cmdline 2>/dev/null || cat parts/parmfile 2>/dev/null || strings parts/* | grep -m1 -x 'panic=1 quiet')" = 'panic=1 quiet' ]
  done
  genprotimg -p /dev/null -i /dev/stdin -k "$HKD" -o empty --no-verify <kernel 2>/dev/null
  genprotimg -p /dev/stdin -i kernel -k "$HKD" -o stdin --no-verify < <(cat parmfile) 2>/dev/null
  "$KBUILD" se seal -i kernel -k "$HKD" -o image --no-verify --seal-secret <(cat secret) --seal-record record 2>/dev/null
  "$KBUILD" se verify image --seal-record <(cat record) --seal-secret <(cat secret) -i <(cat kernel)
  pvimg test image -k <(cat "$HKD")
  rm -f image
  refused "Wrong file size '/dev/null': read 0, expected 32" -i kernel -k "$HKD" -o image --no-verify --comm-key /dev/null
}

@test "pvimg: letters before the command, help of each, lists, and hashes of any line" {
  genprotimg -i kernel -k "$HKD" -o image --no-verify 2>/dev/null
  pvimg -v test image -k "$HKD,$HKD"
  run pvimg -qq test image -k "$HKD"
  [ -z "$output" ]
  pvimg -V create --crt nowhere --help | grep -q -- --kernel
  for words in "info --help" "test -h" "help info" "help create" "help" "-v --help"; do
    # shellcheck disable=SC2086 # words
    pvimg $words | grep -q '^usage: pvimg'
  done
  run pvimg create --crt nowhere -i kernel -k "$HKD" -o other --offline
  [ "$status" -eq 1 ]
  [[ "$output" == *nowhere* ]]
  hash=$("$KBUILD" se info image --json 2>/dev/null | jq -r '.data.keyslots[0].phkh_hex')
  zeros=$(printf '%064d' 0)
  for line in 1 2 3 15; do
    for i in $(seq 15); do
      [ "$i" = "$line" ] && echo "$hash" || echo "$zeros"
    done >hashes
    pvimg test image --key-hashes=hashes
    pvimg test image --key-hashes=<(cat hashes)
  done
  for words in "test image" "-v -q test image -k $HKD" "test image --key-hashes=hashes -k $HKD" "--version create" "create --version" \
    "help foo" "foo" "-x" "version foo" "info --print-schema json image" "info --print-schema text"; do
    # shellcheck disable=SC2086 # words
    run pvimg $words
    [ "$status" -eq 2 ] || { echo "$words: $status $output"; return 1; }
  done
  head -n 14 hashes >short
  run pvimg test image --key-hashes=short
  [ "$status" -eq 1 ]
}

@test "the schema of pvimg info describes what is printed, and refuses what is not" {
  genprotimg -i kernel -k "$HKD" -o image --no-verify --x-header-key k32 2>/dev/null
  pvimg info --print-schema json >schema
  pvimg info image --format json >plain 2>/dev/null
  pvimg info image --format json --hdr-key k32 --show-secrets >decrypted 2>/dev/null
  python3 - <<'X'
import copy, json, re
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
def fits(s, v):
    if "oneOf" in s:
        return sum(fits(one, v) for one in s["oneOf"]) == 1
    if type(v) is not TYPES[s["type"]] or not re.search(s.get("pattern", ""), v if type(v) is str else ""):
        return False
    if s["type"] == "array":
        return all(fits(s["items"], one) for one in v)
    if s["type"] != "object":
        return True
    return set(s["required"]) <= set(v) and all(k in s["properties"] and fits(s["properties"][k], v[k]) for k in v)
schema = json.load(open("schema"))
for name in ("plain", "decrypted"):
    doc = json.load(open(name))
    assert fits(schema, doc), name
    for key in doc["data"]:
        less = copy.deepcopy(doc)
        del less["data"][key]
        assert not fits(schema, less), (name, key)
    doc["data"]["more"] = 1
    assert not fits(schema, doc)
X
}
