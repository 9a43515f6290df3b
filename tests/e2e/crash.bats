#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Kills, full disks, limits, signals: nothing half-written, nothing left over, and the next run works.

load project

setup() {
  make_project
}

# ---- signals and limits ----

@test "nohup holds: a hangup that is ignored on entry stays ignored, in steps too" {
  make_recipe slow "" 'echo started; sleep 1; mkdir -p /out/slow/opt; echo x >/out/slow/opt/x'
  nohup "$KBUILD" --builder=host --cache "$PROJECT/cache" slow >log 2>&1 3>&- &
  pid=$!
  for _ in $(seq 100); do grep -qs started build/logs/slow.log && break; sleep 0.05; done
  kill -HUP "$pid"
  wait "$pid"
  [ -e build/kata-static-slow.tar.xz ]
  # and without nohup it ends the run
  echo '# again' >>recipes/slow/build.sh
  rm -r build
  kb_exec slow >log 2>&1 3>&- &
  pid=$!
  for _ in $(seq 100); do grep -qs started build/logs/slow.log && break; sleep 0.05; done
  kill -HUP "$pid"
  status=0
  wait "$pid" || status=$?
  [ "$status" -ne 0 ]
  [ ! -e build/kata-static-slow.tar.xz ]
}

@test "a limit on the size of files is an error that says so, and leaves nothing" {
  mkdir -p tree/opt out
  head -c 3000000 /dev/urandom >tree/opt/x
  run bash -c "ulimit -f 100; '$KBUILD' pack tree out/x.tar.xz"
  [ "$status" -eq 1 ]
  [[ "$output" == *"File too large"* && "$output" == *"ulimit -f"* ]]
  [ -z "$(ls -A out)" ]
  make_recipe one "" 'mkdir -p /out/one/opt; for i in 1 2 3 4 5; do head -c 400000 /dev/urandom >/out/one/opt/$i; done'
  run bash -c "ulimit -f 1000; '$KBUILD' --builder=host --cache cache one"
  [ "$status" -ne 0 ]
  [[ "$output" == *"File too large"* ]]
  kb one
}

# ---- what a killed process leaves ----

@test "pack, unpack and merge, ended in the middle, leave nothing" {
  mkdir -p tree/opt out build
  head -c 4000000 /dev/urandom >tree/opt/x
  "$KBUILD" pack tree build/kata-static-x.tar.xz
  for signal in KILL INT TERM; do
    for what in "pack tree out/p.tar.xz" "unpack build/kata-static-x.tar.xz out/u" \
      "merge build -o out/m.tar.zst --format=tar.zst"; do
      # shellcheck disable=SC2086 # words are meant
      python3 - $signal 0.0$((RANDOM % 6 + 1)) "$KBUILD" $what <<'X'
import signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[3:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(float(sys.argv[2]))
p.send_signal(getattr(signal, "SIG" + sys.argv[1]))
p.wait()
X
      for _ in $(seq 50); do [ -z "$(ls -A out)" ] && break; rm -rf out/[!.]*; sleep 0.1; done
      [ -z "$(ls -A out)" ]
    done
  done
  [ "$(ls -A -I cache)" = "$(printf '%s\n' build out recipes tree versions.yaml)" ]
}

@test "a configuration with another name is not edited behind that name's back" {
  cat >c.toml <<'X'
[hypervisor.qemu]
kernel = "/x"
path = "/usr/bin/qemu-system-s390x"
X
  ln c.toml other.toml
  run "$KBUILD" config se c.toml
  [ "$status" -eq 1 ]
  [[ "$output" == *"2 names"* ]]
  [ c.toml -ef other.toml ]
  rm other.toml
  "$KBUILD" config se c.toml
}
