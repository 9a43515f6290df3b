#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `kbuild boot` of a guest that serves: what is started, what is added for the test and said, who talks to
# it, and what is told when that goes wrong. QEMU is a script that plays the guest.

load project

setup() {
  [ "$(uname -m)" = x86_64 ] || skip "the machine that is played is an x86_64"
  make_project
  export FAKE="$PROJECT/fake"
  mkdir -p "$FAKE"
  echo serve >"$FAKE/mode"
  make_qemu
  make_guest
}

# A guest in a script: Linux' line, two lines that say that it serves, and a service behind the port that
# answers a word with the same word. `mode` says what goes wrong.
make_qemu() {
  cat >"$FAKE/qemu" <<'Y'
#!/usr/bin/env python3
import os, re, shutil, socket, sys, time
fake, words = os.environ["FAKE"], sys.argv[1:]
if words == ["-accel", "help"]:
    print("Accelerators supported in QEMU binary:\ntcg")
    sys.exit()
mode = open(fake + "/mode").read().strip()
value = lambda name: words[words.index(name) + 1] if name in words else ""
open(fake + "/argv", "a").write("\n".join(words) + "\n")
shutil.copy(value("-initrd"), fake + "/initrd")
def say(line):
    print(line, flush=True)
append = value("-append")
say("[    0.100000] Kernel command line: " + ("other" if mode == "other" else append))
if mode in ("report", "report-other"):
    say('{"smoke-init":1,"release":"6.1","machine":"x86_64","cmdline":"%s"}' % ("other" if mode == "report-other" else append))
    time.sleep(30)
say('{"msg":"announce","level":"INFO"}')
if mode == "panic":
    say("Kernel panic - not syncing: Attempted to kill init!")
if mode in ("panic", "half"):
    time.sleep(30)
if mode == "ends":
    sys.exit()
port = re.search(r"^socket,id=port,server=on,wait=off,path=(.*)$", "\n".join(words), re.M)
if port:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(port.group(1).replace(",,", ","))
    listener.listen()
say('{"msg":"ttRPC server started","level":"INFO"}')
if not port:
    time.sleep(30)
guest = listener.accept()[0]
if mode == "dies":
    say("agent: it was too much for it")
    sys.exit()
if mode == "mute":
    time.sleep(30)
word = guest.recv(100).decode()
say("agent: it was asked for " + word)
guest.sendall(word.encode() if mode != "wrong" else b"nonsense")
if mode == "leaves":
    sys.exit()
time.sleep(30)
Y
  chmod +x "$FAKE/qemu"
}

make_guest() {
  make_recipe kernel "" 'install -D /recipe/vmlinuz /out/kernel/share/vmlinuz'
  echo kernel >recipes/kernel/vmlinuz
  make_recipe agent "" 'mkdir -p /out/agent/sbin; printf "#!/bin/sh\n" >/out/agent/sbin/init; chmod 755 /out/agent/sbin/init'
  make_recipe standin "" 'mkdir -p /out/standin/sbin; printf "#!/bin/bash\n" >/out/standin/sbin/init; chmod 755 /out/standin/sbin/init'
  make_recipe relay "release: no" 'mkdir -p /out/relay
echo relay >relay-program; touch -d @0 relay-program; echo relay-program | cpio -o -H newc --quiet >/out/relay/relay.cpio'
  sed -i 's/tools: \[bash\]/tools: [bash, cpio]/' recipes/relay/recipe.yaml
  make_recipe check "release: no" 'install -D -m 0755 /recipe/check /out/check/bin/check'
  cat >recipes/check/check <<'Y'
#!/usr/bin/env python3
import json, socket, sys
assert sys.argv[1] == "--socket" and sys.argv[3] == "--timeout" and int(sys.argv[4]) > 0
def step(name, ok=True, **more):
    print(json.dumps({"step": name, "ok": ok, "seconds": 0.1, **more}), flush=True)
    if not ok:
        sys.exit(1)
agent = socket.socket(socket.AF_UNIX)
agent.connect(sys.argv[2])
step("connect")
agent.sendall(b"word")
answer = agent.recv(100).decode()
step("container", answer == "word", **({"exit_status": 3, "stdout": "hello\n"} if answer == "word" else {"error": "it said " + answer}))
Y
  mkdir -p recipes/guest
  cat >recipes/guest/recipe.yaml <<'Y'
description: a guest
action: initrd
architectures: [x86_64, s390x, aarch64, ppc64le]
needs: [{any: [agent, standin]}]
with: [kernel]
initrd:
  layers: [{artifact: agent}, {artifact: standin}]
  init: [{of: agent, name: the agent}, {of: standin, name: standin, note: which does not serve}]
  output: share/guest.img
boot:
  kernel: kernel:share/vmlinuz
  initrd: guest:share/guest.img
  append: panic=1
  service:
    of: [agent]
    expect: ['"msg":"announce"', '"msg":"ttRPC server started"']
    append: rdinit=/relay agent.server_addr=unix:///run/agent.sock
    beside: relay:relay.cpio
    port: agent
    client: check:bin/check
    arguments: --socket {socket} --timeout {timeout}
Y
}

boot() { kb boot guest --qemu "$FAKE/qemu" --timeout "${TIMEOUT:-60}" "$@"; }

argument() {
  grep -x -A 1 -e "$1" "$FAKE/argv" | tail -n 1
}

# No process and no folder of a boot is left.
nothing_left() {
  [ -z "$(find "$PROJECT/cache/tmp" -mindepth 1 -name 'boot*' 2>/dev/null)" ]
}

@test "a guest that serves is talked to, and what was added for that is said" {
  run boot
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"for this test only: appended to the initrd: relay:relay.cpio, appended to the command line: 'rdinit=/relay agent.server_addr=unix:///run/agent.sock'"* ]]
  [[ "$output" == *"proven: connect"*'proven: container: exit_status 3, stdout "hello\n"'* ]]
  [[ "$output" == *"proven: kernel, initrd: the service runs, command line as expected"* ]]
  [[ "$output" != *"not proven"* ]]
  [[ "$output" == *"guest: the init inside is the agent"* ]]
  [ "$(argument -append)" = "panic=1 rdinit=/relay agent.server_addr=unix:///run/agent.sock console=ttyS0" ]
  grep -qx virtio-serial-pci "$FAKE/argv"
  grep -qx 'virtserialport,chardev=port,name=agent' "$FAKE/argv"
  # The initrd as it was, and the other cpio at a multiple of four bytes.
  tar -xOf build/kata-static-guest.tar.xz ./share/guest.img >initrd
  cmp -n "$(stat -c %s initrd)" initrd "$FAKE/initrd"
  tail -c "+$((($(stat -c %s initrd) + 3) / 4 * 4 + 1))" "$FAKE/initrd" | cpio -i --to-stdout --quiet | grep -qx relay
  # For the test only: neither is a result.
  [ ! -e build/kata-static-relay.tar.xz ]
  [ ! -e build/kata-static-check.tar.xz ]
  ! grep -q 'relay\|check' build/targets || false
  nothing_left
}

@test "a stand-in is started with nothing added, and reports" {
  rm -r recipes/agent
  echo report >"$FAKE/mode"
  run boot
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"proven: kernel, initrd: /init reached, Linux 6.1, command line as expected"* ]]
  [[ "$output" != *"for this test only"* ]]
  [[ "$output" == *"guest: the init inside is standin, which does not serve"* ]]
  [ "$(argument -append)" = "panic=1 console=ttyS0" ]
  ! grep -q 'virtserialport' "$FAKE/argv" || false
  cmp <(tar -xOf build/kata-static-guest.tar.xz ./share/guest.img) "$FAKE/initrd"
  [ ! -e build/logs/check.log ]
}

@test "a service that answers wrongly, dies, or says nothing is an error with what the console showed" {
  echo wrong >"$FAKE/mode"
  run boot
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"container: it said nonsense; the console's last lines:"*"agent: it was asked for word"* ]]
  [[ "$output" == *"the whole console output is in build/logs/boot-guest.log"* ]]
  [[ "$output" != *"proven: container"* ]]
  grep -q 'client: .*it said nonsense' build/logs/boot-guest.log
  echo dies >"$FAKE/mode"
  run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"the console's last lines:"*"it was too much for it"* ]]
  echo mute >"$FAKE/mode"
  TIMEOUT=2 run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"the time limit is reached; the console's last lines:"* ]]
  nothing_left
}

@test "a guest that does not come to serve is an error" {
  echo half >"$FAKE/mode"
  TIMEOUT=2 run boot
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"the time limit is reached, and the console did not show '\"msg\":\"announce\"' and '\"msg\":\"ttRPC server started\"'"* ]]
  echo panic >"$FAKE/mode"
  run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"the kernel panicked"*"Attempted to kill init"* ]]
  echo ends >"$FAKE/mode"
  run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"the machine ended"* ]]
  echo other >"$FAKE/mode"
  run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"the guest's command line is 'other' instead of 'panic=1 rdinit=/relay"* ]]
  # A report of an init that should not be there is none.
  echo report >"$FAKE/mode"
  TIMEOUT=2 run boot
  [ "$status" -eq 3 ]
  [[ "$output" != *proven* ]]
}

@test "a client that proves nothing is an error" {
  printf '#!/bin/sh\nexit 0\n' >recipes/check/check
  run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"check: it reported no step"* ]]
  printf '#!/bin/sh\necho "no such agent" >&2; exit 2\n' >recipes/check/check
  run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"check: exit status 2: no such agent"* ]]
  # It says no more, and does not end.
  printf '#!/bin/sh\necho "{\\"step\\":\\"connect\\",\\"ok\\":true}"; exec sleep 60 >/dev/null 2>&1\n' >recipes/check/check
  run timeout 30 "$KBUILD" --builder=host --cache "$PROJECT/cache" boot guest --qemu "$FAKE/qemu" --timeout 2
  [ "$status" -eq 3 ]
  [[ "$output" == *"the time limit is reached; the console's last lines:"* ]]
  # An end before the last word of the program does not count.
  printf '#!/bin/sh\necho "{\\"step\\":\\"connect\\",\\"ok\\":true}"; exit 1\n' >recipes/check/check
  run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"check: exit status 1"* ]]
  cat >recipes/check/check <<'Y'
#!/bin/sh
echo '{"step":"a\u001b[31mb","ok":true}'
exec head -c 3000000 /dev/zero
Y
  run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"a line of its output is longer than"* ]]
  [[ "$output" != *$'\033'* ]]
  nothing_left
}

@test "a line of the client that begins as a step does is one, or an error" {
  local line
  for line in '{"step":"container","ok":false,"error":"it failed"}' '{"step":"container","ok":true' '{"step":"container","ok":true} and more' \
    '{"ok":false,"error":"it failed"}' '{"step":"","ok":true}' '{"step":"container","ok":"yes"}' '{"step":"container"}' \
    '{"step":"a","ok":false,"ok":true}' '  {"step":"a","ok":false}' "$(printf '{"step":"a","ok":false,"error":"\377"}')" \
    'warning: {"step":"container","ok":false}' '{"step":"a","ok":true,"error":"boom"}' \
    '{"step":"a\u0000b","ok":false}' "$(printf '{"step":"a\033","ok":true}')"; do
    printf '%s\n' '#!/bin/sh' 'echo "{\"step\":\"connect\",\"ok\":true}"' "printf '%s' '$line'" >recipes/check/check
    echo "-- $line"
    run boot # and the last line has no line break
    echo "$output"
    [ "$status" -eq 3 ]
    [[ "$output" != *"the service runs"* ]]
  done
  # A NUL in a text is a text.
  printf '%s\n' '#!/bin/sh' "printf '%s' '{\"step\":\"container\",\"ok\":true,\"stdout\":\"a\\u0000b\"}'" >recipes/check/check
  run boot
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *'proven: container: stdout "a\u0000b"'* ]]
}

@test "a panic counts whenever it comes" {
  # Before the texts, in one piece with them; behind them; and while the client says no more.
  sed -i 's/^say(.{"msg":"announce","level":"INFO"}.)$/if mode == "early": say("Kernel panic - not syncing: early")\n&/' "$FAKE/qemu"
  sed -i 's/^say(.{"msg":"ttRPC.*$/&\nif mode == "behind": say("Kernel panic - not syncing: behind")/' "$FAKE/qemu"
  for mode in early behind; do
    echo "$mode" >"$FAKE/mode"
    run boot
    echo "$output"
    [ "$status" -eq 3 ]
    [[ "$output" == *"the kernel panicked"* && "$output" != *"the service runs"* ]]
  done
  sed -i 's/^architectures:.*/architectures: [s390x]/' recipes/check/recipe.yaml
  run boot # with nobody to talk to it
  echo "$output"
  [ "$status" -eq 3 ]
  sed -i 's/^architectures:.*/architectures: [x86_64]/' recipes/check/recipe.yaml
  echo late >"$FAKE/mode"
  sed -i 's/^guest = listener.accept.*$/&\nif mode == "late": time.sleep(0.5); say("Kernel panic - not syncing: late"); time.sleep(30)/' "$FAKE/qemu"
  cat >recipes/check/check <<'Y'
#!/usr/bin/env python3
import os, socket, sys, time
agent = socket.socket(socket.AF_UNIX)
agent.connect(sys.argv[2])
print('{"step":"connect","ok":true}', flush=True)
os.close(1)
os.close(2)
time.sleep(2)
Y
  run boot
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" == *"the kernel panicked"* && "$output" != *"the service runs"* ]]
}

@test "what the guest is told proves nothing when the console shows it" {
  sed -i 's/^  append: panic=1$/  append: panic=1 x="msg":"announce"/' recipes/guest/recipe.yaml
  run boot
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"\"msg\":\"announce\"' that is expected on the console is also in the machine's command line"* && "$output" != *proven* ]]
}

@test "a machine that ends before its client has reported is no error; one whose client keeps running is" {
  echo leaves >"$FAKE/mode"
  sed -i 's/^step("container"/import time; time.sleep(0.5)\n&/' recipes/check/check
  run boot
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"proven: container: exit_status 3"* ]]
  # But it has to come to an end itself.
  sed -i 's/time.sleep(0.5)/time.sleep(30)/' recipes/check/check
  run boot
  [ "$status" -eq 3 ]
  [[ "$output" == *"the machine ended; the console's last lines:"* ]]
}

@test "without somebody to talk to it, only what the console shows is proven, and that is said" {
  sed -i 's/^architectures:.*/architectures: [s390x]/' recipes/check/recipe.yaml
  run boot
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"no client will test the guest's service: check cannot be built from these sources"* ]]
  [[ "$output" == *"proven: kernel, initrd: the service runs"* ]]
  [[ "$output" == *"not proven: that the service answers"* ]]
  [ "$(argument -append)" = "panic=1 console=ttyS0" ]
}

@test "a socket's address is short wherever the cache is" {
  local deep
  deep=$PROJECT/$(printf 'deep%.0s' $(seq 30))
  mkdir t
  TMPDIR=$PWD/t run "$KBUILD" --builder=host --cache "$deep" boot guest --qemu "$FAKE/qemu"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"proven: container"* ]]
  grep -q "path=$PWD/t/" "$FAKE/argv"
  [ -z "$(ls t)" ]
}

@test "what a service needs is checked when the recipe is read" {
  refused() { # sed, message
    cp recipes/guest/recipe.yaml kept
    sed -i "$1" recipes/guest/recipe.yaml
    run boot
    mv kept recipes/guest/recipe.yaml
    [ "$status" -ne 0 ]
    [[ "$output" == *"$2"* ]]
  }
  refused 's/of: \[agent\]/of: [agnet]/' "of: 'agnet' is not in 'needs', and no variable of the type file"
  refused '/port: agent/d' "a service needs the key 'port'"
  refused 's/{socket}/{sockets}/' "the placeholders here are {socket} and {timeout}"
  refused 's/check:bin/chek:bin/' "unknown target 'chek'"
  refused 's|relay:relay.cpio|relay:gone.cpio|' "gone.cpio"
  ! grep -q announce "$FAKE/argv" 2>/dev/null || false
}
