#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A step in phases: stopping between them, changing what is there, resuming; and installing.

load project
load shared_cache

setup() {
  setup_shared_cache
  make_phased
}

teardown() {
  stop_registry
}

# The recipe "three": setup writes a configuration, build makes something of it, install gives it its
# names. $1: further lines of recipe.yaml.
make_phased() {
  mkdir -p recipes/three
  cat >recipes/three/recipe.yaml <<X
description: three phases
builder: {packages: [bash], tools: [bash]}
phases: {setup: setup.sh, build: build.sh, install: install.sh}
outputs: [three, three-modules]
${1:-}
X
  cat >recipes/three/setup.sh <<'X'
set -eu
echo plain >config
touch /tmp/left
ln -s config link
X
  cat >recipes/three/build.sh <<'X'
set -eu
[ ! -e /tmp/left ] # only /build and /out stay
tr a-z A-Z <link >result
X
  cat >recipes/three/install.sh <<'X'
set -eu
share=/out/three$PREFIX/share
mkdir -p "$share" "/out/three$PREFIX/bin" /out/three-modules/kernel
cp result "$share/result-1"
ln -s result-1 "$share/result"
printf '#!/bin/sh\necho tool\n' >"/out/three$PREFIX/bin/tool"
chmod 755 "/out/three$PREFIX/bin/tool"
echo module >/out/three-modules/kernel/one.ko
X
}

result_of() {
  content_of build/kata-static-three.tar.xz opt/kata/share/result-1
}

key_of() { # words after explain
  kb explain "$@" | sed -n 's/^# key \([0-9a-f]*\),.*/\1/p'
}

@test "all phases of a step run in order" {
  run kb three
  [ "$status" -eq 0 ]
  [ "$(result_of)" = PLAIN ]
  [ ! -e build/three ]
}

@test "until stops after a phase and leaves its folders, and the cache gets nothing" {
  run kb three --until=setup
  [ "$status" -eq 0 ]
  [[ "$output" == *"build/three/builddir"*"--continue"* ]]
  [ "$(cat build/three/builddir/config)" = plain ]
  [ ! -e build/three/builddir/result ]
  [ -d build/three/destdir/three-modules ]
  [ ! -e build/kata-static-three.tar.xz ]
  run kb three
  [[ "$output" == *"three: started"* ]]
  [ "$(result_of)" = PLAIN ]
}

@test "a changed configuration makes another artifact, and the untouched one stays as it was" {
  kb three
  pristine=$(key_of three)
  kb three --until=setup
  echo fancy >build/three/builddir/config
  run kb three --continue
  [ "$status" -eq 0 ]
  [ "$(result_of)" = FANCY ]
  edited=$(key_of three --continue)
  [ "$edited" != "$pristine" ]
  [ ! -e build/three/builddir/result ] # the folder is read only: it can be resumed from again
  run kb three
  [ "$status" -eq 0 ]
  [[ "$output" == *"build/three/builddir is not used"* ]]
  [[ "$output" == *"three: cached"* ]]
  [ "$(result_of)" = PLAIN ]
}

@test "resuming twice from the same folder is a hit, and from a changed one is not" {
  kb three --until=setup
  echo one >build/three/builddir/config
  kb three --continue
  run kb three --continue
  [[ "$output" == *"three: cached"* ]]
  echo two >build/three/builddir/config
  run kb three --continue
  [[ "$output" == *"three: started"* ]]
  [ "$(result_of)" = TWO ]
}

@test "a file that is only older or newer makes another key, since make goes by that" {
  kb three --until=setup
  one=$(key_of three --continue)
  touch -d '2001-02-03' build/three/builddir/config
  two=$(key_of three --continue)
  [ -n "$one" ]
  [ -n "$two" ]
  [ "$one" != "$two" ]
}

@test "explain and provenance say what was resumed from" {
  kb three --until=setup
  echo fancy >build/three/builddir/config
  kb three --continue
  run kb explain three --continue
  [[ "$output" == *"work after setup"*"work builddir "*"work times "*"cached"* ]]
  kb provenance three --continue
  run jq -r '.predicate.buildDefinition.internalParameters.keyText[]' build/three-provenance.json
  [[ "$output" == *"work builddir "* ]]
  run jq -r '.predicate.buildDefinition.resolvedDependencies[] | select(.name == "work builddir") | .digest.kbuildTree' \
    build/three-provenance.json
  [[ "$output" =~ ^[0-9a-f]{64}$ ]]
}

@test "what was changed by hand is not sent to the shared cache" {
  start_registry
  kb three --until=setup
  echo fancy >build/three/builddir/config
  PUSH_TO_REGISTRY=yes kb --remote=require three --continue
  [ "$(curl -s "http://127.0.0.1:$PORT/v2/_catalog" | jq '.repositories | length')" -eq 0 ]
  PUSH_TO_REGISTRY=yes kb --remote=require three
  [ "$(curl -s "http://127.0.0.1:$PORT/v2/_catalog" | jq '.repositories | length')" -gt 0 ]
}

@test "phases can be run one by one in the same folder" {
  kb three --until=setup
  echo fancy >build/three/builddir/config
  run kb three --continue --until=build
  [ "$status" -eq 0 ]
  [ "$(cat build/three/builddir/result)" = FANCY ]
  run kb three --continue --until=setup
  [ "$status" -eq 1 ]
  [[ "$output" == *"has done the phase setup already"* ]]
  echo later >build/three/builddir/result
  kb three --continue
  [ "$(result_of)" = later ]
}

@test "changes are never thrown away by beginning again" {
  kb three --until=setup
  kb three --until=setup # nobody changed anything
  echo fancy >build/three/builddir/config
  run kb three --until=setup
  [ "$status" -eq 1 ]
  [[ "$output" == *"has changes that would be lost"* ]]
  [ "$(cat build/three/builddir/config)" = fancy ]
  # Not either when another phase ran over them.
  kb three --continue --until=build
  run kb three --until=setup
  [ "$status" -eq 1 ]
  [ "$(cat build/three/builddir/config)" = fancy ]
  mkdir -p other/three/builddir
  echo mine >other/three/builddir/mine
  run kb -o other three --until=setup
  [ "$status" -eq 1 ]
  [ "$(cat other/three/builddir/mine)" = mine ]
}

@test "a folder of what is not the recipe any more is refused, with what changed" {
  kb three --until=setup
  echo fancy >build/three/builddir/config
  echo '# other' >>recipes/three/build.sh
  run kb three --continue
  [ "$status" -eq 1 ]
  [[ "$output" == *"- file recipe build.sh"* ]]
  [[ "$output" == *"+ file recipe build.sh"* ]]
  [[ "$output" == *"begin again"* ]]
  [ "$(cat build/three/builddir/config)" = fancy ]
}

@test "a shell opens in the folder, and what is done there stays" {
  kb three --until=setup
  echo 'echo shell >/build/config; pwd; exit 5' >commands
  run kb shell three <commands
  [ "$status" -eq 5 ]
  [[ "$output" == *"setup is bash /recipe/setup.sh (done)"* ]]
  [[ "$output" == */build* ]]
  [ "$(cat build/three/builddir/config)" = shell ]
  kb three --continue
  [ "$(result_of)" = SHELL ]
  # Of another state it is not opened.
  echo '# other' >>recipes/three/setup.sh
  echo 'ls /build | wc -l' >commands
  run kb shell three <commands
  [ "$status" -eq 0 ]
  [[ "$output" == *"fresh sandbox"* ]]
  [ "${lines[-1]}" = 0 ]
}

@test "a phase that fails leaves its folder for a look, and is run again" {
  echo 'echo half >half; exit 4' >recipes/three/build.sh
  run kb three --until=build
  [ "$status" -eq 3 ]
  [[ "$output" == *"its phase build ended with exit status 4"* ]]
  [ "$(cat build/three/builddir/half)" = half ]
  [ "$(jq -r .phase build/three/builddir.json)" = setup ]
  run kb three
  [ "$status" -eq 3 ]
  make_phased
  kb three --until=build # nothing of a person's was in it
  [ "$(cat build/three/builddir/result)" = PLAIN ]
}

@test "wrong words about phases have an answer" {
  run kb three --until=setpu
  [ "$status" -eq 1 ]
  [[ "$output" == *"did you mean setup"* ]]
  run kb three --until=nothing
  [ "$status" -eq 1 ]
  [[ "$output" == *"setup, build, install"* ]]
  run kb three --continue
  [ "$status" -eq 1 ]
  [[ "$output" == *"nothing to resume"*"--until"* ]]
  make_recipe one
  run kb three one --until=setup
  [ "$status" -eq 2 ]
  kb one --until=build # a plain script is the phase build
  [ -e build/one/destdir/one/opt/one ]
  kb three --until=setup
  echo '{' >build/three/builddir.json
  run kb three --continue
  [ "$status" -eq 1 ]
  [[ "$output" == *"builddir.json"* ]]
}

@test "an interrupted phase leaves folders that the next --until replaces, unless somebody changed them" {
  for signal in INT KILL; do
    echo "echo plain $signal >config; sleep 60" >recipes/three/setup.sh
    kb_exec three --until=setup >log 2>&1 3>&- &
    pid=$!
    for _ in $(seq 100); do
      grep -qs "plain $signal" build/three/builddir/config && break
      sleep 0.1
    done
    kill -$signal "$pid"
    status=0
    wait "$pid" || status=$?
    [ $signal = KILL ] || [ "$status" -eq 130 ]
    [ "$(jq -r '.phase' build/three/builddir.json)" = "" ]
    echo 'echo plain >config' >recipes/three/setup.sh
    if [ $signal = INT ]; then
      cp -p build/three/builddir/config kept
      echo mine >build/three/builddir/config
      run kb three --until=setup
      [ "$status" -eq 1 ]
      [[ "$output" == *"would be lost"* ]]
      [ "$(cat build/three/builddir/config)" = mine ]
      cp -p kept build/three/builddir/config
    fi
    kb three --until=setup
    [ "$(cat build/three/builddir/config)" = plain ]
  done
}

# ---- install ----

@test "install puts a target below another prefix, with the links of its recipe" {
  make_phased 'install: {links: [{path: share/short, target: result, architectures: [x86_64, s390x, aarch64, ppc64le]}]}'
  run kb install three --root root --prefix /usr
  [ "$status" -eq 0 ]
  [[ "$output" == *"three-modules.tar.xz is for guests only"* ]]
  [[ "$output" == *"installed 4 files and links below root"* ]]
  [ "$(cat root/usr/share/short)" = PLAIN ]
  [ "$(readlink root/usr/share/short)" = result ]
  [ "$(root/usr/bin/tool)" = tool ]
  [ "$(stat -c %a root/usr/bin/tool root/usr/share/result-1 | tr '\n' ' ')" = "755 644 " ]
  [ ! -e root/opt ]
  [ ! -e root/kernel ]
  [ "$(find root -type f -o -type l | wc -l)" -eq 4 ]
}

@test "a link for another architecture is not made, and the prefix stays if none is named" {
  other=s390x
  [ "$(uname -m)" != s390x ] || other=x86_64
  make_phased "install: {links: [{path: share/short, target: result, architectures: [$other]}]}"
  kb install three --root root
  [ -e root/opt/kata/share/result ]
  [ ! -L root/opt/kata/share/short ]
}

@test "install --dry-run lists and writes nothing" {
  run kb install three --root root --prefix /usr --dry-run
  [ "$status" -eq 0 ]
  [[ "$output" == *"/usr/bin/tool"*"/usr/share/result"* ]]
  [ ! -e root ]
}

@test "installing again replaces files and links and keeps folders" {
  mkdir -p root/usr/share
  chmod 700 root/usr/share
  ln -s /etc/hostname root/usr/share/result
  echo old >root/usr/share/result-1
  ln root/usr/share/result-1 kept
  kb install three --root root --prefix /usr
  [ "$(cat root/usr/share/result)" = PLAIN ]
  [ "$(cat kept)" = old ] # not written through
  [ "$(stat -c %a root/usr/share)" = 700 ]
  [ -z "$(find root -name '*.kbuild')" ]
}

@test "links of the tree never lead an installation out of it" {
  mkdir -p root outside real
  ln -s "$PWD/outside" root/opt
  run kb install three --root root
  [ "$status" -eq 1 ]
  [[ "$output" == *"/opt is a link that leads nowhere"* ]]
  [ -z "$(ls outside)" ]
  mkdir -p root/data
  ln -sfn /data root/opt # as the tree's own programs see it
  kb install three --root root
  [ "$(cat root/data/kata/share/result)" = PLAIN ]
  ln -sfn ../../../data root/opt
  kb install three --root root
}

@test "an installation that cannot be done changes nothing" {
  mkdir -p root/usr/share/result-1
  run kb install three --root root --prefix /usr
  [ "$status" -eq 1 ]
  [[ "$output" == *"/usr/share/result-1 is a directory"* ]]
  [ ! -e root/usr/bin/tool ]
  [ -z "$(find root -name '*.kbuild')" ]
  run kb install three --root root --prefix usr
  [ "$status" -eq 2 ]
  run kb install three --root root --prefix /a/../b
  [ "$status" -eq 1 ]
  run kb install three --root root --prefix /dev
  [ "$status" -eq 1 ]
  [[ "$output" == *"the host's own"* ]]
  make_phased 'install: {links: [{path: share/short, target: missing}]}'
  run kb install three --root root
  [ "$status" -eq 1 ]
  [[ "$output" == *"would lead to nothing"* ]]
  run kb install
  [ "$status" -eq 2 ]
}

@test "what is for guests only, and what lies beside the prefix, is not installed" {
  make_recipe guest "" 'mkdir -p /out/guest/usr/bin; echo x >/out/guest/usr/bin/agent'
  run kb install guest --root root
  [ "$status" -eq 1 ]
  [[ "$output" == *"no files for a host"* ]]
  make_recipe mixed "" 'mkdir -p /out/mixed/opt/kata /out/mixed/etc; echo x >/out/mixed/opt/kata/x; echo y >/out/mixed/etc/y'
  run kb install mixed --root root
  [ "$status" -eq 1 ]
  [[ "$output" == *"is not below /opt/kata"* ]]
  make_recipe climbs "" 'mkdir -p /out/climbs/opt/kata; ln -s ../../etc/passwd /out/climbs/opt/kata/x'
  run kb install climbs --root root
  [ "$status" -eq 1 ]
  [[ "$output" == *"leads out of /opt/kata"* ]]
  [ ! -e root ]
}

@test "hard links stay hard links, and the changed artifact can be installed" {
  make_recipe pair "" 'mkdir -p /out/pair/opt/kata/a; echo x >/out/pair/opt/kata/a/one; ln /out/pair/opt/kata/a/one /out/pair/opt/kata/two'
  kb install pair --root root
  [ root/opt/kata/a/one -ef root/opt/kata/two ]
  kb three --until=setup
  echo fancy >build/three/builddir/config
  kb install three --continue --root root
  [ "$(cat root/opt/kata/share/result)" = FANCY ]
}

@test "without permission install says who may" {
  [ "$(id -u)" -ne 0 ] || skip "root may write anywhere"
  mkdir root
  chmod 500 root
  run kb install three --root root
  [ "$status" -eq 1 ]
  [[ "$output" == *"sudo"* ]]
}
