#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Host key documents are verified: alone, and before a Secure Execution image is built.

bats_require_minimum_version 1.5.0
REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
KBUILD=${KBUILD:-$REPOSITORY/kbuild}
MAKE_WORLD=${MAKE_WORLD:-$REPOSITORY/obj/make_world}

setup_file() {
  [ -x "$MAKE_WORLD" ] || make -C "$REPOSITORY" --no-print-directory obj/make_world
  mkdir "$BATS_FILE_TMPDIR/w"
  "$MAKE_WORLD" "$BATS_FILE_TMPDIR/w"
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return 1
  unset HKD_PATH SIGNING_KEY_CERT_PATH INTERMEDIATE_CA_CERT_PATH HOST_KEY_CRL_PATH SE_ROOT_CA_PATH SE_ONLINE SE_SEALER
  w=$BATS_FILE_TMPDIR/w
  chain=(--root-ca "$w/root.crt" -C "$w/sign.crt" --cert "$w/inter.crt" --crl "$w/root.crl" --crl "$w/inter.crl")
  with=("${chain[@]}" --crl "$w/sign.crl")
}

# The variables of a good chain, documents from hkd/.
environment() { # documents...
  mkdir -p hkd
  for document in "$@"; do cp "$w/$document" hkd/; done
  export HKD_PATH=hkd SIGNING_KEY_CERT_PATH=$w/sign.crt INTERMEDIATE_CA_CERT_PATH=$w/inter.crt
  export HOST_KEY_CRL_PATH=$w/root.crl,$w/inter.crl,$w/sign.crl SE_ROOT_CA_PATH=$w/root.crt
}

# The real recipe, offline: nothing can be fetched, so what is refused was refused before.
image() { # verb, or nothing to build
  KBUILD_SOURCES=debian "$KBUILD" --versions "$REPOSITORY/versions.yaml" --recipes "$REPOSITORY/recipes" \
    --cache cache --offline "$@" boot-image-se
}

says() { # what the output must hold
  [[ "$output" == *"$1"* ]] || { echo "$output"; return 1; }
}

@test "each document gets a line, and a bad one the reason" {
  run "$KBUILD" hkd verify "${with[@]}" "$w/HKD-good.crt"
  [ "$status" -eq 0 ]
  says "HKD-good.crt: hash "
  says "L=Poughkeepsie"
  says "CN=TEST host key"
  says ": genuine"
  run "$KBUILD" hkd verify "${with[@]}" "$w/HKD-good.crt" "$w/HKD-expired.crt" "$w/HKD-p384.crt" -k "$w/HKD-second.crt"
  [ "$status" -eq 1 ]
  [ "$(grep -c ': genuine$' <<<"$output")" -eq 2 ]
  [ "$(grep -c 'REFUSED: ' <<<"$output")" -eq 2 ]
  says "it has expired on"
  says "secp384r1"
  says "2 of 4 host key documents must not be used"
}

@test "a revoked key, an expired list, a wrong signing key and a broken signature are told apart" {
  run "$KBUILD" hkd verify "${with[@]}" --crl "$w/sign-revokes.crl" "$w/HKD-revoked.crt"
  [ "$status" -eq 1 ]
  says "certificate revoked: $w/sign-revokes.crl"
  run "$KBUILD" hkd verify "${chain[@]}" --crl "$w/sign-expired.crl" "$w/HKD-revoked.crt"
  [ "$status" -eq 1 ]
  says "sign-expired.crl: it has expired on"
  run "$KBUILD" hkd verify "${with[@]}" "$w/HKD-two.crt"
  [ "$status" -eq 1 ]
  says "it names the key"
  run "$KBUILD" hkd verify "${with[@]}" "$w/HKD-forged.crt"
  [ "$status" -eq 1 ]
  says "the signature is broken"
}

@test "the verdict comes as JSON too" {
  run --separate-stderr "$KBUILD" --json hkd verify "${with[@]}" "$w/HKD-good.crt" "$w/HKD-expired.crt" nowhere.crt
  [ "$status" -eq 1 ]
  python3 - "$output" <<'X'
import json, sys
good, expired, nowhere = [json.loads(line) for line in sys.argv[1].splitlines()]
assert good["verdict"] == "genuine" and len(good["hash"]) == 64 and "reason" not in good, good
assert expired["verdict"] == "refused" and "expired" in expired["reason"] and expired["hint"], expired
assert nowhere["file"] == "nowhere.crt" and "hash" not in nowhere, nowhere
X
}

@test "without options the variables of the build count, lists included" {
  environment HKD-good.crt HKD-second.crt
  run "$KBUILD" hkd verify
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  [ "$(grep -c ': genuine$' <<<"$output")" -eq 2 ]
  run "$KBUILD" hkd verify "$w/HKD-expired.crt"
  [ "$status" -eq 1 ]
  [ "$(grep -c ': REFUSED: ' <<<"$output")" -eq 1 ]
  HOST_KEY_CRL_PATH=$w/root.crl,$w/inter.crl run "$KBUILD" hkd verify
  [ "$status" -eq 1 ]
  says "no CRL found"
  unset HOST_KEY_CRL_PATH
  run "$KBUILD" hkd verify
  [ "$status" -eq 1 ]
  says "missing: HOST_KEY_CRL_PATH"
  unset SIGNING_KEY_CERT_PATH INTERMEDIATE_CA_CERT_PATH SE_ROOT_CA_PATH
  run "$KBUILD" hkd verify
  [ "$status" -eq 1 ]
  says "nothing to verify with"
}

@test "options stand alone: no root comes from the environment" {
  SE_ROOT_CA_PATH=$w/root.crt run "$KBUILD" hkd verify -C "$w/chain.pem" --crl "$w/crls.pem" "$w/HKD-good.crt"
  [ "$status" -eq 1 ]
  says "TEST Root CA' is missing"
  run "$KBUILD" hkd verify -C "$w/chain.pem" --crl "$w/crls.pem" --root-ca "$w/root.crt" "$w/HKD-good.crt"
  [ "$status" -eq 0 ]
}

@test "a wrong command line is said to be one" {
  run "$KBUILD" hkd
  [ "$status" -eq 2 ]
  run "$KBUILD" hkd verify "${with[@]}" --nonsense "$w/HKD-good.crt"
  [ "$status" -eq 2 ]
  run "$KBUILD" --offline hkd verify "${with[@]}" --online "$w/HKD-good.crt"
  [ "$status" -eq 2 ]
  run "$KBUILD" hkd verify "${with[@]}"
  [ "$status" -eq 1 ]
  says "No host key document specified."
}

# A world whose distribution points lead to a server of ours, which ends with the test.
serve_lists() {
  mkdir online
  mkfifo input
  "$REPOSITORY/tests/support/http_server.py" "$PWD/online" <input >port 3>&- &
  exec 9>input
  for _ in $(seq 100); do [ -s port ] && break; sleep 0.05; done
  "$MAKE_WORLD" online "http://127.0.0.1:$(cat port)/"
  unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
}

@test "lists that are missing are fetched and named, unless that is forbidden: then each address is" {
  serve_lists
  o=$PWD/online url=http://127.0.0.1:$(cat port)/plain
  words=(--root-ca "$o/root.crt" -C "$o/sign-online.crt" -C "$o/inter-online.crt" "$o/HKD-online.crt")
  run "$KBUILD" hkd verify "${words[@]}" --crl "$o/sign.crl"
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  for list in inter root; do
    says "from $url/$list.crl (sha256 $(sha256sum <"$o/$list.crl" | cut -d ' ' -f 1))"
  done
  [[ "$output" != *"/sign.crl (sha256"* ]]
  run "$KBUILD" hkd verify "${words[@]}" --crl "$o/sign.crl" --online
  [ "$status" -eq 0 ]
  says "/sign.crl (sha256"
  run "$KBUILD" --offline hkd verify "${words[@]}"
  [ "$status" -eq 1 ]
  for list in inter root sign; do says "$url/$list.crl"; done

  # As the guide has it: signing key, intermediate, and one revocation list.
  mkdir hkd
  cp "$o/HKD-online.crt" hkd/
  export HKD_PATH=hkd SIGNING_KEY_CERT_PATH=$o/sign-online.crt INTERMEDIATE_CA_CERT_PATH=$o/inter-online.crt
  export HOST_KEY_CRL_PATH=$o/sign.crl SE_ROOT_CA_PATH=$o/root.crt
  run "$KBUILD" hkd verify
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  says ": genuine"
  SE_ONLINE=no run "$KBUILD" hkd verify
  [ "$status" -eq 1 ]
  for list in inter root; do says "$url/$list.crl"; done
  [[ "$output" != *"$url/sign.crl"* ]]
  run image plan # --offline
  [ "$status" -eq 1 ]
  for list in inter root; do says "$url/$list.crl"; done
  # Nothing was fetched for an image that is refused.
  rm "$o/root.crl"
  run "$KBUILD" hkd verify
  [ "$status" -eq 1 ]
  says "fetching failed: $url/root.crl"
  exec 9>&-
}

@test "an image is not built for a bad document, and nothing is fetched first" {
  environment HKD-good.crt HKD-expired.crt
  run image
  [ "$status" -eq 1 ]
  says "hkd/HKD-expired.crt: validity period is not valid: it has expired on"
  [ ! -e build ]
  rm hkd/HKD-expired.crt
  HOST_KEY_CRL_PATH=$w/root.crl,$w/inter.crl,$w/sign-expired.crl run image
  [ "$status" -eq 1 ]
  says "sign-expired.crl: it has expired on"
  SIGNING_KEY_CERT_PATH=$w/sign-two.crt run image
  [ "$status" -eq 1 ]
  says "it names the key"
  SE_ROOT_CA_PATH=$w/root-other.crt run image
  [ "$status" -eq 1 ]
  says "TEST Root CA' is missing"
  [ ! -e build ]
}

@test "good documents pass, and nobody says that verification is disabled" {
  environment HKD-good.crt
  run image plan
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  says "boot-image-se"
  [[ "$output" != *"verification is disabled"* ]]
  unset SIGNING_KEY_CERT_PATH INTERMEDIATE_CA_CERT_PATH HOST_KEY_CRL_PATH SE_ROOT_CA_PATH
  run image plan
  [ "$status" -eq 0 ]
  says "verification is disabled"
}

@test "an own root or lists from the network need the other variables" {
  environment HKD-good.crt
  unset SIGNING_KEY_CERT_PATH INTERMEDIATE_CA_CERT_PATH HOST_KEY_CRL_PATH
  run image
  [ "$status" -eq 1 ]
  says "missing: SIGNING_KEY_CERT_PATH and INTERMEDIATE_CA_CERT_PATH and HOST_KEY_CRL_PATH"
  unset SE_ROOT_CA_PATH
  SE_ONLINE=yes run image
  [ "$status" -eq 1 ]
  says "missing: SIGNING_KEY_CERT_PATH and INTERMEDIATE_CA_CERT_PATH"
  SE_ONLINE=maybe run image
  [ "$status" -eq 1 ]
  says "it must be yes or no"
}
