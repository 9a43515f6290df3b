#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Secure Execution images as users meet them: host keys, bad input, sealing and opening by hand.

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  unset SIGNING_KEY_CERT_PATH INTERMEDIATE_CA_CERT_PATH HOST_KEY_CRL_PATH SE_SEALER
  mkdir hkd
}

# The real recipe; refused input must be refused before anything is built or fetched.
image() {
  KBUILD_SOURCES=debian "$KBUILD" --versions "$REPOSITORY/versions.yaml" --recipes "$REPOSITORY/recipes" \
    --cache cache --offline boot-image-se
}

refused() { # what the message must hold
  run image
  [ "$status" -eq 1 ]
  [[ "$output" == *"$1"* ]] || { echo "$output"; return 1; }
  [ ! -e build ] || [ -z "$(find build -name '*.tar.xz')" ]
}

certificate() { # openssl genpkey arguments...: hkd/HKD-1.crt
  openssl genpkey "$@" -out key.pem 2>/dev/null
  openssl req -x509 -new -key key.pem -subj "/CN=TEST" -days 2 -out hkd/HKD-1.crt 2>/dev/null
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

@test "no host key document is said to be missing" {
  run env -u HKD_PATH bash -c "$(declare -f image); KBUILD=$KBUILD REPOSITORY=$REPOSITORY image"
  [ "$status" -eq 1 ]
  [[ "$output" == *"No host key document specified"*"hint: set HKD_PATH, for example: HKD_PATH=DIR kbuild "* ]]
  export HKD_PATH=hkd
  refused "No host key document specified"
  export HKD_PATH=nowhere
  refused "nowhere"
}

@test "host key documents that are none are refused, each with its own words" {
  export HKD_PATH=hkd
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out hkd/HKD-1.crt 2>/dev/null
  refused "private key"
  certificate -algorithm RSA -pkeyopt rsa_keygen_bits:2048
  refused "HKD-1.crt"
  certificate -algorithm EC -pkeyopt ec_paramgen_curve:P-256
  refused "HKD-1.crt"
  head -c 5000 /dev/urandom >hkd/HKD-1.crt
  refused "HKD-1.crt"
  : >hkd/HKD-1.crt
  refused "HKD-1.crt"
  rm hkd/HKD-1.crt
  mkdir hkd/HKD-1.crt
  refused "directory"
}

@test "an unreadable host key document is named" {
  [ "$(id -u)" -ne 0 ] || skip "root reads everything"
  export HKD_PATH=hkd
  "$KBUILD" se test-key hkd
  chmod 000 hkd/HKD-*.crt
  refused "Permission denied"
}

@test "one or two of the three verification variables are an error, and so are files that are no certificates" {
  export HKD_PATH=hkd
  "$KBUILD" se test-key hkd
  touch crt
  SIGNING_KEY_CERT_PATH=crt refused "must be specified"
  SIGNING_KEY_CERT_PATH=crt HOST_KEY_CRL_PATH=crt refused "INTERMEDIATE_CA_CERT_PATH"
  SIGNING_KEY_CERT_PATH=crt HOST_KEY_CRL_PATH=crt INTERMEDIATE_CA_CERT_PATH=crt refused "crt: it is empty"
  SE_SEALER=magic refused "magic"
  SE_SEALER=genprotimg PATH=/usr/bin:/bin refused "genprotimg"
}

@test "a TEST key is pointed out, and so is a missing verification" {
  export HKD_PATH=hkd
  "$KBUILD" se test-key hkd
  run image
  [[ "$output" == *"TEST host key"* ]]
  [[ "$output" == *"host-key document verification is disabled. Your workload is not secured."* ]]
}

@test "what is sealed can be opened again with the host's key, and only with that" {
  "$KBUILD" se test-key hkd
  mkdir other
  "$KBUILD" se test-key other
  fake_kernel kernel
  head -c 100000 /dev/urandom >initrd
  printf 'panic=1 quiet' >parmfile
  "$KBUILD" se seal -i kernel -r initrd -p parmfile -k hkd/HKD-*.crt -o image --no-verify
  run "$KBUILD" se open image --host-key hkd/TEST-host-key.pem -o parts
  [ "$status" -eq 0 ]
  cmp kernel parts/kernel
  cmp initrd parts/initrd
  [[ "$output" == *"panic=1 quiet"* ]]
  run "$KBUILD" se open image --host-key other/TEST-host-key.pem -o parts2
  [ "$status" -eq 1 ]
  ! grep -q S390EP image || false
}

@test "a flipped bit is found when the image is opened" {
  "$KBUILD" se test-key hkd
  fake_kernel kernel
  "$KBUILD" se seal -i kernel -k hkd/HKD-*.crt -o image --no-verify
  printf '\xff' | dd of=image bs=1 seek=$((0x15000 + 5000)) conv=notrunc status=none
  run "$KBUILD" se open image --host-key hkd/TEST-host-key.pem -o parts
  [ "$status" -eq 1 ]
  [[ "$output" == *"contents changed"* ]]
}

@test "kernels, initrds and parmfiles that cannot work are refused, and nothing is left" {
  "$KBUILD" se test-key hkd
  fake_kernel kernel
  : >empty
  cp /bin/true elf
  head -c 5000 /dev/zero | tr '\0' x >long
  for words in "-i elf" "-i empty" "-i hkd" "-i missing" "-i kernel -r empty" "-i kernel -p long" "-i kernel -r hkd"; do
    # shellcheck disable=SC2086 # words
    run "$KBUILD" se seal $words -k hkd/HKD-*.crt -o image --no-verify
    [ "$status" -eq 1 ] || { echo "$words: $status $output"; return 1; }
    [ "$(find . -maxdepth 1 -name '*image*' | wc -l)" -eq 0 ]
  done
}

@test "an image is not there before it is complete" {
  "$KBUILD" se test-key hkd
  fake_kernel kernel
  mkdir ro
  run "$KBUILD" se seal -i kernel -k hkd/HKD-*.crt -o ro/missing/image --no-verify
  [ "$status" -eq 1 ]
  [[ "$output" == *"ro/missing/image"* ]]
}

@test "what is given for comparing is compared, or it is an error" {
  "$KBUILD" se test-key hkd
  fake_kernel kernel
  cp kernel other-kernel
  printf X | dd of=other-kernel bs=1 seek=100000 conv=notrunc status=none
  printf 'panic=1' >parmfile
  printf 'panic=2' >other-parmfile
  head -c 9000 /dev/urandom >initrd
  (umask 077; head -c 64 /dev/urandom >TEST.secret)
  "$KBUILD" se seal -i kernel -p parmfile -k hkd/HKD-*.crt -o image --no-verify --seal-record record.json --seal-secret TEST.secret
  key=hkd/TEST-host-key.pem
  run "$KBUILD" se verify image --seal-record record.json -i kernel -p parmfile
  [ "$status" -eq 0 ]
  [[ "$output" == *"kernel: kernel, by its digest in the seal record"* ]]
  # The same files, with the record alone, with its secret, and with the host key.
  for proof in "--seal-record record.json" "--seal-record record.json --seal-secret TEST.secret" "--host-key $key"; do
    for words in "-i other-kernel" "-p other-parmfile" "-r initrd" "-i kernel -p other-parmfile"; do
      for verb in verify reference; do
        # shellcheck disable=SC2086 # words
        run "$KBUILD" se $verb image $proof $words
        [ "$status" -eq 1 ] || { echo "$verb $proof $words: $status $output"; return 1; }
        [[ "$output" != *": good"* ]]
      done
    done
  done
  run "$KBUILD" se reference image -i kernel
  [ "$status" -eq 2 ]
  [[ "$output" == *"can be compared only with --host-key"* ]]
  run "$KBUILD" se verify image --host-key $key --seal-secret TEST.secret
  [ "$status" -eq 2 ]
  mkdir values
  "$KBUILD" se reference image --seal-record record.json -i kernel -o values
  grep -q "$(sha256sum <kernel | cut -d' ' -f1)" values/kata-containers-se.json
}

# A tarball is taken for what is in it, and what is no image is said at once: no machine is started.
@test "boot takes an image out of a tarball, and says what is none" {
  "$KBUILD" se test-key hkd
  fake_kernel kernel
  mkdir -p tree/opt/kata/share/kata-containers no/opt
  "$KBUILD" se seal -i kernel -k hkd/HKD-*.crt -o tree/opt/kata/share/kata-containers/kata-containers-se.img --no-verify
  echo x >no/opt/file
  "$KBUILD" pack tree image.tar.xz
  "$KBUILD" pack no none.tar.xz
  mkdir bin
  printf '#!/bin/sh\necho "$@" >>%s/started\n[ "$*" != "-accel help" ] || exec echo tcg\nexec sleep 30\n' "$PWD" >bin/qemu-system-s390x
  chmod +x bin/qemu-system-s390x
  project=(--versions "$REPOSITORY/versions.yaml" --recipes "$REPOSITORY/recipes" --cache cache)
  boot() { PATH="$PWD/bin:$PATH" run "$KBUILD" "${project[@]}" boot boot-image-se --timeout 1 --host-key hkd/TEST-host-key.pem "$@"; }
  boot --image none.tar.xz
  [ "$status" -eq 1 ]
  [ ! -e started ]
  boot --image nosuch.img
  [ "$status" -eq 1 ]
  [[ "$output" == *"reading nosuch.img"* && "$output" != *"whole console"* ]] # there is none
  boot --image kernel
  [ "$status" -eq 1 ]
  [[ "$output" == *"kbuild se info"* ]]
  [ ! -e started ]
  boot --image image.tar.xz
  [ "$status" -ne 0 ]
  grep -q -e -kernel started # not only asked for its accelerators
  boot --image image.tar.xz --plain
  [ "$status" -eq 2 ]
  [[ "$output" == *"--plain is not used for a given image"* ]]
}

@test "a result never takes the place of a secret, a key, a part or another result" {
  "$KBUILD" se test-key hkd
  fake_kernel kernel
  echo quiet >parm
  (umask 077 && head -c 64 /dev/urandom >secret && head -c 32 /dev/urandom >k32)
  ln -s secret link
  ln -s "$KBUILD" genprotimg
  sha256sum kernel parm secret k32 hkd/* >sums
  seal=(-i kernel -p parm -k hkd/HKD-*.crt --no-verify)
  for words in "-o image --seal-secret secret --seal-record secret" "-o image --seal-secret secret --seal-record ./link" \
    "-o kernel" "-o ./hkd/../parm" "-o k32 --hdr-key k32" "-o image --seal-record image" "-o image --seal-record ./image" \
    "-o image --seal-record kernel"; do
    # shellcheck disable=SC2086 # words
    run "$KBUILD" se seal "${seal[@]}" $words
    [ "$status" -eq 2 ] || { echo "$words: $status $output"; return 1; }
    [[ "$output" == *"also given as another file"* ]]
    [ ! -e image ]
  done
  run ./genprotimg "${seal[@]}" -o kernel
  [ "$status" -eq 1 ]
  "$KBUILD" se seal "${seal[@]}" -o image
  sha256sum image >>sums
  for words in "-o image" "-o r --header=r" "-o r --header=./r" "--header=image"; do
    # shellcheck disable=SC2086 # words
    run "$KBUILD" se reference image $words
    [ "$status" -eq 2 ] || { echo "$words: $status $output"; return 1; }
  done
  [ ! -e r ]
  sha256sum --quiet -c sums
}

@test "an image goes through one's own links, and never through somebody else's" {
  [ "$(id -u)" -eq 0 ] || skip "needs root, to make what another user made"
  unset SUDO_UID
  "$KBUILD" se test-key hkd
  fake_kernel kernel
  ln -s "$KBUILD" genprotimg
  mkdir theirs
  echo precious >victim
  ln -s ../victim theirs/image
  ln -s theirs/image mine
  ln -s theirs folder
  chown -h 1234 theirs theirs/image folder
  for program in "$KBUILD se seal" ./genprotimg; do
    for result in theirs/image mine folder/new folder/image; do
      # shellcheck disable=SC2086 # words
      run $program -i kernel -k hkd/HKD-*.crt --no-verify -o "$result"
      [ "$status" -eq 1 ]
      [[ "$output" == *"is a link that user 1234 made"* ]] || { echo "$result: $output"; return 1; }
    done
  done
  [ "$(cat victim)" = precious ]
  chown -h 0 theirs/image
  "$KBUILD" se seal -i kernel -k hkd/HKD-*.crt --no-verify -o mine
  [ -L mine ]
  [ -L theirs/image ]
  [ "$(stat -c %s victim)" -gt 100000 ]
}
