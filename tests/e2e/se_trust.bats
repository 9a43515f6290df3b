#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Images as a release engineer and as a user who receives one see them: inspected, proven, sealed
# again to the same bytes, with reference values beside them.

load project

setup() {
  make_project
  unset SIGNING_KEY_CERT_PATH INTERMEDIATE_CA_CERT_PATH HOST_KEY_CRL_PATH SE_SEALER SE_SEAL_SECRET SE_KERNEL_PARAMS
  "$KBUILD" se test-key hkd >/dev/null 2>&1
  fake_kernel kernel
  head -c 100000 /dev/urandom >initrd
  printf 'panic=1 quiet' >parmfile
  (umask 077 && head -c 64 /dev/urandom >secret)
}

teardown() {
  rm -rf "$PROJECT"
}

# A file that looks like a raw s390x kernel: 128 KiB, "S390EP", command line limit 4096.
fake_kernel() {
  python3 - "$1" <<'X'
import sys
k = bytearray((7 * i) % 251 for i in range(131072))
k[0:4] = b"\x00\x08\x00\x01"
k[0x10008:0x1000E] = b"S390EP"
k[0x10430:0x10438] = (4096).to_bytes(8, "big")
open(sys.argv[1], "wb").write(k)
X
}

seal() {
  "$KBUILD" se seal -i kernel -r initrd -p parmfile -k hkd/HKD-*.crt --no-verify "$@" 2>/dev/null
}

flip() { # file, offset: the lowest bit of that byte
  python3 - "$1" "$2" <<'X'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2], 0))
    b = f.read(1)[0]
    f.seek(int(sys.argv[2], 0))
    f.write(bytes([b ^ 1]))
X
}

fails_with() { # text, command...
  local text=$1
  shift
  run "$@"
  [ "$status" -eq 1 ] || { echo "status $status: $output"; return 1; }
  [[ "$output" == *"$text"* ]] || { echo "$output"; return 1; }
}

differ() { # file, file
  if cmp -s "$1" "$2"; then return 1; fi
}

holds_not() { # word, files and folders...
  local word=$1
  shift
  if grep -rqiF -e "$word" "$@"; then return 1; fi
}

# ---- se info ----

@test "info tells what an image is, and which document a key slot is for" {
  seal -o image
  run "$KBUILD" se info image --host-key-documents hkd
  [ "$status" -eq 0 ]
  [[ "$output" == *"version 1, 640 bytes at 0x14000"* ]]
  [[ "$output" == *"pckmo-deatdea pckmo-aes pckmo-ecc"* ]]
  [[ "$output" == *"hkd/HKD-TEST-"* ]]
  [[ "$output" == *"good    ald, tld, pld"* ]]
  "$KBUILD" se test-key other >/dev/null 2>&1
  run "$KBUILD" se info image -k other/HKD-*.crt
  [[ "$output" == *"none of the documents"* ]]
  [[ "$output" == *"no slot for other/HKD-TEST-"* ]]
}

@test "info's JSON has the fields of pvimg's schema, and no others, from a file and from stdin" {
  seal -o image
  "$KBUILD" se info image --format=json >one 2>err
  grep -q "not verified" err
  "$KBUILD" --json se info - <image >two 2>/dev/null
  python3 - one two <<'X'
import json, sys
a, b = (json.load(open(p)) for p in sys.argv[1:])
assert set(a) == {"meta", "data"}, a
assert set(a["meta"]) == {"api_level", "version", "host", "time_epoch", "time"}
want = set("kind verified magic_hex version sehs nks sea nep iv_hex pcf_hex pld_hex ald_hex tld_hex "
           "tag_hex cust_pub_key keyslots cipher_data_b64".split())
assert set(a["data"]) == want, set(a["data"]) ^ want
assert a["data"]["kind"] == "se_hdr" and a["data"]["verified"] is False
assert set(a["data"]["keyslots"][0]) == {"phkh_hex", "wrpk_hex", "kst_hex"}
assert len(a["data"]["cust_pub_key"]["coord_hex"]) == 320
assert a["data"] == b["data"]
X
}

@test "with the header key info authenticates, and shows secrets only when told to" {
  head -c 32 /dev/urandom >hdr.key
  seal -o image --x-header-key hdr.key || seal -o image --hdr-key hdr.key
  run "$KBUILD" se info image --hdr-key hdr.key
  [ "$status" -eq 0 ]
  [[ "$output" == *"yes, its tag fits the header key"* ]]
  [[ "$output" != *"secret)"* ]]
  "$KBUILD" se info image --hdr-key hdr.key --show-secrets --format json:minify >json
  python3 -c 'import json; d = json.load(open("json"))["data"]
assert d["kind"] == "decrypted_se_hdr" and d["verified"] is True and "cipher_data_b64" not in d
assert set(d["psw"]) == {"mask_hex", "addr_hex"} and len(d["xts_hex"]) == 128'
  head -c 32 /dev/urandom >wrong.key
  fails_with "its tag does not fit" "$KBUILD" se info image --hdr-key wrong.key
  run "$KBUILD" se info image --show-secrets
  [ "$status" -eq 2 ]
  fails_with "no Secure Execution header" "$KBUILD" se info kernel
}

# ---- se verify ----

@test "an image is proven with a host key, and compared with what it was made of" {
  seal -o image
  run "$KBUILD" se verify image --host-key hkd/TEST-host-key.pem -i kernel -r initrd -p parmfile
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  [[ "$output" == *"image: good"* ]]
  printf 'panic=1 quiex' >other
  fails_with "its command line is not other" "$KBUILD" se verify image --host-key hkd/TEST-host-key.pem -p other
  run "$KBUILD" se verify image
  [ "$status" -eq 2 ]
}

@test "a flipped bit is located: header field, slot, component, page, loader" {
  seal -o image
  for at in "0x14012 in its IV" "0x141c8 wrapped key in key slot 1" "0x16388 the kernel is damaged: page 2 of 32" \
    "0x38001 the initrd is damaged: page 3 of 25" "0x11004 the loader stage3a is damaged at byte 0x11004" \
    "0x13010 load parameter" "0x4 short PSW"; do
    cp image damaged
    flip damaged "${at%% *}"
    fails_with "${at#* }" "$KBUILD" se verify damaged --host-key hkd/TEST-host-key.pem -i kernel -r initrd -p parmfile
  done
}

# ---- provable sealing ----

@test "with a seal secret the same inputs give the same image, and others give another" {
  seal -o one --seal-secret secret
  seal -o two --seal-secret secret
  cmp one two
  printf ' ' >>parmfile
  seal -o three --seal-secret secret
  differ one three
  # No page of the initrd looks the same.
  python3 -c 'a, b = (open(p, "rb").read() for p in ("one", "three"))
pages = lambda x: {x[i:i + 4096] for i in range(0x15000, len(x), 4096)}
assert not pages(a) & pages(b)'
}

@test "secret and record prove an image without any host key" {
  seal -o image --seal-secret secret --seal-record record.json
  holds_not "$(od -An -tx1 secret | tr -d ' \n' | head -c 32)" record.json
  run "$KBUILD" se verify image --seal-record record.json --seal-secret secret
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  [[ "$output" == *"every key, IV, tweak and key slot is the one derived from the secret"* ]]
  run "$KBUILD" se verify image --seal-record record.json
  [ "$status" -eq 0 ]
  [[ "$output" == *"not checked: that the header is genuine"* ]]
  (umask 077 && head -c 64 /dev/urandom >other)
  fails_with "another secret" "$KBUILD" se verify image --seal-record record.json --seal-secret other
  seal -o foreign
  fails_with "may be the record of another image" "$KBUILD" se verify foreign --seal-record record.json --seal-secret secret
}

@test "secrets that everybody can read, or that are too short, are refused" {
  run seal -o image --seal-secret nowhere
  [ "$status" -eq 1 ]
  chmod 644 secret
  fails_with "can be read by everybody" "$KBUILD" se seal -i kernel -k hkd/HKD-*.crt --no-verify -o image --seal-secret secret
  (umask 077 && head -c 31 /dev/urandom >short)
  fails_with "has 31 bytes" "$KBUILD" se seal -i kernel -k hkd/HKD-*.crt --no-verify -o image --seal-secret short
  [ ! -e image ]
}

# ---- in a build ----

# kernel-confidential, rootfs-initrd-confidential and boot-image-se out of fake parts.
make_image_project() {
  mkdir -p recipes/{kernel-confidential,rootfs-initrd-confidential,boot-image-se}
  local parts=opt/kata/share/kata-containers
  for name in kernel-confidential rootfs-initrd-confidential; do
    make_recipe "$name" "" "mkdir -p /out/$name/$parts; cp /recipe/part.bin /out/$name/$parts/\$(cat /recipe/name.txt)"
  done
  cp kernel recipes/kernel-confidential/part.bin
  echo vmlinuz-confidential.container >recipes/kernel-confidential/name.txt
  cp initrd recipes/rootfs-initrd-confidential/part.bin
  echo kata-containers-initrd-confidential.img >recipes/rootfs-initrd-confidential/name.txt
  cp "$REPOSITORY/recipes/boot-image-se/recipe.yaml" recipes/boot-image-se/
  export HKD_PATH=hkd
}

image() { # cache, output, words...
  local cache=$1 output=$2
  shift 2
  "$KBUILD" --builder=host --cache "$cache" -o "$output" boot-image-se "$@" 2>&1
}

@test "two caches and one secret give the same tarball, bit by bit" {
  make_image_project
  SE_SEAL_SECRET=secret image cache1 one
  SE_SEAL_SECRET=secret image cache2 two
  cmp one/kata-static-boot-image-se.tar.xz two/kata-static-boot-image-se.tar.xz
  cmp one/kata-containers-se.json two/kata-containers-se.json
  image cache1 drawn
  grep -q '"secret_id": null' drawn/kata-containers-se.seal-record.json
  "$KBUILD" se verify drawn/kata-static-boot-image-se.tar.xz --seal-record drawn/kata-containers-se.seal-record.json
  differ one/kata-static-boot-image-se.tar.xz drawn/kata-static-boot-image-se.tar.xz
  run "$KBUILD" se verify one/kata-static-boot-image-se.tar.xz --seal-secret secret \
    --seal-record one/kata-containers-se.seal-record.json \
    --kernel-tarball one/kata-static-kernel-confidential.tar.xz \
    --initrd-tarball one/kata-static-rootfs-initrd-confidential.tar.xz
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  [[ "$output" == *"initrd: one/kata-static-rootfs-initrd-confidential.tar.xz"* ]]
}

@test "an image with random keys is not verified by building it again, one with a secret is" {
  make_image_project
  run "$KBUILD" --builder=host --cache cache1 --arch=s390x verify boot-image-se
  [ "$status" -eq 1 ]
  [[ "$output" == *"SE_SEAL_SECRET"* ]]
  SE_SEAL_SECRET=secret "$KBUILD" --builder=host --cache cache1 --arch=s390x verify --all boot-image-se
}

@test "the secret is in no key, log or record, and another one builds again" {
  make_image_project
  export SE_SEAL_SECRET=secret
  image cache1 build
  hex=$(od -An -tx1 -v secret | tr -d ' \n')
  digest=$(sha256sum secret)
  run "$KBUILD" --builder=host --cache cache1 explain boot-image-se
  [[ "$output" == *"variable SE_SEAL_SECRET secret "* ]]
  for word in "${hex:0:32}" "${digest:0:16}" "$(sha512sum secret | head -c 16)"; do
    holds_not "$word" cache1 build
  done
  run image cache1 build
  [[ "$output" == *"boot-image-se: cached"* ]]
  (umask 077 && head -c 64 /dev/urandom >other)
  SE_SEAL_SECRET=other run image cache1 build
  [[ "$output" != *"boot-image-se: cached"* ]]
  chmod 644 secret
  run image cache1 build
  [ "$status" -eq 1 ]
  [[ "$output" == *"SE_SEAL_SECRET: the seal secret secret can be read by everybody"* ]]
}

@test "no script gets a secret" {
  make_recipe leaky "$(printf 'variables:\n  SE_SEAL_SECRET: {type: secret}')"
  fails_with "a script never gets a secret" kb leaky
}

# ---- reference values ----

@test "reference values lie beside the image and agree with it" {
  make_image_project
  image cache1 build
  tar -xOf build/kata-static-boot-image-se.tar.xz ./opt/kata/share/kata-containers/kata-containers-se.img >image
  [ "$(stat -c %s build/hdr.bin)" -eq 640 ]
  cmp -n 640 -i $((0x14000)):0 image build/hdr.bin
  python3 - <<'X'
import hashlib, json
r = json.load(open("build/kata-containers-se.json"))
h = open("build/hdr.bin", "rb").read()
v = r["reference_values"]
assert v["se.version"] == [256] and v["se.tag"] == [h[-16:].hex()]
assert v["se.image_phkh"] == v["se.attestation_phkh"] == [h[0x1A0:0x1C0].hex()]
sha = lambda p: hashlib.sha256(open(p, "rb").read()).hexdigest()
assert r["image"]["sha256"] == sha("image") and r["kernel"]["sha256"] == sha("kernel")
assert r["initrd"]["sha256"] == sha("initrd") and r["header"]["sha256"] == sha("build/hdr.bin")
assert r["command_line"]["size"] == len("panic=1 scsi_mod.scan=none swiotlb=262144")
X
  # The checksums are those of tarballs, as upstream's are.
  [ "$(wc -l <build/boot-image-se-sha256sum)" -eq 1 ]
  # By hand, the same values; and hdr.bin is as good as the image to look at.
  "$KBUILD" se reference build/kata-static-boot-image-se.tar.xz -o again.json --header again.bin
  cmp build/hdr.bin again.bin
  python3 -c 'import json; a, b = (json.load(open(p)) for p in ("again.json", "build/kata-containers-se.json"))
assert a["reference_values"] == b["reference_values"] and a["image"] == b["image"]'
  run "$KBUILD" se info build/hdr.bin
  [[ "$output" == *"640 bytes at 0x0, alone"* ]]
  flip image 0x15000
  fails_with "contents changed" "$KBUILD" se reference image
}

@test "the guide's variables verify, what was fetched is in the provenance, and a cached image is verified again" {
  make_image_project
  unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY SE_ONLINE
  mkdir world hosts
  mkfifo lists
  "$REPOSITORY/tests/support/http_server.py" "$PWD/world" <lists >port 3>&- &
  exec 9>lists # the server ends with this
  for _ in $(seq 100); do [ -s port ] && break; sleep 0.05; done
  "${MAKE_WORLD:-$REPOSITORY/obj/make_world}" world "http://127.0.0.1:$(cat port)/"
  cp world/HKD-online.crt hosts/
  export HKD_PATH=hosts SIGNING_KEY_CERT_PATH=$PWD/world/sign-online.crt INTERMEDIATE_CA_CERT_PATH=$PWD/world/inter-online.crt
  export HOST_KEY_CRL_PATH=$PWD/world/sign.crl SE_ROOT_CA_PATH=$PWD/world/root.crt
  image cache1 one >log
  grep -q "fetched a revocation list of .* from http://127.0.0.1:.*/inter.crl" log
  "$KBUILD" --builder=host --cache cache1 provenance boot-image-se -o - >statement
  for list in inter root; do
    jq -e --arg uri "http://127.0.0.1:$(cat port)/plain/$list.crl" --arg digest "$(sha256sum <"world/$list.crl" | cut -d ' ' -f 1)" \
      '.predicate.buildDefinition.resolvedDependencies[] | select(.uri == $uri and .digest.sha256 == $digest)' statement >/dev/null
  done
  # The verdict is today's: the cached image is not handed out when the lists say otherwise.
  image cache1 one | grep -q cached
  cp world/root-expired.crl world/root.crl
  run image cache1 two
  [ "$status" -eq 1 ]
  [[ "$output" == *"has expired on"* ]]
  [ ! -e two/kata-static-boot-image-se.tar.xz ]
  exec 9>&-
}
