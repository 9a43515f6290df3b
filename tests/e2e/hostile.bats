#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Steps that attack the machine that runs them. Each line of docs/sandbox.md, "What a hostile step can and
# can not do", is one test here or in tests/unit/sandbox_*.c. HOSTILE_RUNS sets how often a race is tried.

load project
bats_require_minimum_version 1.5.0

RUNS=${HOSTILE_RUNS:-10}

setup() {
  make_project
  mkdir "$PROJECT/host"
  for i in $(seq 20); do echo "TEST secret of the host" >"$PROJECT/host/$i.ko"; done
}

# Nothing of the host got into a result, and no file of the host was changed.
host_is_untouched() {
  [ "$(cat "$PROJECT"/host/*.ko | sort -u)" = "TEST secret of the host" ]
  for t in build/*.tar.xz; do
    [ ! -e "$t" ] || ! tar -xOf "$t" | grep -q -a "secret of the host" || return 1
  done
}

@test "an output that is a link is refused, whatever it leads to" {
  make_recipe x "" 'rm -rf /out/x; ln -s /etc/ssl /out/x'
  run -3 kb x
  [[ "$output" == *"/out/x is a link"* ]]
  make_recipe x "" 'rm -rf /out/x; ln -s /proc/self/root/etc /out/x'
  run -3 kb x
  [[ "$output" == *"/out/x is a link"* ]]
  make_recipe x "" 'rm -rf /out/x; echo text >/out/x'
  run -3 kb x
  [[ "$output" == *"/out/x is not a real directory"* ]]
  make_recipe x "" 'rm -rf /out/x; mkdir /out/y; echo text >/out/y/f; ln -s y /out/x'
  run -3 kb x
  [[ "$output" == *"/out/x is a link"* ]]
  [ ! -e build/kata-static-x.tar.xz ]
}

# kbuild as a user who is not root, to whom permissions mean something.
as_user() {
  local as=()
  if [ "$(id -u)" -eq 0 ]; then
    chown -R 65534:65534 "$PROJECT"
    local above=$PROJECT
    while [ "$above" != / ]; do above=$(dirname "$above"); chmod o+x "$above"; done
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$PROJECT")
  fi
  "${as[@]}" "$KBUILD" --builder=host --cache "$PROJECT/cache" "$@"
}

@test "what a step took all permissions from is packed, whoever runs it" {
  make_recipe x "" 'mkdir -p /out/x/d; echo x >/out/x/d/f; echo said >/build/summary
chmod 000 /out/x/d/f /out/x/d /out/x /build/summary; chmod 000 /out /build'
  run as_user x
  echo "$output"; [ "$status" -eq 0 ]
  [[ "$output" == *"x: said"* ]]
  cp build/kata-static-x.tar.xz first
  [ "$(id -u)" -ne 0 ] || chown -R 0:0 "$PROJECT"
  USE_CACHE=no kb x
  cmp first build/kata-static-x.tar.xz
  mkdir recipes/two
  cat >recipes/two/recipe.yaml <<'Y'
description: phases
builder: {packages: [bash], tools: [bash]}
phases: {setup: setup.sh, build: build.sh}
Y
  echo 'mkdir a; echo x >a/b; echo y >/out/two/f; chmod 000 a/b a /out/two/f /out/two; chmod 000 /build /out' >recipes/two/setup.sh
  echo 'cp a/b /out/two/g' >recipes/two/build.sh
  rm -rf build cache
  as_user two --until=setup
  as_user two --continue
  tar -tf build/kata-static-two.tar.xz | grep -q g
}

@test "what cannot be packed or read again is the step's failure, and said before anything is written" {
  local script
  for script in 'mkfifo /out/x/f' 'ln -s ../../../etc/passwd /out/x/l' 'ln -s / /out/x/a; ln -s a/../../.. /out/x/l' \
    'truncate -s 9000G /out/x/f'; do
    make_recipe x "" "mkdir -p /out/x; echo x >/out/x/x; $script"
    run -3 timeout 60 "$KBUILD" --builder=host --cache "$PROJECT/cache" x
    [[ "$output" == *"cannot be packed"* || "$output" == *"more than 64 GiB"* ]]
    [ -z "$(find build -name '*.tar.xz')" ]
  done
}

@test "an output that a phase exchanged for a link is refused after --until, too" {
  mkdir recipes/two
  cat >recipes/two/recipe.yaml <<'Y'
description: phases
builder: {packages: [bash], tools: [bash]}
phases: {setup: setup.sh, build: build.sh}
Y
  echo "rmdir /out/two; ln -s $PROJECT/host /out/two" >recipes/two/setup.sh
  echo true >recipes/two/build.sh
  kb two --until=setup
  run -3 kb two --continue
  [[ "$output" == *"/out/two is a link"* ]]
  host_is_untouched
}

@test "a link inside an output stays a link" {
  make_recipe x "" "mkdir -p /out/x; ln -s $PROJECT/host /out/x/dir; ln -s $PROJECT/host/1.ko /out/x/file"
  kb x
  [ "$(tar -tvf build/kata-static-x.tar.xz | grep -c '^l')" -eq 2 ]
  host_is_untouched
}

@test "three thousand levels in /build are removed, with few descriptors" {
  make_recipe x "" 'mkdir -p /out/x; echo x >/out/x/x
python3 -c "
import os
for i in range(3000): os.mkdir(\"d\"); os.chdir(\"d\")"'
  (ulimit -n 64; kb x)
  [ -z "$(find cache/tmp -mindepth 2 -maxdepth 2)" ]
}

# Processes that live on, wait until the script is over, and then exchange a folder with a link to the
# host's for as long as they can.
make_exchanger() { # recipe
  cat >"$PROJECT/exchange.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    pid_t script = getppid();
    for (int i = 0; i < atoi(argv[1]); i++)
        if (fork() == 0) {
            setsid();
            while (kill(script, 0) == 0)
                usleep(200);
            for (;;)
                renameat2(AT_FDCWD, argv[2], AT_FDCWD, argv[3], RENAME_EXCHANGE);
        }
    return 0;
}
C
  gcc -O1 -o "$PROJECT/recipes/$1/exchange" "$PROJECT/exchange.c"
}

@test "processes that outlive their script exchange folders with links, and reach nothing" {
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=TEST" -keyout TEST.pem -out TEST.crt 2>/dev/null
  chmod 600 TEST.pem
  make_recipe x "
variables: {TEST_KEY: {type: secret}, TEST_CERT: {type: file}}
sign: {key: TEST_KEY, certificate: TEST_CERT, files: '*.ko'}" "
mkdir -p /out/x/kernel; for i in \$(seq 60); do echo TEST >/out/x/kernel/\$i.ko; done
ln -s $PROJECT/host /out/x/link
/recipe/exchange 120 /out/x/kernel /out/x/link"
  make_exchanger x
  for run in $(seq "$RUNS"); do
    export TEST_KEY=TEST.pem TEST_CERT=TEST.crt
    [ $((run % 2)) -eq 0 ] || unset TEST_KEY TEST_CERT
    USE_CACHE=no kb x
    host_is_untouched
  done
}

@test "the output itself is exchanged as well" {
  make_recipe x "" "
mkdir -p /out/x; echo TEST >/out/x/1.ko; ln -s $PROJECT/host /out/link
/recipe/exchange 120 /out/x /out/link"
  make_exchanger x
  for _ in $(seq "$RUNS"); do
    USE_CACHE=no run kb x
    [ "$status" -eq 0 ] || [[ "$output" == *"is a link"* ]]
    host_is_untouched
  done
}

@test "a log is no file of the step's: no mode, no content, no name of it" {
  make_recipe x "" 'mkdir -p /out/x; echo x >/out/x/x
chmod 4755 /proc/self/fd/1 || true
: >/proc/self/fd/1 || true
chmod 000 /proc/self/fd/2 || true
echo "the end"'
  kb x
  [ "$(stat -c '%a %F' build/logs/x.log)" = "644 regular file" ]
  grep -q "the end" build/logs/x.log
  # The next run's is a new file; what took the name is neither followed nor waited for.
  echo kept >kept
  ln -sf "$PROJECT/kept" build/logs/x.log
  USE_CACHE=no kb x
  [ "$(cat kept)" = kept ]
  rm build/logs/x.log
  mkfifo build/logs/x.log
  USE_CACHE=no timeout 60 "$KBUILD" --builder=host --cache "$PROJECT/cache" x
  [ -f build/logs/x.log ]
}

@test "of a long log the end is shown, whole lines, with nothing that moves the cursor" {
  make_recipe x "" 'head -c 200000 /dev/zero | tr "\0" a; printf "\033]0;owned\007 \302\233 the end"; exit 1'
  run -3 kb x
  [ "${#output}" -lt 40000 ]
  [[ "$output" == *"the end"* ]]
  [[ "$output" == *$'\n----\n'* ]]
  [[ "$output" != *$'\033'* ]]
  [[ "$output" != *$'\302\233'* ]]
  make_recipe y "" 'seq 100000; exit 1'
  run -3 kb y
  [[ "$output" == *$'\n99990\n'* ]]
  [[ "$output" != *$'\n99980\n'* ]]
}

@test "what --until leaves has no setuid, and nobody else may enter" {
  mkdir -p recipes/three
  cat >recipes/three/recipe.yaml <<'Y'
description: phases
builder: {packages: [bash], tools: [bash]}
phases: {setup: setup.sh, build: build.sh}
outputs: [three]
Y
  echo 'cp /usr/bin/id id; chmod 6755 id; mkdir -m 7777 d; cp id /out/three/id; chmod 4755 /out/three/id' >recipes/three/setup.sh
  echo 'chmod 4755 id; exit 4' >recipes/three/build.sh
  kb three --until=setup
  [ -z "$(find build cache -perm /7000)" ]
  [ "$(stat -c %a build/three)" = 700 ]
  # Also after a phase that fails.
  run -3 kb three --until=build --continue
  [ -z "$(find build cache -perm /7000)" ]
  echo 'chmod 4755 /build/id' | kb shell three || true
  [ -z "$(find build cache -perm /7000)" ]
}

@test "a step that empties the jobserver and then fills its pipe holds up nobody" {
  make_recipe x "" 'mkdir -p /out/x; echo x >/out/x/x
auth=${MAKEFLAGS##*=}
python3 -c "
import os
r, w = $auth
os.set_blocking(r, False); os.set_blocking(w, False)
try:
    while os.read(r, 4096): pass
except BlockingIOError: pass
try:
    while os.write(w, b\"+\" * 4096): pass
except BlockingIOError: pass
os.set_blocking(w, True)"'
  make_recipe y "needs: [x]"
  make_recipe drain "" 'mkdir -p /out/drain; echo x >/out/drain/x
auth=${MAKEFLAGS##*=}
python3 -c "
import os
r, w = $auth
os.set_blocking(r, False)
try:
    while os.read(r, 4096): pass
except BlockingIOError: pass"'
  make_recipe z "needs: [drain]"
  timeout 60 "$KBUILD" --builder=host --cache "$PROJECT/cache" -j 3 y
  timeout 60 "$KBUILD" --builder=host --cache "$PROJECT/cache" -j 3 z
}

@test "a program in kbuild's shell can not type into the user's" {
  make_recipe x "" true
  cp "$BATS_TEST_DIRNAME/../support/terminal.py" .
  cat >recipes/x/type.py <<'P'
import fcntl, os, termios
for name in ("/dev/tty", "/proc/self/fd/0", "/proc/self/fd/1"):
    try:
        fd = os.open(name, os.O_RDWR)
        for c in "echo owned >owned\n":
            fcntl.ioctl(fd, termios.TIOCSTI, c.encode())
        print("typed")
    except OSError as e:
        print("refused", e.errno)
P
  run timeout 60 python3 terminal.py 'python3 /recipe/type.py; tty -s && echo terminal-inside; echo "size $(stty size)"' "$KBUILD" --builder=host --cache "$PROJECT/cache" shell x
  [[ "$output" == *"terminal-inside"* ]]
  [[ "$output" == *"size 33 77"* ]]
  [[ "$output" != *"typed"* ]]
  [[ "$output" == *"status 0"* ]]
  [[ "$output" == *"settings restored"* ]]
  # The terminal that the user's shell reads from got nothing.
  [[ "$output" == *"left to read: 0"* ]]
  [ ! -e owned ]
}

@test "a cache on a file system that runs no programs is said, and doctor says it before" {
  [ "$(id -u)" -eq 0 ] || skip "needs a mount"
  make_recipe x "" 'printf "#!/bin/sh\n" >configure; chmod +x configure; ./configure'
  mkdir -p cache
  run unshare -m sh -c 'mount -t tmpfs -o noexec none cache && "$1" --builder=host --cache "$2/cache" x' sh "$KBUILD" "$PROJECT"
  [ "$status" -eq 3 ]
  [[ "$output" == *"mounted noexec"* ]]
  run unshare -m sh -c 'mount -t tmpfs -o noexec none cache && "$1" doctor build --cache "$2/cache"' sh "$KBUILD" "$PROJECT"
  [[ "$output" == *"its file system is mounted noexec"* ]]
}

@test "in a chroot the hint is one for a chroot" {
  [ "$(id -u)" -eq 0 ] || skip "needs a chroot"
  make_recipe x
  mkdir root
  run unshare -m sh -c '
set -e
for d in usr proc dev etc; do mkdir "root/$d"; mount --rbind "/$d" "root/$d"; done
for l in bin sbin lib lib64; do [ ! -L "/$l" ] || ln -s "usr/$l" "root/$l"; [ ! -d "/$l" ] || [ -L "/$l" ] || { mkdir "root/$l"; mount --bind "/$l" "root/$l"; }; done
mkdir -p root/project root/program; mount --bind . root/project; mount --bind "$(dirname "$1")" root/program
exec chroot root sh -c "cd /project && /program/$(basename "$1") --builder=host --cache /project/cache x"' sh "$KBUILD"
  [ "$status" -ne 0 ]
  [[ "$output" == *"a chroot can make no user namespaces"* ]]
  [[ "$output" != *docker* ]]
}
