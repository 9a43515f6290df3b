#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the user's machine says counts for every transport: proxies, CAs, logins. Real servers on loopback.

load project

setup_file() {
  export SITE="$BATS_FILE_TMPDIR/site"
  mkdir -p "$SITE/tree/demo-1.0"
  echo hello >"$SITE/tree/demo-1.0/file"
  tar -C "$SITE/tree" -czf "$SITE/demo-1.0.tar.gz" demo-1.0
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=TEST" -addext "subjectAltName=IP:127.0.0.1" \
    -keyout "$SITE/key.pem" -out "$SITE/ca.pem" 2>/dev/null
  cat "$SITE/key.pem" "$SITE/ca.pem" >"$SITE/server.pem"
  mkdir "$SITE/work"
  git_here init -q -b main "$SITE/work/demo"
  echo hello >"$SITE/work/demo/file"
  git_here -C "$SITE/work/demo" add .
  git_here -C "$SITE/work/demo" commit -qm one
  git_here -C "$SITE/work/demo" tag v1
  git_here clone -q --bare "$SITE/work/demo" "$SITE/demo.git"
  start_server PLAIN http_server.py "$SITE"
  start_server OTHER http_server.py "$SITE"
  start_server SECURE http_server.py "$SITE" "$SITE/server.pem"
  start_server PROXY http_proxy.py "$PLAIN" "$BATS_FILE_TMPDIR/proxy.log"
  export PLAIN OTHER SECURE PROXY
}

# A server of tests/support that ends with the file; its port goes into the variable.
start_server() { # VARIABLE SCRIPT ARGUMENT...
  local name=$1 script=$2 fifo
  shift 2
  fifo="$BATS_FILE_TMPDIR/$name"
  mkfifo "$fifo.in"
  python3 "$REPOSITORY/tests/support/$script" "$@" <"$fifo.in" >"$fifo.out" 2>/dev/null 3>&- &
  echo "$!" >>"$BATS_FILE_TMPDIR/pids"
  sleep 600 >"$fifo.in" 3>&- &
  echo "$!" >>"$BATS_FILE_TMPDIR/pids"
  until [ -s "$fifo.out" ]; do sleep 0.02; done
  printf -v "$name" %s "$(cat "$fifo.out")"
}

teardown_file() {
  local pid
  while read -r pid; do kill "$pid" 2>/dev/null || true; done <"$BATS_FILE_TMPDIR/pids"
}

setup() {
  PROJECT=$(mktemp -d "$BATS_TEST_TMPDIR/project.XXXXXX")
  export HOME="$PROJECT/home" GIT_CONFIG_NOSYSTEM=1
  mkdir -p "$PROJECT/recipes" "$HOME"
  unset http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY SSL_CERT_FILE SSL_CERT_DIR \
    CURL_CA_BUNDLE GIT_SSL_CAINFO NETRC XDG_CONFIG_HOME
  cd "$PROJECT" || return 1
}

# A target "demo" whose source is this archive, or git repository (ref v1).
archive_source() {
  printf 'externals:\n  demo:\n    url: "%s"\n    version: v1\n' "$1" >versions.yaml
  make_recipe demo 'sources:
  demo: {version: externals.demo, archive: "{url}"}'
}

git_source() {
  printf 'externals:\n  demo:\n    url: "%s"\n    version: v1\n' "$1" >versions.yaml
  make_recipe demo 'sources:
  demo: {version: externals.demo, git: "{url}", ref: "{version}"}'
}

fails() { # WORDS... : kbuild fetch fails with status 1 and says all of them
  run kb fetch demo
  [ "$status" -eq 1 ] || { echo "status $status"; return 1; }
  local word
  for word in "$@"; do [[ "$output" == *"$word"* ]] || { echo "$output"; echo "does not say: $word"; return 1; }; done
}

asked() { # what SERVER was asked for: "<path> <Authorization>" lines
  curl -s "http://127.0.0.1:$1/headers"
}

# ---- proxies ----
@test "archives: a proxy without a scheme is used, and no_proxy goes around it" {
  archive_source "http://example.test/plain/demo-1.0.tar.gz"
  http_proxy="127.0.0.1:$PROXY" kb fetch demo
  grep -q 'GET http://example.test/plain/demo-1.0.tar.gz' "$BATS_FILE_TMPDIR/proxy.log"
  archive_source "http://127.0.0.1:$PLAIN/plain/demo-1.0.tar.gz"
  rm -rf cache versions.lock
  http_proxy="127.0.0.1:1" no_proxy="10.0.0.0/8,127.0.0.0/8" kb fetch demo
}

@test "archives: a proxy that cannot be used is named by its variable, without its password" {
  archive_source "http://127.0.0.1:$PLAIN/plain/demo-1.0.tar.gz"
  export http_proxy="gopher://me:TESTsecret@127.0.0.1:1"
  fails http_proxy
  [[ "$output" != *TESTsecret* ]]
  export http_proxy="http://me:TESTsecret@127.0.0.1:1"
  fails http_proxy
  [[ "$output" != *TESTsecret* ]]
}

# ---- CAs ----
@test "archives: a CA of one's own counts by each of its names" {
  archive_source "https://127.0.0.1:$SECURE/plain/demo-1.0.tar.gz"
  fails "certificate"
  SSL_CERT_FILE="$SITE/ca.pem" kb fetch demo
  rm -rf cache
  CURL_CA_BUNDLE="$SITE/ca.pem" kb fetch demo
  rm -rf cache
  git config --global "http.https://127.0.0.1:$SECURE.sslCAInfo" "$SITE/ca.pem"
  kb fetch demo
  rm -rf cache "$HOME/.gitconfig"
  mkdir cas
  ln -s "$SITE/ca.pem" "cas/$(openssl x509 -in "$SITE/ca.pem" -noout -hash).0"
  SSL_CERT_DIR="$PROJECT/cas" kb fetch demo
}

@test "archives: a CA file that is not there or holds no certificate is named by its variable" {
  archive_source "https://127.0.0.1:$SECURE/plain/demo-1.0.tar.gz"
  SSL_CERT_FILE=/nonexistent/ca.pem fails SSL_CERT_FILE /nonexistent/ca.pem
  echo nothing >empty.pem
  CURL_CA_BUNDLE="$PROJECT/empty.pem" fails CURL_CA_BUNDLE "holds no certificate"
  SSL_CERT_DIR=/nonexistent fails SSL_CERT_DIR
}

# ---- logins ----
@test "archives: ~/.netrc is sent to its host, and not after a redirect to another server" {
  archive_source "http://127.0.0.1:$PLAIN/need/me/TESTsecret/redirect-to/$OTHER/plain/demo-1.0.tar.gz"
  fails 401
  printf 'machine other.test login x password y\nmachine 127.0.0.1\n login me\n password "TESTsecret"\n' >"$HOME/.netrc"
  kb fetch demo
  asked "$PLAIN" | grep -q 'Basic'
  ! asked "$OTHER" | grep -q 'Basic'
  rm -rf cache versions.lock
  mv "$HOME/.netrc" mine
  fails 401
  NETRC="$PROJECT/mine" kb fetch demo
  NETRC=/nonexistent kb fetch demo # nothing to fetch any more
  rm -rf cache
  NETRC=/nonexistent fails NETRC
}
