#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Go programs: their toolchain and modules as lists of sources, from where the user's own setting says, and a build
# without network of what came. The modules are made here and served on loopback; the compiler is the distribution's,
# which needs its mirror: KBUILD_TEST_MIRROR=1.

bats_require_minimum_version 1.5.0

load project
load servers

COMMON=$(cd "$BATS_TEST_DIRNAME/../../recipes/go-common" && pwd)
RECIPES=$(cd "$BATS_TEST_DIRNAME/../../recipes" && pwd)
ROOT_HASH=$RECIPES/shim-common/root-hash.awk

setup_file() {
  export REPOSITORY SITE=$BATS_FILE_TMPDIR/site
  REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
  python3 "$REPOSITORY/tests/support/go_modules.py" "$SITE/proxy" "$SITE/program"
  start_server PORT http_server.py "$SITE/proxy"
  export PORT
}

teardown_file() {
  stop_servers
}

setup() {
  export GOPROXY=http://127.0.0.1:1 # nobody is there: a test that asks says whom
  make_project
  export HOME=$PROJECT GO_ENVIRONMENT_FILE=$PROJECT/goenv
  cp -R "$SITE/program" hello
}

# ---- the scripts alone ----

@test "the toolchain comes from where Go's own setting says" {
  local path=golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-arm64.zip purl=pkg:golang/golang.org/toolchain@v0.0.1-go1.99.1.linux-arm64
  local first="file $purl?file_name=golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-arm64.zip"
  local rest="purl=$purl $path"
  list() { bash "$COMMON/toolchain.sh" 1.99.1 aarch64; }
  [ "$(GOPROXY='https://a.example/go/,file:///srv/go|http://b.example,direct' list)" = \
    "$first https://a.example/go/$path file:///srv/go/$path http://b.example/$path $rest" ]
  [ "$(GOPROXY='http://a.example,off,http://b.example' list)" = "$first http://a.example/$path $rest" ]
  unset GOPROXY
  printf 'GOFLAGS=-x\nGOPROXY=http://c.example\n' >goenv
  [ "$(list)" = "$first http://c.example/$path $rest" ]
  [ "$(GOPROXY=http://a.example list)" = "$first http://a.example/$path $rest" ]
  # A login is not for lists, which are kept.
  run --separate-stderr env GOPROXY=https://me:secret@a.example/go bash "$COMMON/toolchain.sh" 1.99.1 aarch64
  [ "$output" = "$first https://a.example/go/$path $rest" ]
  [[ "$stderr" == *".netrc"* && "$stderr" != *secret* ]]
  # Nobody to ask.
  GOPROXY=off run --separate-stderr list
  [ "$output" = "$first $rest" ]
  [[ "$stderr" == *"GOPROXY=off"* ]]
  GOPROXY=ftp://a.example run list
  [ "$status" -eq 1 ]
  [[ "$output" == *"'ftp://a.example'"* ]]
}

@test "without a setting Go itself is asked, and where there is none the error says what to set" {
  mkdir bin
  local tool
  for tool in bash awk sed tr cat dirname tail; do
    ln -s "$(type -P $tool)" bin/
  done
  run env -i PATH="$PWD/bin" GO_ENVIRONMENT_FILE=none bash "$COMMON/toolchain.sh" 1.99.1 aarch64
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"GOPROXY is set neither"*"go help goproxy"* ]]
  printf '#!/bin/bash\n[ "$GOENV $*" = "off env GOPROXY" ] && echo https://usual.example,direct\n' >bin/go
  chmod 0755 bin/go
  run env -i PATH="$PWD/bin" GO_ENVIRONMENT_FILE=none bash "$COMMON/toolchain.sh" 1.99.1 aarch64
  [ "$status" -eq 0 ]
  [[ "$output" == *" https://usual.example/golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-arm64.zip purl="* ]]
}

@test "modules whose names differ by capital letters alone have lines of their own in a lock" {
  mkdir two
  printf 'module two\n\ngo 1.17\n' >two/go.mod
  printf 'example.org/%s v1.0.0/go.mod h1:AAAA=\n' Loud loud >two/go.sum
  GOPROXY=http://a.example bash "$COMMON/modules.sh" two >lines
  [ "$(cut -d' ' -f2 lines | sort -u | wc -l)" -eq 2 ]
  [ "$(grep -o 'purl=[^ ]*' lines | sort -u)" = purl=pkg:golang/example.org/loud@v1.0.0 ]
}

@test "a proven toolchain is listed with its digest, and nonsense is not listed" {
  local digest file
  read -r digest file <"$COMMON/toolchains.sha256"
  file=${file#v0.0.1-go}
  [[ "$(bash "$COMMON/toolchain.sh" "${file%.linux-amd64.zip}" x86_64)" == "archive pkg:golang/golang.org/toolchain@"*" sha256=$digest purl="* ]]
  run bash "$COMMON/toolchain.sh" "1.2 3" x86_64
  [ "$status" -ne 0 ]
  run bash "$COMMON/toolchain.sh" 1.23.1 vax
  [ "$status" -ne 0 ]
  [[ "$output" == *vax* ]]
}

@test "modules are those of go.sum, and of zips those that go.mod selects" {
  bash "$COMMON/modules.sh" nothing hello | awk '{ print $NF }' | LC_ALL=C sort >names
  diff names - <<'X'
example.org/!loud/shout/@v/v1.1.0.mod
example.org/!loud/shout/@v/v1.2.0.mod
example.org/!loud/shout/@v/v1.2.0.zip
example.org/quiet/@v/v2.1.0+incompatible.mod
example.org/quiet/@v/v2.1.0+incompatible.zip
X
  [[ "$(bash "$COMMON/modules.sh" hello)" == *" purl=pkg:golang/example.org/quiet@v2.1.0%2Bincompatible "* ]]
  # Before 1.17 a go.mod does not name everything: all zips.
  sed -i 's/^go 1.17/go 1.16/' hello/go.mod
  [ "$(bash "$COMMON/modules.sh" hello | grep -c '\.zip$')" -eq 3 ]
  # A replacement is what counts.
  sed -i 's/^go 1.16/go 1.17/' hello/go.mod
  echo 'replace example.org/Loud/shout => example.org/Loud/shout v1.1.0' >>hello/go.mod
  [[ "$(bash "$COMMON/modules.sh" hello)" == *"v1.1.0.zip"* ]]
  # A vendor folder has everything.
  mkdir hello/vendor
  touch hello/vendor/modules.txt
  [ "$(bash "$COMMON/modules.sh" hello)" = nothing ]
}

@test "an empty go.mod is one: go.sum is not read in its place" {
  bash "$COMMON/modules.sh" hello | awk '{ print $NF }' | LC_ALL=C sort >before
  : >hello/go.mod # no `go` line, so as before 1.17: all zips
  bash "$COMMON/modules.sh" hello | awk '{ print $NF }' | LC_ALL=C sort >names
  [ "$(grep -c '\.mod$' names)" -eq "$(grep -c '\.mod$' before)" ]
  [ "$(grep -c '\.zip$' names)" -eq 3 ]
  # A go.sum that looks like a go.mod is none.
  printf 'module hello\n' >hello/go.sum
  run bash "$COMMON/modules.sh" hello
  echo "$output"
  [ "$status" -ne 0 ]
  [[ "$output" == *"go.sum:1: this is no line of a go.sum"* ]]
}

@test "a module of the standard library alone needs nothing, with an empty go.sum and without one" {
  printf 'module example.org/alone\n\ngo 1.20\n' >hello/go.mod
  rm hello/go.sum
  [ "$(bash "$COMMON/modules.sh" hello)" = nothing ]
  : >hello/go.sum
  [ "$(bash "$COMMON/modules.sh" hello)" = nothing ]
  # A module that is a folder of the same tree is no module of a proxy.
  printf 'require (\n\texample.org/x v0.0.0\n\texample.org/y v1.0.0\n)\nreplace example.org/x => ../x\nreplace example.org/y v1.0.0 => ./y\n' >>hello/go.mod
  [ "$(bash "$COMMON/modules.sh" hello)" = nothing ]
  echo 'require example.org/z v1.0.0' >>hello/go.mod
  run bash "$COMMON/modules.sh" hello
  echo "$output"
  [ "$status" -ne 0 ]
  [[ "$output" == *"has no go.sum, or an empty one"* ]]
}

@test "a go.mod is read with the line ends of another system, with quotes and with blocks of any kind" {
  bash "$COMMON/modules.sh" hello >wanted
  cat >hello/go.mod <<'X'
module "example.org/hello" // the program

go 1.17 // or later
toolchain go1.22.1
godebug (
	default=go1.21
)
require( // all
	"example.org/Loud/shout" v1.2.0
	`example.org/quiet` v2.1.0+incompatible // indirect
)
exclude example.org/quiet v2.0.0+incompatible
retract [v1.0.0, v1.1.0]
retract (
	v0.1.0 // by accident
)
tool example.org/Loud/shout/cmd
X
  bash "$COMMON/modules.sh" hello | diff wanted -
  sed -i 's/$/\r/' hello/go.mod
  bash "$COMMON/modules.sh" hello | diff wanted -
  [ "$(awk -v ask=go -f "$COMMON/gomod.awk" hello/go.mod)" = 1.17 ]
}

@test "a line of a go.mod that is not understood is refused with its number" {
  local bad
  while IFS= read -r bad; do
    printf 'module x\n%s\n' "$bad" >hello/go.mod
    run bash "$COMMON/modules.sh" hello
    echo "$output"
    [ "$status" -ne 0 ]
    [[ "$output" == *"go.mod:2:"* ]]
  done <<'X'
requires example.org/x v1.0.0
require example.org/x
require "example.org/x v1.0.0
require example.org/x v1.0.0 v1.1.0
replace example.org/x v1.0.0
replace example.org/x => example.org/y
go 1.17 1.18
go one
/* a comment of another language */
X
}

@test "setup accepts an empty folder of modules where none is needed, and reads the version before a comment" {
  mkdir bin modules alone
  printf '#!/bin/sh\necho go1.23.12\n' >bin/go
  chmod 0755 bin/go
  prepare() {
    PATH=$PWD/bin:$PATH JOBS=1 ARCH=x86_64 CROSS_COMPILE='' GO_SOURCE=$PWD/none GO_MODULES=$PWD/modules \
      run bash -euc '. "$1/setup.sh"; go_setup "$2"; echo "$GOPROXY $GOFLAGS"' - "$COMMON" "$PWD/alone"
    echo "$output"
  }
  printf 'module alone\r\n\r\ngo 1.23.12 // the one of versions.yaml\r\n' >alone/go.mod
  prepare
  [ "$status" -eq 0 ]
  [[ "$output" == "off "*"-mod=readonly" ]]
  printf 'module alone\ngo 1.23.13 // newer\n' >alone/go.mod
  prepare
  [ "$status" -eq 1 ]
  [[ "$output" == *"go.mod needs Go 1.23.13, and here is 1.23.12"* ]]
  printf 'module alone\ngo 1.20\nrequire example.org/x v1.0.0\n' >alone/go.mod
  prepare
  [ "$status" -eq 1 ]
  [[ "$output" == *"there are no modules in"* ]]
}

@test "what is no go.sum is refused with its line" {
  local good bad
  good=$(head -n 1 hello/go.sum)
  while IFS= read -r bad; do
    printf '%s\n%s\n' "$good" "$bad" >hello/go.sum
    run bash "$COMMON/modules.sh" hello
    [ "$status" -ne 0 ]
    [[ "$output" == *"go.sum:2:"* ]]
  done <<'X'
example.org/x v1.0.0
example.org/x v1.0.0 h2:AAAA=
example.org/../x v1.0.0 h1:AAAA=
../x v1.0.0 h1:AAAA=
/x v1.0.0 h1:AAAA=
example.org//x v1.0.0 h1:AAAA=
example.org/x v1/../../y h1:AAAA=
example.org/x -v1 h1:AAAA=
example.org/x$(id) v1.0.0 h1:AAAA=
X
  rm hello/go.sum
  run bash "$COMMON/modules.sh" hello
  [ "$status" -ne 0 ]
  [[ "$output" == *"no go.sum"* ]]
  run bash "$COMMON/modules.sh" nothing
  [ "$status" -ne 0 ]
}

@test "a root hash file becomes what a release of the runtime wants, if it is of the form for that" {
  cat >tool.txt <<'X'
VERITY header information for p2
UUID:            	
Hash type:       	1
Data blocks:     	1024
Data block size: 	4096
Hash blocks:     	9
Hash block size: 	4096
Hash algorithm:  	sha256
Salt:            	310a
Root hash:      	2f1a
Hash device size: 	40960 [bytes]
X
  line=root_hash=2f1a,salt=310a,data_blocks=1024,data_block_size=4096,hash_block_size=4096
  echo "$line" >line.txt
  [ "$(awk -v form=parameters -f "$ROOT_HASH" line.txt)" = "$line" ]
  [ "$(awk -v form=arguments -f "$ROOT_HASH" tool.txt)" = "rootfs_verity.scheme=dm-verity rootfs_verity.hash=2f1a" ]
  # A disk of the other kind would not start.
  run awk -v form=parameters -f "$ROOT_HASH" tool.txt
  [ "$status" -ne 0 ]
  [[ "$output" == *ROOT_HASH_FORMAT=line* ]]
  run awk -v form=arguments -f "$ROOT_HASH" line.txt
  [ "$status" -ne 0 ]
  [[ "$output" == *ROOT_HASH_FORMAT=veritysetup* ]]
  for bad in '' 'root_hash=' 'root_hash=2f1a" panic=1,salt=00' 'Root hash: x'; do
    echo "$bad" >bad.txt
    run awk -v form=arguments -f "$ROOT_HASH" bad.txt
    [ "$status" -ne 0 ]
    [[ "$output" == *bad.txt* ]]
  done
  run awk -v form=parameters -f "$ROOT_HASH" <(echo root_hash=2f1a,salt=00)
  [ "$status" -ne 0 ]
  [[ "$output" == *data_blocks* ]]
}

# ---- through the engine ----

# The target `modules` puts the names and the content of what it sees into its result; $1: further lines of recipe.yaml.
modules_recipe() {
  git_here init -q git/hello
  cp hello/* git/hello/
  git_here -C git/hello add .
  git_here -C git/hello commit -q -m Hello
  git_here -C git/hello tag -a -m v1 v1
  cat >versions.yaml <<X
externals: {hello: {url: "file://$PROJECT/git/hello", version: v1}}
X
  mkdir -p recipes/hello
  cp -R "$COMMON" recipes/go-common
  cat >recipes/hello/recipe.yaml <<'X'
description: a program in Go
sources:
  hello: {version: externals.hello, git: "{url}", ref: "{version}"}
  gomod:
    list: shared/go-common/modules.sh
    of: hello
    arguments: ["."]
    configuration: {files: ["~/.config/go/env"], environment: [GOPROXY]}
shared: [go-common]
run: build.sh
X
}

listing_recipe() {
  modules_recipe
  echo 'builder: {packages: [bash], tools: [bash, awk, find, sed, sort]}' >>recipes/hello/recipe.yaml
  cat >recipes/hello/build.sh <<'X'
set -eu
mkdir /out/hello/opt
cd /src/gomod
find . -type f | LC_ALL=C sort >/out/hello/opt/modules
X
}

@test "modules come from the user's proxy, are pinned, and stay in the cache" {
  listing_recipe
  export GOPROXY=http://127.0.0.1:$PORT/dumb
  kb hello
  [ "$(content_of build/kata-static-hello.tar.xz opt/modules | wc -l)" -eq 5 ]
  content_of build/kata-static-hello.tar.xz opt/modules | grep -qx './example.org/!loud/shout/@v/v1.2.0.zip'
  # The lock names the canonical address, whoever it came from.
  zip=$(sha256sum <"$SITE/proxy/example.org/!loud/shout/@v/v1.2.0.zip" | cut -c1-64)
  grep -F 'pkg:golang/example.org/loud/shout@v1.2.0?file_name=example.org/!loud/shout/@v/v1.2.0.zip' versions.lock | grep -q "$zip"
  refute grep -q 127.0.0.1 versions.lock
  kb provenance hello --spdx -o - | grep -q 'pkg:golang/example.org/loud/shout@v1.2.0'
  # Nothing is asked again, also where nobody may be asked.
  rm -rf build
  GOPROXY=off kb hello
  GOPROXY=http://127.0.0.1:1 kb hello --offline
}

@test "a file that is not the pinned one is refused" {
  listing_recipe
  cp -R "$SITE/proxy" other
  export GOPROXY=file://$PROJECT/other
  kb hello
  printf x >>'other/example.org/!loud/shout/@v/v1.2.0.zip'
  run "$KBUILD" --builder=host --cache "$PROJECT/cache2" hello
  [ "$status" -ne 0 ]
  [[ "$output" == *"v1.2.0.zip"* ]]
}

@test "GOPROXY=off fetches nothing and says what is missing" {
  listing_recipe
  GOPROXY=off run kb hello
  echo "$output"
  [ "$status" -ne 0 ]
  [[ "$output" == *"GOPROXY=off"* ]] # the script's note
  [[ "$output" == *"5 of its 5 files and trees are not in the cache, and the settings of this machine allow no server for them"*"v1.2.0"* ]]
}

# ---- the recipe of the runtime ----

# The real recipe on a small tree of Kata: its Makefile installs words, and Go is a script that knows its version. The runtime in
# Rust is a stand-in. Everything else is the machine's.
runtime_project() {
  [ "$(uname -m)" = x86_64 ] || skip "the stand-in for Go is for x86_64"
  local kata=git/kata/src/runtime
  mkdir -p "$kata/vendor" git/kata/src/agent git/kata/tools/packaging/static-build/shim-v2
  echo 1.0 >git/kata/VERSION
  touch git/kata/src/agent/x git/kata/tools/packaging/static-build/shim-v2/build.sh "$kata/vendor/modules.txt"
  printf 'module kata\n\ngo 1.99.1\n' >"$kata/go.mod"
  cat >"$kata/Makefile" <<'X'
D = $(DESTDIR)$(PREFIX)/share/defaults/kata-containers
all:
	go version >shim
install: all
	install -D shim $(DESTDIR)$(PREFIX)/bin/containerd-shim-kata-v2
	install -d $D
	printf 'path = "$(PREFIX)/bin/$(QEMUCMD)"\ninitrd = "x"\n' >$D/configuration-qemu.toml
X
  git_here init -q git/kata
  git_here -C git/kata add .
  git_here -C git/kata commit -q -m Kata
  git_here -C git/kata tag -a -m 1.0 1.0
  python3 - "$PROJECT/proxy/golang.org/toolchain/@v" v0.0.1-go1.99.1.linux-amd64 <<'X'
import os, sys, zipfile
folder, version = sys.argv[1:]
os.makedirs(folder)
with zipfile.ZipFile(f"{folder}/{version}.zip", "w") as z:
    top = f"golang.org/toolchain@{version}"
    z.writestr(f"{top}/bin/go", "#!/bin/sh\necho go1.99.1\n")
    z.writestr(f"{top}/pkg/tool/linux_amd64/link", "")
X
  export GOPROXY=file://$PROJECT/proxy
  cat >versions.yaml <<X
externals: {kata: {url: "file://$PROJECT/git/kata", version: "1.0"}}
languages: {golang: {meta: {newest-version: "1.99.1"}}}
X
  cp -R "$RECIPES/shim-v2" "$RECIPES/go-common" "$RECIPES/shim-common" recipes/
  make_recipe shim-v2-rust "release: no" 'cd /out/shim-v2-rust
mkdir -p opt/kata/runtime-rs/bin opt/kata/share/defaults/kata-containers/runtime-rs
echo rust >opt/kata/runtime-rs/bin/containerd-shim-kata-v2
chmod 0755 opt/kata/runtime-rs/bin/containerd-shim-kata-v2
cd opt/kata/share/defaults/kata-containers/runtime-rs
echo toml >configuration-qemu-runtime-rs.toml
ln -s configuration-qemu-runtime-rs.toml configuration.toml'
  sed -i 's/^architectures:.*/architectures: [x86_64, s390x, aarch64]/' recipes/shim-v2-rust/recipe.yaml
}

files_of_runtime() {
  tar -tvf build/kata-static-shim-v2.tar.xz | awk '$1 !~ /^d/ { sub(/^.* \.\//, ""); print }' | sort
}

GO_FILES='opt/kata/bin/containerd-shim-kata-v2
opt/kata/share/defaults/kata-containers/configuration-qemu.toml
opt/kata/share/defaults/kata-containers/configuration.toml -> configuration-qemu.toml'
RUST_FILES='opt/kata/runtime-rs/bin/containerd-shim-kata-v2
opt/kata/share/defaults/kata-containers/runtime-rs/configuration-qemu-runtime-rs.toml
opt/kata/share/defaults/kata-containers/runtime-rs/configuration.toml -> configuration-qemu-runtime-rs.toml'

@test "the runtime's tarball holds the one in Go and the one in Rust, and RUNTIME_CHOICE says which" {
  runtime_project
  run kb shim-v2
  echo "$output"
  [ "$status" -eq 0 ]
  diff <(files_of_runtime) <(printf '%s\n' "$GO_FILES" "$RUST_FILES" | sort)
  # Each is its own, and the part alone is not released.
  [ "$(content_of build/kata-static-shim-v2.tar.xz opt/kata/bin/containerd-shim-kata-v2)" = go1.99.1 ]
  [ "$(content_of build/kata-static-shim-v2.tar.xz opt/kata/runtime-rs/bin/containerd-shim-kata-v2)" = rust ]
  tar -tvf build/kata-static-shim-v2.tar.xz | grep -q '^-rwxr-xr-x.*runtime-rs/bin/containerd-shim-kata-v2$'
  [ "$(content_of build/kata-static-shim-v2.tar.xz opt/kata/share/defaults/kata-containers/configuration-qemu.toml)" = \
    'path = "/opt/kata/bin/qemu-system-x86_64"' ]
  [ ! -e build/kata-static-shim-v2-rust.tar.xz ]

  RUNTIME_CHOICE=go run kb shim-v2
  echo "$output"
  [[ "$output" == *"runtime-rs is not in it (RUNTIME_CHOICE=go)"* ]]
  diff <(files_of_runtime) <(sort <<<"$GO_FILES")

  RUNTIME_CHOICE=rust run kb shim-v2
  echo "$output"
  [[ "$output" == *"the runtime in Rust alone"* ]]
  diff <(files_of_runtime) <(sort <<<"$RUST_FILES")

  # What cannot be made is refused before anything is fetched.
  local wrong
  for wrong in RUNTIME_CHOICE=rusty STATIC_RUNTIME=maybe; do
    run env "$wrong" "$KBUILD" --builder=host --cache none shim-v2
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"shim-v2: ${wrong%=*} is '${wrong#*=}'"* && "$output" != *fetch* ]]
  done
  MEASURED_ROOTFS=yes run kb plan shim-v2 --arch=ppc64le
  [ "$status" -eq 1 ]
  [[ "$output" == *"MEASURED_ROOTFS=yes cannot be made for ppc64le: there is no rootfs-image-confidential for it"* ]]
}

@test "a runtime in Rust that cannot be had is never left out in silence" {
  runtime_project
  # For ppc64le there is none: with both, that is said; asked for alone, it is an error.
  sed -i 's/^  tools: .*/  tools: [bash, find, grep, make, awk, sed, unzip]/' recipes/shim-v2/recipe.yaml # no compiler for it here
  run kb shim-v2 --arch=ppc64le
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"the runtime in Go alone: there is no runtime-rs for ppc64le here"* ]]
  diff <(files_of_runtime) <(sort <<<"$GO_FILES")
  rm -r build
  RUNTIME_CHOICE=rust run kb plan shim-v2 --arch=ppc64le
  echo "$output"
  [ "$status" -ne 0 ]
  [[ "$output" == *"shim-v2 needs shim-v2-rust, which cannot be built for ppc64le"* ]]
  # One whose build fails takes the whole with it.
  echo 'exit 1' >>recipes/shim-v2-rust/build.sh
  run kb shim-v2
  [ "$status" -eq 3 ]
  [ ! -e build/kata-static-shim-v2.tar.xz ]
  # One that lacks a source is named, and so in the summary is what the result lacks.
  cat >>recipes/shim-v2-rust/recipe.yaml <<'X'
sources: {more: {version: externals.kata, archive: "{url}"}}
X
  run kb shim-v2 --sources=debian --source kata=upstream
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"shim-v2 is made without shim-v2-rust: no distribution package has its source more"* ]]
  [[ "$output" == *"there is no runtime-rs for x86_64 here"* ]]
  diff <(files_of_runtime) <(sort <<<"$GO_FILES")
}

@test "a release whose root hash nobody reads says that its guests are not measured" {
  runtime_project
  make_recipe rootfs-image-confidential 'variables: {MEASURED_ROOTFS: {type: yes-no, default: "yes"}}' \
    'mkdir -p /out/rootfs-image-confidential/opt/kata/share/kata-containers
echo "Root hash: 2f1a" >/out/rootfs-image-confidential/opt/kata/share/kata-containers/root_hash.txt'
  echo 'ROOTMEASURECONFIG ?=' >>git/kata/src/runtime/Makefile
  git_here -C git/kata commit -q -a -m "Before 3.27.0"
  git_here -C git/kata tag -f -a -m 1.0 1.0
  RUNTIME_CHOICE=go MEASURED_ROOTFS=yes run kb shim-v2
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"runtime-rs is not in it"*"start UNMEASURED in spite of MEASURED_ROOTFS=yes"*"rootfs_verity"*"from 3.27.0 on"* ]]
  # A later one puts the hash where the kernel reads it.
  printf 'KERNELVERITYPARAMS ?=\n' >>git/kata/src/runtime/Makefile
  echo 'root_hash=2f1a,salt=310a,data_blocks=1024,data_block_size=4096,hash_block_size=4096' >recipes/rootfs-image-confidential/hash
  sed -i 's|^echo .*|cp /recipe/hash /out/rootfs-image-confidential/opt/kata/share/kata-containers/root_hash.txt|' recipes/rootfs-image-confidential/build.sh
  git_here -C git/kata commit -q -a -m "From 3.27.0 on"
  git_here -C git/kata tag -f -a -m 1.0 1.0
  rm versions.lock
  RUNTIME_CHOICE=go MEASURED_ROOTFS=yes run kb shim-v2
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" != *UNMEASURED* ]]
}

# ---- with a compiler ----

@test "a program is built of the modules without network, and a changed module is refused by go" {
  [ -n "${KBUILD_TEST_MIRROR:-}" ] || skip "KBUILD_TEST_MIRROR is not set: no compiler of Go"
  modules_recipe
  echo 'builder: {packages: [bash, coreutils, findutils, golang-go, mawk, sed, unzip], tools: [bash]}' >>recipes/hello/recipe.yaml
  cat >recipes/hello/build.sh <<'X'
set -eu
. /shared/go-common/setup.sh
cp -R --no-preserve=mode /src/hello hello
go_setup "$PWD/hello"
cd hello
CGO_ENABLED=0 go build -o "/out/$TARGET/usr/bin/hello" .
X
  cp -R "$SITE/proxy" other
  export GOPROXY=file://$PROJECT/other
  build() { "$KBUILD" --cache "$PROJECT/cache" hello "$@"; }
  build
  content_of build/kata-static-hello.tar.xz usr/bin/hello >program
  chmod +x program
  [ "$(./program)" = 'HELLO!' ]
  refute grep -qaF "$PROJECT" program
  refute grep -qa /build/hello program
  # Another file under the same name, which the lock takes for the right one: only go.sum knows better.
  python3 - other/example.org/!loud/shout/@v/v1.2.0.zip <<'X'
import sys, zipfile
name = sys.argv[1]
with zipfile.ZipFile(name) as z:
    files = {i.filename: z.read(i) for i in z.infolist()}
with zipfile.ZipFile(name, "w") as z:
    for file, text in files.items():
        z.writestr(file, text.replace(b"ToUpper", b"ToLower"))
X
  rm versions.lock
  echo '// again' >>git/hello/main.go
  git_here -C git/hello commit -q -a -m Again
  git_here -C git/hello tag -a -m v2 v2
  sed -i 's/version: v1/version: v2/' versions.yaml
  run build
  [ "$status" -eq 3 ]
  [[ "$output" == *"SECURITY ERROR"* ]]
}
