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

# ---- campaigns ----
# Whole ones: KILLS=400 FULL_SAMPLE=0 bats tests/e2e/crash.bats (0: every call).

@test "killed at random moments, every verb leaves a valid store, and its next run succeeds" {
  run python3 "$BATS_TEST_DIRNAME/../support/crash_campaign.py" kill "$KBUILD" "${KILLS:-18}"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"kills: ${KILLS:-18}, all well: ${KILLS:-18}"* ]]
}

@test "on a full disk every verb says so once, leaves nothing half-written, and its next run succeeds" {
  "${CC:-gcc}" -D_GNU_SOURCE -O1 -shared -fPIC -o faults.so "$BATS_TEST_DIRNAME/../support/fault_calls.c" -ldl
  run python3 "$BATS_TEST_DIRNAME/../support/crash_campaign.py" full "$KBUILD" faults.so "${FULL_SAMPLE:-3}"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c 'all well' <<<"$output")" -eq 9 ]
}

# ---- folders that the disk cannot read to their end ----

@test "a folder that can be read in part only is an error, wherever it is read" {
  "${CC:-gcc}" -D_GNU_SOURCE -O1 -shared -fPIC -o faults.so "$BATS_TEST_DIRNAME/../support/fault_calls.c" -ldl
  mkdir -p hkd tree/opt/d build
  "$KBUILD" se test-key hkd
  for i in 1 2 3; do touch tree/opt/d/$i; done
  "$KBUILD" pack tree build/kata-static-a.tar.xz
  kb cache info
  for words in "hkd verify" "pack tree p.tar.xz" "merge build -o m.tar.xz" "cache info" "cache verify" "cache gc"; do
    for at in 1 2 3; do
      printf '\0\0\0\0\0\0\0\0' >counter
      # shellcheck disable=SC2086 # words are meant
      run env HKD_PATH=hkd LD_PRELOAD="$PWD/faults.so" FAULT_COUNTER="$PWD/counter" FAULT_AT=$at FAULT_KIND=readdir \
        FAULT_ERRNO=5 "$KBUILD" --cache "$PROJECT/cache" $words
      calls=$(od -An -tu8 counter | tr -d ' ')
      [ "$calls" -ge 1 ] # it reads a folder at all
      if [ "$calls" -ge "$at" ]; then
        # What killed processes left is only looked for: a warning, and the verb's own work is done.
        [ "$status" -eq 1 ] || [[ "$output" == *"what a killed kbuild left"* ]] || { echo "$words, $at of $calls: $output"; return 1; }
        [[ "$output" == *"Input/output error"* ]]
        [ ! -e p.tar.xz ]
      fi
      rm -f p.tar.xz m.tar.xz
    done
  done
}
