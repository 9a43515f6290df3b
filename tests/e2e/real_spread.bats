#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real targets over two workers of a real Slurm on loopback, in builders from the distribution's mirror: bit for bit what one machine makes. Slow:
# boot-image-se compiles a kernel twice, some 40 minutes on two processors. `make check-e2e` runs it.
#
# KBUILD_E2E_SPREAD=TARGET takes another target in the place of boot-image-se, to try the test itself: smoke-init.
# KBUILD_E2E_KATA=DIR has Kata's sources, where its git cannot be reached.

bats_require_minimum_version 1.5.0

REPOSITORY=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

load shared_cache
load slurm

setup_file() {
  export KBUILD=${KBUILD:-$REPOSITORY/kbuild}
  export KBUILD_SOURCES=debian
  export WORK=${KBUILD_E2E_WORK:-$BATS_FILE_TMPDIR}
  export KBUILD_CACHE=$WORK/spread-cache
  mkdir -p "$WORK"
  slurm_start 2
  [ -n "${SLURM_MISSING:-}" ] || prepare_workers
}

# With the secret that sealed images derive their keys from: they are the same bytes then.
prepare_workers() {
  (umask 077 && head -c 32 /dev/urandom >"$CLUSTER/TEST-seal-secret")
  cat >>"$CLUSTER/task-prolog" <<X
echo "export SE_SEAL_SECRET=$CLUSTER/TEST-seal-secret"
echo "export KBUILD_CONFIGURATION='~/.cargo/config ~/.cargo/config.toml'"
X
}

teardown_file() {
  slurm_stop
}

setup() {
  slurm_needed
  cd "$REPOSITORY" || return 1
  export ARTEFACT_REGISTRY=127.0.0.1:$PORT ARTEFACT_REPOSITORY=kata
}

# The files of an output directory but logs, with their digests.
results() {
  (cd "$1" && find . -name logs -prune -o -name targets -prune -o -name run.json -prune -o -type f -print0 | sort -z | xargs -0 sha256sum)
}

# As soon as a job runs, its worker gets no further one, until the other worker has had one: so both make something, and one gets what the other made.
let_both_work() { # PID
  local first='' other=''
  until [ -n "$first" ] || ! kill -0 "$1"; do
    first=$(squeue -h -t R -o %N | head -n 1)
    sleep 0.2
  done
  scontrol update NodeName="$first" State=DRAIN Reason=test
  until [ -n "$other" ] || ! kill -0 "$1" 2>/dev/null; do
    other=$(squeue -h -t R,CD -o %N | grep '^worker' | grep -vx "$first" | head -n 1) || true
    sleep 0.2
  done
  scontrol update NodeName="$first" State=RESUME
}

# Over two workers, on one machine with the same pins and a cache that knows nothing, and again.
same_as_one_machine() { # NAME ARCHITECTURES WORDS
  local name=$1 archs=$2 arch pid next
  shift 2
  cp -r recipes versions.yaml VERSION "$BATS_TEST_TMPDIR/"
  cd "$BATS_TEST_TMPDIR" || return 1
  "$KBUILD" spread --with=slurm --arch="$archs" -o "$WORK/spread-$name/{arch}" "$@" >said 2>&1 3>&- &
  pid=$!
  let_both_work "$pid"
  wait "$pid" || { cat said; false; }
  cat said
  [ "$(grep -o 'started (on worker[01]' said | sort -u | wc -l)" -eq 2 ]
  for arch in ${archs//,/ }; do
    KBUILD_CACHE=$WORK/one-cache-$name ARTEFACT_REGISTRY='' ARTEFACT_REPOSITORY='' \
      "$KBUILD" --locked --arch="$arch" -o "$WORK/one-$name/$arch" "$@"
  done
  diff <(results "$WORK/spread-$name") <(results "$WORK/one-$name")
  [ "$(find "$WORK/one-$name" -name '*.tar.xz' | wc -l)" -ge "$(wc -w <<<"${archs//,/ }")" ]
  # Again: no job.
  next=$(scontrol show config | grep NEXT_JOB_ID)
  "$KBUILD" spread --with=slurm --arch="$archs" -o "$WORK/spread-$name/{arch}" "$@"
  [ "$(scontrol show config | grep NEXT_JOB_ID)" = "$next" ]
}

@test "smoke-init for two architectures over two workers is bit for bit one machine's" {
  same_as_one_machine smoke x86_64,s390x smoke-init
}

@test "a sealed image over two workers is bit for bit one machine's" {
  "$KBUILD" se test-key "$BATS_TEST_TMPDIR/keys"
  mkdir "$BATS_TEST_TMPDIR/hkd_dir"
  cp "$BATS_TEST_TMPDIR"/keys/HKD-*.crt "$BATS_TEST_TMPDIR/hkd_dir/"
  export HKD_PATH=$BATS_TEST_TMPDIR/hkd_dir SE_SEAL_SECRET=$CLUSTER/TEST-seal-secret
  same_as_one_machine sealed s390x "${KBUILD_E2E_SPREAD:-boot-image-se}"
  [ -n "${KBUILD_E2E_SPREAD:-}" ] || ls "$WORK/spread-sealed/s390x/kata-static-boot-image-se.tar.xz"
}

@test "the agent over two workers is bit for bit one machine's" {
  local kata=upstream
  if [ -n "${KBUILD_E2E_KATA:-}" ]; then
    kata=$KBUILD_E2E_KATA
  else
    git ls-remote https://github.com/kata-containers/kata-containers HEAD >/dev/null 2>&1 ||
      skip "Kata's git cannot be reached, and KBUILD_E2E_KATA names no directory of it"
  fi
  same_as_one_machine agent s390x --source kata="$kata" agent
}
