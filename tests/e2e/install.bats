#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Installing: make install and uninstall, an installed kbuild in another user's hands, completions in the
# real shells, kbuild payload image, and what debian/ has to agree with. The package and the image themselves
# take minutes: real_install.bats.

bats_require_minimum_version 1.5.0
load project

setup() {
  # Others can enter it, which they can't with bats' own.
  PLACE=$(mktemp -d /tmp/kbuild-install.XXXXXX)
  chmod 755 "$PLACE"
  make_project
  cd "$PROJECT" || return
}

teardown() {
  rm -rf "$PLACE" "$PROJECT"
}

# make install or uninstall; the program is there already.
make_here() {
  make --no-print-directory -C "$REPOSITORY" -o kbuild "$@"
}

# As somebody else if this is root, with a home below $PLACE.
as_other() {
  mkdir -p "$PLACE/home"
  local -a other=()
  if [ "$(id -u)" -eq 0 ]; then
    chown 12321:12321 "$PLACE/home"
    other=(setpriv --reuid=12321 --regid=12321 --clear-groups)
  fi
  (cd "$PLACE/home" && "${other[@]}" env -i HOME="$PLACE/home" PATH="$PATH" "$@")
}

@test "what make install wrote, uninstall removes, and nothing else" {
  make_here install DESTDIR="$PLACE" PREFIX=/usr
  (cd "$PLACE" && find . -type f -o -type l | sed 's|^\./usr/||' | grep -v -e ^share/kbuild/recipes/ -e ^share/doc/kbuild/docs/ | sort) >files
  diff - files <<'X'
bin/kbuild
share/bash-completion/completions/kbuild
share/doc/kbuild/README.md
share/fish/vendor_completions.d/kbuild.fish
share/kbuild/versions.yaml
share/man/man1/kbuild.1
share/zsh/site-functions/_kbuild
X
  diff -r --no-dereference "$REPOSITORY/recipes" "$PLACE/usr/share/kbuild/recipes"
  # What messages name, and README links to, is there under that name.
  diff -r -x man "$REPOSITORY/docs" "$PLACE/usr/share/doc/kbuild/docs"
  touch "$PLACE/usr/share/man/man1/other.1"
  make_here uninstall DESTDIR="$PLACE" PREFIX=/usr
  [ "$(find "$PLACE" ! -type d)" = "$PLACE/usr/share/man/man1/other.1" ]
  [ ! -e "$PLACE/usr/share/kbuild" ]
}

# As a word of a shell each of these would be another directory, or a command.
@test "DESTDIR and PREFIX may hold blanks and quotes: nothing beside them is written or removed" {
  local top name prefix="/usr lo'cal;x"
  # shellcheck disable=SC2016 # no shell is to read it
  for name in 'sp x' "q'q" 'g"g' 'b`touch PWNED`' 'h; touch PWNED #' 'i*' 'a&&touch PWNED'; do
    top="$PLACE/$name"
    mkdir -p "$PLACE/sp" && touch "$PLACE/sp/kept"
    make_here install DESTDIR="$top" PREFIX="$prefix"
    [ -x "$top$prefix/bin/kbuild" ]
    [ -f "$top$prefix/share/zsh/site-functions/_kbuild" ]
    diff -r --no-dereference "$REPOSITORY/recipes" "$top$prefix/share/kbuild/recipes"
    touch "$top$prefix/share/kbuild/other"
    run -0 make_here uninstall DESTDIR="$top" PREFIX="$prefix"
    [[ "$output" == *"$top$prefix/share/kbuild holds files"*"they stay"* ]]
    [ "$(find "$top" ! -type d)" = "$top$prefix/share/kbuild/other" ]
    [ -e "$PLACE/sp/kept" ]
    rm -r "$top"
    [ "$(ls "$PLACE")" = sp ]
  done
  [ ! -e "$REPOSITORY/PWNED" ]
}

@test "a directory of objects that make cannot name is one clear error" {
  local name
  # shellcheck disable=SC2016
  for name in 'a b' '' "a'b" 'a;b' 'a`b`' $'a\nb' 'a(b'; do
    run -2 make_here -n kbuild OBJ="$name"
    [[ "$output" == *"OBJ "* && "$output" == *Stop* ]]
  done
  run -2 make_here -n install DESTDIR=$'/tmp/a\nb'
  [[ "$output" == *"DESTDIR has a line break"* ]]
}

@test "uninstall leaves what others put beside the recipes, and says so" {
  make_here install DESTDIR="$PLACE"
  touch "$PLACE/usr/local/share/kbuild/versions.lock"
  run -0 make_here uninstall DESTDIR="$PLACE"
  [[ "$output" == *"they stay"* ]]
  [ -e "$PLACE/usr/local/share/kbuild/versions.lock" ]
  make_here uninstall DESTDIR="$PLACE"
}

@test "a new installation has no recipes of the one before" {
  make_here install DESTDIR="$PLACE"
  mkdir "$PLACE/usr/local/share/kbuild/recipes/old"
  make_here install DESTDIR="$PLACE"
  [ ! -e "$PLACE/usr/local/share/kbuild/recipes/old" ]
}

@test "whatever the umask, others can use it and only the owner can write" {
  (umask 077 && make_here install DESTDIR="$PLACE/strict")
  (umask 000 && make_here install DESTDIR="$PLACE/open")
  [ -z "$(find "$PLACE/open" -type f -perm /022)" ]
  chmod 755 "$PLACE/strict" "$PLACE/strict/usr" "$PLACE/strict/usr/local" "$PLACE/strict/usr/local/bin" "$PLACE/strict/usr/local/share" \
    "$PLACE/strict/usr/local/share/kbuild"
  as_other "$PLACE/strict/usr/local/bin/kbuild" list >listed
  grep -q '^boot-image-se ' listed
}

@test "an installed kbuild keeps cache and lock in the user's place, and writes nothing beside itself" {
  make_repositories
  serve_repositories
  make_here install DESTDIR="$PLACE" PREFIX=/usr
  share=$PLACE/usr/share/kbuild
  rm -rf "$share/recipes"
  make_recipe one "sources: {greet: {version: externals.greet, git: '{url}', ref: '{version}'}}"
  mv recipes "$share/"
  printf 'externals:\n  greet: {url: "git://127.0.0.1:%s/greet", version: v1}\n' "$GIT_PORT" >"$share/versions.yaml"
  chmod -R go=rX "$share"
  find "$PLACE/usr" | sort >before
  as_other "$PLACE/usr/bin/kbuild" --builder=host one
  [ -e "$PLACE/home/build/kata-static-one.tar.xz" ]
  [ -d "$PLACE/home/.cache/kbuild/sha256" ]
  grep -q 'greet v1 commit=' "$PLACE/home/.local/state/kbuild/locks/"versions-*.lock
  # Also for somebody who could write there.
  (cd "$PLACE" && HOME=$PLACE/root XDG_CACHE_HOME='' XDG_STATE_HOME='' KBUILD_CACHE='' usr/bin/kbuild --builder=host lock one) 2>said
  cat said
  grep -q "$share/versions.lock belongs to the installation: new entries are written to $PLACE/root/.local/state/" said
  grep -q "$PLACE/root/.local/state/.* names all of it; look at the lines, and keep the file" said
  grep -q 'greet v1 commit=' "$PLACE/root/.local/state/kbuild/locks/"versions-*.lock
  cd "$PLACE/home"
  run -1 "$PLACE/usr/bin/kbuild" new mine
  [[ "$output" == *"$share/recipes has the installed recipes"*"--recipes default --recipes DIR"* ]]
  "$PLACE/usr/bin/kbuild" new mine --recipes default --recipes own
  [ -e own/mine/recipe.yaml ]
  cd "$PROJECT"
  find "$PLACE/usr" | sort | diff before -
  kill "$GIT_PID"
}

# ---- completions ----

project_to_complete() {
  make_recipe t
  make_recipe kern
  mkdir -p build/logs other/logs
  touch build/logs/{t,source-linux}.log other/logs/x.log file.tar.xz
  export PATH="$PLACE/bin:$PATH"
  mkdir "$PLACE/bin" && ln -s "$KBUILD" "$PLACE/bin/kbuild"
}

# What each line offers, the same in all shells. ~: among others.
lines() {
  cat <<'X'
kbuild mer|merge
kbuild cache v|verify
kbuild ke|kern
kbuild plan |kern t
kbuild t k|kern
kbuild cache gc --m|--max-size
kbuild boot --ti|--timeout
kbuild t --arch s|s390x
kbuild plan --arch a|aarch64 all
kbuild log --arch a|aarch64
kbuild merge --target |kern t
kbuild payload push --layout |components unpacked
kbuild se ver|verify
kbuild log |source-linux t
kbuild log -o other |x
kbuild help merg|merge
kbuild help cache ver|verify
kbuild unpack fi|file.tar.xz
kbuild config |containerd se snp
kbuild config snp fi|file.tar.xz
kbuild measure snp |kern t
kbuild help --completion |bash fish zsh
kbuild se seal --x-p|~--x-pcf=
kbuild --cache cache mer|merge
X
}

# $1: a program that reads lines, and prints "LINE|WORDS" of each.
check_lines() {
  local line wanted offered bad=0
  lines | cut -d '|' -f 1 | "$1" >offered
  while IFS='|' read -r line wanted; do
    offered=$(awk -F '|' -v line="$line" '$1 == line {print $2}' offered)
    case $wanted in
      "~"*) [[ " $offered " == *" ${wanted#\~} "* ]] ;;
      *) [ "$offered" = "$wanted" ] ;;
    esac || { echo "$line: '$wanted' is wanted, offered is '$offered'"; bad=1; }
  done < <(lines)
  return "$bad"
}

offered_by_bash() {
  # shellcheck disable=SC2016 # that bash's
  bash --norc -c '
    source "$1"
    compopt() { [ "$2" != default ] || mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"); }
    while IFS= read -r line; do
      read -r -a COMP_WORDS <<<"$line"
      [[ $line != *" " ]] || COMP_WORDS+=("")
      COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
      _kbuild
      echo "$line|$(printf "%s\n" "${COMPREPLY[@]}" | sort -u | paste -s -d " " -)"
    done' - "$REPOSITORY/tools/completion/kbuild.bash" | sed 's/\(--max-size\|--timeout\)=$/\1/'
}

offered_by_zsh() {
  "$REPOSITORY/tests/support/zsh_complete" "$REPOSITORY/tools/completion"
}

# fish 4 shows, behind the others, words that only have the typed letters in this order; those do not count.
offered_by_fish() {
  # shellcheck disable=SC2016 # fish's
  HOME=$PLACE fish --no-config -c '
    source $argv[1]
    while read -l line
      set -l typed (string split " " -- $line)[-1]
      echo "$line|"(complete -C "$line" | cut -f 1 | string match -- "$typed*" | sort -u | paste -s -d " " -)
    end' "$REPOSITORY/tools/completion/kbuild.fish"
}

@test "bash completes targets, architectures, options, values and logs by place" {
  project_to_complete
  check_lines offered_by_bash
}

@test "zsh completes the same" {
  command -v zsh >/dev/null || skip "no zsh: tools/install-dependencies installs it"
  project_to_complete
  check_lines offered_by_zsh
}

@test "fish completes the same" {
  command -v fish >/dev/null || skip "no fish: tools/install-dependencies installs it"
  project_to_complete
  check_lines offered_by_fish
}

# What is typed before Tab and Enter, and the arguments that the command then gets. In names of files each
# shell has characters of its own, and names of logs may come with a checkout.
typed() {
  cat <<'X'
kbuild log a|["log", "a b"]
kbuild log q|["log", "q'q"]
kbuild log c|["log", "c$(touch${IFS}PWNED)"]
kbuild log e|["log", "e`touch PWNED`"]
kbuild log g|["log", "g\"g"]
kbuild log h|["log", "h;touch PWNED"]
kbuild log i|["log", "i*i"]
kbuild log j|["log", "j\\j"]
kbuild log l|["log", "l$HOME"]
kbuild log m|["log", "m{a,b}"]
kbuild log 'a|["log", "a b"]
kbuild log 'q|["log", "q'q"]
kbuild log 'c|["log", "c$(touch${IFS}PWNED)"]
kbuild log "c|["log", "c$(touch${IFS}PWNED)"]
kbuild log "e|["log", "e`touch PWNED`"]
kbuild log "g|["log", "g\"g"]
kbuild log "j|["log", "j\\j"]
kbuild log a\ |["log", "a b"]
kbuild -o 'my out' log z|["-o", "my out", "log", "z y"]
kbuild log -o my\ out z|["log", "-o", "my out", "z y"]
kbuild unpack fa|["unpack", "fa b"]
kbuild unpack fq|["unpack", "fq'q"]
kbuild unpack fc|["unpack", "fc$(touch${IFS}PWNED)"]
kbuild unpack fe|["unpack", "fe`touch PWNED`"]
kbuild unpack fg|["unpack", "fg\"g"]
kbuild unpack fh|["unpack", "fh;touch PWNED"]
kbuild unpack fi|["unpack", "fi*i"]
kbuild unpack fj|["unpack", "fj\\j"]
kbuild unpack fl|["unpack", "fl$HOME"]
kbuild unpack fm|["unpack", "fm{a,b}"]
kbuild unpack fn|["unpack", "fn\nn"]
kbuild unpack 'fa|["unpack", "fa b"]
kbuild unpack "fc|["unpack", "fc$(touch${IFS}PWNED)"]
kbuild merge d|["merge", "d $(touch PWNED) d/"]
kbuild kern --trace=fa|["kern", "--trace=fa b"]
kbuild kern --arch s|["kern", "--arch", "s390x"]
kbuild plan k|["plan", "kern"]
X
}

# $1: the shell; further lines are its own.
# shellcheck disable=SC2016 # names, not commands
check_typed() {
  local name
  command -v "$1" >/dev/null || skip "no $1: tools/install-dependencies installs it"
  make_recipe kern
  mkdir -p build/logs 'my out/logs' 'd $(touch PWNED) d'
  touch 'my out/logs/z y.log'
  for name in 'a b' "q'q" 'c$(touch${IFS}PWNED)' 'e`touch PWNED`' 'g"g' 'h;touch PWNED' 'i*i' 'j\j' 'l$HOME' \
    'm{a,b}' $'n\nn'; do
    touch "f$name" "build/logs/$name.log"
  done
  { typed; cat; } >lines
  cut -d '|' -f 1 lines |
    timeout 120 "$REPOSITORY/tests/support/shell_words.py" "$1" "$REPOSITORY/tools/completion" "$KBUILD" >got
  # bash and fish end a directory with a slash that zsh takes away again
  diff <(cut -d '|' -f 2- lines | sed 's|/"\]$|"]|') <(sed 's|/"\]$|"]|' got)
  [ -z "$(find . -name 'PWNED*')" ]
}

@test "whatever files and logs are called: bash completes their names, and runs nothing" {
  check_typed bash <<'X'
kbuild log n|["log", "n\nn"]
X
}

@test "zsh does the same" {
  check_typed zsh <<'X'
kbuild log n|["log", "n\nn"]
X
}

@test "fish does the same" {
  check_typed fish </dev/null
}

# ---- kbuild payload image ----

make_archives() {
  mkdir -p tree/usr/bin tree/etc
  printf '#!/bin/sh\n' >tree/usr/bin/hello
  chmod 755 tree/usr/bin/hello
  ln tree/usr/bin/hello tree/usr/bin/again
  ln -s hello tree/usr/bin/link
  echo one >tree/etc/one
  tar -cf one.tar -C tree --sort=name --mtime=@1000000000 .
  tar -czf two.tar.gz -C tree --mtime=@1000000000 etc
}

blob() { # digest, with its algorithm
  cat "image/blobs/${1/://}"
}

@test "image makes layers of archives, and says what a container starts" {
  make_archives
  run -0 kb_image one.tar two.tar.gz --entrypoint hello --label a=b --label c= --output oci:image:name
  [[ "$output" == "name: digest: sha256:"* ]]
  manifest=$(blob "$(jq -r '.manifests[0].digest' image/index.json)")
  [ "$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' image/index.json)" = name ]
  [ "$(jq -r '.layers | length' <<<"$manifest")" -eq 2 ]
  config=$(blob "$(jq -r .config.digest <<<"$manifest")")
  [ "$(jq -c '.config | [.Entrypoint, .Labels]' <<<"$config")" = '[["hello"],{"a":"b","c":""}]' ]
  [ "$(jq -r '.history[0].created_by' <<<"$config")" = "kbuild payload image: one.tar" ]
  [ "$(jq -r .created <<<"$config")" = 2001-09-09T01:46:40Z ]
  blob "$(jq -r '.layers[0].digest' <<<"$manifest")" | tar -tvz --full-time | awk '{print $1, $2, $6, $7, $8, $9, $10}' | sed 's/ *$//' >members
  diff - members <<'X'
drwxr-xr-x 0/0 etc/
-rw-r--r-- 0/0 etc/one
drwxr-xr-x 0/0 usr/
drwxr-xr-x 0/0 usr/bin/
-rwxr-xr-x 0/0 usr/bin/again
hrwxr-xr-x 0/0 usr/bin/hello link to usr/bin/again
lrwxrwxrwx 0/0 usr/bin/link -> hello
X
}

kb_image() {
  "$KBUILD" payload image --cache cache "$@"
}

@test "an image is a base for another one, and the same archives give the same bytes" {
  make_archives
  kb_image one.tar --entrypoint hello --label a=b --output oci:base
  kb_image two.tar.gz --base oci:base --label c=d --output oci-archive:first.tar
  "$KBUILD" payload image two.tar.gz --cache other --base oci:base --label c=d --output oci-archive:second.tar
  cmp first.tar second.tar
  mkdir image && tar -C image -xf first.tar
  manifest=$(blob "$(jq -r '.manifests[0].digest' image/index.json)")
  [ "$(jq -r '.layers | length' <<<"$manifest")" -eq 2 ]
  config=$(blob "$(jq -r .config.digest <<<"$manifest")")
  [ "$(jq -c '.config | [.Entrypoint, .Labels]' <<<"$config")" = '[["hello"],{"a":"b","c":"d"}]' ]
  [ "$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' image/index.json)" = latest ]
}

@test "image refuses what would make a broken image" {
  make_archives
  run -2 kb_image one.tar
  [[ "$output" == *"--output"* ]]
  run -2 kb_image one.tar --output dir
  [[ "$output" == *"neither a layout nor an archive"* ]]
  run -2 kb_image one.tar --output oci:x --label nothing
  [[ "$output" == *"NAME=VALUE"* ]]
  run -2 kb_image one.tar --output oci:x --plain-http
  run -1 kb_image none.tar --output oci:x
  [[ "$output" == *"none.tar"* ]]
  mkfifo tree/etc/fifo && tar -cf fifo.tar -C tree etc
  run -1 kb_image fifo.tar --output oci:x
  [[ "$output" == *"fifos"* ]]
  [ ! -e x ]
}

# ---- debian/ ----

@test "debian/ has the version, and needs what tools/install-dependencies installs" {
  cd "$REPOSITORY"
  [ "$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)" = "$(cat VERSION)" ]
  sed -n '/^Build-Depends:/,/^[A-Z]/p' debian/control | sed 's/Build-Depends://' | sed -n 's/^ *\([a-z0-9.+-]*\).*/\1/p' >"$PROJECT/needs"
  # Of build-essential; pkgconf is what pkg-config is called now.
  printf '%s\n' gcc make libc6-dev pkg-config >>"$PROJECT/needs"
  run grep -vxF -f "$PROJECT/needs" <(tools/install-dependencies --list build)
  [ -z "$output" ] || { echo "debian/control does not build-depend on $output"; return 1; }
  sed -n '/^Depends:/,/^Recommends/p' debian/control | sed 's/Depends://' | sed -n 's/^ *\([a-z0-9.+-]*\),*$/\1/p' >"$PROJECT/needs"
  run grep -vxF -f "$PROJECT/needs" <(tools/install-dependencies --list run)
  [ -z "$output" ] || { echo "debian/control does not depend on $output"; return 1; }
  # The demo takes neither the tools of the tests nor those of packages.
  run grep -xE 'clang|bats|lintian|debhelper|qemu-system-x86' <(tools/install-dependencies --list build run demo)
  [ -z "$output" ]
}
