#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the user's machine says counts for every transport: proxies, CAs, logins. Real servers on loopback.

load project
load servers

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
  start_server TUNNEL http_proxy.py "$SECURE" "$BATS_FILE_TMPDIR/tunnel.log"
  export PLAIN OTHER SECURE PROXY TUNNEL
}

teardown_file() {
  stop_servers
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

holds() { # SERVER PATTERN: it was asked for something that matches
  asked "$1" | grep -q "$2"
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
  refute holds "$OTHER" Basic
  rm -rf cache versions.lock
  mv "$HOME/.netrc" mine
  fails 401
  NETRC="$PROJECT/mine" kb fetch demo
  NETRC=/nonexistent kb fetch demo # nothing to fetch any more
  rm -rf cache
  NETRC=/nonexistent fails NETRC
}

# ---- git ----
@test "git: a proxy without a scheme is used; git's http.proxy goes before it, and an empty one means none" {
  git_source "http://example.test/git/demo.git"
  http_proxy="127.0.0.1:$PROXY" kb fetch demo
  grep -q 'GET http://example.test/git/demo.git/info/refs' "$BATS_FILE_TMPDIR/proxy.log"
  rm -rf cache versions.lock
  git config --global http.http://example.test.proxy "127.0.0.1:$PROXY"
  http_proxy="127.0.0.1:1" kb fetch demo
  git_source "http://127.0.0.1:$PLAIN/git/demo.git"
  rm -rf cache versions.lock
  git config --global "http.http://127.0.0.1:$PLAIN.proxy" ""
  http_proxy="127.0.0.1:1" kb fetch demo
  rm -rf cache versions.lock "$HOME/.gitconfig"
  all_proxy="socks5h://127.0.0.1:1" no_proxy="127.0.0.1" kb fetch demo
}

@test "git and archives: https goes through a tunnel of a proxy, with its login, and through socks" {
  export SSL_CERT_FILE="$SITE/ca.pem"
  git_source "https://127.0.0.1:$SECURE/git/demo.git"
  https_proxy="me:TESTsecret@127.0.0.1:$TUNNEL" kb fetch demo
  grep -q "^CONNECT 127.0.0.1:$SECURE .*proxy-authorization" "$BATS_FILE_TMPDIR/tunnel.log"
  rm -rf cache versions.lock
  ALL_PROXY="socks5h://127.0.0.1:$TUNNEL" kb fetch demo
  grep -q '^SOCKS5' "$BATS_FILE_TMPDIR/tunnel.log"
  archive_source "https://127.0.0.1:$SECURE/plain/demo-1.0.tar.gz"
  : >"$BATS_FILE_TMPDIR/tunnel.log"
  all_proxy="socks5://127.0.0.1:$TUNNEL" kb fetch demo
  grep -q '^SOCKS5' "$BATS_FILE_TMPDIR/tunnel.log"
  rm -rf cache versions.lock
  HTTPS_PROXY="127.0.0.1:1" fails HTTPS_PROXY
}

@test "git: a proxy that cannot be used is named by its setting, without its password" {
  git_source "http://127.0.0.1:$PLAIN/git/demo.git"
  export all_proxy="socks5://me:TESTsecret@127.0.0.1:1"
  fails all_proxy
  [[ "$output" != *TESTsecret* ]]
  git config --global http.proxy "ftp://me:TESTsecret@127.0.0.1:1"
  fails "git's http.proxy"
  [[ "$output" != *TESTsecret* ]]
}

@test "git: a CA of one's own counts by each of its names, and checks cannot be switched off" {
  git_source "https://127.0.0.1:$SECURE/git/demo.git"
  fails certificate http.sslCAInfo
  SSL_CERT_FILE="$SITE/ca.pem" kb fetch demo
  rm -rf cache versions.lock
  GIT_SSL_CAINFO="$SITE/ca.pem" kb fetch demo
  rm -rf cache versions.lock
  GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.sslCAInfo GIT_CONFIG_VALUE_0="$SITE/ca.pem" kb fetch demo
  rm -rf cache versions.lock
  GIT_SSL_NO_VERIFY=1 fails GIT_SSL_NO_VERIFY
  git config --global http.sslVerify false
  SSL_CERT_FILE="$SITE/ca.pem" fails http.sslVerify
  git config --global http.sslVerify true
  git config --global http.sslCAInfo /nonexistent.pem
  fails http.sslCAInfo /nonexistent.pem
}

@test "git: logins come from the url, ~/.netrc, http.extraHeader and credential helpers" {
  git_source "http://127.0.0.1:$PLAIN/need/me/TESTsecret/git/demo.git"
  fails "asks for a login" credential.helper
  printf 'machine 127.0.0.1 login me password TESTwrong\n' >"$HOME/.netrc"
  fails "does not accept the login" .netrc
  printf 'machine 127.0.0.1 login me password TESTsecret\n' >"$HOME/.netrc"
  kb fetch demo
  rm -rf cache versions.lock "$HOME/.netrc"
  git config --global "http.http://127.0.0.1:$PLAIN/.extraHeader" "AUTHORIZATION: basic $(printf me:TESTsecret | base64)"
  sed 's,/need/,/want/X-Other/1/need/,' versions.yaml >other.yaml
  fails # the scheme is "Basic" for this server: what counts is that the header came
  asked "$PLAIN" | grep -q "info/refs.* basic $(printf me:TESTsecret | base64)"
  rm -rf cache versions.lock "$HOME/.gitconfig"
  cat >helper <<'X'
#!/bin/sh
cat >>"$0.$1"
[ "$1" != get ] || printf 'username=me\npassword=TESTsecret\n'
X
  chmod +x helper
  git config --global credential.helper "$PROJECT/helper"
  kb fetch demo
  grep -q "^host=127.0.0.1:$PLAIN" helper.get
  grep -q '^password=TESTsecret' helper.store
  rm -rf cache versions.lock
  sed -i s/TESTsecret/TESTwrong/ helper
  fails "credential helper"
  grep -q '^password=TESTwrong' helper.erase
  rm -rf cache versions.lock "$HOME/.gitconfig"
  git_source "http://me:TESTsecret@127.0.0.1:$PLAIN/need/me/TESTsecret/git/demo.git"
  kb fetch demo
  kb demo
  refute grep -r me:TESTsecret versions.lock build cache
  kb --offline --locked demo
  sed -i 's,http://,http://old:TESTsecret@,' versions.lock # as older versions wrote it
  kb --locked fetch demo
}

@test "git: a repository's own configuration counts where kbuild runs, as GitHub's checkout action sets it" {
  git_source "http://127.0.0.1:$PLAIN/want/X-Token/TESTtoken/git/demo.git"
  fails 403
  git init -q .
  git config "http.http://127.0.0.1:$PLAIN/.extraheader" "X-Token: TESTtoken"
  kb fetch demo
}

@test "git: no login and no header follows a redirect to another server" {
  git_source "http://127.0.0.1:$PLAIN/need/me/TESTsecret/redirect-to/$OTHER/git/demo.git"
  printf 'default login me password TESTsecret\n' >"$HOME/.netrc"
  kb fetch demo
  asked "$OTHER" | grep -q 'POST\|git-upload-pack'
  refute holds "$OTHER" Basic
}

@test "git: Retry-After is obeyed, a few times" {
  git_source "http://127.0.0.1:$PLAIN/calm/1/git/demo.git"
  kb fetch demo
  git_source "http://127.0.0.1:$OTHER/calm/50/git/demo.git"
  fails 429
}

@test "git: a server that sends a byte now and then is not waited for" {
  git_source "http://127.0.0.1:$PLAIN/dribble-git/demo.git"
  GIT_HTTP_LOW_SPEED_TIME=1 fails "slow"
}

@test "git: a missing folder, a dumb server and a web page are called what they are" {
  git_source "$PROJECT/nothing"
  fails "$PROJECT/nothing" "does not exist"
  [[ "$output" != *proxy* ]]
  git -C "$SITE/demo.git" update-server-info
  git_source "http://127.0.0.1:$PLAIN/dumb/demo.git"
  fails dumb http-backend
  git_source "http://127.0.0.1:$PLAIN/dumb/nothing.git"
  fails 404
  mkdir -p "$SITE/page/info"
  echo '<html>log in</html>' >"$SITE/page/info/refs"
  git_source "http://127.0.0.1:$PLAIN/dumb/page"
  fails "no git repository"
}

@test "git: a shallow clone says what to do, by path, by file:// and over http" {
  git_here -C "$SITE/work/demo" commit -qm two --allow-empty
  git_here clone -q --bare --depth 1 "file://$SITE/work/demo" "$PROJECT/shallow.git"
  git -C shallow.git tag v1
  git_source "$PROJECT/shallow.git"
  fails "shallow clone" "git fetch --unshallow"
  git_source "file://$PROJECT/shallow.git"
  fails "shallow clone" "git fetch --unshallow"
  mv shallow.git "$SITE/shallow.git"
  git_source "http://127.0.0.1:$PLAIN/git/shallow.git"
  fails "shallow clone" "git fetch --unshallow"
}

@test "git: one malformed old commit in a folder does not spoil what is wanted, as over http" {
  local tree bad good
  cp -r "$SITE/work/demo" old
  tree=$(git -C old rev-parse 'HEAD^{tree}')
  bad=$(printf 'tree %s\nauthor nobody\ncommitter x <> 1 +0000\n\nbad\n' "$tree" |
    git -C old hash-object -t commit -w --stdin --literally)
  git -C old update-ref refs/heads/bad "$bad"
  good=$(git_here -C old commit-tree -m good -p "$bad" "$tree")
  git -C old update-ref refs/heads/after "$good"
  git -C old update-ref refs/tags/v2 "$(git_here -C old commit-tree -m later -p "$good" "$tree")"
  for url in "$PROJECT/old" "file://$PROJECT/old" "http://127.0.0.1:$PLAIN/git/old"; do
    [[ $url != http* ]] || cp -r old "$SITE/old"
    git_source "$url"
    kb fetch demo
    sed -i 's/version: v1/version: after/' versions.yaml
    kb fetch demo
    sed -i 's/version: after/version: v2/' versions.yaml
    kb fetch demo
    rm -rf cache versions.lock
  done
}
