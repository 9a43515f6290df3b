#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The recipe key `sign`: kbuild signs what a script left, and the script never sees the key.

load project

setup() {
  make_project
  make_recipe modules "
variables: {TEST_KEY: {type: secret}, TEST_CERT: {type: file}}
sign: {key: TEST_KEY, certificate: TEST_CERT, files: '*.ko'}" '
mkdir -p /out/modules/kernel
echo "TEST module" >/out/modules/kernel/one.ko
echo "TEST module" >/out/modules/kernel/plain.txt
ln -s one.ko /out/modules/kernel/link.ko
env >/out/modules/seen
find /inputs >>/out/modules/seen
find /inputs -type f -exec cat {} + >>/out/modules/seen'
  make_pair one
}

# TEST-$1.pem and TEST-$1.crt
make_pair() {
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=TEST $1" -keyout "TEST-$1.pem" -out "TEST-$1.crt" 2>/dev/null
  chmod 600 "TEST-$1.pem"
}

build() { # pair words
  local pair=$1
  shift
  TEST_KEY=TEST-$pair.pem TEST_CERT=TEST-$pair.crt kb "$@"
}

module_of() {
  content_of build/kata-static-modules.tar.xz kernel/one.ko
}

@test "files that match are signed, after the script, by the certificate's key" {
  build one modules
  module_of >signed
  tail -c 28 signed | grep -qx '~Module signature appended~'
  length=$((16#$(tail -c 32 signed | head -c 4 | od -An -tx1 | tr -d ' \n')))
  head -c 12 signed >content
  tail -c +13 signed | head -c "$length" >message
  [ "$(stat -c %s signed)" -eq $((12 + length + 12 + 28)) ]
  [ "$(cat content)" = "TEST module" ]
  openssl cms -verify -inform DER -in message -content content -binary -certfile TEST-one.crt -noverify -out /dev/null
  echo changed >content
  run openssl cms -verify -inform DER -in message -content content -binary -certfile TEST-one.crt -noverify -out /dev/null
  [ "$status" -ne 0 ]
  [ "$(content_of build/kata-static-modules.tar.xz kernel/plain.txt)" = "TEST module" ]
}

@test "the key is in no script, log, record or cache, and the certificate is in the key" {
  build one modules >log 2>&1
  build one log modules >>log 2>&1
  build one explain modules >explained
  content_of build/kata-static-modules.tar.xz seen >seen
  grep -q '^TEST_CERT=/inputs/TEST_CERT/TEST-one.crt$' seen
  ! grep -q -e TEST_KEY -e TEST-one.pem -e 'PRIVATE KEY' seen || false
  grep -q "TEST_CERT.*$(sha256sum TEST-one.crt | cut -c1-64)" explained
  ! grep -q TEST-one.pem explained || false
  line=$(sed -n 3p TEST-one.pem)
  ! grep -rqF -e "$line" log explained cache build || false
}

@test "the same module and key give the same bytes, another pair another artifact" {
  build one modules
  sha256sum build/kata-static-modules.tar.xz >sums
  rm -r build
  USE_CACHE=no build one modules
  sha256sum -c sums
  make_pair two
  build two modules
  run sha256sum -c sums
  [ "$status" -ne 0 ]
}

@test "without the two variables nothing is signed" {
  kb modules
  [ "$(module_of)" = "TEST module" ]
}

@test "one of the two alone, and two that do not belong together, are refused before anything is made" {
  TEST_CERT=TEST-one.crt run kb modules
  [ "$status" -eq 1 ]
  [[ "$output" == *"TEST_CERT is set, and TEST_KEY is not"* ]]
  TEST_KEY=TEST-one.pem run kb modules
  [ "$status" -eq 1 ]
  [[ "$output" == *"TEST_KEY is set, and TEST_CERT is not"* ]]
  make_pair two
  TEST_KEY=TEST-one.pem TEST_CERT=TEST-two.crt run kb modules
  [ "$status" -eq 1 ]
  [[ "$output" == *"is not the one of the certificate"* ]]
  [[ "$output" != *started* ]]
  [ ! -e build/kata-static-modules.tar.xz ]
}

@test "a module that the script signed is refused" {
  echo "printf '~Module signature appended~\n' >>/out/modules/kernel/one.ko" >>recipes/modules/build.sh
  run build one modules
  [ "$status" -ne 0 ]
  [[ "$output" == *"one.ko"*"signed already"* ]]
}

@test "a section sign names a secret and a file that are declared" {
  sed -i 's/^sign:.*/sign: {key: TEST_CERT, certificate: TEST_CERT, files: "*.ko"}/' recipes/modules/recipe.yaml
  run kb modules
  [[ "$output" == *"a script never gets a secret"* ]]
  sed -i 's/TEST_KEY: {type: secret}, //' recipes/modules/recipe.yaml
  run kb modules
  [[ "$output" == *"sign: key: TEST_CERT must be of the type secret"* ]]
  sed -i 's/^sign:.*/sign: {key: OTHER, certificate: TEST_CERT, files: "*.ko"}/' recipes/modules/recipe.yaml
  run kb modules
  [[ "$output" == *"sign: key: OTHER is not in 'variables'"* ]]
}
